"""How hard one host is asked, within what it may be asked: gently at first, more while all goes well, half at trouble.

    start      one request at once
    grow       one more at once, and a faster rate, after each 10 s in which nothing went wrong and the limit was used
    trouble    half of both: 429, 503 and the like, time-outs; requests under way together are one trouble
    slowness   less of both, as its first bytes come late: by the share that `target_ttfb` (or twice what it needed in
               its best 10 s) is of what it needed in the last 10 s, at most by half
    bounds     never more than the limits of the host allow, never less than one at once and `min` a second

Only successes count as well going, so an error, however fast it comes, never makes anything faster. Pure: the time
comes in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

WINDOW_S: Final = 10.0
TROUBLE: Final = 0.5  # what is left of the limits after it
DRIFT: Final = 1.05  # per window: a host that became slower for good is not held back for ever
NOISE_S: Final = 0.1  # of the time to the first byte, which is no sign of anything

_OVERLOADED: Final = frozenset({429, 503, 504, 522, 524})  # the last three say that a gateway waited in vain
_FAILURES: Final = frozenset(
    {"connect_refused", "connect_unreachable", "connect_reset", "connection_lost", "body_incomplete", "http_5xx"}
)


@dataclass(frozen=True, slots=True)
class ThrottlePolicy:
    """How hosts are asked as they can bear it.

    Attributes:
        min: Starts per second that are never undercut.
        max: Starts per second; the rate of the host's limits holds besides.
        target_ttfb: Seconds to the first byte above which a host is asked less; `None` is twice its best.
    """

    min: float = 0.1
    max: float | None = None
    target_ttfb: float | None = None

    def __post_init__(self) -> None:
        if not self.min > 0 or (self.max is not None and self.max < self.min):
            raise ValueError("a throttle needs a least rate above 0, and no highest rate below it")


class Throttle:
    """What one host is asked at present.

    Args:
        policy: See `ThrottlePolicy`.
        concurrency: Requests at once that its limits allow.
        rate: Starts per second that its limits allow; `None` is any number.

    Attributes:
        concurrency: Requests at once.
        rate: Starts per second; `None` is any number.
    """

    __slots__ = (
        "_best",
        "_ended",
        "_floor",
        "_is_used",
        "_lift_at",
        "_policy",
        "_samples",
        "_since",
        "_stepped_at",
        "_top",
        "_top_rate",
        "_ttfb",
        "concurrency",
        "rate",
    )

    def __init__(self, policy: ThrottlePolicy, concurrency: float, rate: float | None) -> None:
        self._policy = policy
        self._top = concurrency
        self._top_rate = rate if policy.max is None else min(policy.max, policy.max if rate is None else rate)
        self._floor = policy.min if self._top_rate is None else min(policy.min, self._top_rate)
        self.concurrency = 1
        self.rate = self._top_rate
        self._stepped_at = -math.inf
        self._best: float | None = None  # seconds to the first byte in its best window
        self._lift_at = math.inf  # rate from which none is needed any more, where the limits have none
        self._begin(-math.inf)

    @property
    def is_at_ease(self) -> bool:
        """Whether a new throttle would ask it no harder."""
        return self.rate == self._top_rate

    def learn(
        self, begun: float, now: float, kind: str | None, status: int | None, ttfb: float | None, in_flight: int
    ) -> bool:
        """Learn from a request that ended.

        Args:
            begun: When it started.
            now: Now.
            kind: Error kind; `None` for success.
            status: Of its response.
            ttfb: Seconds to the first byte of the response.
            in_flight: Requests under way until now, this one included.

        Returns:
            Whether the host is asked otherwise from now on.
        """
        if self._since == -math.inf:
            self._begin(begun)
        self._ended += 1
        if kind is not None:
            if kind == "rate_limited" or status in _OVERLOADED or kind.startswith("timeout_"):
                return begun >= self._stepped_at and self._slow_down(TROUBLE, now)
            if kind in _FAILURES:
                self._begin(now)  # not a clean window
            return False
        if in_flight >= self.concurrency:
            self._is_used = True
        if ttfb is not None:
            self._ttfb += ttfb
            self._samples += 1
        return now - self._since >= WINDOW_S and self._judge(now)

    def _judge(self, now: float) -> bool:
        """Look back on ten seconds without trouble."""
        mean = self._ttfb / self._samples if self._samples else None
        if mean is not None:
            good = self._policy.target_ttfb
            if good is None:
                best = self._best = mean if self._best is None else min(mean, self._best * DRIFT)
                good = max(2 * best, best + NOISE_S)
            if mean > good:
                return self._slow_down(max(TROUBLE, good / mean), now)
        changed = self._speed_up()
        self._begin(now)
        return changed

    def _speed_up(self) -> bool:
        before = (self.concurrency, self.rate)
        if self._is_used and self.concurrency < self._top:
            self.concurrency += 1
        if self.rate is not None:
            top = self._top_rate
            rate = self.rate + (1.0 if top is None else min(1.0, top / 10))
            if top is not None:
                self.rate = min(rate, top)
            else:
                self.rate = None if rate >= self._lift_at else rate
        return before != (self.concurrency, self.rate)

    def _slow_down(self, share: float, now: float) -> bool:
        before = (self.concurrency, self.rate)
        if self.rate is not None:
            self.rate = max(self._floor, self.rate * share)
        elif self.concurrency == 1:  # there is no rate yet: it begins at what was reached
            reached = self._ended / max(now - self._since, 1.0)
            self.rate = max(self._floor, reached * share)
            self._lift_at = max(2 * reached, self.rate)
        self.concurrency = max(1, int(self.concurrency * share))
        self._stepped_at = now
        self._begin(now)
        return before != (self.concurrency, self.rate)

    def _begin(self, now: float) -> None:
        """Begin a window."""
        self._since = now
        self._ended = self._samples = 0
        self._ttfb = 0.0
        self._is_used = False

    # -- across runs --------------------------------------------------------------------------------------------------

    def state(self) -> list[float | None] | None:
        """Give what a later run should know; `None` if a new throttle knows it."""
        if self.concurrency == 1 and self.is_at_ease:
            return None
        return [self.concurrency, self.rate, self._best, None if self._lift_at == math.inf else self._lift_at]

    def restore(self, state: list[float | None]) -> None:
        """Take up what an earlier run knew, within the present bounds."""
        concurrency, rate, best, lift_at = state
        self.concurrency = int(max(1, min(concurrency or 1, self._top)))
        if rate is not None:
            self.rate = max(self._floor, rate if self._top_rate is None else min(rate, self._top_rate))
        self._best = best
        self._lift_at = math.inf if lift_at is None else lift_at

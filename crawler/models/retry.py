"""`Retry`: which requests are tried again, and after which wait.

A value with the pure decisions; the client does the waiting and sending. `parse_retry_after` reads the server's wish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable


class Rng(Protocol):
    """A source of chance: `random.Random()`, or the module `random` itself."""

    def random(self) -> float:
        """A number from 0 up to but not including 1."""


IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"})
"""Methods that may be sent twice (RFC 9110 §9.2.2); also the default of `Retry.methods`."""

RETRY_STATUSES: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that another attempt may mend; the default of `Retry.statuses`."""


class Retry:
    """Whether, and after which wait, a failed request is tried again. Immutable; decides, never sleeps.

    The wait before attempt n + 1 is drawn evenly from 0 to min(max_backoff, backoff × factor^(n − 1)) seconds ("full
    jitter"), so that clients that failed together do not come back together.

    Args:
        attempts: Attempts in all, the first one included.
        backoff: Longest wait after the first attempt, in seconds.
        factor: How much longer it may be after each further one.
        max_backoff: Its upper limit in seconds.
        statuses: Status codes that are tried again.
        methods: Methods that are tried again; by default the idempotent ones.
        respect_retry_after: Whether a server's `Retry-After` counts.
        max_retry_after: A longer `Retry-After`, in seconds, ends the attempts: the response is given as it is.

    Raises:
        ValueError: `attempts` below 1, a negative time, or a factor below 1.
    """

    __slots__ = (
        "attempts",
        "backoff",
        "factor",
        "max_backoff",
        "max_retry_after",
        "methods",
        "respect_retry_after",
        "statuses",
    )

    attempts: int
    backoff: float
    factor: float
    max_backoff: float
    statuses: frozenset[int]
    methods: frozenset[str]
    respect_retry_after: bool
    max_retry_after: float

    def __init__(
        self,
        attempts: int = 3,
        *,
        backoff: float = 0.5,
        factor: float = 2.0,
        max_backoff: float = 60.0,
        statuses: Iterable[int] = RETRY_STATUSES,
        methods: Iterable[str] = IDEMPOTENT_METHODS,
        respect_retry_after: bool = True,
        max_retry_after: float = 60.0,
    ) -> None:
        if attempts < 1:
            raise ValueError(f"Retry(attempts={attempts}): the first attempt counts, so at least 1")
        if not (backoff >= 0 and max_backoff >= 0 and max_retry_after >= 0):  # so that NaN fails, too
            raise ValueError("Retry: backoff, max_backoff and max_retry_after are seconds, 0 or more")
        if not factor >= 1:
            raise ValueError(f"Retry(factor={factor}): waits cannot shrink, so at least 1")
        put = object.__setattr__
        put(self, "attempts", attempts)
        put(self, "backoff", backoff)
        put(self, "factor", factor)
        put(self, "max_backoff", max_backoff)
        put(self, "statuses", frozenset(map(int, statuses)))
        put(self, "methods", frozenset(method.upper() for method in methods))
        put(self, "respect_retry_after", respect_retry_after)
        put(self, "max_retry_after", max_retry_after)

    def applies_to(self, method: str) -> bool:
        """Whether requests of this method are tried again."""
        return method.upper() in self.methods

    def applies_to_status(self, status: int) -> bool:
        """Whether a response with this status is tried again."""
        return status in self.statuses

    def delay(self, attempt: int, rng: Rng) -> float:
        """Draw the wait after attempt number `attempt` (1 is the first), in seconds."""
        try:
            longest = min(self.max_backoff, self.backoff * self.factor ** (attempt - 1))
        except OverflowError:
            longest = self.max_backoff
        return rng.random() * longest

    def wait(self, attempt: int, rng: Rng, retry_after: float | None = None) -> float | None:
        """Decide after a failed attempt: how many seconds to wait for the next, or None to give up.

        Args:
            attempt: Number of the attempt that failed; 1 is the first.
            rng: Where the jitter comes from.
            retry_after: What `parse_retry_after` made of the response, if anything. 0 means "no idea": back off.
        """
        if attempt >= self.attempts:
            return None
        if retry_after and self.respect_retry_after:
            return retry_after if retry_after <= self.max_retry_after else None
        return self.delay(attempt, rng)

    def _key(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in Retry.__slots__)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Retry is immutable: cannot set {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"Retry is immutable: cannot delete {name!r}")

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Retry) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> tuple[object, tuple[dict[str, object]]]:
        return _retry_from, ({name: getattr(self, name) for name in Retry.__slots__},)

    def __repr__(self) -> str:
        return (
            f"Retry(attempts={self.attempts}, backoff={self.backoff}, factor={self.factor}, "
            f"max_backoff={self.max_backoff}, statuses={sorted(self.statuses)}, methods={sorted(self.methods)}, "
            f"respect_retry_after={self.respect_retry_after}, max_retry_after={self.max_retry_after})"
        )


def _retry_from(fields: dict[str, object]) -> Retry:
    """Rebuild a pickled `Retry`."""
    return Retry(**fields)  # type: ignore[arg-type]  # the fields of a Retry, by name

"""One host's clock: when it may be asked next. Decides, never waits; time and chance come in as numbers.

A host may be asked when all of these agree:

    concurrency     fewer than so many requests are under way
    next_allowed    its rate: a token bucket, from start to start
    backoff_until   it said "later" (`Retry-After`, `RateLimit`, a bare 429)
    open_until      it only failed of late: the circuit is open, then one request tries
    spaced_until    somebody else's rule: the Crawl-delay of its robots.txt

Concurrency and rate are those of its limits, or less of both while a `Throttle` says so.

They are kept apart, so that none hides another: a host that asks for a minute does not lose its rate of one per second
afterwards, and one that is slow by rule can still be told to wait.

A burst is one event. Eight requests under way that all come back with 429 make one step of the back-off, and eight
that fail together count as one failure: what began before the last one was known knows nothing new.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from crawler.errors import InvalidURL
from crawler.fanout.kinds import family
from crawler.fanout.plan import CircuitPolicy, HostLimits, HostRule, Politeness, RetryPolicy
from crawler.fanout.retry import backoff
from crawler.fanout.throttle import Throttle, ThrottlePolicy
from crawler.models import URL
from crawler.models.public_suffixes import registrable_domain

RETRY_RESERVE: Final = 10
"""Retries a host has beyond its budget, so that short lists are tried as often as they say; besides one for each
request that may be under way, as a moment's failure hits all of these at once."""

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

MAX_ASKED_S: Final = 30 * 86_400.0
"""Longest wait that a later run still knows of; some servers say "for ever"."""

_SIMPLE = re.compile(r"https?://([a-z0-9][a-z0-9.-]*)(?::([0-9]+))?(?=[/?#]|$)", re.ASCII)
_TROUBLED_FAMILIES = frozenset({"dns", "connect", "transfer"})
_TROUBLE = frozenset({"http_5xx", "timeout_tls", "proxy_connect"})
_OWN_FAMILIES = frozenset({"local", "flow", "input", "policy"})  # nothing the host could help


def host_key(url: str, by: str) -> str:
    """Name the host of a URL: `http://h.example` (the port, if it is not the scheme's own), or `h.example`.

    Args:
        url: As the input has it.
        by: `origin`, `host` or `registrable_domain`; hosts by address are named by `crawler.fanout.addresses`.

    Returns:
        Empty for text that is no URL.
    """
    match = _SIMPLE.match(url)
    if match is not None and match[2] is None:  # no parse needed: 0.5 µs against 2 µs and more
        if by == "origin":
            return match[0]
        return registrable_domain(match[1]) if by == "registrable_domain" else match[1]
    try:
        origin = URL(url).origin
    except (InvalidURL, ValueError):
        return ""
    if by == "origin":
        return f"{origin.scheme}://{origin.netloc.decode('ascii')}"
    return registrable_domain(origin.host) if by == "registrable_domain" else origin.host


def limits_for(politeness: Politeness, key: str) -> HostLimits:
    """Give the limits of the host with this key: those of the first rule that matches, else everybody's."""
    rule = rule_for(politeness, key)
    return politeness.limits if rule is None else rule.limits


def rule_for(politeness: Politeness, key: str) -> HostRule | None:
    """Give the first rule that matches the host with this key."""
    if politeness.rules and key:
        netloc = key.rpartition("://")[2]
        name = re.sub(r":\d+$", "", netloc).strip("[]") if "://" in key else key
        for rule in politeness.rules:
            pattern = rule.match.lower()
            if fnmatchcase(name, pattern) or fnmatchcase(netloc, pattern):
                return rule
            if "/" in pattern and is_within(name, pattern):
                return rule
    return None


def is_within(address: str, network: str) -> bool:
    """Whether an address lies in a network like `192.0.2.0/24`; false for names."""
    from ipaddress import ip_address

    try:
        return ip_address(address.partition("%")[0]) in _network(network)
    except ValueError:
        return False


@lru_cache(maxsize=256)
def _network(text: str) -> IPv4Network | IPv6Network:
    from ipaddress import ip_network

    return ip_network(text, strict=False)


class Bucket:
    """A rate with a burst, from start to start.

    Attributes:
        next_allowed: Instant of the next start.
    """

    __slots__ = ("_full_at", "_interval", "_jitter", "_tolerance", "next_allowed")

    def __init__(self, rate: float | None, burst: int = 1, jitter: float = 0.0) -> None:
        self._interval = 0.0 if rate is None else 1 / rate
        # A burst is irregular by itself; with jittered intervals it could be larger than it may.
        self._jitter = jitter if burst == 1 else 0.0
        self._tolerance = (burst - 1) * self._interval
        self._full_at = self.next_allowed = -math.inf  # the instant at which the whole burst is there again

    def start(self, now: float, rng: Callable[[], float]) -> None:
        """Take one token."""
        if not self._interval:
            return
        interval, jitter = self._interval, self._jitter
        if not jitter:
            self._full_at = max(self._full_at, now) + interval
            self.next_allowed = self._full_at - self._tolerance
            return
        # A start that came late, as no slot was free, is caught up by shorter intervals, within the jitter: or the mean
        # rate would be lower than allowed by as much as starts are late.
        drawn = interval * (1 + jitter * (2 * rng() - 1))
        due = now if self._full_at == -math.inf else max(self._full_at, now - jitter * interval)
        self._full_at = self.next_allowed = max(due + drawn, now + (1 - jitter) * interval)

    def pace(self, rate: float | None, now: float) -> None:
        """Have another rate from now on: the tokens are as many as they were, and those that lack come at that rate."""
        before, self._interval = self._interval, 0.0 if rate is None else 1 / rate
        self._tolerance *= 0.0 if not before else self._interval / before
        missing = max(0.0, self._full_at - now) / before if before else 0.0
        self._full_at = self.next_allowed = now + missing * self._interval
        self.next_allowed -= self._tolerance


class HostClock:
    """When one host may be asked.

    Args:
        limits: Its limits.
        retry: The back-off, what becomes of `Retry-After`, the budget of retries.
        circuit: When it is left alone.
        at_once: Requests that may be under way where its limits name none.
        throttle: How it is asked less than its limits allow; `None` if it is not.

    Attributes:
        in_flight: Requests under way.
        throttle: As it is now.
        backoff_until: It asked to be left alone until then.
        open_until: Its circuit lets nobody through until then.
        spaced_until: Whoever asked for more space between starts (`space`) allows none before.
        is_given_up: It is not asked any more in this run: the pause it wants is too long, or it failed through all.
        is_changed: It has something new to remember, or to forget (`state`); whoever takes that resets it.
    """

    __slots__ = (
        "_backoff_since",
        "_bucket",
        "_circuit",
        "_concurrency",
        "_failed_at",
        "_failures",
        "_open_for",
        "_opened_at",
        "_reserve",
        "_retries",
        "_retry",
        "_starts",
        "_steps",
        "backoff_until",
        "in_flight",
        "is_changed",
        "is_given_up",
        "open_until",
        "spaced_until",
        "throttle",
    )

    def __init__(
        self,
        limits: HostLimits,
        retry: RetryPolicy,
        circuit: CircuitPolicy,
        at_once: int,
        throttle: ThrottlePolicy | None = None,
    ) -> None:
        self._concurrency = math.inf if limits.concurrency is None else limits.concurrency
        self._reserve = RETRY_RESERVE + min(self._concurrency, at_once)
        rate, self.throttle = limits.rate, None
        if throttle is not None:
            self.throttle = Throttle(throttle, min(self._concurrency, at_once), rate)
            rate = self.throttle.rate
        self._bucket = Bucket(rate, limits.burst, limits.jitter)
        self._retry = retry
        self._circuit = circuit
        self.in_flight = 0
        self.is_given_up = self.is_changed = False
        self.backoff_until = self._backoff_since = -math.inf
        self.open_until = self._opened_at = self._failed_at = self.spaced_until = -math.inf
        self._open_for = 0.0  # the last pause; 0 is a closed circuit
        self._steps = self._failures = self._starts = self._retries = 0

    @property
    def next_allowed(self) -> float:
        """Instant at which the rate allows the next start."""
        return self._bucket.next_allowed

    def ready_at(self) -> float:
        """Give the instant from which it may be asked: infinite until a request under way ends."""
        if self.is_given_up:
            return -math.inf  # there is nobody to be spared
        allowed = self._concurrency if self.throttle is None else self.throttle.concurrency
        if self.in_flight >= allowed or (self._open_for and self.in_flight):
            return math.inf
        return max(self._bucket.next_allowed, self.backoff_until, self.open_until, self.spaced_until)

    def is_idle(self, now: float) -> bool:
        """Whether it may be forgotten: a new clock would allow the same."""
        if self.throttle is not None and not self.throttle.is_at_ease:
            return False
        return not (self.in_flight or self._open_for or self.is_given_up) and self.ready_at() <= now

    def start(self, now: float, rng: Callable[[], float]) -> None:
        """Note that a request goes out now."""
        self.in_flight += 1
        self._starts += 1
        self._bucket.start(now, rng)

    def cancel(self) -> None:
        """Note that a request under way was taken back; it says nothing about the host."""
        self.in_flight -= 1

    def end(
        self,
        begun: float,
        now: float,
        kind: str | None,
        asked: float | None,
        rng: Callable[[], float],
        status: int | None = None,
        ttfb: float | None = None,
    ) -> float:
        """Learn from a request that ended.

        Args:
            begun: When it started.
            now: Now.
            kind: Error kind; `None` for success.
            asked: Seconds for which the host wants no request, if it said so; 0 says nothing.
            rng: Gives a number in [0, 1).
            status, ttfb: Of its response, for the throttle: status, and seconds to the first byte.

        Returns:
            For how many seconds longer the host is left alone because of it.
        """
        throttle = self.throttle
        if kind is None and not asked and not (self._steps or self._failures or self._open_for) and throttle is None:
            self.in_flight -= 1  # all is well, and was: there is nothing to learn
            return 0.0
        if throttle is not None and throttle.learn(begun, now, kind, status, ttfb, self.in_flight):
            self._bucket.pace(throttle.rate, now)
            self.is_changed = True
        self.in_flight -= 1
        before = max(now, self.backoff_until, self.open_until)
        self._hear(begun, now, kind == "rate_limited", asked, rng)
        if kind is None or family(kind) not in _OWN_FAMILIES:
            self._judge(begun, now, kind)
        if self.is_given_up:
            return 0.0
        return max(self.backoff_until, self.open_until, before) - before

    def may_retry(self) -> bool:
        """Say whether its budget allows one more retry, and count that."""
        budget = self._retry.budget
        if budget is not None and self._retries >= self._reserve + budget * (self._starts - self._retries):
            return False
        self._retries += 1
        return True

    def _hear(
        self, begun: float, now: float, is_rate_limited: bool, asked: float | None, rng: Callable[[], float]
    ) -> None:
        """Take what it said about waiting."""
        policy = self._retry
        if policy.retry_after == "ignore":
            asked = None
        if asked and asked > policy.max_wait:
            if policy.retry_after == "obey":
                self.is_given_up = self.is_changed = True
                self.backoff_until = max(self.backoff_until, now + min(asked, MAX_ASKED_S))  # for the next run
                return
            asked = policy.max_wait
        is_news = begun >= self._backoff_since
        if is_rate_limited and is_news:
            self._steps += 1
            self._backoff_since = now
            self.is_changed = True
            asked = asked or backoff(policy, self._steps, rng)
        elif self._steps and not is_rate_limited and is_news:
            self._steps = 0
            self.is_changed = True
        if asked:
            self.is_changed = True
            self.backoff_until = max(self.backoff_until, now + asked)

    def _judge(self, begun: float, now: float, kind: str | None) -> None:
        """Count failures in a row; what began before the circuit opened says nothing about it."""
        policy = self._circuit
        if policy.failures is None or begun < self._opened_at:
            return
        if kind is None or not is_trouble(kind):
            if self._failures or self._open_for:
                self._failures = 0
                self._open_for = 0.0
                self.is_changed = True
            return
        if begun < self._failed_at:  # of the same burst
            return
        self._failed_at = now
        self.is_changed = True
        self._failures += 1
        if self._open_for >= policy.max_open:
            self.is_given_up = True
        elif self._open_for or self._failures >= policy.failures:
            self._open_for = min(2 * self._open_for or policy.open_for, policy.max_open)
            self._failures = 0
            self._opened_at = now
            self.open_until = now + self._open_for

    # -- across runs --------------------------------------------------------------------------------------------------

    def state(self, now: float, wall: float) -> dict[str, object]:
        """Give what a later run should know, empty if that is nothing: its times are seconds since 1970.

        Args:
            now: Monotonic seconds.
            wall: The same instant in seconds since 1970.
        """
        state: dict[str, object] = {}
        if self._steps:
            state["steps"] = self._steps
        if self._failures:
            state["failures"] = self._failures
        if self._open_for:
            state["open_for"] = self._open_for
        if self.backoff_until > now:
            state["backoff_until"] = wall + self.backoff_until - now
        if self.open_until > now:
            state["open_until"] = wall + self.open_until - now
        if self.throttle is not None and (throttle := self.throttle.state()) is not None:
            state["throttle"] = throttle
        if state:
            state["at"] = wall
        return state

    def restore(self, state: Mapping[str, Any], now: float, wall: float) -> None:
        """Take up what an earlier run knew of the host.

        Args:
            state: As `state` gave it.
            now, wall: As there.
        """
        self._steps, self._failures = state.get("steps", 0), state.get("failures", 0)

        def instant(name: str) -> float:
            until = state.get(name)
            # A clock that was set back meanwhile must not make a pause longer than it was.
            return -math.inf if until is None else now + min(until - wall, until - state["at"])

        self.backoff_until = instant("backoff_until")
        if self._retry.retry_after == "ignore":
            self.backoff_until = -math.inf
        elif self.backoff_until - now > self._retry.max_wait:
            if self._retry.retry_after == "obey":
                self.is_given_up = True
            else:
                self.backoff_until = now + self._retry.max_wait
        if self._circuit.failures is not None:
            self._open_for = min(state.get("open_for", 0.0), self._circuit.max_open)
            self.open_until = min(instant("open_until"), now + self._open_for)
        if self.throttle is not None and (known := state.get("throttle")) is not None:
            self.throttle.restore(known)
            self._bucket.pace(self.throttle.rate, now)


def is_trouble(kind: str) -> bool:
    """Whether an error of this kind says that the host, or the way to it, is in trouble."""
    return kind in _TROUBLE or family(kind) in _TROUBLED_FAMILIES

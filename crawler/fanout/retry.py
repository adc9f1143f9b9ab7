"""Whether a failed attempt is tried again, and when: a decider without clock, dice or I/O of its own.

Two counts are kept apart: tries that ended `rate_limited` have their own limit, so that a server that says "later" a
few times does not use up the tries meant for failures. The wait is the larger of the back-off and what the server
asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import lru_cache

from crawler.fanout.plan import RetryPolicy
from crawler.models.retry import IDEMPOTENT_METHODS

_NEVER_SENT = frozenset(
    {"dns_temporary", "dns_timeout", "connect_refused", "connect_unreachable", "timeout_connect", "timeout_tls"}
)
"""Kinds after which the server cannot have seen the request, so any method may go again."""


def backoff(policy: RetryPolicy, failures: int, rng: Callable[[], float]) -> float:
    """Draw the wait after the `failures`-th failure, in seconds.

    Args:
        failures: 1 after the first failure.
        rng: Gives a number in [0, 1).
    """
    try:
        ceiling = min(policy.base * policy.factor ** (failures - 1), policy.max_backoff)
    except OverflowError:
        ceiling = policy.max_backoff
    match policy.jitter:
        case "full":
            return ceiling * rng()
        case "equal":
            return ceiling * (0.5 + rng() / 2)
        case "none":
            return ceiling


@lru_cache(maxsize=256)
def _matches(kind: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(kind, pattern) for pattern in patterns)


def decide(
    policy: RetryPolicy,
    *,
    kind: str,
    status: int | None,
    method: str,
    idempotent: bool | None,
    failures: int,
    rate_limited: int,
    retry_after: float | None,
    rng: Callable[[], float],
    is_transient: bool = False,
) -> float | None:
    """Give the seconds to wait before the next try, or `None` to give up.

    Args:
        kind: Error kind of the attempt that just failed.
        status: Its HTTP status, where there was a response.
        method, idempotent: What was sent, and whether its author says that it may be sent twice.
        failures: Failed attempts so far that were not `rate_limited`.
        rate_limited: Failed attempts so far that were; the one that just failed is counted in one of the two.
        retry_after: Seconds the server asked for, if it did; 0 (a date in the past) means "use your own back-off".
        is_transient: The failure itself says that another try may help, whatever the policy thinks of its kind.
    """
    may_resend = idempotent if idempotent is not None else method in IDEMPOTENT_METHODS
    if not may_resend and kind not in _NEVER_SENT:
        return None
    if kind == "rate_limited":
        # 403 with Retry-After counts as well, though 403 alone is never retried; 429 and 503 can be taken off the list.
        if rate_limited >= policy.rate_limit_attempts or (status != 403 and status not in policy.status):
            return None
    elif failures >= policy.attempts or not (is_transient or _worth_it(policy, kind, status)):
        return None
    wait = backoff(policy, rate_limited if kind == "rate_limited" else failures, rng)
    if not retry_after or policy.retry_after == "ignore":
        return wait
    if retry_after > policy.max_wait:
        return policy.max_wait if policy.retry_after == "cap" else None
    return max(wait, retry_after)


def _worth_it(policy: RetryPolicy, kind: str, status: int | None) -> bool:
    if kind in ("http_4xx", "http_5xx"):
        return status in policy.status
    return _matches(kind, policy.kinds)

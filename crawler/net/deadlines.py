"""Timeouts of a request as deadlines: instants on the monotonic clock.

A request carries its time limits where HTTPX's transports look for them: `extensions["timeout"]`, a dict of seconds by
phase (`connect`, `read`, `write`, `pool`). The limit over the whole exchange is an instant, `extensions["deadline"]`,
since it spans redirects and retries.
"""

from __future__ import annotations

from time import monotonic
from typing import Final, Literal

from crawler.errors import ConnectTimeout, PoolTimeout, ReadTimeout, TimeoutException, TotalTimeout, WriteTimeout
from crawler.models import Request

Phase = Literal["connect", "read", "write", "pool"]

NEVER: Final = float("inf")
EARLY_S: Final = 0.01  # timers of event loops may go off so much too soon: uvloop's count whole milliseconds

_ERRORS: Final[dict[str, type[TimeoutException]]] = {
    "connect": ConnectTimeout,
    "read": ReadTimeout,
    "write": WriteTimeout,
    "pool": PoolTimeout,
}


def deadline_of(request: Request, phase: Phase) -> float:
    """When `phase`, begun now, runs out of time: monotonic seconds, or `NEVER`."""
    extensions = request.extensions
    timeouts = extensions.get("timeout")
    seconds = None if timeouts is None else timeouts.get(phase)
    total: float | None = extensions.get("deadline")
    if seconds is None:
        return NEVER if total is None else total
    deadline: float = monotonic() + seconds
    return deadline if total is None or deadline < total else total


def total_deadline(request: Request) -> float:
    """When the whole exchange runs out of time, whoever is being waited for: monotonic seconds, or `NEVER`."""
    total: float | None = request.extensions.get("deadline")
    return NEVER if total is None else total


def timed_out(request: Request, phase: Phase, doing: str) -> TimeoutException:
    """The error for a deadline of `phase` that has passed; the total one's if that was it.

    Args:
        request: The request in question.
        phase: What was being waited for.
        doing: What was going on, as in "waiting for the response of http://host/".
    """
    extensions = request.extensions
    total = extensions.get("deadline")
    if total is not None and monotonic() >= total - EARLY_S:
        return TotalTimeout(f"The total time limit passed while {doing}.", request=request)
    seconds = (extensions.get("timeout") or {}).get(phase)
    return _ERRORS[phase](f"The {phase} timeout of {seconds} s passed while {doing}.", request=request)

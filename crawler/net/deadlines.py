"""Timeouts of a request as deadlines: instants on the monotonic clock.

A request carries its time limits where HTTPX's transports look for them: `extensions["timeout"]`, a dict of seconds by
phase: `connect`, `read`, `write`, `pool`, and where they have limits of their own `dns`, `tls` and `ttfb`. The limit
over the whole exchange is an instant, `extensions["deadline"]`, since it spans redirects and retries.
"""

from __future__ import annotations

from time import monotonic
from typing import Final, Literal

from crawler.errors import ConnectTimeout, PoolTimeout, ReadTimeout, TimeoutException, TotalTimeout, WriteTimeout
from crawler.models import Request

Phase = Literal["connect", "read", "write", "pool", "dns", "tls", "ttfb"]
"""What is waited for; `ttfb`, the first byte of the response, counts as `read` where it has no limit of its own."""

NEVER: Final = float("inf")
EARLY_S: Final = 0.01  # timers of event loops may go off so much too soon: uvloop's count whole milliseconds

_ERRORS: Final[dict[str, type[TimeoutException]]] = {
    "connect": ConnectTimeout,
    "read": ReadTimeout,
    "write": WriteTimeout,
    "pool": PoolTimeout,
    "dns": ConnectTimeout,
    "tls": ConnectTimeout,
    "ttfb": ReadTimeout,
}
_KINDS: Final = {"dns": "dns_timeout", "tls": "timeout_tls", "ttfb": "timeout_ttfb"}


def deadline_of(request: Request, phase: Phase) -> float:
    """When `phase`, begun now, runs out of time: monotonic seconds, or `NEVER`."""
    extensions = request.extensions
    timeouts = extensions.get("timeout")
    seconds = None if timeouts is None else timeouts.get(phase)
    total: float | None = extensions.get("deadline")
    if seconds is None:
        if phase == "ttfb":
            return deadline_of(request, "read")
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
    timeouts = extensions.get("timeout") or {}
    if phase == "ttfb" and timeouts.get(phase) is None:
        phase = "read"
    message = f"The {phase} timeout of {timeouts.get(phase)} s passed while {doing}."
    return _ERRORS[phase](message, request=request, kind=_KINDS.get(phase))


class ConnectClock:
    """Until when a connection must be there: one limit over all steps, besides those steps that have their own.

    Attributes:
        deadline: For the steps without a limit of their own; monotonic seconds, None for no limit.
    """

    __slots__ = ("_own", "_total", "deadline")

    def __init__(self, request: Request) -> None:
        at = deadline_of(request, "connect")
        self.deadline = None if at == NEVER else at
        timeouts = request.extensions.get("timeout") or {}
        self._own: dict[str, float | None] = {step: timeouts.get(step) for step in ("dns", "tls")}
        self._total = total_deadline(request)

    def has(self, step: Literal["dns", "tls"]) -> bool:
        """Whether a step has a limit of its own."""
        return self._own[step] is not None

    def begin(self, step: Literal["dns", "tls"]) -> float | None:
        """Give the deadline of a step that begins now."""
        seconds = self._own[step]
        return self.deadline if seconds is None else min(self._total, monotonic() + seconds)

    def end(self, step: Literal["dns", "tls"], seconds: float) -> None:
        """Note what a step has taken: what counts by itself does not count for the others."""
        if self.deadline is not None and self._own[step] is not None:
            self.deadline = min(self._total, self.deadline + seconds)

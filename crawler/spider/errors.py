"""Why a page gave no items, or a link no page: each with its word of the closed list (`crawler.fanout.kinds`)."""

from __future__ import annotations

from typing import ClassVar


class ExtractFailed(Exception):
    """A required field is missing or does not fit its type.

    Attributes:
        fields: Names of the fields that failed.
    """

    kind: ClassVar[str] = "extract_failed"

    def __init__(self, message: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.fields = fields


class BadPayload(Exception):
    """A page is not of the form its rules are for, such as a body that is no JSON."""

    kind: ClassVar[str] = "bad_payload"


class SelectorTimeout(Exception):
    """The expressions of a page took longer than they may."""

    kind: ClassVar[str] = "selector_timeout"


class RobotsDenied(Exception):
    """The host's robots.txt asks not to fetch this URL."""

    kind: ClassVar[str] = "robots_denied"


class RobotsUnavailable(Exception):
    """The host's robots.txt cannot be had, so nothing of it may be fetched (RFC 9309 §2.3.1.4)."""

    kind: ClassVar[str] = "robots_unavailable"


class RedirectLoop(Exception):
    """A page redirects to itself."""

    kind: ClassVar[str] = "redirect_loop"


class BadExpression(ValueError):
    """An expression of a rule does not compile; the message says why, in one sentence."""

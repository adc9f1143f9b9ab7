"""What a response has to be like to count as a success, beyond its status; asked as early as it can be answered.

head arrives ─▶ status, media type, the size that it says ─ no ─▶ CheckFailed, the body is not read
                        │ yes
body comes ───▶ not too large ──────────────────────────── no ─▶ CheckFailed, the rest is not read
                        │ yes
body is there ▶ its size, its text ─────────────────────── no ─▶ CheckFailed, and no file gets its name
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from crawler.errors import ResponseTooLarge
from crawler.fanout.heads import length_of

if TYPE_CHECKING:
    from crawler.models import Response


class CheckFailed(Exception):
    """A response that is not what it should be.

    Attributes:
        kind: The error kind of its record.
        check: Names the check there.
        is_transient: Another try may help, whatever `RetryPolicy.kinds` says.
    """

    def __init__(self, message: str, *, kind: str, check: str, is_transient: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.check = check
        self.is_transient = is_transient


@dataclass(frozen=True, slots=True)
class ResponseCheck:
    """Conditions that all must hold; a condition that is empty or `None` always does.

    Attributes:
        name: Names the check in records.
        matches: Says of a URL whether it is checked at all; `None` checks every one.
        status: Statuses that will do; those of 400 and more are failures whatever stands here.
        content_type: Patterns of media types, lower-case (`image/*`).
        min_size, max_size: Bytes of the decoded body.
        text: Judges the decoded body, and raises `CheckFailed`; `None` does not look at it.
        kind: Error kind of a failure; `None` is `content_type` for a wrong media type, else `check_failed`.
        is_transient: A failure is worth another try.
    """

    name: str
    matches: Callable[[str], bool] | None = None
    status: frozenset[int] = frozenset()
    content_type: tuple[str, ...] = ()
    min_size: int | None = None
    max_size: int | None = None
    text: Callable[[Response, bytes], None] | None = None
    kind: str | None = None
    is_transient: bool = False

    def check_head(self, response: Response, *, is_rest: bool = False) -> None:
        """Check what is known before the body has come.

        Args:
            is_rest: It is the rest of a file that was asked for as a range: its status is no news, and it may leave out
                what the first response has said (RFC 9110 §15.3.7).

        Raises:
            CheckFailed: Status or media type are wrong.
        """
        if self.is_exempt(response):
            return
        if self.status and response.status_code not in self.status and not is_rest:
            self._fail(f"status {response.status_code}, expected {' or '.join(map(str, sorted(self.status)))}")
        if self.content_type:
            value = response.headers.get("content-type", "")
            if is_rest and not value:
                return
            media_type = value.partition(";")[0].strip().lower()
            if not any(fnmatchcase(media_type, pattern) for pattern in self.content_type):
                said = media_type or "none"
                self._fail(f"content type {said}, expected {' or '.join(self.content_type)}", kind="content_type")

    def check_size(self, response: Response, size: int) -> None:
        """Check the size of the body.

        Raises:
            CheckFailed: It is too small or too large.
        """
        if self.is_exempt(response):
            return
        if self.min_size is not None and size < self.min_size:
            self._fail(f"a body of {size} bytes, expected at least {self.min_size}")
        if self.max_size is not None and size > self.max_size:
            self._fail(f"a body of {size} bytes, expected at most {self.max_size}")

    def check_so_far(self, size: int) -> None:
        """Check the size of a body that is still coming.

        Raises:
            CheckFailed: It is too large already.
        """
        if self.max_size is not None and size > self.max_size:
            self._fail(f"a body of more than {self.max_size} bytes, expected at most that")

    def is_exempt(self, response: Response) -> bool:
        """Whether it does not speak of this URL."""
        return self.matches is not None and not self.matches(str(response.url))

    def _fail(self, message: str, kind: str = "check_failed") -> None:
        raise CheckFailed(message, kind=self.kind or kind, check=self.name, is_transient=self.is_transient)


class Judge:
    """Asks the checks that speak of one response, in their order, as early as each can be answered.

    Args:
        checks: All checks of the run.
        response: Its head.
        is_rest: See `ResponseCheck.check_head`.

    Attributes:
        needs_body: Whether a check looks at the body itself.
    """

    __slots__ = ("_checks", "_is_rest", "_largest", "_response", "needs_body")

    def __init__(self, checks: Sequence[ResponseCheck], response: Response, *, is_rest: bool = False) -> None:
        self._checks = [check for check in checks if not check.is_exempt(response)]
        self._response = response
        self._is_rest = is_rest
        self._largest = min((check.max_size for check in self._checks if check.max_size is not None), default=None)
        self.needs_body = any(check.text is not None for check in self._checks)

    def head(self, size: int | None = None) -> None:
        """Judge what is known before the body has come.

        Args:
            size: Bytes of the body, if that is known already.

        Raises:
            CheckFailed: A check does not hold.
        """
        for check in self._checks:
            check.check_head(self._response, is_rest=self._is_rest)
        if size is not None:
            self._sizes(size)

    def so_far(self, size: int) -> None:
        """Judge a body of which so many bytes have come.

        Raises:
            CheckFailed: It is too large already.
        """
        if self._largest is not None and size > self._largest:
            for check in self._checks:
                check.check_so_far(size)

    def whole(self, size: int, body: bytes | None, most: int | None = None) -> None:
        """Judge a body that has come to its end.

        Args:
            size: Its bytes.
            body: The body itself, decoded; `None` if it is larger than may be looked at.
            most: How large that is, if a body that cannot be looked at is a failure.

        Raises:
            CheckFailed: A check does not hold.
            ResponseTooLarge: A check cannot be answered, as the body is too large for it.
        """
        self._sizes(size)
        if not self.needs_body:
            return
        if body is None:
            if most is not None:
                raise ResponseTooLarge(f"the body is larger than the {most} bytes that can be looked at")
            return
        for check in self._checks:
            if check.text is not None:
                check.text(self._response, body)

    def _sizes(self, size: int) -> None:
        for check in self._checks:
            check.check_size(self._response, size)


def judge_of(checks: Sequence[ResponseCheck], response: Response, *, is_rest: bool = False) -> Judge | None:
    """Give what judges a response; `None` for one that is no success anyway, or that no check speaks of."""
    return Judge(checks, response, is_rest=is_rest) if checks and response.status_code < 400 else None


def announced(response: Response) -> int | None:
    """Give the bytes of the body that a head promises; `None` if it does not, or if none will come."""
    return None if response.request.method == "HEAD" or response.status_code in (204, 304) else length_of(response)

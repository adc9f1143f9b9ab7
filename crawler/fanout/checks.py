"""What a response has to be like to count as a success, beyond its status: conditions that need no body in memory.

    head arrives ─▶ status, content type ─ no ─▶ CheckFailed, the body is not read
                            │ yes
    body read ────▶ its size ─ no ─▶ CheckFailed

Conditions on the text of a body are the business of a processor (`crawler.fanout.pages`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

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
        kind: Error kind of a failure; `None` is `content_type` for a wrong media type, else `check_failed`.
        is_transient: A failure is worth another try.
    """

    name: str
    matches: Callable[[str], bool] | None = None
    status: frozenset[int] = frozenset()
    content_type: tuple[str, ...] = ()
    min_size: int | None = None
    max_size: int | None = None
    kind: str | None = None
    is_transient: bool = False

    def check_head(self, response: Response) -> None:
        """Check what is known before the body has come.

        Raises:
            CheckFailed: Status or media type are wrong.
        """
        if self._is_exempt(response):
            return
        if self.status and response.status_code not in self.status:
            self._fail(f"status {response.status_code}, expected {' or '.join(map(str, sorted(self.status)))}")
        if self.content_type:
            value = response.headers.get("content-type", "")
            media_type = value.partition(";")[0].strip().lower()
            if not any(fnmatchcase(media_type, pattern) for pattern in self.content_type):
                said = media_type or "none"
                self._fail(f"content type {said}, expected {' or '.join(self.content_type)}", kind="content_type")

    def check_size(self, response: Response, size: int) -> None:
        """Check the size of the body, once it was read.

        Raises:
            CheckFailed: It is too small or too large.
        """
        if self._is_exempt(response):
            return
        if self.min_size is not None and size < self.min_size:
            self._fail(f"a body of {size} bytes, expected at least {self.min_size}")
        if self.max_size is not None and size > self.max_size:
            self._fail(f"a body of {size} bytes, expected at most {self.max_size}")

    def _is_exempt(self, response: Response) -> bool:
        return self.matches is not None and not self.matches(str(response.url))

    def _fail(self, message: str, kind: str = "check_failed") -> None:
        raise CheckFailed(message, kind=self.kind or kind, check=self.name, is_transient=self.is_transient)

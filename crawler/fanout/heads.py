"""What the head of a response says about the body: coding, length, time of the last change."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crawler.models import Response


def coding_of(response: Response) -> str | None:
    """The content coding of a body; `None` if there is none."""
    coding: str = response.headers.get("content-encoding", "").strip().lower()
    return None if coding in ("", "identity") else coding


def length_of(response: Response) -> int | None:
    """The length of a file by the head of its response; `None` if it does not say, or speaks of a coded body."""
    text: str = response.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and coding_of(response) is None else None


def instant_of(date: str | None) -> int | None:
    """An HTTP date as seconds since 1970."""
    if date is None:
        return None
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (TypeError, ValueError, OverflowError):
        return None

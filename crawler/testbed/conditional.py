"""Validators: `ETag` and `Last-Modified` on the way out, `If-None-Match` and its family on the way in.

Source: RFC 9110 §8.8 (validators), §13.1 (preconditions), §13.2.2 (their order).
"""

from __future__ import annotations

import email.utils
from typing import Final

from starlette.requests import Request

LAST_MODIFIED_TS: Final = 1_704_067_200
"""When everything here was last changed: 2024-01-01 00:00:00 UTC. A constant, so that two starts agree."""

LAST_MODIFIED: Final = email.utils.formatdate(LAST_MODIFIED_TS, usegmt=True)


def etag_matches(header: str, etag: str, *, weak: bool = True) -> bool:
    """Tell whether a list of entity tags names `etag`.

    Args:
        header: The value of `If-None-Match` or `If-Match`: `*` or tags separated by commas.
        etag: The current tag with its quotes.
        weak: Compare weakly (`W/` does not count), as If-None-Match wants; strongly for If-Match.
    """
    if header.strip() == "*":
        return True
    tags = [tag.strip() for tag in header.split(",")]
    if weak:
        return etag.removeprefix("W/") in [tag.removeprefix("W/") for tag in tags]
    return not etag.startswith("W/") and etag in tags


def is_not_modified(request: Request, etag: str, last_modified_ts: int = LAST_MODIFIED_TS) -> bool:
    """Tell whether a GET or HEAD is answered with 304.

    `If-None-Match` decides alone where it is given; `If-Modified-Since` only without it. A date that cannot be read is
    as good as none.
    """
    none_match = request.headers.get("if-none-match")
    if none_match is not None:
        return etag_matches(none_match, etag)
    since = timestamp(request.headers.get("if-modified-since"))
    return since is not None and last_modified_ts <= since


def timestamp(date: str | None) -> float | None:
    """Return an HTTP date as seconds since 1970, or None if it is none."""
    if date is None:
        return None
    try:
        return email.utils.parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None

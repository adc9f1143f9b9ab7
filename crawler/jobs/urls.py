"""What counts as a URL in a job, before the client parses it in full."""

from __future__ import annotations

import re
from typing import Final

_ABSOLUTE: Final = re.compile(r"https?://[^\s/?#][^\x00-\x1f\x7f]*", re.IGNORECASE)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?!\d)")


def url_problem(url: str, *, testbed: bool) -> str | None:
    """Why `url` cannot be fetched, with what to write instead; None if nothing speaks against it.

    Args:
        url: As the user wrote it.
        testbed: The job runs the embedded testbed: a URL that begins with `/` is taken relative to it.
    """
    if _ABSOLUTE.fullmatch(url):
        return None
    shown = repr(url if len(url) <= 80 else url[:79] + "…")
    if any(character < " " or character == "\x7f" for character in url):
        return f"{shown} holds a control character"
    if url.startswith("/") and not url.startswith("//"):
        return None if testbed else f"{shown} has no scheme and host; only a job with `testbed: true` takes such URLs"
    scheme = _SCHEME.match(url)
    if not url:
        return "the URL is empty"
    if scheme is None or "." in scheme[1] or scheme[1].lower() == "localhost":
        return f"{shown} has no scheme; write https://{url.lstrip('/')[:80]}"
    if scheme[1].lower() in ("http", "https"):
        return f"{shown} names no host"
    return f"{shown}: the scheme {scheme[1]}: is not http or https"

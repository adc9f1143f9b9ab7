"""One page to try selectors on: from a URL, a file or standard input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from crawler.cli.exits import CommandError, Exit
from crawler.cli.text import one_line

if TYPE_CHECKING:
    from crawler.spider.document import Document

MAX_SIZE: Final = 50 * 1024 * 1024
"""Bytes of a page at most."""

TIMEOUT_S: Final = 30.0
_FORMS: Final = {".html": "text/html", ".htm": "text/html", ".json": "application/json", ".xml": "application/xml"}


def page_of(source: str) -> Document:
    """Get a page.

    Args:
        source: A URL, the path of a file, or `-` for standard input.

    Raises:
        CommandError: It cannot be had.
    """
    if source == "-":
        return _document("", sys.stdin.buffer.read(MAX_SIZE), None)
    if "://" in source:
        return _fetched(source)
    path = Path(source)
    try:
        with path.open("rb") as file:
            body = file.read(MAX_SIZE)
    except OSError as error:
        raise CommandError(f"{one_line(source)}: {error.strerror}; a URL begins with https://") from error
    return _document(quote(path.name), body, _FORMS.get(path.suffix.lower()))


def _document(name: str, body: bytes, content_type: str | None) -> Document:
    """Make a page of what has no address: its links are taken as if it came from this machine."""
    from crawler.spider.document import Document

    return Document(f"http://localhost/{name}", body, content_type)


def _fetched(url: str) -> Document:
    from crawler import Client, HTTPError, InvalidURL
    from crawler.spider.document import Document

    try:
        with Client(follow_redirects=True, timeout=TIMEOUT_S, max_response_size=MAX_SIZE) as client:
            response = client.get(url)
    except (HTTPError, InvalidURL) as error:
        raise CommandError(f"{type(error).__name__}: {one_line(str(error), 500)}", Exit.FAILURES) from error
    if not response.is_success:
        complaint = f"{one_line(url)} answers {response.status_code} {response.reason_phrase}"
        print(f"crawler: {complaint.strip()}; what it says is looked at all the same", file=sys.stderr)
    headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.headers.raw]
    return Document(str(response.url), response.content, response.headers.get("content-type"), headers)


def described(document: Document) -> str:
    """Say in one line what a page is."""
    charset, source = document.charset
    size = f"{len(document.body):,} bytes"
    return f"{one_line(document.url, 200)}: {document.form}, {size}, {charset} (by {_BY[source]})"


_BY: Final = {"bom": "its first bytes", "header": "its header", "meta": "what it says", "guess": "guess"}

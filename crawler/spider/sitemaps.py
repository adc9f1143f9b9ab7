"""Sitemaps: lists of a site's pages, or of further lists; read as a stream, within limits.

Understood are the XML of sitemaps.org (index and list, with the news and image extensions), RSS and Atom, and plain
text with one URL a line; any of them compressed by gzip. A list that is cut off or broken gives what could be read.

Source: the Sitemaps protocol 0.9; RSS 2.0; RFC 4287 (Atom).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal
from xml.parsers import expat

from crawler.spider.casts import to_datetime
from crawler.spider.charsets import decode, detect

MAX_SIZE: Final = 50 * 1024 * 1024
"""Bytes of one file, unpacked; the rest is left out (the protocol's own limit)."""

MAX_URLS: Final = 50_000
"""URLs of one file; the rest is left out (the protocol's own limit)."""

_CHUNK: Final = 64 * 1024
_MAX_VALUE: Final = 8192


@dataclass(frozen=True, slots=True)
class SitemapEntry:
    """A line of a sitemap.

    Attributes:
        url: The page, or the further sitemap, as it stands there.
        kind: Which of both.
        lastmod: When it last changed, or was published; in UTC where no zone is said.
        images: Pictures on the page.
    """

    url: str
    kind: Literal["page", "sitemap"] = "page"
    lastmod: datetime | None = None
    images: tuple[str, ...] = ()

    def is_older_than(self, since: datetime) -> bool:
        """Whether it says that it has not changed since then."""
        return self.lastmod is not None and self.lastmod < since


def read_sitemap(body: bytes, content_type: str | None = None) -> Iterator[SitemapEntry]:
    """Give the entries of a sitemap as it is read; never raises for what stands in it.

    Args:
        body: The file, packed or not.
        content_type: The header's value, for the character set of a text.
    """
    pieces = _unpacked(body)
    first = next(pieces, b"")
    head = first[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    if head.startswith(b"<") or head.startswith((b"\xff\xfe<", b"\xfe\xff\x00<")):
        entries = _read_xml(first, pieces)
    else:
        entries = _read_text(first + b"".join(pieces), content_type)
    for count, entry in enumerate(entries, 1):
        yield entry
        if count >= MAX_URLS:
            return


def _unpacked(body: bytes) -> Iterator[bytes]:
    """Give the file in pieces, unpacked, at most `MAX_SIZE` of it."""
    if not body.startswith(b"\x1f\x8b"):
        for at in range(0, min(len(body), MAX_SIZE), _CHUNK):
            yield body[at : min(at + _CHUNK, MAX_SIZE)]
        return
    unpacker = zlib.decompressobj(wbits=31)
    left = MAX_SIZE
    data = body
    while data and left > 0 and not unpacker.eof:
        try:
            piece = unpacker.decompress(data, min(_CHUNK, left))
        except zlib.error:
            return
        data = unpacker.unconsumed_tail
        left -= len(piece)
        if piece:
            yield piece


def _read_text(text: bytes, content_type: str | None) -> Iterator[SitemapEntry]:
    if len(text) >= MAX_SIZE:
        text = text[: text.rfind(b"\n") + 1]  # the last line was cut off
    for line in decode(text, detect(text, content_type)).splitlines():
        url = line.strip()
        if url.lower().startswith(("http://", "https://")) and len(url) <= _MAX_VALUE:
            yield SitemapEntry(url)


class _Reader:
    """Collects entries from what the XML parser tells; names without their namespaces' prefixes.

    A `<loc>` counts directly within `<url>` or `<sitemap>`; `<image:loc>` within `<image:image>`.
    """

    def __init__(self) -> None:
        self.entries: list[SitemapEntry] = []
        self._path: list[str] = []
        self._text: list[str] = []
        self._length = 0
        self._begin()

    def _begin(self) -> None:
        self._url = ""
        self._date = ""
        self._images: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""
        local = name.rpartition(":")[2].lower()
        self._path.append(local)
        self._text.clear()
        self._length = 0
        if len(self._path) > 64:
            raise ValueError("nested too deep")
        if local in _ENTRIES:
            self._begin()
        elif local == "link" and attributes.get("rel", "alternate") == "alternate" and "href" in attributes:
            self._url = self._url or attributes["href"]  # Atom

    def data(self, text: str) -> None:
        """Text within the element."""
        self._length += len(text)
        if self._length <= _MAX_VALUE:
            self._text.append(text)

    def end(self, name: str) -> None:
        """An element ends."""
        local = self._path.pop()
        parent = self._path[-1] if self._path else ""
        text = "".join(self._text).strip() if self._length <= _MAX_VALUE else ""
        self._text.clear()
        self._length = 0
        if local == "loc" and parent in ("url", "sitemap"):
            self._url = text
        elif local == "loc" and parent == "image":
            self._images.append(text)
        elif local == "link" and parent == "item" and text:
            self._url = text  # RSS
        elif local in _DATES and not (self._date and local != "lastmod"):
            self._date = text
        elif local in _ENTRIES and self._url:
            kind: Literal["page", "sitemap"] = "sitemap" if local == "sitemap" else "page"
            self.entries.append(SitemapEntry(self._url, kind, _instant(self._date), tuple(self._images)))


_ENTRIES: Final = frozenset({"url", "sitemap", "item", "entry"})
_DATES: Final = frozenset({"lastmod", "publication_date", "pubdate", "updated", "published"})


def _read_xml(first: bytes, pieces: Iterator[bytes]) -> Iterator[SitemapEntry]:
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.data
    parser.EntityDeclHandler = _refuse_entities
    try:
        parser.Parse(first.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n"), False)
        yield from reader.entries
        reader.entries.clear()
        for piece in pieces:
            parser.Parse(piece, False)
            yield from reader.entries
            reader.entries.clear()
    except (expat.ExpatError, ValueError, LookupError):  # broken from here on
        yield from reader.entries


def _refuse_entities(*_: object) -> None:
    raise ValueError("a sitemap declares no entities")


def _instant(text: str) -> datetime | None:
    """A date of W3C's form (ISO 8601, maybe without day or month) or of mail."""
    if not text:
        return None
    if len(text) == 4 and text.isdigit():
        text += "-01-01"
    elif len(text) == 7 and text[4] == "-":
        text += "-01"
    try:
        found = to_datetime(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)

"""Rows of an RSS or Atom feed: one per entry, with its link as the URL.

    url        the entry's page; of a feed that links to none, the enclosure
    title, id, published, updated, enclosure

Read as a stream; a broken feed gives the entries in front of the break. Source: RSS 2.0 specification, RSS 1.0
(RDF), RFC 4287 (Atom).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final
from urllib.parse import urljoin
from xml.parsers import expat

from crawler.jobs.lines import InputError

COLUMNS: Final = ("url", "title", "id", "published", "updated", "enclosure")

_ENTRIES: Final = frozenset({"item", "entry"})
_FIELDS: Final = {
    "title": "title",
    "guid": "id",
    "id": "id",
    "pubdate": "published",
    "published": "published",
    "issued": "published",
    "date": "updated",
    "updated": "updated",
    "modified": "updated",
    "link": "url",
}
_MAX_TEXT: Final = 64 * 1024  # of one field; titles and links are far shorter, and what is longer is cut
_CHUNK: Final = 64 * 1024


def read_feed(stream: BinaryIO, name: str, base: str = "") -> Iterator[dict[str, object]]:
    """Give the entries.

    Args:
        stream: The feed.
        name: Of the file, for messages.
        base: Address it came from; relative links are joined to it.

    Raises:
        InputError: It is no XML from the beginning on, or declares entities.
    """
    reader = _Reader(base)
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.EntityDeclHandler = _refuse_entities
    is_begun = False
    try:
        while piece := stream.read(_CHUNK):
            parser.Parse(piece if is_begun else piece.removeprefix(b"\xef\xbb\xbf").lstrip(), False)
            is_begun = True
            yield from reader.taken()
        parser.Parse(b"", True)
    except (expat.ExpatError, ValueError) as error:
        if not reader.has_root:
            raise InputError(f"{name}: no feed: {error}") from error
    yield from reader.taken()


def _refuse_entities(*_: object) -> None:
    raise ValueError("a feed declares no entities")


class _Reader:
    """What the parser has come to.

    Attributes:
        has_root: The first element was seen.
    """

    def __init__(self, base: str) -> None:
        self.has_root = False
        self._base = base
        self._depth = 0
        self._entry: dict[str, object] | None = None
        self._entry_depth = 0
        self._field: str | None = None
        self._pieces: list[str] = []
        self._ready: list[dict[str, object]] = []

    def taken(self) -> list[dict[str, object]]:
        """The entries since the last call."""
        ready, self._ready = self._ready, []
        return ready

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.has_root = True
        self._depth += 1
        name = _local(tag)
        if self._entry is None:
            if name in _ENTRIES:
                self._entry, self._entry_depth = {}, self._depth
            return
        if self._depth != self._entry_depth + 1:
            return  # fields of fields, like the author's name
        self._field, self._pieces = _FIELDS.get(name), []
        if name == "link" and "href" in attributes:
            self._field = None
            self._link(attributes.get("rel", "alternate"), attributes["href"])
        elif name == "enclosure" and "url" in attributes:
            self._entry.setdefault("enclosure", self._absolute(attributes["url"]))

    def end(self, tag: str) -> None:
        entry = self._entry
        if entry is not None and self._depth == self._entry_depth + 1 and self._field is not None:
            value = "".join(self._pieces).strip()[:_MAX_TEXT]
            if value:
                entry.setdefault(self._field, self._absolute(value) if self._field == "url" else value)
            self._field = None
        elif entry is not None and self._depth == self._entry_depth:
            if "url" not in entry and "enclosure" in entry:
                entry["url"] = entry["enclosure"]
            self._ready.append({name: entry.get(name, "") for name in COLUMNS})
            self._entry = None
        self._depth -= 1

    def text(self, data: str) -> None:
        if self._field is not None:
            self._pieces.append(data)

    def _link(self, relation: str, href: str) -> None:
        assert self._entry is not None
        if relation == "alternate":
            self._entry.setdefault("url", self._absolute(href))
        elif relation == "enclosure":
            self._entry.setdefault("enclosure", self._absolute(href))

    def _absolute(self, url: str) -> str:
        return urljoin(self._base, url.strip()) if self._base else url.strip()


def _local(tag: str) -> str:
    """The name without its namespace, lower-case: feeds in the wild mix both."""
    return tag.rpartition(" ")[2].lower()

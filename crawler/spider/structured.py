"""What pages say about themselves: JSON-LD, `<meta>`, and the robots directives of both page and headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from crawler.spider.document import Document, parse_json
from crawler.spider.errors import BadPayload

MAX_JSON_LD_NODES: Final = 10_000
"""Objects of JSON-LD looked at per page."""

_OPENING = re.compile(r"\A\s*(?:<!--|//\s*<!\[CDATA\[|/\*\s*<!\[CDATA\[\s*\*/)")
_CLOSING = re.compile(r"(?:-->|//\s*\]\]>|/\*\s*\]\]>\s*\*/)\s*\Z")


def json_ld(document: Document) -> list[dict[str, object]]:
    """All objects of a page's JSON-LD, those inside lists and `@graph` included; blocks that are no JSON are left out.

    Source: JSON-LD 1.1 §7 (in HTML).
    """
    if document.form != "html":
        return []
    found: list[dict[str, object]] = []
    for node in document.html.css('script[type^="application/ld+json"]'):
        try:
            data = parse_json(_CLOSING.sub("", _OPENING.sub("", node.text() or "")))
        except BadPayload:
            continue
        for item in _objects(data):
            found.append(item)
            if len(found) >= MAX_JSON_LD_NODES:
                return found
    return found


def _objects(data: object) -> Iterator[dict[str, object]]:
    if isinstance(data, list):
        for part in data:
            yield from _objects(part)
    elif isinstance(data, dict):
        yield data
        yield from _objects(data.get("@graph"))


def is_of_type(item: dict[str, object], name: str) -> bool:
    """Whether a JSON-LD object is of a type, with or without the vocabulary's address before it."""
    said = item.get("@type")
    types = said if isinstance(said, list) else [said]
    short = (kind.rstrip("/").rpartition("/")[2].rpartition(":")[2] for kind in types if isinstance(kind, str))
    return name in short


def walk(value: object, path: Iterable[str]) -> list[object]:
    """Follow names through objects; a list on the way stands for each of its values."""
    values = [value]
    for name in path:
        spread = (part for one in values for part in (one if isinstance(one, list) else [one]))
        values = [part[name] for part in spread if isinstance(part, dict) and name in part]
    return [part for one in values for part in (one if isinstance(one, list) else [one])]


def meta(document: Document, name: str) -> list[str]:
    """The contents of `<meta>` elements by `name`, `property`, `itemprop` or `http-equiv`; `title`: the title."""
    if document.form != "html":
        return []
    wanted = name.lower()
    found: list[str] = []
    for node in document.html.css("meta[content]"):
        attributes = node.attributes
        names = (attributes.get(key) for key in ("name", "property", "itemprop", "http-equiv"))
        if any(said is not None and said.strip().lower() == wanted for said in names):
            found.append(attributes.get("content") or "")
    if not found and wanted == "title" and (title := document.html.css_first("title")) is not None:
        found.append(title.text())
    return found


class Directives(NamedTuple):
    """What a page asks of robots.

    Attributes:
        nofollow: Follow none of its links.
        noindex: Keep nothing of it.
    """

    nofollow: bool = False
    noindex: bool = False


_NONE: Final = Directives()
_KNOWN: Final = frozenset({"nofollow", "noindex", "none"})


def directives(document: Document, agent: str) -> Directives:
    """Read `X-Robots-Tag` and `<meta name="robots">`; those under the agent's own name count as well."""
    words: set[str] = set()
    for value in document.header("x-robots-tag"):
        words |= _header_words(value, agent)
    if document.form == "html":
        for node in document.html.css("meta[name]"):
            if (node.attributes.get("name") or "").strip().lower() in ("robots", agent.lower()):
                words |= {word.strip().lower() for word in (node.attributes.get("content") or "").split(",")}
    if not words & _KNOWN:
        return _NONE
    is_none = "none" in words
    return Directives(is_none or "nofollow" in words, is_none or "noindex" in words)


def _header_words(value: str, agent: str) -> set[str]:
    """The words of one header: `noindex, nofollow`, or for one robot `otherbot: noindex`."""
    words: set[str] = set()
    applies = True
    for part in value.split(","):
        name, colon, rest = part.partition(":")
        if colon and name.strip().lower() not in ("unavailable_after", "max-snippet", "max-image-preview"):
            applies = name.strip().lower() == agent.lower()
            part = rest
        if applies:
            words.add(part.strip().lower())
    return words

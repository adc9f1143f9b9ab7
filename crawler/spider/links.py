"""Where the links of a page stand: sources, compiled once, and read from one page at a time.

| source | finds |
|---|---|
| `a[href]@href` | an attribute of the elements that a CSS selector finds |
| `xpath://a/@href` | what an XPath gives |
| `header:Link[rel=next]`, `header:Location` | the targets of a `Link` header (RFC 8288), or a header's value |
| `re:"(/p/\\d+)"` | the first group of a regular expression in the source |

Beside these, a page's `<link rel=canonical>` and a `<meta http-equiv=refresh>` are always links of it. A link says
where it leads as it stands in the page; making it absolute and judging it is for others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final, NamedTuple, Protocol

from crawler.spider.document import Document
from crawler.spider.errors import BadExpression
from crawler.spider.selectors import Budget, Css, Place, Regex, XPath

DEFAULT_SOURCES: Final = ("a[href]@href", "area[href]@href", "iframe[src]@src", "link[rel=next]@href")

MAX_LINKS: Final = 200_000
"""Links of one page; those after are left out."""

_HEADER = re.compile(r"header:(?P<name>[A-Za-z0-9-]+)(?:\[rel=[\"']?(?P<rel>[^\]\"']+)[\"']?\])?")
_LINK_VALUE = re.compile(r"<(?P<target>[^>]*)>(?P<params>(?:\s*;\s*[^\s;,=]+(?:\s*=\s*(?:\"[^\"]*\"|[^\s;,\"]*))?)*)")
_REL_PARAM = re.compile(r";\s*rel\s*=\s*(?:\"([^\"]*)\"|([^\s;,\"]*))", re.IGNORECASE)
_REFRESH = re.compile(r"\A\s*[\d.]*\s*[;,]\s*(?:url\s*=\s*)?[\"']?([^\"'>]+)", re.IGNORECASE)


class Link(NamedTuple):
    """A link as it stands in a page.

    Attributes:
        href: Its text.
        nofollow: `rel` asks not to follow it.
    """

    href: str
    nofollow: bool = False


class Source(Protocol):
    """Finds links of one kind."""

    def links(self, place: Place) -> Iterable[Link]:
        """Give the links of a page, in its order."""


class LinkFinder:
    """Finds the links of pages.

    Args:
        sources: See the module's text.

    Raises:
        BadExpression: One does not compile.
    """

    def __init__(self, sources: Sequence[str] = DEFAULT_SOURCES) -> None:
        self._sources = _merged([compile_source(text) for text in sources])

    def find(self, document: Document, *, seconds: float = 1.0) -> list[Link]:
        """Give the links of a page: at most `MAX_LINKS`, the same one as often as it stands there.

        Raises:
            SelectorTimeout: A regular expression among the sources took too long.
        """
        place = Place(document, "page", None, Budget(seconds))
        found: list[Link] = []
        for source in (*self._sources, *_ALWAYS):
            found += islice(source.links(place), MAX_LINKS - len(found))
        return found


def compile_source(text: str) -> Source:
    """Compile one source.

    Raises:
        BadExpression: It does not compile.
    """
    if text.startswith("header:"):
        match = _HEADER.fullmatch(text)
        if match is None:
            raise BadExpression(f"{text!r} is not of the form header:NAME or header:Link[rel=next]")
        return _FromHeader(match["name"], match["rel"])
    if text.startswith("xpath:"):
        return _FromXPath(text[6:])
    if text.startswith("re:"):
        return _FromRegex(text[3:])
    css = Css(text)
    if css.attribute is None or not css.query:
        raise BadExpression(f"{text!r} does not say which attribute holds the link; write a[href]@href")
    return _FromCss([(css.query, css.attribute)])


class _FromCss:
    """Attributes of elements; several selectors share one walk through the tree."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self._query = ", ".join(query for query, _ in pairs)
        self._attributes = tuple(dict.fromkeys(attribute for _, attribute in pairs))

    def links(self, place: Place) -> Iterable[Link]:
        """Give the links in the order of the page."""
        document = place.document
        links: list[Link] = []
        if document.form != "html":
            return links
        names = self._attributes
        for node in document.html.css(self._query):
            found = node.attributes
            for name in names:
                href = found.get(name)
                if href:
                    rel = found.get("rel")
                    links.append(Link(href, rel is not None and "nofollow" in rel.lower().split()))
                    break
        return links


class _FromXPath:
    def __init__(self, expression: str) -> None:
        self._xpath = XPath(expression)

    def links(self, place: Place) -> Iterable[Link]:
        """Give what the expression gives."""
        if place.document.form in ("html", "xml"):
            for value in self._xpath.select(place, first=False):
                if isinstance(value, str) and value:
                    yield Link(value)


class _FromRegex:
    def __init__(self, expression: str) -> None:
        self._regex = Regex(expression)

    def links(self, place: Place) -> Iterable[Link]:
        """Give what the expression finds in the source."""
        for value in self._regex.select(place, first=False):
            if value:
                yield Link(str(value))


class _FromHeader:
    def __init__(self, name: str, rel: str | None) -> None:
        self._name = name.lower()
        self._rel = rel.lower() if rel is not None else None

    def links(self, place: Place) -> Iterable[Link]:
        """Give the targets."""
        for value in place.document.header(self._name):
            if self._name != "link":
                yield Link(value)
                continue
            for target, relations in parse_link_header(value):
                if self._rel is None or self._rel in relations:
                    yield Link(target, "nofollow" in relations)


def parse_link_header(value: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Give the target and relations, in lower case, of each link of a `Link` header.

    Source: RFC 8288 §3.
    """
    for found in _LINK_VALUE.finditer(value):
        rel = _REL_PARAM.search(found["params"])
        said = (rel[1] if rel[1] is not None else rel[2]) if rel is not None else ""
        yield found["target"].strip(), frozenset(said.lower().split())


class _Canonical:
    """The page's own address, and where it sends browsers after a while."""

    def links(self, place: Place) -> Iterable[Link]:
        """Give both, if there are any."""
        document = place.document
        if document.form != "html":
            return
        for node in document.html.css('link[rel="canonical" i][href], meta[http-equiv="refresh" i][content]'):
            attributes = node.attributes
            if node.tag == "link":
                yield Link(attributes.get("href") or "")
            elif found := _REFRESH.match(attributes.get("content") or ""):
                yield Link(found[1].strip())


_ALWAYS: Final[tuple[Source, ...]] = (_Canonical(),)


def _merged(sources: list[Source]) -> tuple[Source, ...]:
    """Walk through the tree once for all CSS sources; the links then come in the order of the page."""
    pairs = [pair for source in sources if isinstance(source, _FromCss) for pair in source.pairs]
    others = [source for source in sources if not isinstance(source, _FromCss)]
    # Elements that hold links in two attributes would lose one: then each source walks for itself.
    if len(pairs) < 2 or len({query for query, _ in pairs}) < len(pairs):
        return tuple(sources)
    return (_FromCss(pairs), *others)

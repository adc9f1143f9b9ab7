"""Expressions that find things in a page, compiled once.

| kind | finds | where |
|---|---|---|
| `css` | text (`::text` or nothing), markup (`::html`) or an attribute (`@href`) of elements | HTML |
| `xpath` | what the expression gives: elements' text, attributes, strings, numbers | HTML, XML |
| `jmespath`, `jsonpath` | values | JSON |
| `regex` | the first group, or all that matched | the source text of the place |
| `json_ld` | `Type.name.name` in the page's JSON-LD | HTML |
| `meta` | `<meta>` contents by name | HTML |

An expression is applied to a `Place`: the whole page, or one element or value of it (`each`). JSON-LD and `<meta>` are
always those of the page.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal, NamedTuple, Protocol

import orjson

from crawler.spider.document import XPATH_EXTRA, Document, parse_lxml
from crawler.spider.errors import BadExpression, BadPayload, SelectorTimeout
from crawler.spider.patterns import MAX_EXPRESSION, compile_regex
from crawler.spider.structured import is_of_type, json_ld, meta, walk

Kind = Literal["css", "xpath", "jmespath", "jsonpath", "regex", "json_ld", "meta"]

JSONPATH_EXTRA: Final = "JSONPath needs python-jsonpath: pip install 'crawler[jsonpath]'"

_CSS_TAIL = re.compile(r"(?:::(?P<word>text|html|attr\(\s*(?P<attr>[\w:.-]+)\s*\))|@(?P<at>[A-Za-z_:][\w:.-]*))\s*\Z")
_JSON_LD = re.compile(r"(?P<type>\*|[A-Za-z][\w-]*)(?P<path>(?:\.[@\w$-]+)*)")


class Budget:
    """Seconds that the expressions of one page may take together.

    Args:
        seconds: Of them.
        clock: Monotonic seconds.
    """

    __slots__ = ("_clock", "_until", "seconds")

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._until = clock() + seconds

    @property
    def left(self) -> float:
        """What is left of them.

        Raises:
            SelectorTimeout: Nothing.
        """
        left = self._until - self._clock()
        if left <= 0:
            raise SelectorTimeout(f"the expressions took longer than {self.seconds:g} s on this page")
        return left


class Place(NamedTuple):
    """A page, or a part of it.

    Attributes:
        document: The page.
        kind: What `value` is: nothing (the whole page), an element of either parser, or a JSON value.
        value: The part.
        budget: Of the page.
    """

    document: Document
    kind: Literal["page", "html", "lxml", "json"]
    value: Any  # an element of a foreign parser, or JSON
    budget: Budget

    @property
    def source(self) -> str:
        """The part as text: markup or JSON."""
        if self.kind == "page":
            return self.document.text
        if self.kind == "html":
            return str(self.value.html or "")
        if self.kind == "json":
            return self.value if isinstance(self.value, str) else orjson.dumps(self.value).decode()
        from lxml import etree

        return str(etree.tostring(self.value, encoding="unicode", with_tail=False))


class Selector(Protocol):
    """A compiled expression."""

    def select(self, place: Place, *, first: bool) -> Iterable[object]:
        """Find values, in the order of the page; only the first one is wanted if `first`."""

    def places(self, place: Place) -> Iterable[Place]:
        """Find parts of the page, for rules within."""


def compile_selector(kind: str, expression: str) -> Selector:
    """Compile an expression.

    Raises:
        BadExpression: It does not compile, or what it needs is not installed.
    """
    if not expression and kind != "css":
        raise BadExpression(f"an empty {kind} finds nothing")
    if len(expression) > MAX_EXPRESSION:
        raise BadExpression(f"the expression is longer than {MAX_EXPRESSION} characters")
    return _KINDS[kind](expression)


class Css:
    """CSS, with `::text`, `::html`, `::attr(x)` or `@x` at its end; without a selector it means the place itself."""

    def __init__(self, expression: str) -> None:
        tail = _CSS_TAIL.search(expression)
        self.query = (expression if tail is None else expression[: tail.start()]).strip()
        self.attribute: str | None = None if tail is None else tail["at"] or tail["attr"]
        self.wants_html = tail is not None and tail["word"] == "html"
        if self.attribute is not None:
            self.attribute = self.attribute.lower()  # HTML has them so
        if self.query:
            _check_css(self.query)

    def _nodes(self, place: Place, *, first: bool = False) -> list[Any]:
        if place.kind == "html":
            root = place.value
        elif place.kind == "page":
            root = place.document.html if self.query else place.document.html.root
        else:
            from selectolax.lexbor import LexborHTMLParser

            root = LexborHTMLParser(place.source)
        if not self.query:
            return [root]
        if first:
            node = root.css_first(self.query)
            return [] if node is None else [node]
        return list(root.css(self.query))

    def select(self, place: Place, *, first: bool) -> Iterable[object]:
        """Find texts, markup or attributes; elements without the attribute are passed over."""
        if self.attribute is not None:
            return self._attributes(place, self.attribute)
        nodes = self._nodes(place, first=first)
        return [node.html or "" for node in nodes] if self.wants_html else [node.text() for node in nodes]

    def _attributes(self, place: Place, name: str) -> list[str]:
        found: list[str] = []
        for node in self._nodes(place):
            attributes = node.attributes
            if name in attributes:
                found.append(attributes[name] or "")
        return found

    def places(self, place: Place) -> Iterable[Place]:
        """Find elements."""
        return [place._replace(kind="html", value=node) for node in self._nodes(place)]


def _check_css(query: str) -> None:
    from selectolax.lexbor import LexborHTMLParser, SelectolaxError

    try:
        LexborHTMLParser("<p>").css(query)
    except SelectolaxError as error:
        raise BadExpression(f"{query!r} is no CSS selector that can be used") from error


class XPath:
    """XPath 1.0 by lxml; elements count by their text, all of it."""

    def __init__(self, expression: str) -> None:
        try:
            from lxml import etree
        except ImportError as error:
            raise BadExpression(XPATH_EXTRA) from error
        try:
            etree.XPath(expression)
        except etree.XPathSyntaxError as error:
            raise BadExpression(f"{expression!r} is no XPath: {error}") from error
        self._expression = expression
        self._compiled: dict[tuple[tuple[str, str], ...], Any] = {}

    def _run(self, place: Place) -> list[Any]:
        from lxml import etree

        if place.kind == "page":
            element = place.document.lxml
        elif place.kind == "lxml":
            element = place.value
        else:
            element = parse_lxml(place.source, is_xml=False)
        prefixes = tuple(sorted((prefix, uri) for prefix, uri in element.nsmap.items() if prefix))
        compiled = self._compiled.get(prefixes)
        if compiled is None:
            if len(self._compiled) > 100:
                self._compiled.clear()
            compiled = self._compiled[prefixes] = etree.XPath(
                self._expression, namespaces=dict(prefixes) or None, regexp=False
            )
        try:
            got = compiled(element)
        except etree.XPathError as error:
            raise BadPayload(f"{self._expression!r} cannot be applied: {error}") from error
        return got if isinstance(got, list) else [got]

    def select(self, place: Place, *, first: bool) -> Iterable[object]:
        """Find texts, numbers and truth values."""
        return [_xpath_value(part) for part in self._run(place)]

    def places(self, place: Place) -> Iterable[Place]:
        """Find elements."""
        return [place._replace(kind="lxml", value=part) for part in self._run(place) if hasattr(part, "xpath")]


def _xpath_value(part: Any) -> object:
    if hasattr(part, "itertext"):
        return "".join(part.itertext())
    if isinstance(part, str):
        return str(part)
    if isinstance(part, float) and part.is_integer():
        return int(part)
    return part


class OfJson:
    """What finds values in JSON."""

    def search(self, data: Any) -> object:
        """Give what the expression gives, a list as one value.

        Raises:
            BadPayload: It cannot be applied to such data.
        """
        raise TypeError("a subclass finds it")

    def whole(self, place: Place) -> object:
        """Give what the expression gives here, a list as one value."""
        return self.search(_json_of(place))

    def _values(self, data: Any) -> list[object]:
        got = self.search(data)
        return got if isinstance(got, list) else [] if got is None else [got]

    def select(self, place: Place, *, first: bool) -> Iterable[object]:
        """Find values; a list that was found stands for its parts."""
        return self._values(_json_of(place))

    def places(self, place: Place) -> Iterable[Place]:
        """Find values, each a place of its own."""
        return [place._replace(kind="json", value=value) for value in self._values(_json_of(place))]


def _json_of(place: Place) -> object:
    if place.kind == "json":
        return place.value
    if place.kind == "page":
        return place.document.json
    raise BadPayload("an element is no JSON")


class JmesPath(OfJson):
    """JMESPath."""

    def __init__(self, expression: str) -> None:
        import jmespath
        from jmespath.exceptions import JMESPathError

        try:
            self._compiled = jmespath.compile(expression)
        except JMESPathError as error:
            raise BadExpression(f"{expression!r} is no JMESPath: {_one_line(error)}") from error

    def search(self, data: Any) -> object:
        """Apply it."""
        from jmespath.exceptions import JMESPathError

        try:
            return self._compiled.search(data)
        except (JMESPathError, TypeError) as error:
            raise BadPayload(f"a JMESPath cannot be applied: {_one_line(error)}") from error


class JsonPath(OfJson):
    """JSONPath (RFC 9535)."""

    def __init__(self, expression: str) -> None:
        try:
            import jsonpath
        except ImportError as error:
            raise BadExpression(JSONPATH_EXTRA) from error
        try:
            self._compiled = jsonpath.compile(expression)
        except jsonpath.JSONPathError as error:
            raise BadExpression(f"{expression!r} is no JSONPath: {_one_line(error)}") from error

    def search(self, data: Any) -> object:
        """Apply it; always a list."""
        import jsonpath

        try:
            return list(self._compiled.findall(data))
        except (jsonpath.JSONPathError, TypeError) as error:
            raise BadPayload(f"a JSONPath cannot be applied: {_one_line(error)}") from error


class Regex:
    """A regular expression: its first group that took part, or all of the match."""

    def __init__(self, expression: str) -> None:
        self._compiled = compile_regex(expression)

    def select(self, place: Place, *, first: bool) -> Iterable[object]:
        """Find texts in the source of the place."""
        text = place.source
        try:
            # concurrent: other threads go on meanwhile; the text cannot change.
            if first:
                found = self._compiled.search(text, timeout=place.budget.left, concurrent=True)
                return [] if found is None else [_group(found)]
            matches = self._compiled.finditer(text, timeout=place.budget.left, concurrent=True)
            return [_group(found) for found in matches]
        except TimeoutError as error:
            seconds = place.budget.seconds
            raise SelectorTimeout(f"a regular expression took longer than {seconds:g} s on this page") from error

    def places(self, place: Place) -> Iterable[Place]:
        """Find texts, each a place of its own."""
        return [place._replace(kind="json", value=text) for text in self.select(place, first=False)]


def _group(found: Any) -> str:
    return str(next((group for group in found.groups() if group is not None), found[0]))


class JsonLd:
    """`Product.offers.price`: a type, or `*`, and names from there."""

    def __init__(self, expression: str) -> None:
        match = _JSON_LD.fullmatch(expression)
        if match is None:
            raise BadExpression(f"{expression!r} is not of the form Type.name.name")
        self._type = match["type"]
        self._path = match["path"].split(".")[1:]

    def select(self, place: Place, *, first: bool) -> Iterable[object]:
        """Find values in the page's JSON-LD; a list on the way stands for each of its values."""
        items = [item for item in json_ld(place.document) if self._type == "*" or is_of_type(item, self._type)]
        return [value for value in walk(list(items), self._path) if value is not None]

    def places(self, place: Place) -> Iterable[Place]:
        """Find values, each a place of its own."""
        return [place._replace(kind="json", value=value) for value in self.select(place, first=False)]


class Meta:
    """The contents of `<meta>` elements of one name."""

    def __init__(self, expression: str) -> None:
        self._name = expression

    def select(self, place: Place, *, first: bool) -> Iterable[object]:
        """Find the contents."""
        return meta(place.document, self._name)

    def places(self, place: Place) -> Iterable[Place]:
        """Find the contents, each a place of its own."""
        return [place._replace(kind="json", value=value) for value in meta(place.document, self._name)]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


_KINDS: Final[dict[str, Callable[[str], Selector]]] = {
    "css": Css,
    "xpath": XPath,
    "jmespath": JmesPath,
    "jsonpath": JsonPath,
    "regex": Regex,
    "json_ld": JsonLd,
    "meta": Meta,
}

SELECTOR_KINDS: Final = tuple(_KINDS)
"""Kinds of expressions."""

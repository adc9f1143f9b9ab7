"""Items from pages: rules, compiled once, and applied to one page at a time.

    rules ──compile──▶ Extractor ──extract(Document)──▶ Extraction(rows, errors, failure)

The items of a page are all or none: if a required field is missing in one of them, the page fails with
`extract_failed` and gives none, so that a later try does not give some of them twice. A field that is not required and
is missing, or does not fit its type, is its default (else null) and counted under its name. Empty text counts as
missing.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from crawler.spider.casts import CASTS, to_str
from crawler.spider.document import Document, Form
from crawler.spider.errors import BadExpression, BadPayload, ExtractFailed, SelectorTimeout
from crawler.spider.normalize import absolute
from crawler.spider.patterns import url_pattern
from crawler.spider.rules import FieldSpec, RuleSpec
from crawler.spider.selectors import SELECTOR_KINDS, Budget, Css, OfJson, Place, Selector, compile_selector

MAX_ROWS: Final = 100_000
"""Items of one page."""

MAX_ERRORS: Final = 100
"""Names of failed fields kept per page."""

PAGE_SECONDS: Final = 1.0
"""Time that the expressions of one page may take together."""

_NAMES_OF_PAGE: Final = ("url",)
_TEMPLATE = re.compile(r"\{\{|\}\}|\{([A-Za-z_][\w.-]*)\}|[{}]")
_MISSING: Final = object()

Row = dict[str, object]


class Extraction(NamedTuple):
    """What a page gave.

    Attributes:
        rows: Its items.
        errors: Names of fields that were missing though required, or did not fit their type.
        failure: Why it gave none, though it should.
        matched: A rule was for this page.
    """

    rows: Sequence[Row] = ()
    errors: Sequence[str] = ()
    failure: Exception | None = None
    matched: bool = False


class Extractor:
    """All rules of a job.

    Args:
        rules: In the order in which they are tried: the first that matches a URL counts, and those after it if it says
            `also`.

    Raises:
        BadExpression: One does not compile.
    """

    def __init__(self, rules: Sequence[RuleSpec]) -> None:
        self.specs = tuple(rules)
        self._rules = [_Rule(spec) for spec in rules]

    def extract(self, document: Document, *, seconds: float = PAGE_SECONDS) -> Extraction:
        """Apply the rules to a page; never raises for what stands in it, except `SelectorTimeout`.

        Args:
            document: The page.
            seconds: Time that its expressions may take together.

        Raises:
            SelectorTimeout: They took longer.
        """
        rows: list[Row] = []
        errors: dict[str, None] = {}
        budget = Budget(seconds)
        matched = False
        for rule in self._rules:
            if not rule.matches(document.url):
                continue
            matched = True
            try:
                rows.extend(rule.rows(document, errors, budget))
            except (ExtractFailed, BadPayload) as failure:
                return Extraction((), _names(errors), failure, matched)
            if not rule.spec.also:
                break
        if len(rows) > MAX_ROWS:
            return Extraction((), _names(errors), ExtractFailed(f"more than {MAX_ROWS} items on one page"), matched)
        return Extraction(rows, _names(errors), None, matched)


def _names(errors: Mapping[str, None]) -> list[str]:
    return list(errors)[:MAX_ERRORS]


class _Rule:
    """One rule, compiled."""

    def __init__(self, spec: RuleSpec) -> None:
        self.spec = spec
        self.matches: Callable[[str], bool] = (lambda url: True) if spec.match is None else url_pattern(spec.match)
        self._form: Form | None = None if spec.parser == "auto" else spec.parser
        self._hook = None if spec.python is None else load_hook(spec.python)
        if self._hook is None and not spec.fields:
            raise BadExpression("a rule needs `fields`")
        if self._hook is not None and (spec.fields or spec.each is not None):
            raise BadExpression("a rule has `python` or `fields`, not both")
        self._each = None if spec.each is None else each_selector(spec)
        self._fields = _compile_fields(spec.fields, spec.parser)

    def rows(self, document: Document, errors: dict[str, None], budget: Budget) -> Iterable[Row]:
        """Make the items of a page.

        Raises:
            ExtractFailed, BadPayload, SelectorTimeout: It gives none.
        """
        if self._form is not None and self._form != document.form:
            document = Document(document.url, document.body, document.content_type, document.headers, self._form)
        if self._hook is not None:
            return _call(self._hook, document)
        page = Place(document, "page", None, budget)
        places = [page] if self._each is None else self._each.places(page)
        return [_object(self._fields, place, errors) for place in places]


class _Field:
    """One field, compiled; `source` is one of a selector, a template, or neither for a constant."""

    __slots__ = ("_cast", "_selector", "_template", "fields", "spec")

    def __init__(self, spec: FieldSpec, known: Iterable[str], parser: str) -> None:
        self.spec = spec
        self.fields = _compile_fields(spec.fields, parser)
        self._selector: Selector | None = None
        self._template: list[tuple[str, str | None]] | None = None
        self._cast = CASTS[spec.type]
        if spec.source == "template":
            self._template = _compile_template(str(spec.expression), known)
        elif spec.source != "const":
            if not isinstance(spec.expression, str):
                raise BadExpression(f"{spec.source} is text")
            self._selector = compile_selector(spec.source, spec.expression)
        if spec.source == "css" and parser in ("xml", "json", "text"):
            raise BadExpression(f"css is for HTML, not for `parser: {parser}`" + _INSTEAD.get(parser, ""))
        if spec.type == "html" and isinstance(self._selector, Css) and self._selector.attribute is None:
            self._selector.wants_html = True
        if self.fields and self._selector is None:
            raise BadExpression(f"`fields` within {spec.source} would find nothing")

    def value(self, place: Place, row: Row, errors: dict[str, None]) -> object:
        """Find the value; `_MISSING` if there is none."""
        spec = self.spec
        if self._selector is None:
            raw = spec.expression if self._template is None else _fill(self._template, row, place)
            return self._made(raw, place)
        if self.fields:
            return self._objects(self._selector, place, errors)
        if spec.type == "json" and not spec.all and isinstance(self._selector, OfJson):
            whole = self._selector.whole(place)
            return _MISSING if whole is None else whole
        found = self._selector.select(place, first=not spec.all)
        if not spec.all:
            first = next(iter(found), None)
            return self._made(first, place)
        values: list[object] = []
        for raw in found:
            try:
                value = self._made(raw, place)
            except ValueError:
                errors[spec.name] = None
                continue
            if value is not _MISSING:
                values.append(value)
        return values or _MISSING

    def _objects(self, selector: Selector, place: Place, errors: dict[str, None]) -> object:
        objects = (_object(self.fields, inner, errors) for inner in selector.places(place))
        if self.spec.all:
            return list(objects) or _MISSING
        return next(objects, _MISSING)

    def _made(self, raw: object, place: Place) -> object:
        """Make a value of the field's type.

        Raises:
            ValueError: It does not fit.
        """
        spec = self.spec
        if raw is None:
            return _MISSING
        if isinstance(raw, str):
            if spec.strip:
                raw = raw.strip()
            if not raw:
                return _MISSING
        value = self._cast(raw)
        if spec.type == "url":
            document = place.document
            link = absolute(to_str(value), document.base)
            if link is None:
                raise ValueError(f"{to_str(value)[:60]!r} is no link")
            return link
        return value


_INSTEAD: Final = {"xml": "; use xpath", "json": "; use jmespath", "text": "; use regex"}


def _compile_fields(specs: Sequence[FieldSpec], parser: str) -> tuple[_Field, ...]:
    known: list[str] = list(_NAMES_OF_PAGE)
    fields: list[_Field] = []
    for spec in specs:
        try:
            fields.append(_Field(spec, known, parser))
        except BadExpression as error:
            if str(error).startswith("field "):
                raise
            raise BadExpression(f"field {spec.name!r}: {error}") from error
        known.append(spec.name)
    return tuple(fields)


def _object(fields: Sequence[_Field], place: Place, errors: dict[str, None]) -> Row:
    """Make one item of a place.

    Raises:
        ExtractFailed: A required field is missing or does not fit.
    """
    row: Row = {}
    for field in fields:
        spec = field.spec
        problem = "is missing"
        try:
            value = field.value(place, row, errors)
        except ValueError as error:
            value, problem = _MISSING, f"does not fit: {error}"
            errors[spec.name] = None
        if value is _MISSING:
            if spec.required and spec.default is None:
                errors[spec.name] = None
                raise ExtractFailed(f"{spec.name} {problem}", (spec.name,))
            value = spec.default
        row[spec.name] = value
    return row


def each_selector(spec: RuleSpec) -> Selector:
    """Compile what finds the items of a page; see `RuleSpec.each`.

    Raises:
        BadExpression: It does not compile.
    """
    text = spec.each or ""
    kind, colon, rest = text.partition(":")
    if colon and kind in SELECTOR_KINDS:
        return compile_selector(kind, rest.strip())
    sources = {field.source for field in spec.fields} - {"const", "template"}
    if spec.parser == "json" or (spec.parser == "auto" and sources and sources <= {"jmespath", "jsonpath"}):
        return compile_selector("jmespath", text)
    if spec.parser == "xml" or text.startswith(("/", "./")):
        return compile_selector("xpath", text)
    return compile_selector("regex" if spec.parser == "text" else "css", text)


def _compile_template(text: str, known: Iterable[str]) -> list[tuple[str, str | None]]:
    """Cut a template into literal texts and the names that follow them."""
    names = set(known)
    parts: list[tuple[str, str | None]] = []
    literal, at = "", 0
    for found in _TEMPLATE.finditer(text):
        literal += text[at : found.start()]
        at = found.end()
        if found[0] in ("{{", "}}"):
            literal += found[0][0]
        elif found[1] is None:
            raise BadExpression(f"a single {found[0]!r} in a template; write it twice")
        elif found[1] not in names:
            raise BadExpression(f"{found[1]!r} is no field before this one; known: {', '.join(sorted(names))}")
        else:
            parts.append((literal, found[1]))
            literal = ""
    parts.append((literal + text[at:], None))
    return parts


def _fill(template: list[tuple[str, str | None]], row: Row, place: Place) -> str | None:
    """Fill a template; `None` if one of its fields is missing."""
    text = ""
    for literal, name in template:
        text += literal
        if name is not None:
            value = row.get(name, place.document.url)
            if value is None:
                return None
            text += to_str(value) if isinstance(value, str | int | float | list | dict) else str(value)
    return text


Hook = Callable[[Document], Iterable[Mapping[str, Any]]]


def load_hook(name: str) -> Hook:
    """Import a function by its name, `module:function`.

    Raises:
        BadExpression: There is no such function.
    """
    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute:
        raise BadExpression(f"{name!r} is not of the form module:function")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever the module does when it is imported
        raise BadExpression(f"cannot import {name!r}: {type(error).__name__}: {error}") from error
    if not callable(found):
        raise BadExpression(f"{name!r} is no function")
    return found  # type: ignore[no-any-return]  # checked when its rows come


def _call(hook: Hook, document: Document) -> list[Row]:
    """Call a hook.

    Raises:
        ExtractFailed: It raised something, or gave no mappings.
    """
    rows: list[Row] = []
    try:
        for row in hook(document) or ():
            if not isinstance(row, Mapping):
                raise TypeError(f"gave a {type(row).__name__} instead of a mapping")
            rows.append({str(name): value for name, value in row.items()})
            if len(rows) > MAX_ROWS:
                break
    except (ExtractFailed, BadPayload, SelectorTimeout):
        raise
    except Exception as error:
        raise ExtractFailed(f"the Python function failed: {type(error).__name__}: {error}") from error
    return rows

"""The rules of an extraction as plain values: what a job file or a program says, not yet compiled.

    RuleSpec(match="/p/*", fields=(FieldSpec("price", "css", "p.price::text", type="decimal"),))

`rules_from` makes them of plain mappings, in the words of the job file, for programs and the command line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

from crawler.spider.casts import TYPES, TypeName
from crawler.spider.errors import BadExpression
from crawler.spider.selectors import SELECTOR_KINDS

Parser = Literal["auto", "html", "xml", "json", "text"]
PARSERS: Final[tuple[str, ...]] = get_args(Parser)
SOURCES: Final = (*SELECTOR_KINDS, "const", "template")
"""Where the value of a field may come from."""


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of an item.

    Attributes:
        name: Its column.
        source: Kind of expression (`SOURCES`).
        expression: The expression; for `const` any JSON value.
        type: What the value is made to be.
        all: A list of all that is found, not the first alone.
        default: For what is missing.
        required: Missing or unfit fails the page.
        strip: Take white space off both ends of texts.
        fields: What to find within each element or value that is found: the field is then an object, or a list of them.
    """

    name: str
    source: str
    expression: object
    type: TypeName = "str"
    all: bool = False
    default: object = None
    required: bool = False
    strip: bool = True
    fields: tuple[FieldSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class RuleSpec:
    """What to take from the pages that match.

    Attributes:
        fields: Of each item.
        match: Pattern of URLs (`crawler.spider.patterns`); `None` is every page.
        parser: What the pages are; `auto` goes by each page's type.
        each: Expression that finds the items of a page; `None`: the page is one item. CSS, or JMESPath where the
            fields are of JSON, unless it begins with `css:`, `xpath:`, `jmespath:` …
        also: Later rules are tried, too.
        python: `module:function`, called with the `Document` in the place of `fields`; gives mappings.
    """

    fields: tuple[FieldSpec, ...] = ()
    match: str | None = None
    parser: Parser = "auto"
    each: str | None = None
    also: bool = False
    python: str | None = None


def rules_from(value: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> tuple[RuleSpec, ...]:
    """Read rules in the words of the job file.

    Args:
        value: One rule or several: `{"match": …, "fields": {"title": "h1::text", "price": {"css": …, "type": …}}}`. A
            mapping without any of a rule's own keys is that of the fields; a text is CSS.

    Raises:
        BadExpression: A key or value that no rule has.
    """
    if isinstance(value, Mapping):
        return (_rule(value),)
    return tuple(_rule(part) for part in value)


_RULE_KEYS: Final = frozenset({"match", "parser", "each", "fields", "also", "python"})
_FIELD_KEYS: Final = frozenset({"type", "all", "default", "required", "strip", "fields"})


def _rule(value: Mapping[str, Any]) -> RuleSpec:
    if "fields" not in value and "python" not in value:
        value = {"fields": value}
    unknown = set(value) - _RULE_KEYS
    if unknown:
        raise BadExpression(f"a rule has no {sorted(unknown)[0]!r}; it has {', '.join(sorted(_RULE_KEYS))}")
    parser = value.get("parser", "auto")
    if parser not in PARSERS:
        raise BadExpression(f"parser is {', '.join(PARSERS)}, not {parser!r}")
    return RuleSpec(
        fields=fields_from(value.get("fields", {})),
        match=value.get("match"),
        parser=cast("Parser", parser),
        each=value.get("each"),
        also=bool(value.get("also", False)),
        python=value.get("python"),
    )


def fields_from(value: Mapping[str, Any]) -> tuple[FieldSpec, ...]:
    """Read the fields of a rule in the words of the job file.

    Raises:
        BadExpression: A key or value that no field has.
    """
    return tuple(_field(name, {"css": spec} if isinstance(spec, str) else spec) for name, spec in value.items())


def _field(name: str, value: Mapping[str, Any]) -> FieldSpec:
    sources = [source for source in SOURCES if source in value]
    if len(sources) != 1:
        raise BadExpression(f"field {name!r} needs exactly one of {', '.join(SOURCES)}")
    unknown = set(value) - _FIELD_KEYS - {sources[0]}
    if unknown:
        raise BadExpression(f"field {name!r}: a field has no {sorted(unknown)[0]!r}")
    kind = value.get("type", "str")
    if kind not in TYPES:
        raise BadExpression(f"field {name!r}: type is one of {', '.join(TYPES)}, not {kind!r}")
    return FieldSpec(
        name=name,
        source=sources[0],
        expression=value[sources[0]],
        type=cast("TypeName", kind),
        all=bool(value.get("all", False)),
        default=value.get("default"),
        required=bool(value.get("required", False)),
        strip=bool(value.get("strip", True)),
        fields=fields_from(value.get("fields", {})),
    )

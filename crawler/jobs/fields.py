"""The types of a job's values: how each is read from YAML, and how an editor is told of it.

A `Reader` stands in `Annotated[type, Reader(...)]`; pydantic calls its `parse` and puts its `schema` into the JSON
Schema. `parse` gets what the file holds, or a `Loose` text that came from one `${...}`, and raises `ValueError` with
one sentence.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from crawler.jobs import units
from crawler.jobs.document import resolve_core
from crawler.jobs.interpolate import Loose
from crawler.jobs.template import Template, TemplateError

Schema = dict[str, Any]  # a JSON Schema, which is foreign data
_REFERENCE: Final[Schema] = {"type": "string", "pattern": r"\$\{", "description": "Filled in from a variable."}


def loosen(value: object) -> object:
    """The value a `Loose` text stands for where no text is wanted; anything else as it is."""
    if isinstance(value, Loose):
        return resolve_core(value) if isinstance(value.native, str) else value.native
    return value


def strip_loose(value: object) -> object:
    """`value` without `Loose` texts, for places that take anything (JSON bodies, `meta`)."""
    if isinstance(value, Loose):
        return value.native
    if isinstance(value, list):
        return [strip_loose(part) for part in value]
    if isinstance(value, dict):
        return {key: strip_loose(part) for key, part in value.items()}
    return value


def show(value: object) -> str:
    """`value` as a message shows it: short, and named by YAML's words."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(str(value)) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` is most likely a slip of, if any is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return near[0] if near else None


@dataclass(frozen=True, eq=False)  # typing hashes annotations, and a schema has no hash
class Reader:
    """How one value is read. See the module's text."""

    parse: Callable[[object], object]
    schema: Schema

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        return dict(self.schema)

    def or_null(self) -> Reader:
        """The same, with null allowed."""

        def parse(value: object) -> object:
            if loosen(value) is None:
                return None
            try:
                return self.parse(value)
            except ValueError as exc:
                hint = "; write null for no limit" if loosen(value) == 0 else ""
                raise ValueError(f"{exc}{hint}") from exc

        return Reader(parse, {"anyOf": [self.schema, {"type": "null"}]})


@dataclass(frozen=True)
class OneOrMany:
    """In front of a list type: one item stands for a list of it."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        def wrap(value: object) -> object:
            if value is None:
                raise ValueError("expected one value or a list, not null")
            return value if isinstance(value, list) else [value]

        return core_schema.no_info_before_validator_function(wrap, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        inner = handler(schema)
        array = next((part for part in inner.get("anyOf", ()) if "items" in part), inner)  # `list | None` has two parts
        return {"anyOf": [array["items"], array]}


def whole(least: int, most: int | None = None) -> Reader:
    """A whole number of at least `least` and at most `most`."""

    def parse(value: object) -> int:
        number = loosen(value)
        if isinstance(number, bool) or not isinstance(number, int):
            hint = "; a leading zero is ambiguous" if isinstance(number, str) and re.fullmatch(r"0\d+", number) else ""
            raise ValueError(f"expected a whole number, not {show(number)}{hint}")
        if number < least or (most is not None and number > most):
            bounds = f"between {least} and {most}" if most is not None else f"at least {least}"
            raise ValueError(f"must be {bounds}, not {number}")
        return number

    bounds = {"minimum": least} | ({"maximum": most} if most is not None else {})
    return Reader(parse, {"anyOf": [{"type": "integer", **bounds}, _REFERENCE]})


def number(least: float) -> Reader:
    """A finite number of at least `least`."""

    def parse(value: object) -> float:
        got = loosen(value)
        if isinstance(got, bool) or not isinstance(got, int | float) or not math.isfinite(got):
            raise ValueError(f"expected a number, not {show(got)}")
        if got < least:
            raise ValueError(f"must be at least {least:g}, not {got:g}")
        return float(got)

    return Reader(parse, {"anyOf": [{"type": "number", "minimum": least}, _REFERENCE]})


def text(most: int, pattern: str | None = None, form: str = "") -> Reader:
    """Text of at most `most` characters that matches `pattern` as a whole; `form` is the pattern in words."""

    def parse(value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(f"expected text, not {show(value)}; put it in quotes")
        if len(value) > most:
            raise ValueError(f"longer than {most} characters")
        if pattern is not None and re.fullmatch(pattern, value) is None:
            raise ValueError(f"{show(value)} does not fit: {form}")
        return str(value)

    return Reader(parse, {"type": "string", "maxLength": most} | ({"pattern": f"^(?:{pattern})$"} if pattern else {}))


def choice(*words: str, later: Iterable[str] = ()) -> Reader:
    """One word of several; those of `later` are refused as known but not working yet."""
    pending = tuple(later)

    def parse(value: object) -> str:
        if isinstance(value, str) and value in words:
            return str(value)
        able = " or ".join(words)
        if isinstance(value, str) and value in pending:
            raise ValueError(f"'{value}' is known, but this version does not do it yet (it does {able})")
        if not isinstance(value, str):
            quoted = f'; put it in quotes: "{value}"' if str(value) in (*words, *pending) else ""
            raise ValueError(f"expected {able}, not {show(value)}{quoted}")
        near = nearest(value, (*words, *pending))
        raise ValueError(f"expected {able}, not {show(value)}" + (f"; did you mean '{near}'?" if near else ""))

    return Reader(parse, {"enum": list(words)})


def _parse_bool(value: object) -> bool:
    got = loosen(value)
    if not isinstance(got, bool):
        raise ValueError(f"expected true or false, not {show(got)}")
    return got


def _parse_duration(value: object) -> float:
    return units.parse_duration(value)


def _parse_limit(value: object) -> float:
    seconds = units.parse_duration(value)
    if seconds == 0:
        raise ValueError("0 is no limit one can keep")
    return seconds


def _parse_size(value: object) -> int:
    size = units.parse_size(value)
    if size == 0:
        raise ValueError("0 is no limit one can keep")
    return size


def _parse_header(value: object) -> str:
    if isinstance(value, bool | int):
        return show(value)  # a header or parameter of 200: nothing is lost in writing it out
    if not isinstance(value, str):
        lossy = "; put it in quotes, a number may lose its last zeros" if isinstance(value, float) else ""
        raise ValueError(f"expected text, not {show(value)}{lossy}")
    return str(value)


def _parse_template(value: object) -> Template:
    try:
        return Template(_parse_header(value))
    except TemplateError as exc:
        raise ValueError(str(exc)) from exc


def _parse_any(value: object) -> object:
    plain = strip_loose(value)
    _refuse_unwritable(plain)
    return plain


def _refuse_unwritable(value: object) -> None:
    """These values are written as JSON, which knows no NaN and whose readers agree on numbers up to 64 bits only."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} has no form in JSON")
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError("a whole number beyond 64 bits; put it in quotes")
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_unwritable(part)


_DURATION_SCHEMA: Final[Schema] = {
    "anyOf": [{"type": "string", "pattern": units.DURATION_PATTERN}, {"type": "number", "minimum": 0}, _REFERENCE]
}
_SIZE_SCHEMA: Final[Schema] = {
    "anyOf": [{"type": "string", "pattern": units.SIZE_PATTERN}, {"type": "integer", "minimum": 1}, _REFERENCE]
}
_RATIO_SCHEMA: Final[Schema] = {
    "anyOf": [
        {"type": "number", "minimum": 0, "maximum": 1},
        {"type": "string", "pattern": units.RATIO_PATTERN},
        _REFERENCE,
    ]
}
_RATE_SCHEMA: Final[Schema] = {"anyOf": [{"type": "string", "pattern": units.RATE_PATTERN}, _REFERENCE]}
_RATE: Final = Reader(lambda value: units.parse_rate(value).per_second, _RATE_SCHEMA)
_RATIO: Final = Reader(lambda value: units.parse_ratio(loosen(value)), _RATIO_SCHEMA)
_LIMIT: Final = Reader(_parse_limit, _DURATION_SCHEMA)
_SIZE: Final = Reader(_parse_size, _SIZE_SCHEMA)


def size_between(least: int, most: int) -> Reader:
    """A size of at least `least` and at most `most` bytes."""

    def parse(value: object) -> int:
        size = units.parse_size(value)
        if not least <= size <= most:
            raise ValueError(f"expected a size between {least} and {most} bytes, not {show(value)}")
        return size

    return Reader(parse, _SIZE_SCHEMA)


Bool = Annotated[bool, Reader(_parse_bool, {"anyOf": [{"type": "boolean"}, _REFERENCE]})]
Duration = Annotated[float, Reader(_parse_duration, _DURATION_SCHEMA)]
"""Seconds; zero is allowed."""
Limit = Annotated[float, _LIMIT]
"""Seconds, more than zero."""
DurationOrNull = Annotated[float | None, Reader(_parse_duration, _DURATION_SCHEMA).or_null()]
LimitOrNull = Annotated[float | None, _LIMIT.or_null()]
Size = Annotated[int, _SIZE]
"""Bytes, more than zero."""
SizeOrNull = Annotated[int | None, _SIZE.or_null()]
Rate = Annotated[float, _RATE]
"""Events per second, more than zero."""
RateOrNull = Annotated[float | None, _RATE.or_null()]
Ratio = Annotated[float, _RATIO]
"""A share from 0 to 1."""
RatioOrNull = Annotated[float | None, _RATIO.or_null()]
Text = Annotated[str, text(10_000)]
PathText = Annotated[str, text(4096, r"[^\x00]+", "a path is not empty")]
HeaderText = Annotated[str, Reader(_parse_header, {"type": "string"})]
"""Text, or a whole number or truth value that is written out."""
TemplateText = Annotated[Template, Reader(_parse_template, {"type": "string"})]
Anything = Annotated[object, Reader(_parse_any, {})]

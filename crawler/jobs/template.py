"""`{name}` templates: text that is filled in once per row.

    {name}        the row's value as text
    {name:int}    the value as a whole number (also float, bool, str); alone in a JSON body it keeps that type
    {name:8}      its first 8 characters
    {name:05d}    formatted: fill, width, precision and one of d x X f s
    {{ and }}     braces

Compiled at start, so a mistake is found before anything is sent. Filling is plain substitution by name in one mapping:
no attribute, no index, no call can be written (unlike `str.format`), so a template cannot reach anything but the row.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_FIELD: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)(?::(?P<spec>.+))?")
_PREFIX: Final = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)
_FORMAT: Final = re.compile(r"[<>^]?0?[0-9]{0,3}(?:\.[0-9]{1,2})?[dxXfs]")
_WORDS: Final = {"true": True, "false": False}


class TemplateError(ValueError):
    """A template that does not compile, or a row that does not fill it; the message says which part."""


Row = Mapping[str, object]
_Convert = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    convert: _Convert
    spec: str | None


class Template:
    """A compiled template.

    Attributes:
        text: As written.
        names: The names it needs.
    """

    __slots__ = ("_parts", "names", "text")

    def __init__(self, text: str) -> None:
        """Compile `text`.

        Raises:
            TemplateError: A lone brace, an empty name, an unknown format.
        """
        self.text = text
        self._parts = _compile(text)
        self.names = frozenset(part.name for part in self._parts if isinstance(part, _Field))

    @property
    def is_static(self) -> bool:
        """Whether it is the same for every row."""
        return not self.names

    def fill(self, row: Row) -> str:
        """The text for one row.

        Raises:
            TemplateError: The row lacks a name or a value does not convert.
        """
        return "".join(part if isinstance(part, str) else _text(_value(part, row)) for part in self._parts)

    def fill_but(self, later: frozenset[str], row: Row, *, check: bool = False) -> str:
        """The text for one row, in which fields of `later` that the row does not have stay in braces, and every other
        brace is doubled.

        Args:
            later: Names that somebody fills in afterwards.
            row: The values.
            check: Look at the form alone: what the row holds does not count.

        Raises:
            TemplateError: As `fill`; or a field of `later` has a format other than a number of characters.
        """
        text = ""
        for part in self._parts:
            if isinstance(part, str):
                text += _doubled(part)
            elif part.name in later and (check or part.name not in row):
                if part.spec is not None and _PREFIX.fullmatch(part.spec) is None:
                    raise TemplateError(f"{{{part.name}:{part.spec}}} takes a number of characters only")
                text += f"{{{part.name}}}" if part.spec is None else f"{{{part.name}:{part.spec}}}"
            else:
                text += _doubled("" if check else _text(_value(part, row)))
        return text

    def fill_typed(self, row: Row) -> object:
        """As `fill`, but a template that is one field alone keeps the type its `:int`, `:float` or `:bool` asks for."""
        if len(self._parts) == 1 and isinstance(only := self._parts[0], _Field):
            value = _value(only, row)
            return value if isinstance(value, int | float) and only.convert is not _text else _text(value)
        return self.fill(row)

    def __repr__(self) -> str:
        return f"Template({self.text!r})"


def _doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _compile(text: str) -> tuple[str | _Field, ...]:
    parts: list[str | _Field] = []
    literal, end = "", 0
    for match in _TOKEN.finditer(text):
        literal += text[end : match.start()]
        end = match.end()
        if match[0] in ("{{", "}}"):
            literal += match[0][0]
            continue
        if match[1] is None:
            raise TemplateError(f"a lone {match[0]!r} in {_show(text)}; write {match[0] * 2!r} for a brace")
        if literal:
            parts.append(literal)
            literal = ""
        parts.append(_field(match[1], text))
    literal += text[end:]
    if literal or not parts:
        parts.append(literal)
    return tuple(parts)


def _field(inner: str, text: str) -> _Field:
    match = _FIELD.fullmatch(inner)
    if match is None:
        raise TemplateError(f"{{{inner}}} in {_show(text)} is no field; write {{name}}, {{name:int}} or {{name:05d}}")
    spec = match["spec"]
    if spec is None or spec == "str":
        return _Field(match["name"], _text, None)
    if spec in _CASTS:
        return _Field(match["name"], _CASTS[spec], spec)
    if _PREFIX.fullmatch(spec) is not None:
        length = int(spec)
        return _Field(match["name"], lambda value: _text(value)[:length], spec)
    if _FORMAT.fullmatch(spec) is None:
        raise TemplateError(
            f"{{{inner}}} in {_show(text)}: unknown format {spec!r}; use int, float, bool, str, 8, 05d, .2f …"
        )
    return _Field(match["name"], _formatter(spec), spec)


def _value(field: _Field, row: Row) -> object:
    if field.name not in row:
        raise TemplateError(f"the row has no {field.name!r}")
    value = row[field.name]
    try:
        return field.convert(value)
    except (ValueError, TypeError) as exc:
        raise TemplateError(f"{field.name!r} is {_show(_text(value))}: {exc}") from None


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        import orjson

        return orjson.dumps(value).decode()
    return str(value)


def _int(value: object) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError("not a whole number")
    if isinstance(value, int | float):
        return int(value)
    text = _text(value).strip()
    if re.fullmatch(r"[-+]?[0-9]{1,100}", text, re.ASCII) is None:
        raise ValueError("not a whole number")
    return int(text)


def _float(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    text = _text(value).strip()
    if re.fullmatch(r"[-+]?(?:[0-9]{1,100}\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?", text, re.ASCII) is None:
        raise ValueError("not a number")
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("too large a number")
    return number


def _bool(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = _text(value).strip().lower()
    if word not in _WORDS:
        raise ValueError("neither true nor false")
    return _WORDS[word]


_CASTS: Final[dict[str, _Convert]] = {"int": _int, "float": _float, "bool": _bool}


def _formatter(spec: str) -> _Convert:
    cast: _Convert = {"d": _int, "x": _int, "X": _int, "f": _float, "s": _text}[spec[-1]]

    def convert(value: object) -> str:
        return format(cast(value), spec)

    return convert


def _show(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")

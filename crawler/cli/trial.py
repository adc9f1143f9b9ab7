"""A rule of extraction that is being tried: fields are added, applied to a page, and written as a job has them."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from crawler.cli.exits import CommandError
from crawler.spider.casts import TYPES
from crawler.spider.document import Document
from crawler.spider.errors import BadExpression, SelectorTimeout
from crawler.spider.extraction import Extraction, Extractor
from crawler.spider.rules import FieldSpec, RuleSpec

_NAMED = re.compile(r"([A-Za-z_][\w-]*)\s*=(?!=)\s*(.+)", re.DOTALL)
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][\w-]*\Z").match


def named(text: str) -> tuple[str, str] | None:
    """Tell name and expression of `name=expression` apart; `None` if there is no name."""
    found = _NAMED.fullmatch(text)
    return None if found is None else (found[1], found[2])


class Trial:
    """The rule, as far as it was told.

    Attributes:
        each: What finds the items of a page.
        fields: So far.
    """

    def __init__(self) -> None:
        self.each: str | None = None
        self.fields: list[FieldSpec] = []

    def add(self, source: str, expression: str, *, is_all: bool = False) -> FieldSpec:
        """Add a field, or replace the one of the same name.

        Args:
            source: Kind of expression.
            expression: It, or `name=` and it; without a name it is `field1` and so on.
            is_all: All that is found.

        Raises:
            CommandError: It does not compile.
        """
        name, expression = named(expression) or (f"field{len(self.fields) + 1}", expression)
        spec = FieldSpec(name, source, expression, all=is_all)
        self._put(spec)
        return spec

    def cast(self, text: str) -> None:
        """Give a field a type: `name=type`, or all of them: `type`.

        Raises:
            CommandError: There is no such type or field.
        """
        name, _, kind = text.rpartition("=")
        if kind not in TYPES:
            raise CommandError(f"{kind!r} is no type; there are {', '.join(TYPES)}")
        for field in [self._field(name)] if name else list(self.fields):
            self._put(dataclasses.replace(field, type=kind))  # type: ignore[arg-type]  # one of TYPES

    def spread(self, name: str) -> None:
        """Have a field give all that is found.

        Raises:
            CommandError: There is no such field.
        """
        self._put(dataclasses.replace(self._field(name), all=True))

    def drop(self, name: str) -> None:
        """Forget a field.

        Raises:
            CommandError: There is no such field.
        """
        self.fields.remove(self._field(name))

    def _field(self, name: str) -> FieldSpec:
        for field in self.fields:
            if field.name == name:
                return field
        raise CommandError(f"there is no field {name!r}")

    def _put(self, spec: FieldSpec) -> None:
        fields = [field for field in self.fields if field.name != spec.name]
        place = next((at for at, field in enumerate(self.fields) if field.name == spec.name), len(fields))
        fields.insert(place, spec)
        try:
            Extractor([RuleSpec(tuple(fields), each=self.each)])
        except BadExpression as error:
            raise CommandError(str(error)) from error
        self.fields = fields

    def apply(self, document: Document) -> Extraction:
        """Apply it to a page.

        Raises:
            CommandError: It takes too long, or does not go together.
        """
        try:
            return Extractor([RuleSpec(tuple(self.fields), each=self.each)]).extract(document)
        except (BadExpression, SelectorTimeout) as error:
            raise CommandError(str(error)) from error

    def yaml(self) -> str:
        """Write it as a job file has it."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield "extract:"
        if self.each is not None:
            yield f"  each: {json.dumps(self.each, ensure_ascii=False)}"
        yield "  fields:"
        for field in self.fields:
            parts = [f"{field.source}: {json.dumps(field.expression, ensure_ascii=False)}"]
            if field.type != "str":
                parts.append(f"type: {field.type}")
            if field.all:
                parts.append("all: true")
            name = field.name if _PLAIN_NAME(field.name) else json.dumps(field.name)
            yield f"    {name}: {{{', '.join(parts)}}}"


def rows_of(extraction: Extraction) -> Iterator[str]:
    """Write the items as lines of JSON."""
    for row in extraction.rows:
        yield json.dumps(row, ensure_ascii=False, default=_written)


def _written(value: Any) -> object:
    from decimal import Decimal

    return float(value) if isinstance(value, Decimal) else str(value)


def is_empty(extraction: Extraction) -> bool:
    """Whether nothing was found."""
    return not any(value not in (None, []) for row in extraction.rows for value in row.values())

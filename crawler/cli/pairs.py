"""Options that take two values and may be given several times, as `-p NAME VALUE -p NAME VALUE`.

Typer has options with several values and options given several times, but not both at once. So the command joins the
two values with a separator no argument can contain before they are parsed, and the function takes them apart again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar

from typer.core import TyperCommand

_SEPARATOR = "\0"  # the operating system ends arguments with it, so none contains it


class PairsCommand(TyperCommand):
    """A command whose options in `pair_options` take two values each time."""

    pair_options: ClassVar[frozenset[str]] = frozenset()

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Join the values of the pair options, then parse as usual."""
        return super().parse_args(ctx, list(self._joined(args, ctx)))

    def _joined(self, args: Sequence[str], ctx: Any) -> Iterator[str]:
        rest = iter(args)
        for arg in rest:
            if arg == "--":
                yield arg
                yield from rest
                return
            option, equals, name = arg.partition("=")
            if option not in self.pair_options:
                yield arg
                continue
            values = [name] if equals else []
            values.extend(islice(rest, 2 - len(values)))
            if len(values) < 2:
                ctx.fail(f"Option '{option}' takes two values: NAME VALUE.")
            yield option
            yield _SEPARATOR.join(values)


def split_pairs(values: Sequence[str] | None) -> list[tuple[str, str]]:
    """Take the joined values of one option apart, order kept."""
    return [(name, value) for name, _, value in (joined.partition(_SEPARATOR) for joined in values or ())]

"""Options with two values that may be given several times."""

from __future__ import annotations

from typing import Annotated, ClassVar

import pytest
import typer
from typer.testing import CliRunner, Result

from crawler.cli.pairs import PairsCommand, split_pairs


class _Command(PairsCommand):
    pair_options: ClassVar[frozenset[str]] = frozenset({"-p", "--params"})


def _run(*args: str) -> Result:
    app = typer.Typer(rich_markup_mode=None)

    @app.command(cls=_Command)
    def show(
        rest: Annotated[list[str] | None, typer.Argument()] = None,
        params: Annotated[list[str] | None, typer.Option("-p", "--params")] = None,
    ) -> None:
        typer.echo(repr((split_pairs(params), rest)))

    return CliRunner().invoke(app, args)


@pytest.mark.parametrize(
    ("args", "shown"),
    [
        ((), "([], None)"),
        (("-p", "a", "1", "url"), "([('a', '1')], ['url'])"),
        (("-p", "a", "1", "--params", "b", "2"), "([('a', '1'), ('b', '2')], None)"),
        (("--params=a", "1", "url"), "([('a', '1')], ['url'])"),
        (("-p", "a", "-1"), "([('a', '-1')], None)"),
        (("--", "-p", "a", "b"), "([], ['-p', 'a', 'b'])"),
    ],
)
def test_each_use_takes_two_values(args: tuple[str, ...], shown: str) -> None:
    """Pairs come in their order, values may look like options, and `--` ends options."""
    assert _run(*args).stdout.strip() == shown


def test_a_missing_value_is_told() -> None:
    """One value alone is a wrong argument, not half a pair."""
    result = _run("-p", "a")

    assert result.exit_code == 2
    assert "Option '-p' takes two values" in result.stderr

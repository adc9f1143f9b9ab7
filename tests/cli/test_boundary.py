"""Where the program meets the shell: one message and an exit code, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from crawler.cli.boundary import Boundary
from crawler.cli.exits import CommandError, Exit


def _run(error: BaseException) -> Result:
    app = typer.Typer(cls=Boundary, pretty_exceptions_enable=False, rich_markup_mode=None)

    @app.command()
    def fail() -> None:
        raise error

    @app.command()
    def other() -> None: ...

    return CliRunner().invoke(app, ["fail"])


def test_a_command_error_is_its_message_and_code() -> None:
    """What the user can mend is told in one message, with the code that fits it."""
    result = _run(CommandError("no such folder; make it first", Exit.DISK))

    assert result.exit_code == 4
    assert result.stderr == "crawler: no such folder; make it first\n"
    assert result.stdout == ""


def test_a_bug_goes_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of ours is said to be one; the traceback goes to a file that the message names."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    result = _run(KeyError("lost"))

    assert result.exit_code == 7
    assert "internal error: KeyError: 'lost'" in result.stderr
    assert "Traceback" not in result.stderr
    (report,) = tmp_path.iterdir()
    assert str(report) in result.stderr
    assert "Traceback" in report.read_text()


def test_ctrl_c_is_130() -> None:
    """An interrupt outside of a run ends with the shell's code for it."""
    assert _run(KeyboardInterrupt()).exit_code == 130


def test_a_chosen_exit_code_stays() -> None:
    """A command that ends with a code of its own keeps it."""
    assert _run(typer.Exit(3)).exit_code == 3

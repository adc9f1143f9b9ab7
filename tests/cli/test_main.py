"""The command itself: help, version, wrong arguments."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner

from crawler.cli.main import app
from crawler.version import __version__


def test_version() -> None:
    """`--version` names the program and its version."""
    result = CliRunner().invoke(app, ["--version"])

    assert (result.exit_code, result.stdout) == (0, f"crawler {__version__}\n")


def test_help_names_every_command() -> None:
    """Each command is listed with a sentence that is not cut."""
    result = CliRunner().invoke(app, ["--help"])

    assert result.exit_code == 0
    for command in ("run", "validate", "config", "schema", "status", "bench", "compare", "request", "serve", "testbed"):
        assert f"\n  {command} " in result.stdout
    assert "..." not in result.stdout.partition("Commands:")[2]


def test_without_a_command_there_is_help() -> None:
    """`crawler` alone tells what it can do, with the code of a wrong call."""
    result = CliRunner().invoke(app, [])

    assert result.exit_code == 2
    assert "Commands:" in result.stdout + result.stderr


def test_a_wrong_command_is_told() -> None:
    """A name that is no command is a wrong argument."""
    result = CliRunner().invoke(app, ["fetch"])

    assert result.exit_code == 2
    assert "No such command 'fetch'" in result.stderr


def test_help_needs_nothing_heavy(tmp_path: Path) -> None:
    """The commands import what they need when they run, so that help is quick."""
    code = (
        "import sys; from crawler.cli.main import app; app(['--help'], standalone_mode=False); "
        "print(sorted({'uvloop', 'httptools', 'hypercorn', 'ruamel.yaml', 'rich.live'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", timeout=30, check=True, cwd=tmp_path
    )

    assert result.stdout.splitlines()[-1] == "[]"

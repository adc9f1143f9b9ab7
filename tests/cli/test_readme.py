"""What the README shows works as shown."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from crawler.testbed import Testbed

README = Path(__file__).parents[2] / "README.md"


def _blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for found, text in fenced if found == language]


def test_the_two_commands_stand_as_they_are_promised() -> None:
    """CI runs them as they stand in the README, and people paste them."""
    commands = [line for block in _blocks("") for line in block.splitlines() if line.startswith("python3 -m venv")]

    assert commands == [
        "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/crawler run configs/quickstart.yaml",
        "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest",
    ]


@pytest.mark.parametrize("code", _blocks("python"), ids=lambda code: code.strip().splitlines()[0])
def test_python_examples_run(bed: Testbed, tmp_path: Path, code: str) -> None:
    """Each example is a program; here it asks the testbed instead of example.com."""
    program = code.replace("https://example.com", bed.url)

    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=50,
        check=False,
    )

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout


def test_the_job_file_is_valid(crawler: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    """The example of a job file has only keys that work."""
    (job,) = _blocks("yaml")
    (tmp_path / "prices.csv").write_text("address,sku\nhttp://127.0.0.1:1/,7\n")
    (tmp_path / "prices.yaml").write_text(job)

    result = crawler("run", "prices.yaml", "--dry-run")

    assert result.returncode == 0, result.stderr
    assert "1 request, 64 at once" in result.stdout


def test_the_shell_examples_use_options_that_exist(
    crawler: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    """Every option shown behind `crawler COMMAND` is one of that command."""
    shown = [line.partition("#")[0] for block in _blocks("") for line in block.splitlines() if "crawler " in line]
    uses = [shlex.split(line) for line in shown if line.startswith("crawler ")]
    assert uses

    for _, command, *arguments in uses:
        usage = crawler(command, "--help")
        assert usage.returncode == 0, usage.stderr
        for option in (argument for argument in arguments if argument.startswith("--")):
            assert option in usage.stdout

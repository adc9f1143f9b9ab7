"""What the tests of the command line share: the command as a process, and a server to fetch from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from crawler.testbed import Testbed

_ARGV = (sys.executable, "-m", "crawler.cli")


def _environment() -> dict[str, str]:
    """No proxies, no colours, no terminal of the tester; warnings are errors as in the other tests."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {**kept, "NO_COLOR": "1", "COLUMNS": "100", "PYTHONWARNINGS": "error"}


@pytest.fixture(scope="session")
def bed() -> Iterator[Testbed]:
    """The testbed, in a thread."""
    with Testbed() as bed:
        yield bed


@pytest.fixture
def crawler(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command in a folder of its own and give what it did."""

    def run(*args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*_ARGV, *args],
            cwd=tmp_path,
            env=_environment(),
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=50,
            check=False,
        )

    return run


@pytest.fixture
def start_crawler(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the command in a folder of its own, its output in pipes; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(*args: str, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.PIPE) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*_ARGV, *args],
            cwd=tmp_path,
            env=_environment(),
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()

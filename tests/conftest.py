"""What all tests share: a marker for tests that talk to a real program.

    @pytest.mark.needs_program("nginx")

Where the program is missing the test is skipped with a word how to get it, except under `CI=true` (`.ci/run` sets it
and installs the programs): there a missing program is a failure, so that such tests can not fade away unseen.
"""

from __future__ import annotations

import os
import shutil

import pytest

_SBIN = ("/usr/sbin", "/usr/local/sbin")  # where Debian puts servers; not on the PATH of an ordinary user


def find_program(name: str) -> str | None:
    """Give the path of a program, also where it lies in a directory for servers."""
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_SBIN]))


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", "needs_program(*names): programs that must be installed for this test")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or under CI fail, a test whose programs are missing."""
    for marker in item.iter_markers("needs_program"):
        missing = [name for name in marker.args if find_program(name) is None]
        if not missing:
            continue
        reason = f"needs {', '.join(missing)} (for example: apt-get install {' '.join(missing)})"
        if os.environ.get("CI", "").lower() in {"1", "true", "yes"}:
            pytest.fail(f"under CI no test is skipped for a missing program; this one {reason}", pytrace=False)
        pytest.skip(reason)

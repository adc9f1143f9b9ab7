"""The command as people call it; no test looks at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main


@pytest.mark.needs_program("nginx")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("row", ["post", "engine"])
def test_a_quick_run_measures_our_client_and_writes_what_it_found(row: str, tmp_path: Path) -> None:
    """`--quick --only ROW` runs that row against a server of its own, and leaves its samples as JSON."""
    assert main(["--quick", "--only", row, "--out", str(tmp_path)]) == 0

    (measured,) = json.loads((tmp_path / "results.json").read_text())["rows"]
    ours = {"post": "crawler", "engine": "gather"}[row]
    assert measured["name"] == row
    assert measured["samples"][ours][0]["requests"] > 0


@pytest.mark.needs_program("nginx")
def test_the_profile_names_rooms_and_functions(capfd: pytest.CaptureFixture[str]) -> None:
    """`profile` prints where the time went, by room and by function."""
    assert main(["profile", "--seconds", "0.3", "--rows", "5"]) == 0

    said = capfd.readouterr().out
    assert "By room" in said
    assert "event loop, kernel" in said
    assert "Connections that it opened" in said


def test_an_unknown_row_is_refused_with_the_names_of_all(capfd: pytest.CaptureFixture[str]) -> None:
    """A misspelt row ends the command with status 2 and says which there are."""
    assert main(["--only", "gett"]) == 2

    assert "http2" in capfd.readouterr().err

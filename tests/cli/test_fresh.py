"""`--fresh` forgets earlier runs, and removes nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.cli.fresh import forget
from crawler.fanout import Output, Plan
from crawler.fanout.errors import StateLocked
from crawler.fanout.lock import StateLock


def _leave(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("left")


def _left(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_state_records_and_summary_go(tmp_path: Path) -> None:
    """Files the user keeps in the same folders stay, and so do bodies."""
    _leave(tmp_path, "results.jsonl", "summary.json", "state/state.sqlite3", "state/state.sqlite3-wal")
    _leave(tmp_path, "notes.txt", "state/mine.txt", "files/a.html")

    forget(Plan("job", outputs=(Output(tmp_path / "results.jsonl"),), state_dir=tmp_path / "state"))

    assert _left(tmp_path) - {"state/lock"} == {"notes.txt", "state/mine.txt", "files/a.html"}


def test_records_on_standard_output_are_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the output `-` neither a file of that name nor a summary beside it is meant."""
    monkeypatch.chdir(tmp_path)
    _leave(tmp_path, "-", "summary.json")

    forget(Plan("job", outputs=(Output(Path("-")),), state_dir=tmp_path / "state"))

    assert _left(tmp_path) == {"-", "summary.json"}


def test_a_run_under_way_is_left_alone(tmp_path: Path) -> None:
    """While another run holds the state nothing is removed."""
    _leave(tmp_path, "results.jsonl", "state/state.sqlite3")
    lock = StateLock(tmp_path / "state/lock")
    try:
        with pytest.raises(StateLocked):
            forget(Plan("job", outputs=(Output(tmp_path / "results.jsonl"),), state_dir=tmp_path / "state"))
    finally:
        lock.release()

    assert _left(tmp_path) == {"results.jsonl", "state/state.sqlite3", "state/lock"}


def test_nothing_to_forget_is_no_error(tmp_path: Path) -> None:
    """A first run may be asked to be fresh."""
    forget(Plan("job", outputs=(Output(tmp_path / "out/results.jsonl"),), state_dir=tmp_path / "out/state"))

    assert _left(tmp_path) == set()

"""Outputs: whole lines, cut where told."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from crawler.fanout import Output, StateDamaged
from crawler.fanout.errors import OutputError
from crawler.fanout.frontier import Finished
from crawler.fanout.sinks import JsonlSink, StdoutSink, make_sink, write_records


def test_lines_are_appended(tmp_path: Path) -> None:
    """Folders are made, records follow what is there, and the summary's row counts and hashes them."""
    path = tmp_path / "deep" / "out.jsonl"
    sink = make_sink(Output(path))
    assert sink.size() is None
    sink.open()

    sink.append([{"a": 1}, {"b": "ü"}])
    sink.append([{"c": None}])
    sink.sync()

    assert path.read_text("utf-8") == '{"a":1}\n{"b":"ü"}\n{"c":null}\n'
    assert (sink.rows, sink.offset, sink.size()) == (3, 30, 30)
    row = sink.describe(with_digest=True)
    assert (row["path"], row["rows"], row["bytes"], len(str(row["sha256"]))) == (str(path), 3, 30, 64)
    sink.close()
    sink.close()


def test_cutting(tmp_path: Path) -> None:
    """A sink goes back to where a line ends, and nowhere else."""
    sink = JsonlSink(tmp_path / "out.jsonl")
    sink.open()
    sink.append([{"a": 1}, {"a": 2}])

    with pytest.raises(StateDamaged, match="no line ends at byte 5"):
        sink.cut(5, 1)
    with pytest.raises(StateDamaged):
        sink.cut(99, 9)
    sink.cut(8, 1)
    sink.append([{"a": 3}])
    sink.close()

    assert (tmp_path / "out.jsonl").read_text() == '{"a":1}\n{"a":3}\n'
    assert sink.rows == 2


def test_short_writes_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take a few bytes at a time."""
    import os

    real = os.write
    monkeypatch.setattr("crawler.fanout.sinks.os.write", lambda fd, data: real(fd, bytes(data[:3])))
    sink = JsonlSink(tmp_path / "out.jsonl")
    sink.open()

    sink.append([{"a": "0123456789"}])
    sink.close()

    assert (tmp_path / "out.jsonl").read_text() == '{"a":"0123456789"}\n'


def test_all_sinks_or_none(tmp_path: Path) -> None:
    """If one output refuses, the others take the batch back."""

    class Refusing(JsonlSink):
        def append(self, records: object) -> None:
            raise OSError(28, "No space left on device")

    good, bad = JsonlSink(tmp_path / "good"), Refusing(tmp_path / "bad")
    good.open()
    bad.open()
    write_records([good], [Finished(1, "ok", {"a": 1})])

    with pytest.raises(OutputError, match=r"bad: No space left on device; free some space"):
        write_records([good, bad], [Finished(2, "ok", {"a": 2})])

    assert (tmp_path / "good").read_text() == '{"a":1}\n'
    assert good.rows == 1
    good.close()
    bad.close()


def test_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` writes lines to standard output and flushes them."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw))
    sink = make_sink(Output(Path("-")))
    assert isinstance(sink, StdoutSink)
    sink.open()

    sink.append([{"a": 1}])

    assert raw.getvalue() == b'{"a":1}\n'
    assert sink.describe(with_digest=True) == {"path": "-", "rows": 1, "bytes": 8, "sha256": None}

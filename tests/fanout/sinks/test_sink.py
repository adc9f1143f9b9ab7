"""Outputs together: a batch goes to all of them, or to none."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from crawler.fanout import Output
from crawler.fanout.errors import OutputClosed, OutputError
from crawler.fanout.sinks import FileSink, MemoryLog, StdoutSink, make_sink, write_records
from tests.peers.finished import finished


def test_all_sinks_or_none(tmp_path: Path) -> None:
    """If one output refuses, the others take the batch back."""

    class Refusing(FileSink):
        def append(self) -> None:
            raise OSError(28, "No space left on device")

    good, bad = FileSink(Output(tmp_path / "good")), Refusing(Output(tmp_path / "bad"))
    good.open()
    bad.open()
    write_records([good], finished({"a": 1}))

    with pytest.raises(OutputError, match=r"bad: No space left on device; free some space"):
        write_records([good, bad], finished({"a": 2}))

    assert (tmp_path / "good").read_text() == '{"a":1}\n'
    assert good.rows == 1
    good.close()
    bad.close()


@pytest.mark.parametrize(("form", "text"), [("jsonl", '{"status":1}\n'), ("csv", "status\r\n1\r\n")])
def test_standard_output(monkeypatch: pytest.MonkeyPatch, form: str, text: str) -> None:
    """`-` writes rows to standard output and flushes them; a header comes once."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw))
    sink = make_sink(Output(Path("-"), form, fields=("status",)))  # type: ignore[arg-type]
    assert isinstance(sink, StdoutSink)
    sink.begin(MemoryLog(), None)
    sink.open()

    write_records([sink], finished({"status": 1}))
    write_records([sink], finished({"status": 1}))

    assert raw.getvalue().decode() == text + text.splitlines(keepends=True)[-1]
    size = len(raw.getvalue())
    assert sink.describe(with_digest=True) == {"path": "-", "rows": 2, "bytes": size, "sha256": None}


def test_a_closed_pipe_is_no_fault_of_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever read standard output has gone: an end of its own kind, with the exit code of SIGPIPE."""

    class Closed(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    class Out:
        buffer = Closed()

    monkeypatch.setattr(sys, "stdout", Out())
    sink = make_sink(Output(Path("-")))

    with pytest.raises(OutputClosed) as caught:
        write_records([sink], finished({"a": 1}))

    assert caught.value.exit_code == 141

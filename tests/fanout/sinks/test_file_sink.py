"""Outputs in files: whole rows, cut where told, and a new part when one is full."""

from __future__ import annotations

import csv
import gzip
import io
import os
from pathlib import Path
from typing import Any

import pytest

from crawler.fanout import Output, StateDamaged
from crawler.fanout.errors import OutputError
from crawler.fanout.sinks import FileSink, MemoryLog, make_sink, write_records
from crawler.fanout.sinks.compress import lines_of, open_packed
from tests.peers.finished import finished


def opened(output: Output, log: MemoryLog | None = None, committed: tuple[int, int] | None = None) -> FileSink:
    """An open sink, cut to what is committed."""
    sink = FileSink(output)
    sink.begin(log or MemoryLog(), committed)
    sink.open()
    if committed is not None:
        sink.cut(*committed)
    return sink


def numbers(start: int, stop: int) -> list[Any]:
    """Finished requests with numbers for statuses."""
    return finished(*({"status": n} for n in range(start, stop)))


def test_lines_are_appended(tmp_path: Path) -> None:
    """Folders are made, records follow what is there, and the summary's row counts and hashes them."""
    path = tmp_path / "deep" / "out.jsonl"
    sink = make_sink(Output(path))
    assert sink.size() is None
    sink.open()

    write_records([sink], finished({"a": 1}, {"b": "ü"}))
    write_records([sink], finished({"c": None}))
    sink.sync()

    assert path.read_text("utf-8") == '{"a":1}\n{"b":"ü"}\n{"c":null}\n'
    assert (sink.rows, sink.offset, sink.size()) == (3, 30, 30)
    row = sink.describe(with_digest=True)
    assert (row["path"], row["rows"], row["bytes"], len(str(row["sha256"]))) == (str(path), 3, 30, 64)
    sink.close()
    sink.close()


def test_cutting(tmp_path: Path) -> None:
    """A sink goes back to where a line ends, and nowhere else."""
    sink = opened(Output(tmp_path / "out.jsonl"))
    write_records([sink], finished({"a": 1}, {"a": 2}))

    with pytest.raises(StateDamaged, match="no line ends at byte 5"):
        sink.cut(5, 1)
    with pytest.raises(StateDamaged):
        sink.cut(99, 9)
    sink.cut(8, 1)
    write_records([sink], finished({"a": 3}))
    sink.close()

    assert (tmp_path / "out.jsonl").read_text() == '{"a":1}\n{"a":3}\n'
    assert sink.rows == 2


def test_short_writes_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may take a few bytes at a time."""
    real = os.write
    monkeypatch.setattr("crawler.fanout.sinks.file_sink.os.write", lambda fd, data: real(fd, bytes(data[:3])))
    sink = opened(Output(tmp_path / "out.jsonl"))

    write_records([sink], finished({"a": "0123456789"}))
    sink.close()

    assert (tmp_path / "out.jsonl").read_text() == '{"a":"0123456789"}\n'


@pytest.mark.parametrize("suffix", ["gz", "zst"])
def test_compressed_batches_are_cut_like_lines(tmp_path: Path, suffix: str) -> None:
    """Each batch is a piece of its own: after a cut the file is whole, and readers see one stream."""
    path = tmp_path / f"out.jsonl.{suffix}"
    sink = opened(Output(path))
    write_records([sink], numbers(0, 3))
    mark = (sink.offset, sink.rows)
    write_records([sink], numbers(3, 9))

    sink.cut(*mark)
    write_records([sink], numbers(3, 5))
    sink.close()

    with open_packed(path) as file:
        assert file.read() == b"".join(b'{"status":%d}\n' % n for n in range(5))
    assert b"".join(lines_of(path, mark[0], suffix)) == b"".join(  # type: ignore[arg-type]
        b'{"status":%d}\n' % n for n in range(3)
    )


def test_without_rows_a_compressed_file_and_a_table_are_files_still(tmp_path: Path) -> None:
    """No rows: an empty gzip file that unpacks, a table with its header; the next run goes on all the same."""
    log = MemoryLog()
    packed = opened(Output(tmp_path / "out.jsonl.gz"))
    table = opened(Output(tmp_path / "out.csv", "csv", fields=("status",)), log)
    for sink in (packed, table):
        sink.finish()
        sink.close()

    assert gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes()) == b""
    assert (tmp_path / "out.csv").read_bytes() == b"status\r\n"

    again = opened(Output(tmp_path / "out.csv", "csv", fields=("status",)), log, committed=(0, 0))
    write_records([again], numbers(1, 2))
    again.close()
    assert (tmp_path / "out.csv").read_bytes() == b"status\r\n1\r\n"


def test_a_table_keeps_its_columns(tmp_path: Path) -> None:
    """Every row has every column of the header, nested fields by their dotted names, lists as JSON."""
    path = tmp_path / "out.csv"
    sink = opened(Output(path, "csv"))
    write_records(
        [sink],
        finished(
            {
                "url": 'http://h/?a="1",2',
                "error": {"kind": "dns_timeout"},
                "attempt_errors": ["a", "b"],
                "meta": {"x": 1},
            },
            {"url": "two\nlines", "status": 200, "timing": {"total": 0.5}, "conn_reused": True},
        ),
    )
    sink.close()

    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8"), newline="")))
    assert [row["url"] for row in rows] == ['http://h/?a="1",2', "two\nlines"]
    assert (rows[0]["error.kind"], rows[0]["attempt_errors"], rows[0]["meta"]) == (
        "dns_timeout",
        '["a","b"]',
        '{"x":1}',
    )
    assert (rows[1]["status"], rows[1]["timing.total"], rows[1]["conn_reused"]) == ("200", "0.5", "true")
    assert "headers" not in rows[0]
    assert None not in rows[0]


def test_parts_end_at_their_rows(tmp_path: Path) -> None:
    """No part has more rows than it may, each table has its header, and a batch may fill several."""
    output = Output(tmp_path / "out-{seq:03d}.csv", "csv", fields=("status",), roll_rows=3)
    sink = opened(output)
    write_records([sink], numbers(0, 7))
    write_records([sink], numbers(7, 9))
    write_records([sink], numbers(9, 10))
    sink.close()

    texts = [path.read_text("ascii").split() for path in sorted(tmp_path.glob("*.csv"))]
    assert texts == [["status", *map(str, range(n, min(n + 3, 10)))] for n in range(0, 10, 3)]
    described = sink.describe(with_digest=True)
    assert [part["rows"] for part in described["parts"]] == [3, 3, 3, 1]  # type: ignore[attr-defined]
    assert described["rows"] == 10


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_parts_end_at_their_size(tmp_path: Path, suffix: str) -> None:
    """A part that has its bytes is left; together they hold each row once."""
    output = Output(tmp_path / f"out-{{seq}}.jsonl{suffix}", roll_size=30)
    sink = opened(output)
    for n in range(0, 20, 4):
        write_records([sink], numbers(n, n + 4))
    sink.close()

    paths = [tmp_path / f"out-{n}.jsonl{suffix}" for n in range(len(list(tmp_path.iterdir())))]
    lines = []
    for path in paths:
        with open_packed(path) as file:
            lines += file.read().split()
    assert lines == [b'{"status":%d}' % n for n in range(20)]
    assert len(paths) > 3
    if not suffix:
        assert all(30 <= path.stat().st_size < 30 + 15 for path in paths[:-1])


def test_cutting_goes_back_over_parts(tmp_path: Path) -> None:
    """Parts behind the committed offset vanish with the log's note of them, also after a crash."""
    output = Output(tmp_path / "out-{seq}.jsonl", roll_rows=2)
    log = MemoryLog()
    sink = opened(output, log)
    write_records([sink], numbers(0, 3))
    mark = (sink.offset, sink.rows)
    write_records([sink], numbers(3, 9))
    sink.close()

    again = opened(output, log, committed=mark)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out-0.jsonl", "out-1.jsonl"]
    write_records([again], numbers(3, 5))
    again.cut(*mark)
    write_records([again], numbers(3, 6))
    again.close()

    texts = [path.read_text() for path in sorted(tmp_path.iterdir())]
    assert "".join(texts) == "".join(f'{{"status":{n}}}\n' for n in range(6))
    assert [part.seq for part in log.parts(again.name)] == [0, 1, 2]


def test_another_run_may_have_another_name(tmp_path: Path) -> None:
    """Where the path names the run, the next run begins a part; what the one before left uncommitted is still cut."""
    log = MemoryLog()
    sink = opened(Output(tmp_path / "A.jsonl", identity="{run_id}.jsonl"), log)
    write_records([sink], numbers(0, 2))
    mark = (sink.offset, sink.rows)
    write_records([sink], numbers(2, 4))
    sink.close()

    again = opened(Output(tmp_path / "B.jsonl", identity="{run_id}.jsonl"), log, committed=mark)
    write_records([again], numbers(2, 3))
    again.close()

    assert (tmp_path / "A.jsonl").read_text() == '{"status":0}\n{"status":1}\n'
    assert (tmp_path / "B.jsonl").read_text() == '{"status":2}\n'


def test_parts_that_were_taken_away_are_not_missed(tmp_path: Path) -> None:
    """A part that is complete may be moved off by others while the run goes on."""
    output = Output(tmp_path / "out-{seq}.jsonl", roll_rows=2)
    log = MemoryLog()
    sink = opened(output, log)
    write_records([sink], numbers(0, 5))
    mark = (sink.offset, sink.rows)
    sink.close()
    (tmp_path / "out-0.jsonl").unlink()

    again = FileSink(output)
    again.begin(log, mark)
    assert again.size() == mark[0]
    again.open()
    again.cut(*mark)
    write_records([again], numbers(5, 6))
    again.close()

    assert (tmp_path / "out-2.jsonl").read_text() == '{"status":4}\n{"status":5}\n'


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """`append: false`, other columns and a taken number of a part are errors that say what to do."""
    (tmp_path / "old.jsonl").write_text("{}\n")
    with pytest.raises(OutputError, match=r"old\.jsonl exists already.*append: false.*--fresh"):
        opened(Output(tmp_path / "old.jsonl", append=False))
    (tmp_path / "old.csv").write_text("a,b\n1,2\n")
    with pytest.raises(OutputError, match=r"old\.csv exists already, and its columns are others"):
        opened(Output(tmp_path / "old.csv", "csv", fields=("status",)))
    (tmp_path / "p-1.jsonl").write_text("mine\n")
    sink = opened(Output(tmp_path / "p-{seq}.jsonl", roll_rows=1))
    with pytest.raises(OutputError, match=r"p-1\.jsonl exists already and is none of ours"):
        write_records([sink], numbers(0, 2))

    assert (tmp_path / "p-1.jsonl").read_text() == "mine\n"
    assert (tmp_path / "p-0.jsonl").read_text() == ""
    sink.close()


def test_checksums_as_other_programs_read_them(tmp_path: Path) -> None:
    """One line per file that is there, in the form of `sha256sum`; names with line breaks are escaped."""
    sink = opened(Output(tmp_path / "SHA256SUMS", "sha256sums"))
    write_records(
        [sink],
        finished(
            {"outcome": "ok", "path": "a b.bin", "sha256": "aa"},
            {"outcome": "failed", "path": "c", "sha256": "bb"},
            {"outcome": "ok", "path": None, "sha256": "cc"},
            {"outcome": "ok", "path": "x\ny\\z", "sha256": "dd"},
        ),
    )
    sink.close()

    assert (tmp_path / "SHA256SUMS").read_text() == "aa  a b.bin\n\\dd  x\\ny\\\\z\n"
    assert sink.rows == 2

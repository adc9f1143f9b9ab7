"""Parquet: typed columns, rows collected first, files that appear whole."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crawler.fanout import Output
from crawler.fanout.errors import OutputError
from crawler.fanout.sinks import MemoryLog, make_sink, write_records
from crawler.fanout.sinks.fields import columns_of
from crawler.fanout.sinks.parquet import ParquetFile
from crawler.fanout.sinks.sink import Sink
from tests.peers.finished import finished


def opened(output: Output, state: Path, log: MemoryLog, committed: tuple[int, int] | None = None) -> Sink:
    """An open sink, cut to what is committed."""
    sink = make_sink(output, state)
    sink.begin(log, committed)
    sink.open()
    if committed is not None:
        sink.cut(*committed)
    return sink


def statuses(path: Path) -> list[int]:
    """One column of a file."""
    column: list[int] = pq.read_table(path)["status"].to_pylist()
    return column


def test_a_file_has_typed_columns(tmp_path: Path) -> None:
    """Every column of the record has its type, in files without a value for it, too."""
    output = Output(tmp_path / "out.parquet", "parquet")
    sink = opened(output, tmp_path / "state", MemoryLog())
    record = {
        "url": "http://h/\udc80", "status": 200, "timing": {"total": 0.5}, "started_at": "2026-11-21T06:50:01.120Z",
        "conn_reused": True, "attempt_errors": ["a", "b"], "meta": {"x": [1]}, "error": None, "bytes": 2**70,
    }  # fmt: skip
    write_records([sink], finished(record, {"error": {"kind": "dns_timeout"}, "status": "no number"}))
    sink.finish()
    sink.close()

    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column_names == list(columns_of(output))
    assert table.schema.field("status").type == pa.int64()
    assert table.schema.field("timing.total").type == pa.float64()
    assert table.schema.field("started_at").type == pa.timestamp("us", "UTC")
    assert pq.read_metadata(tmp_path / "out.parquet").row_group(0).column(0).compression == "ZSTD"
    first, second = table.to_pylist()
    assert (first["status"], first["timing.total"], first["conn_reused"]) == (200, 0.5, True)
    assert (first["attempt_errors"], first["meta"], first["bytes"]) == (["a", "b"], '{"x":[1]}', None)
    assert first["started_at"] == datetime(2026, 11, 21, 6, 50, 1, 120_000, UTC)
    assert (second["error.kind"], second["status"]) == ("dns_timeout", None)
    row = sink.describe(with_digest=True)
    assert (row["path"], row["rows"]) == (str(tmp_path / "out.parquet"), 2)
    assert row["bytes"] == (tmp_path / "out.parquet").stat().st_size
    assert len(str(row["sha256"])) == 64


def test_extracted_fields_keep_their_types(tmp_path: Path) -> None:
    """Columns of items have the types that `extract` gives them; what does not fit is null, and the row stays."""
    columns = {"n": "int", "p": "decimal", "d": "date", "t": "datetime", "b": "bool", "j": "json", "f": "float"}
    rows: list[dict[str, Any]] = [
        {"n": 7, "p": "12.50", "d": "2026-11-21", "t": "2026-11-21T01:02:03+02:00", "b": False, "j": {"a": 1}, "f": 1},
        {"n": "x", "p": "many", "d": "never", "t": "soon", "b": "yes", "j": None, "f": "y"},
        {"p": "1e40"},
    ]
    ParquetFile(columns, "none").write(iter(rows), tmp_path / "a.parquet")

    first, second, third = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert first == {
        "n": 7, "p": Decimal("12.5"), "d": date(2026, 11, 21), "t": datetime(2026, 11, 20, 23, 2, 3, tzinfo=UTC),
        "b": False, "j": '{"a":1}', "f": 1.0,
    }  # fmt: skip
    assert set(second.values()) == set(third.values()) == {None}


def test_row_groups_have_a_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large file is a row of groups, none much larger than it should be."""
    monkeypatch.setattr("crawler.fanout.sinks.parquet.ROW_GROUP_SIZE", 10_000)
    monkeypatch.setattr("crawler.fanout.sinks.parquet._BATCH", 100)
    ParquetFile({"a": "str"}, "none").write(({"a": "x" * 50} for _ in range(1000)), tmp_path / "a.parquet")

    metadata = pq.read_metadata(tmp_path / "a.parquet")
    assert metadata.num_rows == 1000
    assert metadata.num_row_groups == 5


def test_the_next_run_goes_on_with_the_file(tmp_path: Path) -> None:
    """What was committed and what comes make one file; what no commit vouches for is not in it."""
    output, log = Output(tmp_path / "out.parquet", "parquet"), MemoryLog()
    sink = opened(output, tmp_path / "state", log)
    write_records([sink], finished({"status": 1}, {"status": 2}))
    mark = (sink.offset, sink.rows)
    sink.finish()
    assert statuses(tmp_path / "out.parquet") == [1, 2]
    write_records([sink], finished({"status": 99}))
    sink.close()

    again = opened(output, tmp_path / "state", log, committed=mark)
    write_records([again], finished({"status": 3}))
    again.finish()
    again.close()

    assert statuses(tmp_path / "out.parquet") == [1, 2, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parquet", "state"]


def test_parts_are_published_when_they_are_complete(tmp_path: Path) -> None:
    """A part that has its rows is a file at once, and what was collected for it goes; the last one comes at the end."""
    output = Output(tmp_path / "out-{seq}.parquet", "parquet", roll_rows=3)
    log = MemoryLog()
    sink = opened(output, tmp_path / "state", log)
    write_records([sink], finished(*({"status": n} for n in range(7))))

    assert sorted(path.name for path in tmp_path.glob("*.parquet")) == ["out-0.parquet", "out-1.parquet"]
    assert len(list((tmp_path / "state" / "outputs").iterdir())) == 1
    mark = (sink.offset, sink.rows)
    sink.close()

    again = opened(output, tmp_path / "state", log, committed=mark)
    write_records([again], finished({"status": 7}))
    again.finish()
    again.close()

    assert [statuses(tmp_path / f"out-{n}.parquet") for n in range(3)] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    described = again.describe(with_digest=False)
    assert [part["rows"] for part in described["parts"]] == [3, 3, 2]  # type: ignore[attr-defined]


def test_no_rows_are_a_file_with_columns(tmp_path: Path) -> None:
    """So that whoever reads it finds what was expected."""
    sink = opened(Output(tmp_path / "out.parquet", "parquet", fields=("url",)), tmp_path / "state", MemoryLog())
    sink.finish()
    sink.close()

    table = pq.read_table(tmp_path / "out.parquet")
    assert (table.num_rows, table.column_names) == (0, ["url"])


def test_a_file_of_others_is_left_alone(tmp_path: Path) -> None:
    """Nothing can be appended to it."""
    (tmp_path / "out.parquet").write_text("mine")
    with pytest.raises(OutputError, match=r"out\.parquet exists already, and nothing can be appended"):
        opened(Output(tmp_path / "out.parquet", "parquet"), tmp_path / "state", MemoryLog())
    assert (tmp_path / "out.parquet").read_text() == "mine"

"""Parquet as a list of URLs."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from crawler.jobs.inputs import InputFile, find_files, read_columns, read_rows
from crawler.jobs.lines import InputError


def written(folder: Path, columns: dict[str, object], name: str = "list.parquet") -> Path:
    """A file with small row groups."""
    parquet.write_table(pa.table(columns), folder / name, row_group_size=2)
    return folder / name


def test_rows_of_every_type(tmp_path: Path) -> None:
    """Values come as JSON has them."""
    columns: dict[str, object] = {
        "url": ["http://a/", "http://b/", None],
        "n": [1, None, 3],
        "f": [0.5, float("nan"), float("inf")],
        "when": [datetime(2024, 1, 2, 3), None, None],
        "day": [date(2024, 1, 2), None, None],
        "price": [Decimal("1.50"), None, None],
        "raw": [b"text", b"\xff\x00", None],
        "tags": [["x", "y"], [], None],
        "nested": [{"a": b"b"}, None, None],
        "ok": [True, False, None],
    }
    files = find_files(written(tmp_path, columns).name, tmp_path, None)
    rows = list(read_rows(files))

    assert read_columns(files[0]) == list(columns)
    assert rows[0].fields == {
        "url": "http://a/",
        "n": 1,
        "f": 0.5,
        "when": "2024-01-02T03:00:00",
        "day": "2024-01-02",
        "price": "1.50",
        "raw": "text",
        "tags": ["x", "y"],
        "nested": {"a": "b"},
        "ok": True,
    }
    assert (rows[1].fields["f"], rows[1].fields["raw"], rows[2].fields["f"]) == (None, "ff00", None)
    assert [row.number for row in rows] == [1, 2, 3]
    assert rows[2].place.endswith("list.parquet[2]")


def test_several_files(tmp_path: Path) -> None:
    """A glob of parts is one list."""
    written(tmp_path, {"url": ["http://a/"]}, "part-1.parquet")
    written(tmp_path, {"url": ["http://b/", "http://c/"]}, "part-2.parquet")
    rows = list(read_rows(find_files("part-*.parquet", tmp_path, None)))

    assert [(row.number, row.fields["url"]) for row in rows] == [(1, "http://a/"), (2, "http://b/"), (3, "http://c/")]


def test_what_is_no_parquet(tmp_path: Path) -> None:
    """The message names the file; standard input cannot be read so."""
    (tmp_path / "list.parquet").write_text("http://a/\n")
    with pytest.raises(InputError, match=r"list\.parquet: cannot read it as Parquet"):
        read_columns(find_files("list.parquet", tmp_path, None)[0])
    with pytest.raises(InputError, match="cannot be read from standard input"):
        list(read_rows([InputFile("<stdin>", None, "parquet")]))

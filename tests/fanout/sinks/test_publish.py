"""Outputs in object stores: parts collected here, uploaded when they are complete."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from crawler.fanout import Output
from crawler.fanout.errors import OutputError
from crawler.fanout.sinks import MemoryLog, make_sink, write_records
from crawler.fanout.sinks.compress import open_packed
from tests.peers.finished import finished


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty folder of a store."""
    if request.param == "file":
        yield f"file://{tmp_path}/store"
        return
    url = f"memory://{uuid.uuid4().hex}"
    yield url
    fs, path = fsspec.core.url_to_fs(url)
    if fs.exists(path):
        fs.rm(path, recursive=True)


def names(url: str) -> list[str]:
    """What lies there."""
    fs, path = fsspec.core.url_to_fs(url)
    return sorted(name.rpartition("/")[2] for name in fs.ls(path, detail=False)) if fs.exists(path) else []


def test_parts_are_uploaded_when_complete(tmp_path: Path, store: str) -> None:
    """A complete part is there at once, the last one at the end; all rows once, after a crash, too."""
    url = f"{store}/deep/out-{{seq}}.jsonl.gz"
    output, log = Output(Path(url), roll_rows=3, remote=url), MemoryLog()
    sink = make_sink(output, tmp_path / "state")
    sink.begin(log, None)
    sink.open()
    write_records([sink], finished(*({"n": n} for n in range(4))))
    assert names(f"{store}/deep") == ["out-0.jsonl.gz"]
    mark = (sink.offset, sink.rows)
    write_records([sink], finished({"n": 99}))
    sink.close()

    again = make_sink(output, tmp_path / "state")
    again.begin(log, mark)
    again.open()
    again.cut(*mark)
    write_records([again], finished({"n": 4}))
    again.finish()
    again.close()

    assert names(f"{store}/deep") == ["out-0.jsonl.gz", "out-1.jsonl.gz"]
    found = []
    for name in names(f"{store}/deep"):
        with fsspec.open(f"{store}/deep/{name}", "rb", compression="gzip") as file:
            found += [json.loads(line)["n"] for line in file]
    assert found == list(range(5))
    described = again.describe(with_digest=True)
    assert [part["path"] for part in described["parts"]] == [f"{store}/deep/out-{n}.jsonl.gz" for n in range(2)]  # type: ignore[attr-defined]


def test_tables_are_rendered_first(tmp_path: Path, store: str) -> None:
    """A Parquet file goes up whole."""
    import pyarrow.parquet as pq

    url = f"{store}/out.parquet"
    sink = make_sink(Output(Path(url), "parquet", fields=("status",), remote=url), tmp_path / "state")
    sink.begin(MemoryLog(), None)
    sink.open()
    write_records([sink], finished({"status": 1}, {"status": 2}))
    sink.finish()
    sink.close()

    with fsspec.open(url, "rb") as file:
        assert pq.read_table(file)["status"].to_pylist() == [1, 2]
    assert names(store) == ["out.parquet"]


def test_what_a_store_says_is_passed_on(tmp_path: Path) -> None:
    """A store that fails is an output that cannot be written: resumable, in one sentence, without secrets."""
    url = "memory-of-nobody://user:secret@bucket/out.jsonl"
    sink = make_sink(Output(Path("x"), remote=url), tmp_path / "state")
    sink.begin(MemoryLog(), None)
    with pytest.raises(OutputError, match="check the store and its credentials") as caught:
        sink.open()
    assert "secret" not in str(caught.value)
    sink.close()


def test_objects_of_others_are_left_alone(tmp_path: Path, store: str) -> None:
    """What is there already is not replaced."""
    with (
        fsspec.open(f"{store}/out.jsonl", "wb", auto_mkdir=True)
        if store.startswith("file")
        else fsspec.open(f"{store}/out.jsonl", "wb") as file
    ):
        file.write(b"mine")
    sink = make_sink(Output(Path("x"), remote=f"{store}/out.jsonl"), tmp_path / "state")
    sink.begin(MemoryLog(), None)
    with pytest.raises(OutputError, match="exists already"):
        sink.open()
    sink.close()


def test_reading_what_was_packed(tmp_path: Path) -> None:
    """A file without a known suffix is read as it is."""
    (tmp_path / "a").write_bytes(b"x\n")
    with open_packed(tmp_path / "a") as file:
        assert file.read() == b"x\n"

"""`crawler retry` with outputs of every format: each URL keeps one record, or nothing is changed and it is said why."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pyarrow.parquet as pq
import pytest

from crawler.fanout import CircuitPolicy, Item, Output, Plan, Politeness, RetryPolicy, Run
from crawler.fanout.reopen import NothingToRetry, reopen
from crawler.fanout.run import STATE_FILE
from crawler.fanout.sinks.compress import open_packed
from crawler.fanout.sinks.rewriting import CannotRewrite
from tests.peers.clients import ScriptedClient

FEW = ("id", "key", "status", "outcome", "error.kind")


def run(folder: Path, *outputs: Output, is_healed: bool = False) -> int:
    """Run 30 URLs of which every third fails until healed; gives the exit code."""
    client = ScriptedClient(lambda url, number: 200 if is_healed or int(url.rpartition("/")[2]) % 3 else 500)
    items = [Item(f"http://h.example/{number}", key=str(number)) for number in range(30)]
    return anyio.run(Run(plan_of(folder, *outputs), items, client=client).execute).exit_code


def plan_of(folder: Path, *outputs: Output) -> Plan:
    """A plan without retries."""
    return Plan(
        "job",
        outputs=outputs,
        state_dir=folder / "state",
        retry=RetryPolicy(attempts=1),
        politeness=Politeness(circuit=CircuitPolicy(failures=None)),
        input_id="list",
    )


def again(folder: Path, *outputs: Output) -> int:
    """Put failures back."""
    return reopen(plan_of(folder, *outputs), state_file=folder / "state" / STATE_FILE)


def rows(folder: Path, pattern: str) -> list[Any]:
    """All rows of outputs of these names, sorted by key."""
    found: list[Any] = []
    for path in folder.glob(pattern):
        if path.suffix == ".parquet":
            found += pq.read_table(path).to_pylist()
        elif path.suffix == ".csv":
            with open(path, encoding="utf-8", newline="") as file:
                found += csv.DictReader(file)
        else:
            with open_packed(path) as packed:
                found += [json.loads(line) for line in packed]
    return sorted(found, key=lambda row: int(row["key"]))


@pytest.mark.parametrize("source", ["a.jsonl", "t.csv"])
def test_every_format_keeps_one_record_per_url(tmp_path: Path, source: str) -> None:
    """Lines, compressed lines, parts and tables lose the records of what failed, and get the new ones."""
    form: Any = source.rpartition(".")[2]
    outputs = (
        Output(tmp_path / source, form),
        Output(tmp_path / "p-{seq}.jsonl", fields=FEW, roll_rows=7),
        Output(tmp_path / "z.jsonl.zst", fields=FEW),
        Output(tmp_path / "g-{seq}.csv.gz", "csv", fields=FEW, roll_rows=11),
        Output(tmp_path / "whole.parquet", "parquet", fields=FEW),
        Output(tmp_path / "ok.jsonl", fields=FEW, where="outcome == 'ok'"),
        Output(tmp_path / "tries.jsonl", records="attempts"),
        Output(tmp_path / "few.csv", "csv", fields=("key", "status")),
    )
    assert run(tmp_path, *outputs) == 1

    assert again(tmp_path, *outputs) == 10
    assert len(rows(tmp_path, source)) == len(rows(tmp_path, "p-*")) == len(rows(tmp_path, "z.jsonl.zst")) == 20
    assert run(tmp_path, *outputs, is_healed=True) == 0

    for pattern in (source, "p-*", "z.jsonl.zst", "whole.parquet", "ok.jsonl", "few.csv"):
        found = rows(tmp_path, pattern)
        assert Counter(int(row["key"]) for row in found) == Counter(range(30)), pattern
        assert {str(row["status"]) for row in found} == {"200"}
    packed = [line for path in sorted(tmp_path.glob("g-*")) for line in open_packed(path).read().splitlines()]
    assert sum(b"500" in line for line in packed) == 0
    assert len(rows(tmp_path, "tries.jsonl")) == 40
    assert not list(tmp_path.rglob("*.retry"))


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (("b.jsonl", "jsonl", {"fields": ("url",), "where": "status"}), r"b\.jsonl: its rows have no field `id`"),
        (("b-{seq}.parquet", "parquet", {"roll_rows": 5}), "parts of it are complete and were published"),
    ],
)
def test_what_cannot_be_rewritten_is_refused(tmp_path: Path, output: Any, message: str) -> None:
    """Before anything is changed."""
    name, form, keys = output
    outputs = (Output(tmp_path / "a.jsonl"), Output(tmp_path / name, form, **keys))
    run(tmp_path, *outputs)
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    with pytest.raises(CannotRewrite, match=message):
        again(tmp_path, *outputs)

    assert {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_without_an_output_that_tells_there_is_no_retry(tmp_path: Path) -> None:
    """One that has all records with what failed how."""
    outputs = (Output(tmp_path / "a.jsonl", where="status == `200`"), Output(tmp_path / "b.parquet", "parquet"))
    run(tmp_path, *outputs)
    with pytest.raises(NothingToRetry, match=r"without `where` and with the fields id, outcome, status, error\.kind"):
        again(tmp_path, *outputs)

"""Runs with outputs of every format, killed at random moments: at the end each record is in each of them once."""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from warcio.archiveiterator import ArchiveIterator

from crawler.fanout.sinks.compress import open_packed
from crawler.testbed import Testbed

URLS = 240

_PROGRAM = """
import asyncio, sys
from pathlib import Path
from crawler.fanout import BodyPolicy, Item, Output, Plan, Run

folder, url, n = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
few = ("key", "status")
remote = f"file://{folder}/store/r-{{seq}}.jsonl.zst"
plan = Plan(
    "killed",
    outputs=(
        Output(folder / "a.jsonl"),
        Output(folder / "gz.jsonl.gz"),
        Output(folder / "zst-{seq:02d}.jsonl.zst", fields=few, roll_rows=50),
        Output(folder / "t-{seq}.csv", "csv", fields=few, roll_rows=40),
        Output(folder / "size-{seq:03d}.jsonl", fields=few, roll_size=900),
        Output(folder / "whole.parquet", "parquet", fields=few),
        Output(folder / "p-{seq}.parquet", "parquet", fields=few, roll_rows=70),
        Output(folder / "w-{seq:02d}.warc.gz", "warc", roll_size=60_000, cdxj=True),
        Output(Path(remote), fields=few, roll_rows=60, remote=remote),
        Output(folder / "SUMS", "sha256sums"),
        Output(folder / f"run-{sys.argv[4]}.jsonl", fields=few, identity=str(folder / "run-{run_id}.jsonl")),
    ),
    state_dir=folder / "state",
    concurrency=16,
    input_id="list",
    body=BodyPolicy(keep="file", directory=folder / "files", memory_limit=1000, fsync=False),
)

async def main():
    items = (Item(f"{url}/bytes/{200 + 10 * i}?seed={i}", key=str(i)) for i in range(n))
    print("started", flush=True)
    return await Run(plan, items).execute()

sys.exit(asyncio.run(main()).exit_code)
"""


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    """One testbed for all processes."""
    with Testbed() as bed:
        yield bed


def start(folder: Path, bed: Testbed, run: int) -> subprocess.Popen[bytes]:
    """Start the run; returns as soon as it is about to begin."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(folder), bed.url, str(URLS), str(run)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    return process


def rows(folder: Path, pattern: str) -> list[Any]:
    """All rows of JSON lines in files of these names."""
    found = []
    for path in folder.glob(pattern):
        with open_packed(path) as file:
            found += [json.loads(line) for line in file]
    return found


def keys(folder: Path) -> dict[str, Counter[str]]:
    """The keys in each output."""
    found = {
        pattern: Counter(row["key"] for row in rows(folder, pattern))
        for pattern in ("a.jsonl", "gz.jsonl.gz", "zst-*", "size-*", "run-*", "store/*")
    }
    found["csv"] = Counter()
    for path in folder.glob("*.csv"):
        with open(path, encoding="utf-8", newline="") as file:
            found["csv"].update(row["key"] for row in csv.DictReader(file))
    for pattern in ("whole.parquet", "p-*.parquet"):
        found[pattern] = Counter(key for path in folder.glob(pattern) for key in pq.read_table(path)["key"].to_pylist())
    found["sums"] = Counter(line.rpartition("=")[2] for line in (folder / "SUMS").read_text().splitlines())
    found["warc"], found["cdxj"] = Counter(), Counter()
    for path in folder.glob("*.warc.gz"):
        with open(path, "rb") as archive:
            for record in ArchiveIterator(archive):
                if record.rec_type in ("response", "revisit"):
                    found["warc"][record.rec_headers.get_header("WARC-Target-URI").rpartition("=")[2]] += 1
    for path in folder.glob("*.cdxj"):
        found["cdxj"].update(line.partition(" ")[0].rpartition("=")[2] for line in path.read_text().splitlines())
    return found


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_moment_every_format_has_each_record_once(tmp_path: Path, bed: Testbed, seed: int) -> None:
    """Lost 0, twice 0, in lines, compressed lines, tables, archives, parts of all kinds and objects elsewhere."""
    rng = random.Random(seed)
    for run in range(3):
        with start(tmp_path, bed, run) as process:
            time.sleep(rng.uniform(0.1, 0.4))
            process.kill()

    with start(tmp_path, bed, 9) as process:
        assert process.wait(50) == 0

    for name, found in keys(tmp_path).items():
        assert found == Counter(map(str, range(URLS))), name
    places = [row["warc"] for row in rows(tmp_path, "a.jsonl")]
    assert all(Path(place["file"]).stat().st_size >= place["offset"] + place["length"] for place in places)

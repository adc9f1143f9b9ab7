"""A run in a process of its own, killed and interrupted: nothing lost, nothing recorded twice.

The process fetches from the embedded testbed of this one, with the real client. Kills come at seeded moments, whatever
the run is doing just then, and right before and after each step that matters: write, fsync, rename, record, commit.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crawler.testbed import Testbed

URLS = 300

_PROGRAM = """
import asyncio, os, signal, sys
from pathlib import Path
from crawler.fanout import BodyPolicy, Item, Output, Plan, Run, database, sinks

folder, url, n = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])

def die_at(owner, name, number, when):
    real, calls = getattr(owner, name), 0
    def wrapped(*args, **kwargs):
        nonlocal calls
        calls += 1
        is_it = calls == number  # other threads count on meanwhile
        if is_it and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        value = real(*args, **kwargs)
        if is_it:
            os.kill(os.getpid(), signal.SIGKILL)
        return value
    setattr(owner, name, wrapped)

if len(sys.argv) > 4:
    owner, name, number, when = sys.argv[4:]
    owners = {"os": os, "sink": sinks.FileSink, "frontier": database.DatabaseFrontier}
    die_at(owners[owner], name, int(number), when)

plan = Plan(
    "killed",
    outputs=(Output(folder / "out.jsonl"),),
    state_dir=folder / "state",
    concurrency=16,
    input_id="list",
    body=BodyPolicy(keep="file", directory=folder / "files", memory_limit=1000),
)

async def main():
    items = (Item(f"{url}/bytes/{200 + 10 * i}?seed={i}", key=str(i)) for i in range(n))
    run = Run(plan, items)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, run.stop, "interrupted")
    loop.add_signal_handler(signal.SIGTERM, run.stop, "terminated")
    print("started", flush=True)
    return await run.execute()

sys.exit(asyncio.run(main()).exit_code)
"""


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    """One testbed for all processes."""
    with Testbed() as bed:
        yield bed


def start(folder: Path, bed: Testbed, *death: str) -> subprocess.Popen[bytes]:
    """Start the run; returns as soon as it is about to begin."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(folder), bed.url, str(URLS), *death], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    return process


def records(folder: Path) -> list[dict[str, Any]]:
    """All whole records; a killed process may leave a torn line behind them."""
    path = folder / "out.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]


def check_all_done(folder: Path) -> None:
    """Each URL has one record, and each record its whole file under a name of its own."""
    done = records(folder)
    assert Counter(int(record["key"]) for record in done) == Counter(range(URLS))
    paths = {record["path"] for record in done}
    assert len(paths) == URLS
    for record in done:
        assert record["outcome"] == "ok", record
        assert (folder / "files" / record["path"]).stat().st_size == record["bytes"] == 200 + 10 * int(record["key"])
    assert list((folder / "files").rglob("*.part")) == []


@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_the_same_command_finishes(tmp_path: Path, bed: Testbed, seed: int) -> None:
    """After some kills at random moments one more run finishes: lost 0, recorded twice 0, one file each."""
    rng = random.Random(seed)
    for _ in range(4):
        with start(tmp_path, bed) as process:
            time.sleep(rng.uniform(0.0, 0.4))
            process.kill()

    with start(tmp_path, bed) as process:
        assert process.wait(50) == 0

    check_all_done(tmp_path)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("owner", "step", "number"),
    [
        ("os", "write", "70"),
        ("os", "fsync", "99"),
        ("os", "rename", "50"),
        ("sink", "append", "1"),
        ("frontier", "add", "1"),
        ("frontier", "lease", "2"),
        ("frontier", "claim", "40"),
        ("frontier", "_settle", "1"),
        ("frontier", "commit", "1"),
        ("frontier", "end_input", "1"),
        ("frontier", "close", "1"),
    ],
)
def test_killed_at_each_step_the_same_command_finishes(
    tmp_path: Path, bed: Testbed, owner: str, step: str, number: str, when: str
) -> None:
    """Right before and right after the step a kill loses nothing and doubles nothing."""
    with start(tmp_path, bed, owner, step, number, when) as process:
        assert process.wait(50) == -signal.SIGKILL

    with start(tmp_path, bed) as process:
        assert process.wait(50) == 0

    check_all_done(tmp_path)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted_it_leaves_whole_records(tmp_path: Path, bed: Testbed, number: int, code: int) -> None:
    """A signal in the middle drains: whole records, the exit code of the signal, and the next run goes on."""
    with start(tmp_path, bed) as process:
        deadline = time.monotonic() + 20
        while len(records(tmp_path)) < 20 and time.monotonic() < deadline:
            time.sleep(0.005)
        os.kill(process.pid, number)
        assert process.wait(30) in (code, 0)  # 0 if it was faster than the signal

    data = (tmp_path / "out.jsonl").read_bytes()
    assert data.endswith(b"\n")
    first = records(tmp_path)
    assert len(first) >= 20

    with start(tmp_path, bed) as process:
        assert process.wait(50) == 0
    check_all_done(tmp_path)
    assert records(tmp_path)[: len(first)] == first

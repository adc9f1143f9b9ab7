"""Large downloads in a process that is killed again and again: the same command finishes, every byte right."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crawler.testbed import Testbed
from crawler.testbed.content import pieces

SIZE = 12_000_000
FILES = 4

_PROGRAM = """
import asyncio, sys
from pathlib import Path
from crawler.fanout import BodyPolicy, HostLimits, Item, Output, Plan, Politeness, Run
from crawler.fanout.download_policy import DownloadPolicy

folder, url, size, files, segments = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:6])
plan = Plan(
    "killed",
    outputs=(Output(folder / "out.jsonl"),),
    state_dir=folder / "state",
    concurrency=8,
    politeness=Politeness(limits=HostLimits(concurrency=8)),
    input_id="list",
    bandwidth=60e6 if len(sys.argv) > 6 else None,
    body=BodyPolicy(keep="file", directory=folder / "files", max_size=None),
    download=DownloadPolicy(segments=segments, segment_min_size=2_000_000, preallocate=sys.argv[6:] == ["reserve"]),
)
items = [Item(f"{url}/range/{size}?seed={n}", key=str(n), path=f"dir/{n}.bin") for n in range(files)]
print("started", flush=True)
sys.exit(asyncio.run(Run(plan, items).execute()).exit_code)
"""


@pytest.mark.parametrize(("segments", "slow"), [(1, "slow"), (4, "slow"), (1, "reserve")])
def test_killed_at_any_moment_the_same_command_finishes(tmp_path: Path, segments: int, slow: str) -> None:
    """After kills at random moments one more run finishes: one record each, whole files, nothing beside them."""
    rng = random.Random(segments)
    with Testbed() as bed:
        command = [sys.executable, "-c", _PROGRAM, str(tmp_path), bed.url, str(SIZE), str(FILES), str(segments)]
        seen: set[str] = set()
        for _ in range(3):
            with subprocess.Popen([*command, slow], stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                process.stdout.readline()
                deadline = time.monotonic() + 10
                while not any((tmp_path / "files").rglob("*.part")) and time.monotonic() < deadline:
                    time.sleep(0.01)
                time.sleep(rng.uniform(0.0, 0.2))
                process.kill()
            seen |= {path.name for path in (tmp_path / "files").rglob("*.part")}
        done = subprocess.run(command, timeout=50, check=False, stdout=subprocess.PIPE)

    assert done.returncode == 0
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    assert sorted(record["key"] for record in records) == [str(n) for n in range(FILES)]
    assert seen  # the kills did come into downloads
    for record in records:
        expected = hashlib.sha256(b"".join(pieces(0, SIZE, record["key"]))).hexdigest()
        path = tmp_path / "files" / record["path"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == expected == record["sha256"]
        assert record["bytes"] == path.stat().st_size == SIZE
    assert sorted(path.name for path in (tmp_path / "files" / "dir").iterdir()) == [f"{n}.bin" for n in range(FILES)]

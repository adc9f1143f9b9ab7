"""A run whose disk stays full: it ends with exit code 4, and the same command goes on when there is room."""

from __future__ import annotations

import functools
import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from crawler.fanout import Item, RetryPolicy, Run, StopLimits
from crawler.fanout.disk import DiskGuard
from crawler.testbed.raw import RawConnection, RawServer
from tests.peers.downloads import DATA, ETAG, SHA256, download, files, head, plan_of

pytestmark = pytest.mark.anyio

KEPT_FREE = 10**9


def serve(connection: RawConnection) -> None:
    """Serve the file, or the rest of it that is asked for."""
    match = re.search(rb"(?i)range: bytes=(\d+)-", connection.read_request())
    start = 0 if match is None else int(match[1])
    status = "200 OK" if match is None else "206 Partial Content"
    line = f"Content-Range: bytes {start}-{len(DATA) - 1}/{len(DATA)}"
    connection.send(head(status, len(DATA) - start, line, ETAG, "Connection: close") + DATA[start:])


async def test_no_room_for_too_long_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is lost: what was written stays, every URL is pending, and with room the run goes on from there."""
    room = 2 * 1024 * 1024  # above what is to stay free

    def look(path: Path) -> SimpleNamespace:
        nonlocal room
        found, room = room, room if is_enough else 0  # it is gone by the second look
        return SimpleNamespace(f_bavail=KEPT_FREE + found, f_frsize=1)

    monkeypatch.setattr("crawler.fanout.disk.os.statvfs", look)
    monkeypatch.setattr("crawler.fanout.disk.LOOK_WHILE_WAITING_S", 0.01)
    # Ten minutes, as a moment.
    monkeypatch.setattr("crawler.fanout.download_setup.DiskGuard", functools.partial(DiskGuard, patience=0.1))
    plan = plan_of(tmp_path, stop=StopLimits(disk_free=KEPT_FREE), retry=RetryPolicy(attempts=1))
    with RawServer(serve) as server:
        items = [Item(f"{server.url}/{name}.bin", path=f"{name}.bin", key=name) for name in "abc"]
        is_enough = False
        run = Run(plan, items)
        outcome = await run.execute()

        assert (outcome.state, outcome.exit_code) == ("stopped", 4)
        assert os.strerror(28) in outcome.message
        assert outcome.summary["pending"] == 3
        assert run.stats.paused is None
        assert not any(name.endswith(".bin") for name in files(tmp_path))
        parts = {name: size for name, size in files(tmp_path).items() if name.endswith(".part")}
        assert parts

        is_enough, room = True, 10**12
        outcome, records = await download(plan, *items)

    assert outcome.exit_code == 0
    assert [record["sha256"] for record in records] == [SHA256] * 3
    assert files(tmp_path) == {f"{name}.bin": len(DATA) for name in "abc"}
    resumed = {record["path"]: record["resumed_from"] for record in records}
    assert {name for name, start in resumed.items() if start} <= {name.removesuffix(".part") for name in parts}
    assert any(resumed.values())

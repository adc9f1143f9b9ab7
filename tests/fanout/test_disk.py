"""Waiting for room on the disk."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest

from crawler.fanout.clock import loop_clock
from crawler.fanout.disk import DiskGuard

pytestmark = pytest.mark.anyio


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Says how much is free."""
    room = [0]

    def look(path: object) -> SimpleNamespace:
        return SimpleNamespace(f_bavail=room[0], f_frsize=1)

    monkeypatch.setattr("crawler.fanout.disk.os.statvfs", look)
    monkeypatch.setattr("crawler.fanout.disk.LOOK_WHILE_WAITING_S", 0.01)
    return lambda n: room.__setitem__(0, n)


async def test_everybody_waits_and_goes_on(tmp_path: Path, free: Callable[[int], None]) -> None:
    """Below the limit all writes wait, one sentence is said, and with room all go on."""
    told: list[str | None] = []
    guard = DiskGuard(tmp_path, 1000, loop_clock(), told.append)
    free(500)
    waits: list[float] = []

    async def write() -> None:
        waits.append(await guard.admit(10))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(write)
        await anyio.sleep(0.05)
        assert not waits
        free(5000)

    assert len(waits) == 3
    assert len(told) == 2
    assert "paused: less than 1000 bytes free" in str(told[0])
    assert told[1] is None
    assert await guard.admit(10) == 0.0


async def test_the_limit_cannot_be_passed_unseen(tmp_path: Path, free: Callable[[int], None]) -> None:
    """Half of the room may be written before it looks again."""
    guard = DiskGuard(tmp_path, 1000, loop_clock())
    free(2000)
    assert await guard.admit(400) == 0.0
    free(900)
    assert await guard.admit(400) == 0.0
    with anyio.move_on_after(0.05) as scope:
        await guard.admit(400)
    assert scope.cancelled_caught


async def test_patience_ends(tmp_path: Path, free: Callable[[int], None]) -> None:
    """Without room for long it is an error, for whoever looks and for whoever waits."""
    guard = DiskGuard(tmp_path, 1000, loop_clock(), patience=0.05)
    errors: list[int | None] = []

    async def write() -> None:
        try:
            await guard.admit(10)
        except OSError as error:
            errors.append(error.errno)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(write)

    assert errors == [errno.ENOSPC] * 3


async def test_a_cancelled_watcher_leaves_the_others_looking(tmp_path: Path, free: Callable[[int], None]) -> None:
    """Whoever looks may be cancelled; the next one looks."""
    guard = DiskGuard(tmp_path, 1000, loop_clock())
    done = []

    async def write() -> None:
        await guard.admit(10)
        done.append(1)

    async with anyio.create_task_group() as group:
        with anyio.move_on_after(0.03):
            await guard.admit(10)
        group.start_soon(write)
        await anyio.sleep(0.03)
        free(10_000)
    assert done == [1]

"""A run holds back before the system ends it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from crawler.fanout import Item, Plan, RetryPolicy, Run, StopLimits, memory
from crawler.fanout.memory import MemoryWatch, memory_share


def _container(folder: Path, limit: str, current: int, cached: int) -> None:
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{current}\n")
    (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\nfile 9\n")


def test_the_limit_is_the_containers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Files that the kernel only keeps in its cache do not count."""
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    _container(tmp_path, "1000", 900, 500)
    assert memory_share() == pytest.approx(0.4)


def test_without_a_limit_it_is_the_machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A group without a limit, and no group at all: what this process holds of all there is."""
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    shares = [memory_share()]
    _container(tmp_path, "max", 900, 500)
    shares.append(memory_share())
    for share in shares:
        assert share is None or 0 < share < 1


def test_it_holds_back_until_there_is_room_and_gives_up_in_the_end() -> None:
    """A tenth below the limit it goes on; what is not known is no reason to wait."""
    watch = MemoryWatch(0.8, patience=30.0)
    assert [watch.note(share, now) for now, share in enumerate((0.5, 0.79, None))] == [False] * 3
    assert _holds(watch) is False
    assert not watch.note(0.8, 10.0)
    assert _holds(watch) is True
    assert not watch.note(0.75, 39.0)
    assert watch.note(0.75, 40.0)
    assert not watch.note(0.71, 41.0)
    assert _holds(watch) is False


def _holds(watch: MemoryWatch) -> bool:
    return watch.is_holding_back


@pytest.mark.anyio
async def test_a_run_waits_and_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """While too much is used no request begins; afterwards all are made."""
    shares = iter([0.99, 0.99])
    seen: list[tuple[float, int]] = []

    def share() -> float:
        now = next(shares, 0.1)
        seen.append((now, run.stats.attempts))
        return now

    monkeypatch.setattr("crawler.fanout.run.memory_share", share)
    items = [Item(f"http://127.0.0.1:1/{n}") for n in range(3)]
    plan = Plan("job", state_dir=tmp_path, stop=StopLimits(memory=0.5), retry=RetryPolicy(attempts=1))
    run = Run(plan, _slow(items))
    outcome = await run.execute()

    assert outcome.state == "finished"
    assert run.stats.done == 3
    held = [attempts for now, attempts in seen if now > 0.5]
    assert held
    assert held[-1] <= 1


async def _slow(items: list[Item]) -> AsyncIterator[Item]:
    yield items[0]
    await anyio.sleep(0.4)  # longer than the first look takes
    for item in items[1:]:
        yield item


@pytest.mark.anyio
async def test_a_run_that_nothing_helps_ends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With what is left still pending, and the limit named."""
    monkeypatch.setattr("crawler.fanout.run.memory_share", lambda: 0.99)
    monkeypatch.setattr("crawler.fanout.run.MemoryWatch", lambda limit: MemoryWatch(limit, patience=0.1))

    async def endless() -> AsyncIterator[Item]:
        while True:
            yield Item("http://127.0.0.1:1/")
            await anyio.sleep(0.05)

    outcome = await Run(Plan("job", state_dir=tmp_path), endless()).execute()
    assert (outcome.state, outcome.exit_code) == ("stopped", 3)
    assert outcome.summary["limits_hit"] == ["stop.memory: 0.85"]

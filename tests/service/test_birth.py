"""Processes of runs: forked by the nursery, killed, replaced; and what they inherit."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from crawler.service import birth
from crawler.service.birth import LOST, Nursery, pair

pytestmark = pytest.mark.skipif(not birth.CAN_FORK, reason="this system does not fork")


async def born(nursery: Nursery, folder: Path) -> tuple[birth.Child, asyncio.StreamReader, asyncio.StreamWriter]:
    """A child, with our end of its pipe."""
    ours, theirs = pair()
    with theirs, open(folder / "log", "ab") as log:  # noqa: ASYNC230  # nobody else runs in this loop
        child = await nursery.bear(theirs, log, inline=False)
    return child, *(await asyncio.open_connection(sock=ours))


def order(folder: Path) -> bytes:
    """An order that is refused at once: there is no such job."""
    values = {"run_id": "R", "job": str(folder / "none.yaml"), "folder": str(folder), "inline": False}
    return orjson.dumps({**values, "begun": 0.0, "allow": [], "grace": 1.0}) + b"\n"


def test_children_live_and_end_by_themselves(tmp_path: Path) -> None:
    """Two at once; each answers on its own pipe, writes its own log, and its exit code is told."""

    async def body() -> None:
        nursery = Nursery()
        for child, reader, writer in [await born(nursery, tmp_path), await born(nursery, tmp_path)]:
            writer.write(order(tmp_path))
            said = orjson.loads(await reader.readline())
            assert (said["kind"], said["exit_code"]) == ("refused", 2)
            assert await child.wait() == 2
            assert await reader.read() == b""
            writer.close()
        await nursery.close()

    asyncio.run(body())
    assert (tmp_path / "log").read_text(encoding="utf-8").count("none.yaml") == 2


def test_a_child_is_killed_and_the_others_go_on(tmp_path: Path) -> None:
    """Its code is the signal; its end closes its pipe and nobody else's."""

    async def body() -> None:
        nursery = Nursery()
        (first, reader, writer), (second, other_reader, other_writer) = [
            await born(nursery, tmp_path) for _ in range(2)
        ]
        first.kill()
        assert await first.wait() == LOST
        assert await reader.read() == b""
        first.kill()  # again: nobody is hit
        other_writer.write(order(tmp_path))
        assert orjson.loads(await other_reader.readline())["kind"] == "refused"
        assert await second.wait() == 2
        writer.close()
        other_writer.close()
        await nursery.close()

    asyncio.run(body())


def test_a_lost_nursery_is_replaced(tmp_path: Path) -> None:
    """What it bore counts as lost, and the next child comes from another one."""

    async def body() -> None:
        nursery = Nursery()
        child, _, writer = await born(nursery, tmp_path)
        assert nursery._process is not None
        nursery._process.kill()
        assert await child.wait() == LOST
        writer.close()
        child, reader, writer = await born(nursery, tmp_path)
        writer.write(order(tmp_path))
        assert orjson.loads(await reader.readline())["kind"] == "refused"
        assert await child.wait() == 2
        writer.close()
        await nursery.close()

    asyncio.run(body())

"""A cap on the bytes of a run, and the least speed of a download."""

from __future__ import annotations

import anyio
import pytest

from crawler.fanout.bandwidth import Bandwidth, SpeedWatch, TooSlow
from crawler.fanout.clock import loop_clock


def test_bytes_take_their_time() -> None:
    """Over any stretch no more than the rate is let through, whatever the pieces and the pauses."""
    bandwidth = Bandwidth(1000.0, lambda: 0.0)

    assert bandwidth.reserve(500, 10.0) == pytest.approx(0.5)
    assert bandwidth.reserve(500, 10.0) == pytest.approx(1.0)  # the second in line waits for the first
    assert bandwidth.reserve(100, 20.0) == pytest.approx(0.1)  # time that nobody used is gone
    assert Bandwidth(None, lambda: 0.0).reserve(10**9, 0.0) == 0.0


@pytest.mark.anyio
async def test_streams_share_the_rate() -> None:
    """Ten streams at once take as long as one would for all of it."""
    clock = loop_clock()
    bandwidth = Bandwidth(100_000.0, clock)
    began = clock()

    async def stream() -> None:
        for _ in range(10):
            await bandwidth.pace(200)

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(stream)

    assert clock() - began >= 0.19


@pytest.mark.anyio
async def test_too_slow_is_an_error_of_its_own() -> None:
    """Nothing at all is too slow, too; enough bytes make room for the next stretch."""
    with pytest.raises(TooSlow), SpeedWatch(1000.0, 0.05, loop_clock()):
        await anyio.sleep(5)
    with SpeedWatch(1000.0, 0.2, loop_clock()) as watch:
        for _ in range(10):
            await anyio.sleep(0.03)
            watch.count(200)
    with SpeedWatch(None, 0.01, loop_clock()):
        await anyio.sleep(0.03)


@pytest.mark.anyio
async def test_waits_of_ours_are_excused() -> None:
    """What the disk or the cap took does not count against the server."""
    with SpeedWatch(1000.0, 0.05, loop_clock()) as watch:
        watch.excuse(10.0)
        await anyio.sleep(0.1)

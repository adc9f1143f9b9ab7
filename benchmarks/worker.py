"""One client in a process of its own: `python -m benchmarks.worker LOAD` prints a sample as JSON.

A client is warmed first: its connections are open and its code has run when the clock starts. The loop is uvloop for
all of them, where it is installed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterable, Coroutine, Iterator
from dataclasses import asdict
from typing import Any, Final, TypeVar

from benchmarks.clients import AWAITED, BLOCKING, Send
from benchmarks.loads import Load, Sample

WARM_WAVES: Final = 3
"""Requests that each task sends before the clock starts."""

T = TypeVar("T")


class Meter:
    """Counts responses between `start` and `stop`, and the time they take."""

    def __init__(self) -> None:
        self.requests = 0
        self.body_bytes = 0

    def start(self) -> None:
        """Start both clocks."""
        self._cpu = time.process_time()
        self._wall = time.perf_counter()

    def add(self, body_bytes: int) -> None:
        """Count one response."""
        self.requests += 1
        self.body_bytes += body_bytes

    def stop(self) -> Sample:
        """Stop both clocks."""
        seconds, cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu
        return Sample(self.requests, seconds, cpu, self.body_bytes, peak_mib())


def measure(load: Load, meter: Meter) -> Sample:
    """Do what the load says."""
    if load.kind == "blocking":
        return blocking(load, meter)
    awaited = {
        "async": requests_at_once,
        "gather": gathered,
        "as_completed": completed,
        "download": download,
        "hold": hold,
    }
    return run(awaited[load.kind](load, meter))


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on uvloop, or where that is missing on asyncio's own loop."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def requests_at_once(load: Load, meter: Meter) -> Sample:
    """`concurrency` tasks, each of which sends one request after another."""
    async with AWAITED[load.client](load) as send:
        await warm(send, load.concurrency)
        meter.start()
        end = time.perf_counter() + load.seconds

        async def work() -> None:
            while time.perf_counter() < end:
                meter.add(await send())

        await asyncio.gather(*(work() for _ in range(load.concurrency)))
        return meter.stop()


async def warm(send: Send, concurrency: int) -> None:
    """Open the connections, and run the code."""
    for _ in range(WARM_WAVES):
        await asyncio.gather(*(send() for _ in range(concurrency)))


def blocking(load: Load, meter: Meter) -> Sample:
    """One request after another in this thread; or one large body."""
    with BLOCKING[load.client](load) as send:
        if load.path != "/1g.bin":
            send()
        meter.start()
        end = time.perf_counter() + load.seconds
        while True:
            meter.add(send())
            if time.perf_counter() >= end:
                return meter.stop()


async def gathered(load: Load, meter: Meter) -> Sample:
    """The engine's `gather` of a lazy list of URLs, with a client of its own."""
    import crawler

    await crawler.gather([load.url] * load.concurrency, concurrency=load.concurrency)
    meter.start()
    for result in await crawler.gather(urls(load), concurrency=load.concurrency):
        meter.add(body_of(result))
    return meter.stop()


async def completed(load: Load, meter: Meter) -> Sample:
    """The engine's `as_completed` of a lazy list of URLs, with a client of its own."""
    import crawler

    await crawler.gather([load.url] * load.concurrency, concurrency=load.concurrency)
    meter.start()
    results: AsyncIterable[crawler.Result] = crawler.as_completed(urls(load), concurrency=load.concurrency)
    async for result in results:
        meter.add(body_of(result))
    return meter.stop()


def urls(load: Load) -> Iterator[str]:
    """The same URL until the time is over."""
    end = time.perf_counter() + load.seconds
    while time.perf_counter() < end:
        yield load.url


def body_of(result: Any) -> int:
    """The size of a result's body; every response must be a good one."""
    assert result.status == 200, result.error
    return len(result.response.content)


async def download(load: Load, meter: Meter) -> Sample:
    """One large body, streamed to /dev/null."""
    async with AWAITED[load.client](load) as fetch:
        meter.start()
        meter.add(await fetch())
        return meter.stop()


async def hold(load: Load, meter: Meter) -> Sample:
    """Open `concurrency` connections at once, by as many requests that the server answers slowly."""
    async with AWAITED[load.client](load) as send:
        meter.start()
        waiting = asyncio.gather(*(send() for _ in range(load.concurrency)))
        held = 0
        while not waiting.done():
            await asyncio.sleep(0.25)
            held = max(held, open_sockets())
        for size in await waiting:
            meter.add(size)
        if held < load.concurrency:
            raise RuntimeError(f"{load.client} held {held} connections, not {load.concurrency}")
        return meter.stop()


def open_sockets() -> int:
    """How many sockets this process holds; needs /proc."""
    count = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            count += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:  # closed since it was listed
            continue
    return count


def peak_mib() -> float:
    """The most resident memory of this process so far, in MiB; 0 where /proc does not tell.

    (`ru_maxrss` will not do: on Linux it begins with that of the process that started this one.)
    """
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def main(arguments: list[str]) -> None:
    """Do the load that the first argument holds, and print the sample."""
    print(json.dumps(asdict(measure(Load.parse(arguments[0]), Meter()))))


if __name__ == "__main__":
    main(sys.argv[1:])

"""What a write of a download costs the event loop: one visit to a thread that writes and hashes, beside `aiofiles`.

    python -m benchmarks.disk_writes [--megabytes 512] [--rounds 3]

Each way writes the same pieces to a file of its own in one folder, four streams at once, as downloads do: a piece is
handed over, and the stream waits for the one before it. Printed are the processor time of the event loop's thread per
piece (what the loop cannot do anything else in) and the megabytes per second of all, each of its best round.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import aiofiles
import anyio.to_thread
import uvloop

STREAMS: Final = 4
SIZES: Final = (64 * 1024, 128 * 1024, 256 * 1024)

Way = Callable[[Path, bytes, int], Awaitable[str]]


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ways: dict[str, Way] = {
        "ours: one visit writes and hashes": _one_visit,
        "the same visit through anyio": _anyio,
        "aiofiles, hashed in the loop": _aiofiles_loop,
        "aiofiles, hashed in another visit": _aiofiles_visit,
    }
    print(f"{STREAMS} streams, {options.megabytes} MB, {options.rounds} rounds; µs of the loop per piece, MB/s")
    for size in SIZES:
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(options.rounds):
            for name, way in ways.items():
                found[name].append(_measure(way, size, options.megabytes * 1_000_000))
        for name, runs in found.items():
            micros, rate = min(run[0] for run in runs), max(run[1] for run in runs)
            print(f"  {size // 1024:4} KiB  {name:<36}{micros:8.1f} {rate:8.0f}")


def _measure(way: Way, size: int, total: int) -> tuple[float, float]:
    piece, pieces = os.urandom(size), total // size // STREAMS

    async def work(folder: Path) -> tuple[float, float]:
        begun, spent = time.perf_counter(), time.thread_time()
        digests = await asyncio.gather(*(way(folder / str(n), piece, pieces) for n in range(STREAMS)))
        assert len(set(digests)) == 1
        spent, seconds = time.thread_time() - spent, time.perf_counter() - begun
        return 1e6 * spent / (pieces * STREAMS), pieces * STREAMS * size / seconds / 1e6

    with tempfile.TemporaryDirectory(prefix="crawler-writes-") as folder:
        return uvloop.run(work(Path(folder)))


_POOL: Final = ThreadPoolExecutor(20)


async def _one_visit(path: Path, piece: bytes, n: int) -> str:
    digest, fd = hashlib.sha256(), os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)
    loop = asyncio.get_running_loop()

    def write(at: int) -> None:
        os.pwrite(fd, piece, at)
        digest.update(piece)

    for number in range(n):
        await loop.run_in_executor(_POOL, write, number * len(piece))
    os.close(fd)
    return digest.hexdigest()


async def _anyio(path: Path, piece: bytes, n: int) -> str:
    digest, fd = hashlib.sha256(), os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)

    def write(at: int) -> None:
        os.pwrite(fd, piece, at)
        digest.update(piece)

    for number in range(n):
        await anyio.to_thread.run_sync(write, number * len(piece))
    os.close(fd)
    return digest.hexdigest()


async def _aiofiles_loop(path: Path, piece: bytes, n: int) -> str:
    digest = hashlib.sha256()
    async with aiofiles.open(path, "wb", buffering=0) as file:
        for _ in range(n):
            await file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


async def _aiofiles_visit(path: Path, piece: bytes, n: int) -> str:
    digest, loop = hashlib.sha256(), asyncio.get_running_loop()
    async with aiofiles.open(path, "wb", buffering=0) as file:
        for _ in range(n):
            await file.write(piece)
            await loop.run_in_executor(_POOL, digest.update, piece)
    return digest.hexdigest()


if __name__ == "__main__":
    main()

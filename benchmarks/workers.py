"""Several processes against one: `python -m benchmarks.workers`.

The same list over several hosts, fetched by one process, and by crews of one process and more. What each process
computes per record is the figure that counts: where there are cores, the run is as fast as its busiest process. So the
last column says how many workers one keeper of the books can serve before it is the busiest itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.servers import running_server
from crawler.fanout.shares import rendezvous

AT_ONCE: Final = 64
HOSTS_EACH: Final = 2
MOST_SERVERS: Final = 24

PROGRAM: Final = """
import asyncio, json, sys, time
from pathlib import Path
import uvloop
from crawler.fanout import HostLimits, Item, Output, Plan, Politeness, Run
from crawler.fanout.crew_run import CrewRun

folder, urls, count, workers, at_once = json.loads(sys.argv[1])
plan = Plan(
    "workers", outputs=(Output(Path(folder) / "results.jsonl"),), state_dir=Path(folder) / "state", concurrency=at_once,
    politeness=Politeness(limits=HostLimits(concurrency=at_once)),
)
items = (Item(f"{urls[n % len(urls)]}/1k.bin?i={n}") for n in range(count))
run = CrewRun(plan, items, workers) if workers else Run(plan, items)

async def main():
    before, started = time.process_time(), time.perf_counter()
    outcome = await run.execute()
    taken = {"seconds": time.perf_counter() - started, "books": time.process_time() - before}
    taken["workers"] = run.crew.cpu_seconds if workers else 0.0
    assert outcome.summary["counts"]["ok"] == count, outcome.summary["counts"]
    print(json.dumps(taken))

with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(main())
"""


def measure(urls: list[str], count: int, workers: int) -> dict[str, float]:
    """Fetch the list once in a program of its own; 0 workers are a run of one process.

    Raises:
        RuntimeError: It failed.
    """
    with tempfile.TemporaryDirectory(prefix="crawler-workers-") as folder:
        told = json.dumps([folder, urls, count, workers, AT_ONCE])
        done = subprocess.run([sys.executable, "-c", PROGRAM, told], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-2000:])
        with (Path(folder) / "results.jsonl").open("rb") as records:
            written = sum(1 for _ in records)
    if written != count:
        raise RuntimeError(f"{written} records of {count} URLs")
    taken: dict[str, float] = json.loads(done.stdout)
    return taken


def servers_for(stack: ExitStack, workers: int) -> list[str]:
    """Start servers until each of so many workers has the same number of hosts.

    Raises:
        RuntimeError: They do not come out even.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    homes: dict[int, list[str]] = {number: [] for number in range(workers)}
    for _ in range(MOST_SERVERS):
        url = stack.enter_context(running_server(set(cores))).plain
        home = homes[rendezvous(url, workers)]
        if len(home) < HOSTS_EACH:
            home.append(url)
        if all(len(home) == HOSTS_EACH for home in homes.values()):
            return [home[number] for number in range(HOSTS_EACH) for home in homes.values()]
    raise RuntimeError("the hosts do not come out even; try again")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.workers", description=__doc__.splitlines()[0])
    parser.add_argument("--urls", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most", type=int, default=2, help="workers at most")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        urls = servers_for(stack, options.most)
        samples: dict[int, list[dict[str, float]]] = {number: [] for number in range(options.most + 1)}
        for _ in range(options.rounds):
            for number, taken in samples.items():
                taken.append(measure(urls, options.urls, number))
    print(f"{options.urls:,} URLs of 1 KiB on {len(urls)} hosts, {AT_ONCE} at once each, medians of {options.rounds}\n")
    print(f"{'':14} {'URLs/s':>9} {'books µs':>9} {'worker µs':>10} {'in all':>8} {'workers to fill books':>22}")
    for number, taken in samples.items():
        seconds, books, workers = (
            median(one[name] for one in taken) / options.urls * 1e6 for name in ("seconds", "books", "workers")
        )
        name = f"{number} workers" if number else "one process"
        most = f"{workers / books:.1f}" if number else ""
        print(f"{name:14} {1e6 / seconds:9,.0f} {books:9.1f} {workers:10.1f} {books + workers:8.1f} {most:>22}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

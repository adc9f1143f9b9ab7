"""What the service reaches: start drift, viewers, answers while a run fetches, kills. About three minutes.

    python -m benchmarks.service [drift] [viewers] [kills]

Service, test server and this process are three; on a machine with other work the figures say what was left of it, so
the load is printed with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import crawler

JOBS, SPREAD_S = 500, 30
VIEWERS, MEASURED_S = 100, 10.0
KILLS = 10
_TICKS = os.sysconf("SC_CLK_TCK")


class Served:
    """`crawler serve` in a process of its own."""

    def __init__(self, folder: Path, *more: str) -> None:
        command = [sys.executable, "-m", "crawler.cli", "serve", "--port", "0", "--allow-network", "127.0.0.1", *more]
        command += ["--anonymous", "--jobs", str(folder / "jobs"), "--state", str(folder / "state")]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        found = re.search(r"http://\S+(?=;)", self.process.stdout.readline())
        assert found is not None, "the service did not start"
        self.url = found[0]
        self._client = crawler.Client(timeout=30)

    def get(self, path: str) -> Any:
        """GET JSON."""
        return self._client.get(self.url + path).json()

    def start(self, job: str) -> str:
        """Start a run; gives its id."""
        return str(self._client.post(f"{self.url}/v1/runs", json={"job": job}).json()["id"])

    def runs(self) -> list[dict[str, Any]]:
        """All runs."""
        found: list[dict[str, Any]] = []
        before = ""
        while True:
            page = self.get(f"/v1/runs?limit=200{before}")
            found += page["runs"]
            if page["before"] is None:
                return found
            before = f"&before={page['before']}"

    def cpu(self) -> float:
        """Processor seconds of the service's own process."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def end(self, number: int = signal.SIGTERM) -> None:
        """Send a signal and wait for the end."""
        self._client.close()
        self.process.send_signal(number)
        self.process.communicate(timeout=30)


@contextlib.contextmanager
def testbed() -> Iterator[str]:
    """The test server in a process of its own."""
    command = [sys.executable, "-m", "crawler.cli", "testbed", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found is not None, "the test server did not start"
        yield found[0]
    finally:
        process.terminate()
        process.communicate(timeout=30)


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A folder for jobs and state."""
    with tempfile.TemporaryDirectory(prefix="crawler-bench-") as name:
        (Path(name) / "jobs").mkdir()
        yield Path(name)


def write(where: Path, name: str, text: str) -> None:
    """Write a job file, at once whole."""
    path = where / "jobs" / f"{name}.yaml"
    path.with_suffix(".part").write_text(text, encoding="utf-8")
    path.with_suffix(".part").rename(path)


def percentiles(values: list[float]) -> str:
    """p50, p99 and the largest, as milliseconds."""
    ordered = sorted(values)
    at = [ordered[min(int(len(ordered) * share), len(ordered) - 1)] for share in (0.5, 0.99, 1)]
    return "p50 {:.0f} ms, p99 {:.0f} ms, max {:.0f} ms".format(*(value * 1000 for value in at))


def load() -> str:
    """The machine's load now, and how many processors it is for."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


# -- drift ----------------------------------------------------------------------------------------------------------


def drift(bed: str) -> None:
    """500 jobs whose starts fall on all seconds of half a minute; then 500 in the same second."""
    for words, spread in (("over 30 s", SPREAD_S), ("in one second", 0)):
        with folder() as where:
            every = 45 if spread else 30
            text = f"urls: [{bed}/get]\nschedule: {{every: {every}s}}\nbody: {{keep: none}}\n"
            if not spread:
                for n in range(JOBS):
                    write(where, f"job-{n}", text)
            served = Served(where)
            for n in range(JOBS if spread else 0):
                write(where, f"job-{n}", text)
                time.sleep(spread / JOBS)
            first: dict[str, dict[str, Any]] = {}
            deadline = time.monotonic() + 240
            while len(first) < JOBS and time.monotonic() < deadline:
                time.sleep(3)
                first |= {run["job"]: run for run in served.runs() if run["started"] and run["resumes"] == 0}
            queued = [_instant(run["created"]) - _instant(run["slot"]) for run in first.values()]
            started = [_instant(run["started"]) - _instant(run["slot"]) for run in first.values()]
            print(
                f"{len(first)} jobs due {words}: due to queued {percentiles(queued)}; "
                f"due to its process {percentiles(started)} ({load()})",
                flush=True,
            )
            served.end()


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


# -- viewers and answers ----------------------------------------------------------------------------------------------


def viewers(bed: str) -> None:
    """What 100 listeners cost, and how long the API takes, while a run fetches as fast as it can."""
    with folder() as where:
        (where / "jobs" / "many.txt").write_text("".join(f"{bed}/get?n={n}\n" for n in range(2_000_000)))
        polite = "per_host: {concurrency: 64, rate: null}\nconcurrency: 64\nbody: {keep: none}\n"
        write(where, "full", f"input: {{path: many.txt}}\n{polite}")
        served = Served(where)
        run_id = served.start("full")
        while served.get(f"/v1/runs/{run_id}")["progress"].get("done", 0) < 1000:
            time.sleep(0.2)
        alone = _share(served, MEASURED_S)
        asyncio.run(_watch(served, alone))
        rate = served.get(f"/v1/runs/{run_id}")["progress"]["rate"]["mean"]
        times = []
        for n in range(400):
            began = time.perf_counter()
            served.get(("/v1/jobs", "/v1/runs?limit=50", f"/v1/runs/{run_id}")[n % 3])
            times.append(time.perf_counter() - began)
            time.sleep(0.01)
        print(f"API beside a run at {rate:.0f}/s: {percentiles(times)} ({load()})", flush=True)
        served.end()


async def _watch(served: Served, alone: float) -> None:
    got = Counter[str]()

    async def view(client: crawler.AsyncClient) -> None:
        async with client.stream("GET", f"{served.url}/v1/events", timeout=None) as answer:
            async for line in answer.aiter_lines():
                got["events"] += line.startswith("event:")

    async with crawler.AsyncClient(limits=crawler.Limits(max_connections=VIEWERS + 10)) as client:
        tasks = [asyncio.create_task(view(client)) for _ in range(VIEWERS)]
        await asyncio.sleep(2)
        got.clear()
        share = await asyncio.to_thread(_share, served, MEASURED_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    print(
        f"{VIEWERS} viewers: {got['events'] / MEASURED_S:.0f} events/s; the service takes {share:.1%} of a core "
        f"with them, {alone:.1%} without ({load()})",
        flush=True,
    )


def _share(served: Served, seconds: float) -> float:
    before, began = served.cpu(), time.monotonic()
    time.sleep(seconds)
    return (served.cpu() - before) / (time.monotonic() - began)


# -- kills ------------------------------------------------------------------------------------------------------------


def kills(bed: str) -> None:
    """kill -9 at any moment, again and again: no run lost, no slot twice, no record twice or missing."""
    with folder() as where:
        urls = "".join(f"  - {bed}/delay/20ms?n={n}\n" for n in range(40))
        schedule = "schedule: {every: 10s, overlap: queue, catch_up: all, start_deadline: 1h}\n"
        polite = "per_host: {concurrency: 4, rate: null}\nbody: {keep: none}\n"
        for n in range(5):
            write(where, f"often-{n}", f"urls:\n{urls}{schedule}{polite}")
        rng = random.Random(1)
        for _ in range(KILLS):
            served = Served(where)
            time.sleep(rng.uniform(0.5, 6.0))
            served.end(signal.SIGKILL)
        for n in range(5):
            write(where, f"often-{n}", f"urls:\n{urls}{polite}")
        served = Served(where)
        while any(run["state"] not in ("finished", "skipped", "missed", "failed") for run in served.runs()):
            time.sleep(0.5)
        runs = served.runs()
        wrong = sum(_records(where, run) != 40 for run in runs if run["started"])
        slots = Counter((run["job"], run["slot"]) for run in runs)
        states = Counter(run["state"] for run in runs)
        print(
            f"{KILLS} kills: {dict(states)}, {sum(run['resumes'] > 0 for run in runs)} of them went on; "
            f"slots twice: {sum(n > 1 for n in slots.values())}; runs with records lost or twice: {wrong} ({load()})"
        )
        served.end()


def _records(where: Path, run: dict[str, Any]) -> int:
    path = where / "state" / "runs" / run["job"] / run["id"] / "results.jsonl"
    lines = [json.loads(line)["key"] for line in path.read_text(encoding="utf-8").splitlines()]
    return len(set(lines)) if len(set(lines)) == len(lines) else -1


def main() -> None:
    """Run what the arguments name; nothing is everything."""
    parts = {"drift": drift, "viewers": viewers, "kills": kills}
    with testbed() as bed:
        for name in sys.argv[1:] or parts:
            parts[name](bed)


if __name__ == "__main__":
    main()

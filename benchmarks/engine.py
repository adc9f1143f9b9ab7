"""The engine against other programs that fetch lists: `python -m benchmarks.engine`.

Each program is one process from its start to its end, on a core of its own; nginx has the other one. Ours keeps a
durable state and writes a record of every URL, as `crawler run` does without being asked. Rounds are interleaved; the
table has medians. Two rows take some minutes and are asked for by name (`--only million`): the memory of a run over a
million URLs, and how long after its start the run that goes on with the last 100,000 sends its first request.

Scrapy is better kept in an environment of its own: `--scrapy .venv-scrapy/bin/python`, or CRAWLER_BENCH_SCRAPY.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.servers import Server, pin, running_server

AT_ONCE: Final = 64
GOALS: Final = {"curl": 2.0, "scrapy": 30.0, "aria2c": 20.0, "wget2": 8.0}
"""How many times as fast as each we want to be."""

MOST_MIB: Final = 300.0
MOST_RESUME_S: Final = 5.0

SPIDER: Final = """
import scrapy

class Spider(scrapy.Spider):
    name = "list"
    custom_settings = {
        "CONCURRENT_REQUESTS": 64, "CONCURRENT_REQUESTS_PER_DOMAIN": 64, "LOG_LEVEL": "ERROR", "ROBOTSTXT_OBEY": False,
        "TELNETCONSOLE_ENABLED": False, "FEEDS": {"records.jsonl": {"format": "jsonlines"}},
    }

    async def start(self):
        for request in self.start_requests():
            yield request

    def start_requests(self):
        with open("urls.txt") as urls:
            for url in urls:
                yield scrapy.Request(url.strip())

    def parse(self, response):
        yield {"url": response.url, "status": response.status, "size": len(response.body)}
"""


@dataclass(frozen=True)
class Process:
    """What one process took.

    Attributes:
        seconds: From start to end.
        cpu_s: User and system, its children included.
        peak_mib: The most memory it ever held.
    """

    seconds: float
    cpu_s: float
    peak_mib: float


def run(command: Sequence[str], folder: Path, core: set[int], ok: Sequence[int] = (0,)) -> Process:
    """Run a program in a folder.

    Raises:
        RuntimeError: It failed.
    """
    with (folder / "said.txt").open("wb") as said:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said, preexec_fn=lambda: pin(core))
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = code = os.waitstatus_to_exitcode(status)
    if code not in ok:
        raise RuntimeError(f"{command[0]} ended with {code}: {(folder / 'said.txt').read_text()[-1000:]}")
    return Process(seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def crawler_command(**options: str) -> list[str]:
    """`crawler run` of the job in the folder."""
    sets = [part for name, value in options.items() for part in ("--set", f"{name.replace('__', '.')}={value}")]
    return [sys.executable, "-m", "crawler.cli", "run", "job.yaml", "--out", "out", "--quiet", *sets]


def commands(scrapy: str | None) -> dict[str, list[str]]:
    """The programs that are installed, and how each is told to do the work in its folder."""
    found: dict[str, list[str]] = {"crawler": crawler_command()}
    if shutil.which("curl"):
        found["curl"] = ["curl", "-s", "-S", "--parallel", "--parallel-max", str(AT_ONCE), "--config", "curl.txt"]
    if shutil.which("aria2c"):
        found["aria2c"] = [
            "aria2c",
            "-q",
            f"-j{AT_ONCE}",
            "-x1",
            "--file-allocation=none",
            "-d",
            "files",
            "-i",
            "aria2.txt",
        ]
    if shutil.which("wget2"):
        found["wget2"] = ["wget2", "-q", f"--max-threads={AT_ONCE}", "-O", "/dev/null", "-i", "urls.txt"]
    if scrapy is not None:
        found["scrapy"] = [str(Path(scrapy).absolute()), "-m", "scrapy", "runspider", "spider.py"]
    return found


def write_work(folder: Path, server: Server, count: int) -> None:
    """The same list in the form that each program reads, and our job."""
    urls = [f"{server.plain}/1k.bin?i={number}" for number in range(count)]
    (folder / "urls.txt").write_text("\n".join(urls) + "\n")
    (folder / "curl.txt").write_text("".join(f'url = "{url}"\noutput = /dev/null\n' for url in urls))
    (folder / "aria2.txt").write_text("".join(f"{url}\n  out={number}\n" for number, url in enumerate(urls)))
    (folder / "spider.py").write_text(SPIDER)
    job = {
        "version": 1,
        "name": "engine",
        "input": {"path": "urls.txt"},
        "concurrency": AT_ONCE,
        "per_host": {"concurrency": AT_ONCE},
        "output": [{"path": "results.jsonl"}],
    }
    (folder / "job.yaml").write_text(json.dumps(job))


def clear(folder: Path) -> None:
    """Take away what a program left."""
    for name in ("out", "files"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "records.jsonl").unlink(missing_ok=True)


def check_records(folder: Path, count: int) -> None:
    """See to it that ours wrote a record of every URL.

    Raises:
        RuntimeError: It did not.
    """
    with (folder / "out" / "results.jsonl").open("rb") as records:
        written = sum(1 for _ in records)
    if written != count:
        raise RuntimeError(f"{written} records of {count} URLs")


def compare(server: Server, count: int, rounds: int, scrapy: str | None, core: set[int]) -> bool:
    """The row of the speeds; gives whether every goal was met."""
    samples: dict[str, list[Process]] = {}
    with tempfile.TemporaryDirectory(prefix="crawler-engine-") as name:
        folder = Path(name)
        write_work(folder, server, count)
        for _ in range(rounds):
            for program, command in commands(scrapy).items():
                samples.setdefault(program, []).append(run(command, folder, core))
                if program == "crawler":
                    check_records(folder, count)
                clear(folder)
    ours = median(sample.seconds for sample in samples["crawler"])
    print(f"{count:,} URLs of 1 KiB, {AT_ONCE} at once, whole processes, medians of {rounds}\n")
    print(f"{'':10} {'seconds':>9} {'URLs/s':>9} {'µs CPU':>8} {'MiB':>7} {'ours is':>9} {'wanted':>7}")
    is_met = True
    for program, taken in samples.items():
        seconds = median(sample.seconds for sample in taken)
        cpu_us = median(sample.cpu_s for sample in taken) / count * 1e6
        mib = median(sample.peak_mib for sample in taken)
        goal = GOALS.get(program)
        said = "" if goal is None else f"{seconds / ours:8.2f}x {goal:6.0f}x"
        print(f"{program:10} {seconds:9.2f} {count / seconds:9,.0f} {cpu_us:8.1f} {mib:7.1f} {said}")
        is_met = is_met and (goal is None or seconds / ours >= goal)
    return is_met


def million(server: Server, done: int, pending: int, core: set[int]) -> bool:
    """The rows of memory and of going on; gives whether both goals were met."""
    with tempfile.TemporaryDirectory(prefix="crawler-engine-") as name:
        folder = Path(name)
        write_work(folder, server, done + pending)
        taken = run(crawler_command(stop__requests=str(done)), folder, core, ok=(3,))
        print(f"{done:,} URLs of {done + pending:,}: {taken.seconds:.0f} s, {taken.peak_mib:.0f} MiB")
        seconds = first_request(server, lambda: _begin(folder, core))
        print(f"going on with {pending:,} after {done:,}: first request after {seconds:.2f} s")
    return taken.peak_mib <= MOST_MIB and seconds <= MOST_RESUME_S


def _begin(folder: Path, core: set[int]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(crawler_command(), cwd=folder, preexec_fn=lambda: pin(core))


def first_request(server: Server, begin: Callable[[], subprocess.Popen[bytes]]) -> float:
    """Seconds from the start of a program until it has opened a connection to the server; it is ended then.

    Raises:
        RuntimeError: It ended by itself.
    """
    before = server.accepted()
    asked = 0  # each question opens a connection, too
    started = time.perf_counter()
    process = begin()
    try:
        while process.poll() is None:
            asked += 1
            if server.accepted() - before > asked:
                return time.perf_counter() - started
            time.sleep(0.02)
    finally:
        process.kill()
        process.wait()
    raise RuntimeError(f"the program ended with {process.returncode} before it sent anything")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; the exit status is 0 if every goal was met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__.splitlines()[0])
    parser.add_argument("--urls", type=int, default=50_000, help="in the row of the speeds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=["speed", "million"], default="speed")
    parser.add_argument("--done", type=int, default=1_000_000, help="of --only million: fetched before it goes on")
    parser.add_argument("--pending", type=int, default=100_000, help="of --only million: left over")
    parser.add_argument("--scrapy", default=os.environ.get("CRAWLER_BENCH_SCRAPY"), help="a Python that has Scrapy")
    options = parser.parse_args(arguments)
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    servers, core = (set(cores[:1]), set(cores[1:2])) if len(cores) > 1 else (set(), set())
    with running_server(servers) as server:
        if options.only == "million":
            is_met = million(server, options.done, options.pending, core)
        else:
            is_met = compare(server, options.urls, options.rounds, options.scrapy, core)
    return 0 if is_met else 1


if __name__ == "__main__":
    sys.exit(main())

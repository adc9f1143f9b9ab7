"""Downloads to disk: eight files of 100 MB with SHA-256, beside `curl -Z` followed by `sha256sum`, and aria2c.

    python -m benchmarks.downloads [--files 8] [--rounds 5] [--only crawler]

nginx serves from memory on one core; what downloads runs on the other. Each round runs every way once, into an empty
folder on the same disk. `fsync` is off, as the others do not wait for the disk either; a row with it shows its price.
Python's hashlib uses OpenSSL, which knows more of the processor than the `sha256sum` of some systems: so there is a row
with `openssl dgst`, too. aria2c and plain curl hash nothing.

The lag of the event loop is how much too late a sleep of 5 ms ends. Most of it is waiting for a core: the bench gives
crawler one for the loop and its threads, and others may be using the machine. Where the system tells how long a thread
waited for a core (Linux), `own` is the lag without that: what the loop was busy with itself.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks.machine import choose_cores
from benchmarks.servers import MEDIUM, find_nginx, running_server

RATIO: Final = 0.9
"""Of the speed of curl and sha256sum."""
RSS_MIB: Final = 150
LAG_MS: Final = 10
_EVERY_S: Final = 0.005


def main() -> None:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", action="append", help="a way of the table")
    parser.add_argument("--worker", nargs=3, metavar=("URL", "FOLDER", "FSYNC"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker is not None:
        url, folder, fsync = options.worker
        print(json.dumps(_download(url, options.files, Path(folder), fsync == "1")))
        return
    if find_nginx() is None:
        sys.exit("nginx is not installed (for example: apt-get install nginx)")
    _compare(options.files, options.rounds, options.only or [])


def _compare(files: int, rounds: int, only: list[str]) -> None:
    cores = choose_cores()
    clients = set(cores.clients)
    with running_server(set(cores.server)) as server, tempfile.TemporaryDirectory(prefix="crawler-downloads-") as root:
        url = f"{server.plain}/100m.bin"
        ways: dict[str, Callable[[Path], dict[str, float]]] = {
            "crawler": lambda folder: _crawler(url, files, folder, clients, fsync=False),
            "curl, sha256sum": lambda folder: _curl(url, files, folder, clients, ["sha256sum"]),
            "curl, openssl dgst": lambda folder: _curl(url, files, folder, clients, ["openssl", "dgst", "-sha256"]),
            "curl": lambda folder: _curl(url, files, folder, clients, []),
            "aria2c": lambda folder: _aria2(url, files, folder, clients),
            "crawler, fsync": lambda folder: _crawler(url, files, folder, clients, fsync=True),
        }
        if shutil.which("aria2c") is None:
            del ways["aria2c"]
        ways = {name: way for name, way in ways.items() if not only or name in only}
        found: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
        for number in range(rounds):
            names = list(ways)
            for name in names[number % len(names) :] + names[: number % len(names)]:
                folder = Path(root) / "files"
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                os.sync()  # the way before has no part in this one
                found[name].append(ways[name](folder))
    _print(found, files * MEDIUM / 1e6)


def _print(found: dict[str, list[dict[str, float]]], megabytes: float) -> None:
    print(f"{megabytes:.0f} MB, {len(next(iter(found.values())))} rounds; seconds: best, median, worst")
    for name, runs in found.items():
        seconds = sorted(run["seconds"] for run in runs)
        line = f"  {name:<18}{seconds[0]:6.2f} {statistics.median(seconds):6.2f} {seconds[-1]:6.2f}"
        line += f"   {megabytes / statistics.median(seconds):6.0f} MB/s"
        if "rss" in runs[0]:
            rss, lag = max(run["rss"] for run in runs), statistics.median(run["lag_p99"] for run in runs)
            worst = max(run["lag_p99"] for run in runs)
            own = statistics.median(run["own_p99"] for run in runs)
            line += (
                f"   {rss:.0f} MiB   lag p99 {1e3 * lag:.1f} ms (worst round {1e3 * worst:.1f}), own {1e3 * own:.1f}"
            )
        print(line)
    if not {"crawler", "curl, sha256sum"} <= found.keys():
        return
    ours, theirs = found["crawler"], found["curl, sha256sum"]
    ratios = [b["seconds"] / a["seconds"] for a, b in zip(ours, theirs, strict=True)]
    lag = statistics.median(run["lag_p99"] for run in ours)
    print(f"  ratio to curl and sha256sum: {statistics.median(ratios):.2f} (must be {RATIO})")
    print(f"  memory {max(run['rss'] for run in ours):.0f} MiB (at most {RSS_MIB}), lag {1e3 * lag:.1f} ms ({LAG_MS})")


def _crawler(url: str, files: int, folder: Path, cores: set[int], *, fsync: bool) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.downloads", "--files", str(files)]
    command += ["--worker", url, str(folder), str(int(fsync))]
    done = subprocess.run(command, check=True, capture_output=True, preexec_fn=lambda: _pin(cores))
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


def _curl(url: str, files: int, folder: Path, cores: set[int], hashing: list[str]) -> dict[str, float]:
    arguments = [part for n in range(files) for part in ("-o", f"{n}.bin", f"{url}?{n}")]
    begun = time.perf_counter()
    _run(["curl", "-sZ", "--no-progress-meter", "--parallel-max", str(files), *arguments], folder, cores)
    if hashing:
        _run([*hashing, *(f"{n}.bin" for n in range(files))], folder, cores)
    return {"seconds": time.perf_counter() - begun}


def _aria2(url: str, files: int, folder: Path, cores: set[int]) -> dict[str, float]:
    listed = folder / "list.txt"
    listed.write_text("".join(f"{url}?{n}\n  out={n}.bin\n" for n in range(files)), encoding="ascii")
    begun = time.perf_counter()
    _run(["aria2c", "-q", f"-j{files}", "-x1", "-s1", "--file-allocation=none", "-i", "list.txt"], folder, cores)
    return {"seconds": time.perf_counter() - begun}


def _run(command: list[str], folder: Path, cores: set[int]) -> None:
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, preexec_fn=lambda: _pin(cores))


def _pin(cores: set[int]) -> None:
    if cores:
        os.sched_setaffinity(0, cores)


def _download(url: str, files: int, folder: Path, fsync: bool) -> dict[str, float]:
    """In a process of its own: seconds of the run, resident memory in MiB, event-loop lag in seconds."""
    import asyncio

    import uvloop

    from crawler.fanout import BodyPolicy, HostLimits, Item, Plan, Politeness, Run
    from crawler.fanout.download_policy import DownloadPolicy
    from crawler.models import Timeout

    plan = Plan(
        "downloads",
        concurrency=max(16, files),
        timeout=Timeout(connect=10.0, read=60.0, write=60.0, pool=None),
        politeness=Politeness(limits=HostLimits(concurrency=max(8, files))),
        body=BodyPolicy(keep="file", directory=folder, max_size=None, fsync=fsync),
        download=DownloadPolicy(),
    )
    lags: list[float] = []
    own: list[float] = []

    async def measure() -> None:
        while True:
            before, waited = time.perf_counter(), _waited_for_core()
            await asyncio.sleep(_EVERY_S)
            lags.append(time.perf_counter() - before - _EVERY_S)
            own.append(max(0.0, lags[-1] - (_waited_for_core() - waited)))

    async def work() -> float:
        items = [Item(f"{url}?{n}", path=f"{n}.bin") for n in range(files)]
        run = Run(plan, items)
        watch = asyncio.create_task(measure())
        begun = time.perf_counter()
        outcome = await run.execute()
        seconds = time.perf_counter() - begun
        watch.cancel()
        if outcome.exit_code:
            raise SystemExit(f"{outcome.message} {outcome.summary['errors']}")
        return seconds

    seconds = uvloop.run(work())
    lags.sort()
    own.sort()
    return {
        "seconds": seconds,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "lag_p99": lags[int(len(lags) * 0.99)] if lags else 0.0,
        "own_p99": own[int(len(own) * 0.99)] if own else 0.0,
    }


def _waited_for_core() -> float:
    """Seconds that this thread was ready to run, and did not; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").read_bytes().split()[1]) / 1e9
    except OSError:
        return 0.0


if __name__ == "__main__":
    main()

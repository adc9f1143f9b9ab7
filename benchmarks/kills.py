"""Nothing lost, nothing twice: a run killed again and again at random moments (`python -m benchmarks.kills`).

One job, `crawler run` of a list against nginx, is started, killed with SIGKILL at a random moment of its life (its
start-up and its end included), and started again by the same command, so many times; then it may finish. Counted are
the URLs without a record, those with two, and the requests that the server saw per URL: what was under way or not yet
committed when a kill came is fetched again.

The job has a rate, as a polite one has: at full speed a list would have to be very long to outlive so many kills. It
stops by itself: the kills are counted, and each life is bounded.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from benchmarks.servers import Server, running_server

MOST_REQUESTS: Final = 1.15
"""Requests per URL that we want to stay below."""

LONGEST_LIFE_S: Final = 3.0


def main() -> int:
    """Run it, print the table; 0 if all goals are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__.partition("\n")[0])
    parser.add_argument("--urls", type=int, default=60_000, help="length of the list")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--rate", type=int, default=400, help="requests a second")
    parser.add_argument("--seed", type=int, default=20261121, help="of the moments")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crawler-kills-") as folder, running_server(set()) as server:
        return measure(Path(folder), server, wanted.urls, wanted.kills, wanted.rate, random.Random(wanted.seed))


def measure(folder: Path, server: Server, urls: int, kills: int, rate: int, rng: random.Random) -> int:
    """Kill and finish one job; gives the exit code of the program."""
    wanted = [f"{server.plain}/1k.bin?n={number}" for number in range(urls)]
    (folder / "urls.txt").write_text("\n".join(wanted) + "\n", encoding="utf-8")
    before = server.requests()
    delivered = 0
    for number in range(kills):
        delivered += _one_life(folder, rate, rng.uniform(0.0, LONGEST_LIFE_S))
        if number % 20 == 19:
            print(f"{number + 1} kills, {server.requests() - before:,} requests", file=sys.stderr)
    code = _start(folder, 10 * rate).wait(600)
    seen = Counter(
        json.loads(line)["url"] for line in (folder / "out/results.jsonl").read_text(encoding="utf-8").splitlines()
    )
    per_url = (server.requests() - before) / urls
    lost, twice = len(set(wanted) - set(seen)), sum(n > 1 for n in seen.values())
    print(f"{delivered} of {kills} kills met a running job of {urls:,} URLs at {rate}/s; it ended with {code}")
    print(f"lost {lost} (0), recorded twice {twice} (0), requests per URL {per_url:.3f} (<= {MOST_REQUESTS})")
    return 0 if code == 0 and not lost and not twice and per_url <= MOST_REQUESTS else 1


def _one_life(folder: Path, rate: int, seconds: float) -> bool:
    """Start the job and kill it after a while; whether it still ran then."""
    process = _start(folder, rate)
    time.sleep(seconds)
    is_running = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    return is_running


def _start(folder: Path, rate: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "crawler.cli", "run", "urls.txt", "--out", "out", "--quiet"]
    settings = [f"rate={rate}/s", "per_host.concurrency=64", "retry.attempts=1"]
    options = [part for setting in settings for part in ("--set", setting)]
    return subprocess.Popen([*command, *options], cwd=folder, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    raise SystemExit(main())

"""Politeness at scale: a thousand hosts, each at its rate, for some seconds. `python -m benchmarks.politeness`.

The hosts are the addresses 127.0.0.1 to 127.0.3.232, which all lead to one testbed in a process of its own. The run is
a whole one, with a durable state and records. Starts are noted where a request is handed to the client. Two things are
judged: no interval between two starts of a host is shorter than its rate and jitter allow, and hosts are asked on
average at nearly the rate that they allow.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import fmean, quantiles
from typing import Final

import crawler
from crawler.fanout import ClientOptions, HostLimits, Item, Output, Plan, Politeness, Run
from crawler.fanout.fetch import make_client
from crawler.models import URL, Request, Response

JITTER: Final = 0.2
GOAL: Final = 0.95


class Noting:
    """A client that notes when each host was asked."""

    def __init__(self, client: crawler.AsyncClient) -> None:
        self._client = client
        self.starts: dict[str, list[float]] = defaultdict(list)

    def build_request(
        self, method: str, url: URL | str, *, headers: list[tuple[str, str]] | None = None, content: bytes | None = None
    ) -> Request:
        """Make a request."""
        return self._client.build_request(method, url, headers=headers, content=content)

    async def send(
        self, request: Request, *, stream: bool = False, follow_redirects: bool = False, auth: None = None
    ) -> Response:
        """Send a request."""
        self.starts[request.url.host].append(time.monotonic())
        return await self._client.send(request, stream=stream, follow_redirects=follow_redirects, auth=auth)


async def measure(
    folder: Path, port: int, hosts: int, rate: float, seconds: float, concurrency: int, *, is_mixed: bool
) -> dict[str, list[float]]:
    """Run once; gives the starts of each host."""
    each = int(rate * seconds) + 1
    addresses = [f"127.0.{number >> 8}.{number & 255}" for number in range(1, hosts + 1)]
    pairs = [(address, n) for n in range(each) for address in addresses]
    if not is_mixed:
        pairs.sort(key=lambda pair: pair[0])
    plan = Plan(
        "politeness",
        concurrency=concurrency,
        outputs=(Output(folder / "results.jsonl"),),
        state_dir=folder / "state",
        politeness=Politeness(limits=HostLimits(concurrency=8, rate=rate, jitter=JITTER)),
    )
    async with make_client(ClientOptions(trust_env=False), plan.timeout, hosts) as client:
        noting = Noting(client)
        items = (Item(f"http://{address}:{port}/bytes/64?n={n}") for address, n in pairs)
        outcome = await Run(plan, items, client=noting).execute()
    if outcome.exit_code:
        raise RuntimeError(f"the run ended with {outcome.exit_code}: {outcome.summary['errors']}")
    return noting.starts


@contextmanager
def testbed() -> Iterator[int]:
    """A testbed that listens on all loopback addresses, in a process of its own; gives its port."""
    with socket.create_server(("0.0.0.0", 0)) as free:
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "crawler.cli", "testbed", "--host", "0.0.0.0", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def report(starts: dict[str, list[float]], rate: float) -> bool:
    """Print what came out; whether the goals are met."""
    shortest = (1 - JITTER) / rate
    intervals = [later - earlier for times in starts.values() for earlier, later in pairwise(times)]
    # The clock counts from the moment a request may go out; it is noted microseconds later, or a garbage collection.
    kept = sum(interval >= shortest - 0.005 for interval in intervals)
    shares = [(len(times) - 1) / (times[-1] - times[0]) / rate for times in starts.values()]
    every = sorted(start for times in starts.values() for start in times)
    print(f"hosts               {len(starts)}, {len(every)} requests in {every[-1] - every[0]:.2f} s")
    print(
        f"intervals kept      {kept} of {len(intervals)} ({kept / len(intervals):.2%}), shortest {min(intervals):.4f} s"
    )
    print(f"share of the rate   mean {fmean(shares):.3f}, 5th percentile {quantiles(shares, n=20)[0]:.3f}")
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(f"CPU                 {(usage.ru_utime + usage.ru_stime) / len(every) * 1e6:.0f} µs a request")
    return kept == len(intervals) and fmean(shares) >= GOAL


def main(arguments: Sequence[str]) -> int:
    """Measure; the exit status is 0 if the goals are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.politeness", description=__doc__)
    parser.add_argument("--hosts", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=2.0, help="starts per second of each host")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--by-host", action="store_true", help="list one host after the other instead of in turn")
    options = parser.parse_args(arguments)
    with testbed() as port, tempfile.TemporaryDirectory() as folder:
        work = measure(
            Path(folder),
            port,
            options.hosts,
            options.rate,
            options.seconds,
            options.concurrency,
            is_mixed=not options.by_host,
        )
        starts = asyncio.run(work)
    return 0 if report(starts, options.rate) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""How good jobs of kind `bench` are at measuring: `python -m benchmarks.bench_kind [rate] [agree] [open] [live] …`.

rate     the closed load generator against wrk, same core, same server, in turn: its share of wrk's rate
agree    rate and response times beside those of wrk and h2load, where the server paces and the client is no limit
open     how late requests start at 5,000/s, against the timetable
live     what being watched costs the worker
memory   what a report of ten million samples takes
aa       how often two equal arms are told apart: false positives in 100 tries

`aa` runs one real arm for 60 rounds and draws 100 times 2 x 10 of them, without putting back within a try; `aa-real`
runs each of the 100 comparisons for itself, 2 arms of 5 short rounds (about five minutes).
"""

from __future__ import annotations

import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Final

from benchmarks import programs
from benchmarks.loads import Load
from benchmarks.machine import choose_cores
from benchmarks.servers import PACED, Server, pin, running_server
from crawler.bench import Arm, ArmResult, BenchPlan, BenchRun, Executor, Guard, RoundResult
from crawler.bench.assemble import Assembly
from crawler.bench.environment import describe
from crawler.bench.meter import peak_rss
from crawler.bench.recorder import Recorder
from crawler.bench.verdict import speedups
from crawler.bench.worker import PROGRESS_S, progress

SECONDS: Final = 2.0
TRIES: Final = 100
CONNECTIONS: Final = 32
SAMPLES: Final = 10_000_000
NO_GUARD: Final = Guard(None, None, None)


def measure(server: Server, arms: tuple[Arm, ...], executor: Executor, rounds: int, seed: int = 1) -> list[ArmResult]:
    """Run a plan against the server."""
    plan = BenchPlan(
        (server.plain + "/1k.bin",), arms, executor, rounds=rounds, seed=seed, warmup_requests=300, guard=NO_GUARD
    )
    return list(BenchRun(plan).execute().arms)


def rate(server: Server) -> None:
    """The rate of the load generator beside wrk's, in turn."""
    cores, wrk_rates, our_rates, cpu = choose_cores(), [], [], []
    for _ in range(5):
        load = Load("wrk", seconds=SECONDS).at(server.plain, server.ca, SECONDS)
        wrk_rates.append(programs.run(load, lambda: pin(set(cores.clients))).rate)
        (arm,) = measure(server, (Arm("async", vus=64),), Executor(duration=SECONDS), 1)
        our_rates.append(arm.rate.median or 0.0)
        cpu.append((arm.cpu_per_request or 0.0) * 1e6)
    shares = [ours / theirs for ours, theirs in zip(our_rates, wrk_rates, strict=True)]
    print(f"rate: wrk {statistics.median(wrk_rates):,.0f}/s, ours {statistics.median(our_rates):,.0f}/s", end="")
    print(f" at {statistics.median(cpu):.1f} us; share {statistics.median(shares):.2f}", end="")
    print(f" ({min(shares):.2f} to {max(shares):.2f}), goal 0.5")


def agree(server: Server) -> None:
    """What wrk, h2load and we say of a server that paces: it answers 500 requests a second, the others wait in line."""
    cores, told = choose_cores(), dict[str, list[tuple[float, float, float]]]()
    url = server.plain + "/paced.bin"
    arm = Arm("async", vus=CONNECTIONS, url=url)
    for _ in range(5):
        for name, measured in (("wrk", wrk_says), ("h2load --h1", h2load_says)):
            told.setdefault(name, []).append(measured(url, lambda: pin(set(cores.clients))))
        (ours,) = measure(server, (arm,), Executor(duration=SECONDS + 1), 1)
        times = ours.response_time.percentiles
        told.setdefault("crawler bench", []).append((ours.rate.median or 0.0, times["p50"] or 0.0, times["p99"] or 0.0))
    print(f"agree: {CONNECTIONS} connections to a server that answers {PACED}/s; median of 5 turns (least to most)")
    for name, rows in told.items():
        rates, middles, tails = zip(*rows, strict=True)
        print(f"  {name:14} {_spread(rates, 1, '/s')}  p50 {_spread(middles, 1000, ' ms')}", end="")
        print(f"  p99 {_spread(tails, 1000, ' ms')}")


def _spread(values: Sequence[float], scale: float, unit: str) -> str:
    middle, low, high = (scale * value for value in (statistics.median(values), min(values), max(values)))
    return f"{middle:.1f}{unit} ({low:.1f} to {high:.1f})"


def wrk_says(url: str, start: Callable[[], None]) -> tuple[float, float, float]:
    """Rate, p50 and p99 in seconds as wrk reports them."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS + 1:.0f}s", "--latency", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True, preexec_fn=start).stdout
    rate_found = re.search(r"Requests/sec: +([\d.]+)", said)
    assert rate_found, said
    middle, tail = (re.search(rf" {percent}% +([\d.]+)(us|ms|s)", said) for percent in (50, 99))
    assert middle, said
    assert tail, said
    units = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
    return float(rate_found[1]), float(middle[1]) * units[middle[2]], float(tail[1]) * units[tail[2]]


def h2load_says(url: str, start: Callable[[], None]) -> tuple[float, float, float]:
    """Rate, p50 and p99 in seconds from h2load's log of requests: its own summary has no percentiles."""
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "log")
        command = ["h2load", "--h1", "-t1", f"-c{CONNECTIONS}", "-m1", "-D", f"{SECONDS + 1:.0f}", "--log-file", log]
        said = subprocess.run([*command, url], capture_output=True, text=True, check=True, preexec_fn=start).stdout
        with open(log, encoding="ascii") as lines:
            times = sorted(float(line.split()[2]) * 1e-6 for line in lines if line.split()[1] == "200")
    rate_found = re.search(r"([\d.]+) req/s", said)
    assert rate_found, said
    return float(rate_found[1]), times[len(times) // 2], times[len(times) * 99 // 100]


def live(server: Server) -> None:
    """What telling a watcher of a round costs the worker: CPU of one telling, over the quarter of a second between."""
    del server
    recorder, rng = (
        Recorder(BenchPlan(("http://127.0.0.1/",), (Arm("a"),), Executor(requests=1)), _ignore),
        random.Random(1),
    )
    recorder.sample.response.add_all([rng.lognormvariate(-6, 1) for _ in range(100_000)])
    spent = {}
    for is_live in (False, True):
        turns = []
        for _ in range(50):
            begun = time.process_time()
            json.dumps(progress(recorder, None, "measure", is_live))
            turns.append(time.process_time() - begun)
        spent[is_live] = statistics.median(turns)
    print(
        f"live: {1e3 * spent[True]:.2f} ms CPU a telling with percentiles and histogram, {1e3 * spent[False]:.2f}",
        end="",
    )
    print(f" without: {spent[True] / PROGRESS_S:.2%} and {spent[False] / PROGRESS_S:.2%} of a core; goal 1 %")


def _ignore(response: object, times: int) -> None:
    """Nobody looks closely."""


def open_loop(server: Server) -> None:
    """How late starts are at 5,000 a second."""
    (arm,) = measure(server, (Arm("async"),), Executor("constant_rate", duration=SECONDS, rate=5000), 3)
    delay = arm.send_delay
    shown = ", ".join(f"{name} {1000 * value:.2f} ms" for name, value in delay.percentiles.items() if value)
    print(f"open: {delay.count:,} starts at 5,000/s, late by {shown}, max {1000 * (delay.max or 0):.2f} ms;", end="")
    print(f" dropped {arm.dropped.count}, cpu {arm.cpu or 0:.0%}; goal p99 < 2 ms")


def memory(server: Server) -> None:
    """Peak memory of ten million samples, from the notebook of the worker to the JSON of the report."""
    del server
    before = peak_rss()
    plan = BenchPlan(("http://127.0.0.1/",), (Arm("one"),), Executor("constant_rate", duration=60, rate=5000), rounds=2)
    assembly, rng = Assembly(plan), random.Random(1)
    times = [rng.lognormvariate(-6, 1) for _ in range(4096)]
    begun = time.process_time()
    for number in range(plan.rounds):
        recorder = Recorder(plan, lambda response, times: None)
        for count in range(SAMPLES // plan.rounds):
            now = recorder.begun + count * 1e-5
            recorder.answer(now, now + 1e-5, now + times[count % 4096], (200, 1024, None))
        recorder.settle()
        recorder.sample.duration = 50.0
        assembly.add(plan.arms[0], number, recorder.sample)
    spent = time.process_time() - begun
    text = json.dumps(assembly.result(describe(), "", "").to_json())
    print(f"memory: {SAMPLES:,} samples: {peak_rss() / 2**20:.0f} MiB in all, {before / 2**20:.0f} before;", end="")
    print(f" {len(text) / 1024:.0f} KiB of JSON; {spent / SAMPLES * 1e6:.2f} us a sample; goal 150 MiB")


def resampled(server: Server) -> None:
    """False positives among pairs drawn from the rounds of one arm."""
    (arm,) = measure(server, (Arm("async", vus=16),), Executor(duration=0.2), 60)
    rng, told = random.Random(7), 0
    plan = BenchPlan(("http://127.0.0.1/",), (Arm("a"), Arm("b")), Executor(requests=1), min_effect=0.0)
    for _ in range(TRIES):
        drawn = rng.sample(arm.rounds, 20)
        rounds = {"a": renumbered(drawn[:10]), "b": renumbered(drawn[10:])}
        told += speedups(plan, rounds, frozenset())["b"].verdict != "no difference"
    spread = statistics.stdev(row.rate for row in arm.rounds) / statistics.mean(row.rate for row in arm.rounds)
    print(f"aa: {told} of {TRIES} pairs of one arm's rounds told apart, with no minimum effect", end="")
    print(f" (rounds vary by {spread:.1%}); goal at most 5")


def renumbered(rounds: list[RoundResult]) -> list[RoundResult]:
    """Rounds that pair up with others by their place."""
    from dataclasses import replace

    return [replace(row, round=number) for number, row in enumerate(rounds)]


def real(server: Server) -> None:
    """False positives among comparisons that each ran for themselves."""
    told = []
    for seed in range(TRIES):
        _, other = measure(server, (Arm("a", vus=8), Arm("b", vus=8)), Executor(requests=1000), 5, seed)
        if other.speedup.verdict != "no difference":
            told.append(other.speedup)
        if sys.stderr.isatty() or not (seed + 1) % 25:
            print(f"{seed + 1} of {TRIES} tries, {len(told)} told apart", file=sys.stderr)
    print(f"aa-real: {len(told)} of {TRIES} comparisons of two equal arms told apart; goal at most 5", *told)


PARTS: Final[dict[str, Callable[[Server], None]]] = {
    "rate": rate,
    "agree": agree,
    "open": open_loop,
    "live": live,
    "memory": memory,
    "aa": resampled,
    "aa-real": real,
}


def main(names: list[str]) -> None:
    """Run the parts named, or all but the long one."""
    cores = choose_cores()
    pin(set(cores.clients))  # workers inherit it
    with running_server(set(cores.server)) as server:
        print(f"{server.version}; clients on core {sorted(cores.clients)}, load {os.getloadavg()[0]:.1f}")
        for name in names or [part for part in PARTS if part != "aa-real"]:
            PARTS[name](server)


if __name__ == "__main__":
    main(sys.argv[1:])

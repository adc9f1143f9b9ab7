"""How good jobs of kind `bench` are at measuring: `python -m benchmarks.bench_kind [rate] [open] [memory] [aa]`.

rate     the closed load generator against wrk, same core, same server, in turn: its share of wrk's rate
open     how late requests start at 5,000/s, against the timetable
memory   what a report of ten million samples takes
aa       how often two equal arms are told apart: false positives in 100 tries

`aa` runs one real arm for 60 rounds and draws 100 times 2 x 10 of them, without putting back within a try; `aa-real`
runs each of the 100 comparisons for itself, 2 arms of 5 short rounds (about five minutes).
"""

from __future__ import annotations

import json
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from typing import Final

from benchmarks import programs
from benchmarks.loads import Load
from benchmarks.machine import choose_cores
from benchmarks.servers import Server, pin, running_server
from crawler.bench import Arm, ArmResult, BenchPlan, BenchRun, Executor, Guard, RoundResult
from crawler.bench.assemble import Assembly
from crawler.bench.environment import describe
from crawler.bench.meter import peak_rss
from crawler.bench.recorder import Recorder
from crawler.bench.verdict import speedups

SECONDS: Final = 2.0
TRIES: Final = 100
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
    "open": open_loop,
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

"""A benchmark from its plan to its result.

    for each round:
        for each arm, in shuffled order:  worker process ─▶ Sample ─▶ Assembly
    Assembly ─▶ BenchResult

Arms take turns within each round, so whatever else the machine does falls on all alike, and the order is shuffled so
that none always comes after the same one.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal

from crawler.bench.assemble import Assembly
from crawler.bench.environment import describe
from crawler.bench.errors import BenchError
from crawler.bench.live import LiveStats
from crawler.bench.plan import Arm, BenchPlan
from crawler.bench.process import Message, run_round
from crawler.bench.result import BenchResult
from crawler.bench.targets import hosts, public_hosts, refusal, too_fast

Progress = Callable[[LiveStats], None]

_TICK_S: Final = 0.25


class BenchRun:
    """Runs a benchmark.

    Args:
        plan: What to do.
        on_progress: Called four times a second, and at each change of phase, in the thread of `execute()`.
    """

    def __init__(self, plan: BenchPlan, on_progress: Progress | None = None) -> None:
        self.plan = plan
        self._on_progress = on_progress
        self._assembly = Assembly(plan)
        self._environment = describe()
        self._started = time.monotonic()
        self._started_at = _now()
        self._is_stopped = False

    def execute(self) -> BenchResult:
        """Run all rounds of all arms; blocks until they are done. Call it once.

        After `stop()` it returns what whole rounds gave. An arm whose requests fail is a result, not an error.

        Raises:
            BenchError: The target must not be put under load, a client library is missing, a server speaks another
                HTTP version, or a worker was lost; with `exit_code` and a message for people. Also if it was stopped
                before the first round was whole.
            KeyboardInterrupt: As it came; the worker is ended, and `result()` gives what there is.
        """
        public = _check_targets(self.plan)
        order = random.Random(self.plan.seed)
        steps = len(self.plan.arms) * self.plan.rounds
        self._started, self._started_at, step = time.monotonic(), _now(), 0
        for number in range(self.plan.rounds):
            places = list(range(len(self.plan.arms)))
            if self.plan.order == "shuffled":
                order.shuffle(places)
            for place in places:
                if step:
                    self._cool_down(_Step(self, place, number, step, public))
                if not self._run_step(_Step(self, place, number, step, public)):
                    return self.result()
                step += 1
        assert step == steps
        return self.result()

    def stop(self) -> None:
        """End the run: the round under way is thrown away. May be called from any thread, or a signal handler."""
        self._is_stopped = True

    def result(self) -> BenchResult:
        """Give the result of the rounds that every arm has finished.

        Raises:
            BenchError: There is none yet.
        """
        if not self._assembly.rounds:
            raise BenchError(
                "The benchmark was stopped before each arm had run once: there is nothing to compare.", 130
            )
        return self._assembly.result(self._environment, self._started_at, _now())

    def _run_step(self, step: _Step) -> bool:
        """Run one arm's round; false if it was stopped."""
        step.tell("start")
        sample = run_round(
            self.plan, step.place, step.hear, lambda: self._is_stopped, is_live=self._on_progress is not None
        )
        if sample is None:
            return False
        self._assembly.add(step.arm, step.round, sample)
        step.tell("done")
        return True

    def _cool_down(self, step: _Step) -> None:
        until = time.monotonic() + self.plan.cooldown
        while (left := until - time.monotonic()) > 0 and not self._is_stopped:
            step.tell("cooldown")
            time.sleep(min(left, _TICK_S))

    def show(self, stats: LiveStats) -> None:
        """Hand a snapshot to whoever watches."""
        if self._on_progress is not None:
            self._on_progress(stats)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._started


class _Step:
    """One arm's round, as it is told about while it runs."""

    def __init__(self, run: BenchRun, place: int, number: int, step: int, public: list[str]) -> None:
        self.place = place
        self.arm: Arm = run.plan.arms[place]
        self.round = number
        self._run = run
        self._step = step
        self._public = public
        self._before = (0.0, 0)  # elapsed and successes at the last snapshot
        self._phase = ""

    def tell(self, phase: Literal["start", "done", "cooldown"]) -> None:
        """Tell a change of phase."""
        self._show(phase, self._step + (phase == "done"), {})

    def hear(self, message: Message) -> None:
        """Pass on what the worker said.

        Raises:
            BenchError: It is too fast for a public host.
        """
        reason = too_fast(self._run.plan, self.arm, self._public, message["requests"], message["elapsed"])
        if reason is not None:
            raise BenchError(reason)
        phase = message["phase"]
        if phase != self._phase:
            self._phase, self._before = phase, (0.0, 0)
        elapsed, good = message["elapsed"], message["requests"] - message["errors"]
        seconds = elapsed - self._before[0]
        rate = (good - self._before[1]) / seconds if seconds > 0 else 0.0
        self._before = (elapsed, good)
        more = {name: message[name] for name in ("p50", "p99", "max") if name in message}
        more["buckets"] = tuple((edge, count) for edge, count in message.get("buckets", ()))
        counts = {name: message[name] for name in ("elapsed", "requests", "errors", "dropped", "loop_lag")}
        self._show(phase, self._step, {**counts, **more, "rate": rate})

    def _show(self, phase: Literal["start", "warmup", "measure", "done", "cooldown"], step: int, more: Any) -> None:
        plan = self._run.plan
        self._run.show(
            LiveStats(
                arm=self.arm.name,
                round=self.round,
                rounds=plan.rounds,
                step=step,
                steps=plan.rounds * len(plan.arms),
                phase=phase,
                planned_s=plan.executor.seconds,
                planned_requests=plan.executor.requests,
                total_elapsed=self._run.elapsed,
                **more,
            )
        )


def _check_targets(plan: BenchPlan) -> list[str]:
    """Give the public hosts of a plan.

    Raises:
        BenchError: The plan asks too much of them.
    """
    addresses = {host: _resolve(host) for host in hosts(plan)}
    reason = refusal(plan, addresses)
    if reason is not None:
        raise BenchError(reason)
    return public_hosts(addresses)


def _resolve(host: str) -> list[str]:
    with suppress(OSError):
        return sorted({str(entry[4][0]) for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)})
    return []


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""Runs the arms of a row in turn, several rounds of it, and makes the figures of their samples.

In turn, so that whatever else the machine does meanwhile falls on all of them alike; each round begins with another
arm, so that none always follows the same one.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks import programs
from benchmarks.loads import Load, Sample
from benchmarks.machine import Cores, installed
from benchmarks.rows import Arm, Row
from benchmarks.servers import Server, pin

ROOT: Final = Path(__file__).resolve().parent.parent
NOT_INSTALLED: Final = "not installed"
PATIENCE_S: Final = 120.0
"""How long one process may take beyond the time that it measures."""

IMPORT: Final = """
import json, sys, time
cpu, wall = time.process_time(), time.perf_counter()
__import__(sys.argv[1])
print(json.dumps({"requests": 1, "seconds": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}))
"""


@dataclass
class Outcome:
    """What the arms of a row did: samples by label, in the order of the rounds; and why some have none."""

    row: Row
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def median(self, label: str, figure: str = "") -> float | None:
        """The median over the rounds; None if the arm was left out."""
        values = self._values(label, figure)
        return statistics.median(values) if values else None

    def minimum(self, label: str, figure: str = "") -> float | None:
        """The least over the rounds; None if the arm was left out."""
        values = self._values(label, figure)
        return min(values) if values else None

    def _values(self, label: str, figure: str) -> list[float]:
        return [getattr(sample, figure or self.row.figure) for sample in self.samples.get(label, [])]


class Bench:
    """Runs rows against one server.

    Args:
        server: Where it is.
        cores: Whose is which.
        seconds: How long each process measures.
        rounds: How often each arm of a row runs.
        pythons: Interpreters of clients that are installed elsewhere, by name.
        say: Told what goes on.
    """

    def __init__(
        self,
        server: Server,
        cores: Cores,
        seconds: float,
        rounds: int,
        pythons: Mapping[str, str],
        say: Callable[[str], None],
    ) -> None:
        self._server = server
        self._cores = cores
        self._seconds = seconds
        self._rounds = rounds
        self._pythons = pythons
        self._say = say
        self.versions = installed(sys.executable)
        for name, python in pythons.items():
            self.versions.pop(name, None)
            self.versions.update({found: v for found, v in installed(python).items() if found == name})

    def run(self, row: Row, *, at_least: bool = True) -> Outcome:
        """Run a row. With `at_least` false, it takes no more rounds than all others, whatever the row says."""
        outcome = Outcome(row)
        arms = [arm for arm in row.arms if self._is_there(arm, outcome)]
        rounds = max(self._rounds, row.rounds) if at_least else self._rounds
        for number in range(rounds):
            turn = number % len(arms) if arms else 0
            for arm in arms[turn:] + arms[:turn]:
                if arm.label in outcome.left_out:
                    continue
                self._say(f"{row.name}: round {number + 1} of {rounds}, {arm.label}")
                self._run_arm(arm, outcome)
        return outcome

    def _is_there(self, arm: Arm, outcome: Outcome) -> bool:
        name = arm.load.client
        there = programs.find(name) is not None if name in programs.PROGRAMS else name in self.versions
        if not there:
            outcome.left_out[arm.label] = NOT_INSTALLED
        return there

    def _run_arm(self, arm: Arm, outcome: Outcome) -> None:
        load = self._server.resolve(arm.load, self._seconds)
        try:
            sample = self._run_load(load)
        except (RuntimeError, ValueError, subprocess.TimeoutExpired) as error:
            outcome.samples.pop(arm.label, None)
            outcome.left_out[arm.label] = f"failed: {str(error).strip().splitlines()[-1]}"
        else:
            outcome.samples.setdefault(arm.label, []).append(sample)

    def _run_load(self, load: Load) -> Sample:
        if load.client in programs.PROGRAMS:
            return programs.run(load, self._pin_client)
        python = self._pythons.get(load.client, sys.executable)
        work = ["-c", IMPORT, load.client] if load.kind == "import" else ["-m", "benchmarks.worker", load.dump()]
        return Sample.parse(self.start([python, *work], load))

    def start(self, command: list[str], load: Load) -> str:
        """Run a process of ours on the clients' core and give what it printed.

        Raises:
            RuntimeError: It failed.
            subprocess.TimeoutExpired: It hung.
        """
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        environment["CRAWLER_CODECS"] = load.codecs
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=load.seconds + PATIENCE_S,
            preexec_fn=self._pin_client,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr or f"status {done.returncode}")
        return done.stdout

    def _pin_client(self) -> None:
        pin(set(self._cores.clients))

"""What can be seen of a benchmark while it runs: one snapshot four times a second."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class LiveStats:
    """A snapshot, given to the `on_progress` of a `BenchRun`.

    Attributes:
        arm: Name of the arm that runs.
        round, rounds: Number of this round, from 0, and how many there are.
        step, steps: How many (arm, round) pairs are finished, and how many there are.
        phase: `start` (the process loads), `warmup`, `measure`, `done` (this arm's round is finished), `cooldown`.
        elapsed: Seconds since the measuring of this round began.
        planned_s: Seconds it is to take; `None` if it ends after `planned_requests`.
        planned_requests: Requests it is to make; `None` if it ends after `planned_s`.
        requests, errors, dropped: Of this round so far.
        rate: Successes per second since the last snapshot.
        p50, p99, max: Response times in seconds of this round so far.
        buckets: The same as a coarse histogram: (upper edge in seconds, count), ascending, at most 32.
        loop_lag: Worst lateness of a timer since the last snapshot, in seconds; `None` for `sync`.
        total_elapsed: Seconds since the whole run began.
    """

    arm: str
    round: int
    rounds: int
    step: int
    steps: int
    phase: Literal["start", "warmup", "measure", "done", "cooldown"]
    elapsed: float = 0.0
    planned_s: float | None = None
    planned_requests: int | None = None
    requests: int = 0
    errors: int = 0
    dropped: int = 0
    rate: float = 0.0
    p50: float | None = None
    p99: float | None = None
    max: float | None = None
    buckets: tuple[tuple[float, int], ...] = ()
    loop_lag: float | None = None
    total_elapsed: float = 0.0

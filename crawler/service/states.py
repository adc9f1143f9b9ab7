"""The states of a run in the service, and which may follow which.

                       ┌──────────── lost, killed ───────────┐
                       ▼                                     │
    (slot, API) ──▶ queued ──▶ running ──────────────────────┤──▶ finished | failed | stopped
                    ▲   │         │  ▲                       │
             resume │   │   pause │  └── (through queued)    └──▶ interrupted ──▶ queued, when the service is back
                    │   │         ▼
                    └───┼────── paused ──▶ stopped
                        └──▶ skipped (overlap) | missed (deadline) | stopped | failed

`paused` and `interrupted` hold no process: what is not fetched yet stays pending in the run's own state, and the run
goes on from there. The table is the law: the store refuses every other step.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class State(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    FINISHED = "finished"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    SKIPPED = "skipped"
    MISSED = "missed"


FOLLOWERS: Final[dict[State, frozenset[State]]] = {
    State.QUEUED: frozenset({State.RUNNING, State.PAUSED, State.STOPPED, State.FAILED, State.SKIPPED, State.MISSED}),
    State.RUNNING: frozenset(
        {State.QUEUED, State.PAUSED, State.FINISHED, State.FAILED, State.STOPPED, State.INTERRUPTED}
    ),
    State.PAUSED: frozenset({State.QUEUED, State.STOPPED}),
    State.INTERRUPTED: frozenset({State.QUEUED, State.STOPPED}),
    State.FINISHED: frozenset(),
    State.FAILED: frozenset(),
    State.STOPPED: frozenset(),
    State.SKIPPED: frozenset(),
    State.MISSED: frozenset(),
}
"""State -> the states that may follow it."""

ACTIVE: Final = frozenset({State.QUEUED, State.RUNNING, State.PAUSED, State.INTERRUPTED})
"""States of runs that are not over: what a schedule may not overlap with."""

ENDED: Final = frozenset(state for state, followers in FOLLOWERS.items() if not followers)
"""States that nothing follows."""

RAN: Final = frozenset({State.FINISHED, State.FAILED, State.STOPPED})
"""Ends of runs that have done something; the others never began."""

"""What becomes of a new run when runs of the same job are not over: a decision, nothing done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crawler.jobs.service_schema import Overlap
from crawler.service.states import State
from crawler.service.store import RunRow


@dataclass(frozen=True, slots=True)
class Admit:
    """The run is queued.

    Attributes:
        stop: Ids of runs that are stopped for it.
    """

    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Leave:
    """The run is left out; `reason` is for people, `because` the id of the run in its way."""

    reason: str
    because: str


def admit(policy: Overlap, active: Sequence[RunRow]) -> Admit | Leave:
    """Decide by the job's `overlap` and its runs that are not over, the oldest first."""
    if not active or policy == "allow":
        return Admit()
    if policy == "replace":
        return Admit(tuple(run.id for run in active))
    if policy == "queue":
        waiting = [run for run in active if run.state is State.QUEUED]
        if waiting and len(active) > 1:
            return Leave("one run waits already, and the queue has one place", waiting[0].id)
        return Admit()
    oldest = active[0]
    return Leave(f"the run before is still {oldest.state}", oldest.id)

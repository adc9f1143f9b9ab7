"""What a process of a run is told when it starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from crawler.fanout.errors import RunError
from crawler.fanout.host_table import HostRow
from crawler.fanout.plan import ClientOptions, Plan, StopLimits

if TYPE_CHECKING:
    from crawler.fanout.pages import Gate, Processor

_NO_END: Final = 1e9
"""Seconds that requests get to finish: the process that keeps the books says when it is enough."""


@dataclass(frozen=True, slots=True)
class Hands:
    """What a process works with.

    Attributes:
        plan: Complete, with everything that no other process could hand over.
        processor, gate: As `Run` takes them; of this process alone.
    """

    plan: Plan
    processor: Processor | None = None
    gate: Gate | None = None


Team = Callable[[Plan], Hands]
"""Makes the hands of a process, in that process; can be pickled. Gets the plan without `client` and `checks`, which may
hold functions, and completes it."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What one process is told.

    Attributes:
        plan: Of this process.
        team: Completes it; `None` takes it as it is.
        takes_over: It takes the place of one that died: its hosts are not asked before one interval is over.
        tells_attempts: Somebody wants to hear of each attempt.
        hosts: What is known of its hosts.
        sends_lines: Records are wanted as lines of JSON.
    """

    plan: Plan
    team: Team | None
    takes_over: bool
    tells_attempts: bool
    hosts: tuple[HostRow, ...] = ()
    sends_lines: bool = False

    def hands(self) -> Hands:
        """Make what the process works with."""
        return Hands(self.plan) if self.team is None else self.team(self.plan)


def wants_lines(plan: Plan) -> bool:
    """Whether all that is done with records is to write them as lines of JSON, so that they can come as such."""
    return plan.stop.requests is None and all(
        output.format == "jsonl" and output.records == "requests" and not output.where and not output.fields
        for output in plan.outputs
    )


def plan_of(plan: Plan, number: int, processes: int, *, is_stripped: bool) -> Plan:
    """Give the plan of one process of several.

    What counts for the run as a whole is divided (`rate`, `bandwidth`), or left to the process that keeps the books
    (when to stop).
    """
    politeness = plan.politeness
    rate = None if politeness.rate is None else politeness.rate / processes
    bandwidth = None if plan.bandwidth is None else max(1, int(plan.bandwidth / processes))
    own = replace(
        plan,
        worker=f"w{number + 1}",
        politeness=replace(politeness, rate=rate),
        bandwidth=bandwidth,
        stop=StopLimits(memory=None, disk_free=plan.stop.disk_free),
        grace=_NO_END,
    )
    return replace(own, client=ClientOptions(), checks=()) if is_stripped else own


class WorkersLost(RunError):
    """The processes of a run die whatever they do; the state is valid."""

    exit_code = 7


class WorkerRefused(RunError):
    """A process found that the run cannot be done as the plan says."""

    exit_code = 2


class WorkerLost(Exception):
    """A request was under way in two processes when they died."""

    kind = "worker_lost"

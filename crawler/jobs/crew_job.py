"""A job as a run of the engine: in this process, or in several."""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass

from crawler.fanout import Item, Plan, Run
from crawler.fanout.crew_run import CrewRun
from crawler.fanout.crew_setup import Hands
from crawler.jobs.findings import Finding, JobError, Mark
from crawler.jobs.job import Job, Staff
from crawler.jobs.network import guard_of


@dataclass(frozen=True, slots=True)
class JobTeam:
    """Makes what a process of a run works with, in that process.

    Attributes:
        job: The checked job.
        testbed_url: As for `Job.items`.
        public_only, allow: As `guard_of` takes them.
    """

    job: Job
    testbed_url: str | None = None
    public_only: bool = False
    allow: tuple[str, ...] = ()

    def __call__(self, plan: Plan) -> Hands:
        """Complete a plan, and make processor and gate."""
        guard = guard_of(self.job.network, public_only=self.public_only, allow=self.allow)
        return self.job.hands(plan, guard=guard, testbed_url=self.testbed_url)


def run_of(
    job: Job,
    plan: Plan,
    staff: Staff,
    items: Iterable[Item] | AsyncIterable[Item] | None = None,
    *,
    testbed_url: str | None = None,
    public_only: bool = False,
    allow: tuple[str, ...] = (),
) -> Run:
    """Make the run of a job, with as many processes as it says.

    Args:
        job: The checked job.
        plan, staff: Made by it.
        items: Instead of those of the staff.
        testbed_url: As for `Job.items`.
        public_only, allow: As `guard_of` takes them, if the plan was made with such a guard.

    Raises:
        JobError: Several processes cannot do it.
    """
    items = staff.items if items is None else items
    if job.workers == 1:
        return Run(plan, items, staff.processor, gate=staff.gate)
    if staff.crawl is not None and plan.input_id is None:
        raise JobError([Finding(Mark("workers"), "a crawl with several workers needs an input that can be read again")])
    is_spaced = staff.gate is not None
    try:
        return CrewRun(
            plan,
            items,
            job.workers,
            JobTeam(job, testbed_url, public_only, allow),
            may_grow=staff.processor is not None,
            is_spaced=is_spaced,
            screen=None if staff.crawl is None else staff.crawl.spend,
        )
    except ValueError as error:
        raise JobError([Finding(Mark("workers"), str(error))]) from error

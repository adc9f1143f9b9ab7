"""A run: a plan and a stream of items, brought to an outcome.

    run = Run(plan, items)
    outcome = await run.execute()          # asyncio or trio

While it goes, `run.stats` is live, and a signal handler of the same event loop may call `run.stop()` or `run.abort()`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterable, Iterable

from crawler.fanout.plan import Item, Outcome, Plan, StopReason
from crawler.fanout.stats import Stats


class Run:
    """One execution of a plan.

    Args:
        plan: What to do and how.
        items: The requests, pulled as needed. An ordinary iterable is pulled in a worker thread, so that it may read
            files.

    Attributes:
        plan: As given.
        stats: Live counters; see `Stats`.
    """

    def __init__(self, plan: Plan, items: Iterable[Item] | AsyncIterable[Item]) -> None:
        self.plan = plan
        self.stats = Stats(time.monotonic())
        self._items = items

    async def execute(self) -> Outcome:
        """Fetch every item to its final state, or until stopped; write records, files and `summary.json`.

        One failed URL never raises: it is counted and recorded. Call it once.

        Raises:
            StateLocked: Another run holds the state (exit code 6).
            StateDamaged: The state cannot be trusted or is of a newer version; the message names the file (exit code
                2).
            OutputError: An output or state folder cannot be written, seen before the first request (exit code 4).
                All three are `RunError`s with `exit_code` and a message for people.
        """
        raise RuntimeError("being built")

    def stop(self, reason: StopReason = "interrupted") -> None:
        """End the run gracefully: no new request; those in flight may finish within `plan.grace` seconds.

        What is not finished stays pending in the state. Idempotent; returns at once.
        """

    def abort(self, reason: StopReason = "interrupted") -> None:
        """End the run at once: requests in flight are cancelled and stay pending; finished ones are committed."""

    @property
    def is_stopping(self) -> bool:
        """Whether `stop()` or `abort()` was called, or the disk failed."""
        return False

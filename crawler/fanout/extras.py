"""What outputs want of a request besides its record: a row per try, and what went over the wire."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from crawler.fanout.capture import CapturingClient, discard_capture, exchange_of
from crawler.fanout.exchange import Exchange
from crawler.fanout.fetch import HTTPClient
from crawler.fanout.plan import Plan
from crawler.fanout.record import Record
from crawler.fanout.result import Result
from crawler.fanout.sinks.parts import COLLECTED


class Extras:
    """Collects it, if there is an output that wants it; costs next to nothing if not.

    Args:
        plan: Whose outputs.
        record: Makes the record of a result.
        epoch: What to add to a monotonic time to get seconds since 1970.
        mask: Replaces secrets.
    """

    def __init__(
        self, plan: Plan, record: Callable[[Result], Record], epoch: float, mask: Callable[[str], str]
    ) -> None:
        self._record = record
        self._epoch = epoch
        self._mask = mask
        self._wants_attempts = any(output.records == "attempts" for output in plan.outputs)
        self._wants_exchanges = wants_exchanges(plan)
        self._tries: dict[int, list[Record]] = {}

    def note_failure(self, result: Result) -> None:
        """A try failed, and another will follow."""
        if self._wants_attempts:
            self._tries.setdefault(id(result), []).append(self._numbered(self._record(result), result.attempts))
        if self._wants_exchanges:
            discard_capture(result.response)

    def attempts(self, result: Result, record: Record) -> Sequence[Record]:
        """Give the rows of all tries of a finished request; `record` tells the last one."""
        if not self._wants_attempts:
            return ()
        earlier = self._tries.pop(id(result), [])
        if not result.attempts or len(earlier) == result.attempts:
            return earlier  # the last thing that happened was no try: its host was given up
        return [*earlier, self._numbered(record, result.attempts)]

    def exchange(self, result: Result) -> Exchange | None:
        """Give what went over the wire in the last try."""
        return exchange_of(result, self._epoch, self._mask) if self._wants_exchanges else None

    def _numbered(self, record: Record, number: int) -> Record:
        return {**record, "attempt": number}


def wants_exchanges(plan: Plan) -> bool:
    """Whether an output archives what goes over the wire."""
    return any(output.format == "warc" for output in plan.outputs)


def watched(client: HTTPClient, plan: Plan) -> HTTPClient:
    """Give a client that keeps what archives need, if there are any."""
    if not wants_exchanges(plan):
        return client
    folder = plan.state_dir / COLLECTED if plan.state_dir is not None else Path(_temporary())
    return CapturingClient(client, plan.body.memory_limit, folder)


def _temporary() -> str:
    import os
    import tempfile

    return os.path.join(tempfile.gettempdir(), f"crawler-{os.getpid()}")

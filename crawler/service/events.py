"""What there is to tell about a run that ended: pure, over the run and those before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crawler.service.keep import is_good
from crawler.service.states import RAN, State
from crawler.service.store import RunRow

THRESHOLD = 5
"""Exit code of a run that broke a threshold."""


def events_of(run: RunRow, before: Sequence[RunRow]) -> set[str]:
    """The events of `notify[].when` that a run is.

    `recovered`: good, and the run before was not. `changed`: the bodies are not those of the last finished run.

    Args:
        run: The one that ended.
        before: Earlier runs of the job, the newest first.
    """
    if run.state in (State.SKIPPED, State.MISSED):
        return {"skipped"}
    if run.state is State.STOPPED and run.exit_code is None:
        return set()  # somebody wanted it
    events = {"finished"}
    earlier = [other for other in before if other.state in RAN]
    if run.exit_code == THRESHOLD:
        events.add("threshold")
    elif not is_good(run) and not (run.state is State.STOPPED and run.reason == "cancelled"):
        events.add("failed")
    if is_good(run) and earlier and not is_good(earlier[0]):
        events.add("recovered")
    last = next((other.content for other in earlier if other.content is not None), None)
    if run.content is not None and last is not None and run.content != last:
        events.add("changed")
    return events


def message_of(run: RunRow, events: Sequence[str]) -> dict[str, Any]:
    """The message about a run, the same for every channel (`crawler.notice/1`)."""
    return {
        "schema": "crawler.notice/1",
        "events": list(events),
        "job": run.job,
        "run_id": run.id,
        "state": str(run.state),
        "exit_code": run.exit_code,
        "reason": run.reason,
        "message": run.message,
        "slot": run.slot,
        "started": run.started,
        "ended": run.ended,
        "counts": run.progress.get("counts", {}),
        "errors": [{"kind": error["kind"], "n": error["n"]} for error in run.progress.get("errors", ())],
    }

"""Runs and jobs as the API shows them: JSON values; instants as RFC 3339 in UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from crawler.service.catalog import Entry
from crawler.service.store import RunRow


def instant(seconds: float | None) -> str | None:
    """An instant in words of RFC 3339."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def run_view(run: RunRow, progress: dict[str, Any] | None = None) -> dict[str, Any]:
    """One run.

    Args:
        run: As stored.
        progress: Live figures, newer than the stored ones.
    """
    return {
        "id": run.id,
        "job": run.job,
        "origin": run.origin,
        "state": str(run.state),
        "wanted": run.wanted or None,
        "reason": run.reason,
        "message": run.message,
        "exit_code": run.exit_code,
        "slot": instant(run.slot),
        "created": instant(run.created),
        "started": instant(run.started),
        "ended": instant(run.ended),
        "seconds": round(run.ran, 3),
        "resumes": run.resumes,
        "losses": run.losses,
        "size": run.size,
        "progress": progress or run.progress,
        "links": {
            "self": f"/v1/runs/{run.id}",
            "results": f"/v1/runs/{run.id}/results",
            "events": f"/v1/runs/{run.id}/events",
        },
    }


def job_view(entry: Entry, next_starts: list[float], last: RunRow | None) -> dict[str, Any]:
    """One job, broken or whole; secrets are never part of it."""
    job = entry.job
    view: dict[str, Any] = {
        "name": entry.name,
        "file": entry.path.name,
        "error": entry.error or None,
        "kind": None if job is None else job.kind,
        "description": "" if job is None else job.description,
        "tags": [] if job is None else list(job.tags),
        "schedule": None,
        "next": [instant(start) for start in next_starts],
        "last_run": None if last is None else {"id": last.id, "state": str(last.state), "exit_code": last.exit_code},
    }
    if job is not None and job.schedule is not None:
        view["schedule"] = job.schedule.model_dump(exclude_defaults=True)
        view["schedule"]["enabled"] = job.schedule.enabled
    return view

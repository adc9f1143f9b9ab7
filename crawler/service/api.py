"""The API: jobs, runs, records, live events, health, metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from crawler.service import metrics
from crawler.service.errors import TooMany
from crawler.service.hub import MAX_LISTENERS
from crawler.service.problems import Problem
from crawler.service.process import LOG_FILE
from crawler.service.reading import idempotency_key, job_name, number, read_json, run_id
from crawler.service.results import MAX_LIMIT, BadCursor, chosen, read_page
from crawler.service.routes import Endpoint, Parameter, openapi
from crawler.service.schemas import SCHEMAS
from crawler.service.service import Service
from crawler.service.shown import job_view, run_view
from crawler.service.states import ENDED, State
from crawler.service.store import RunRow
from crawler.service.when import delay, next_slots
from crawler.version import __version__

SHOWN_STARTS: Final = 5
MAX_RUNS: Final = 200
LOG_TAIL: Final = 64 * 1024
_CURSOR_MOST: Final = 2**53


def reply(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(orjson.dumps(value, default=str), status, headers, media_type="application/json")


class Api:
    """The functions behind the table of routes.

    Args:
        service: What they ask.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self.endpoints = self._table()

    def _table(self) -> tuple[Endpoint, ...]:
        paging = (Parameter("limit", "Runs at most.", "integer"), Parameter("before", "Id of the last run seen."))
        records = (
            Parameter("cursor", "Where the page before ended.", "integer"),
            Parameter("limit", f"Records at most, up to {MAX_LIMIT}.", "integer"),
            Parameter("outcome", "Only these: ok, failed, skipped, unchanged, cancelled."),
            Parameter("kind", "Only failures of this kind."),
            Parameter("url", "Only URLs that hold this text."),
        )
        key = Parameter("Idempotency-Key", "The same key is the same run.", place="header")
        filters = (Parameter("job", "Only this job."), Parameter("state", "Only these states, with commas between."))
        return (
            Endpoint("GET", "/v1/jobs", self.jobs, "All jobs, broken ones with their error", (200, "Jobs")),
            Endpoint(
                "GET", "/v1/jobs/{name}", self.job, "One job, with its next starts", (200, "Job"), problems=(404,)
            ),
            Endpoint(
                *("POST", "/v1/runs", self.submit, "Start a run", (202, "Run"), (key,), "NewRun"),
                problems=(400, 404, 409, 413, 415, 422, 429),
            ),
            Endpoint("GET", "/v1/runs", self.runs, "Runs, the newest first", (200, "Runs"), (*filters, *paging)),
            Endpoint("GET", "/v1/runs/{run_id}", self.run, "One run", (200, "Run"), problems=(404,)),
            Endpoint(
                *("GET", "/v1/runs/{run_id}/results", self.results, "Its records, by page", (200, "Results"), records),
                problems=(400, 404, 410),
            ),
            Endpoint(
                *("GET", "/v1/runs/{run_id}/events", self.events, "How it goes, live"),
                *((200, "text/event-stream"),),
                problems=(404, 429),
            ),
            Endpoint("GET", "/v1/events", self.all_events, "How all runs go, live", (200, "text/event-stream")),
            Endpoint(
                "GET", "/v1/runs/{run_id}/log", self.log, "The end of its log", (200, "text/plain"), problems=(404,)
            ),
            Endpoint(
                *("GET", "/v1/runs/{run_id}/files/{path:path}", self.file, "A file it wrote"),
                *((200, "application/octet-stream"),),
                problems=(404,),
            ),
            Endpoint("POST", "/v1/runs/{run_id}/pause", self.pause, "Pause it", (202, "Run"), problems=(404, 409)),
            Endpoint(
                "POST", "/v1/runs/{run_id}/resume", self.resume, "Let it go on", (202, "Run"), problems=(404, 409)
            ),
            Endpoint("POST", "/v1/runs/{run_id}/cancel", self.cancel, "End it", (202, "Run"), problems=(404, 409)),
            Endpoint("GET", "/v1/audit", self.audit, "Who changed what, the newest first"),
            Endpoint("GET", "/healthz", self.health, "Whether the process lives", (200, "text/plain"), is_open=True),
            Endpoint(
                "GET", "/readyz", self.ready, "Whether it takes requests", (200, "text/plain"), (), None, (503,), True
            ),
            Endpoint("GET", "/metrics", self.metrics, "Figures for Prometheus", (200, "text/plain")),
            Endpoint("GET", "/openapi.json", self.openapi, "This description"),
        )

    # -- jobs ---------------------------------------------------------------------------------------------------------

    async def jobs(self, request: Request) -> Response:
        """`GET /v1/jobs`."""
        views = [self.view_job(name) for name in sorted(self._service.catalog.entries)]
        return reply({"jobs": views, "problem": self._service.catalog.problem})

    async def job(self, request: Request) -> Response:
        """`GET /v1/jobs/{name}`."""
        return reply(self.view_job(job_name(str(request.path_params["name"])), SHOWN_STARTS))

    def view_job(self, name: str, starts: int = 1) -> dict[str, Any]:
        """One job with its next starts, jitter included."""
        service = self._service
        entry = service.entry(name)
        schedule = None if entry.job is None else entry.job.schedule
        upcoming: list[float] = []
        if schedule is not None and schedule.enabled:
            slots = next_slots(schedule, name, service.wall(), starts)
            upcoming = [slot + delay(schedule, name, slot) for slot in slots]
        last = service.store.runs(job=name, limit=1)
        return job_view(entry, upcoming, last[0] if last else None)

    # -- runs ---------------------------------------------------------------------------------------------------------

    async def submit(self, request: Request) -> Response:
        """`POST /v1/runs`."""
        body = await read_json(request)
        key = idempotency_key(request)
        if not isinstance(body, dict) or len(body) != 1 or not body.keys() <= {"job", "inline"}:
            raise Problem(422, 'the body is {"job": NAME} or {"inline": {…}}')
        if "inline" in body:
            run = await self._service.submit_inline(body["inline"], key)
        else:
            if not isinstance(body["job"], str):
                raise Problem(422, "`job` is the name of a job")
            run = self._service.submit(job_name(body["job"]), key)
        self._note(request, "submit", run.id, run.job)
        return reply(run_view(run), 202, {"Location": f"/v1/runs/{run.id}"})

    async def runs(self, request: Request) -> Response:
        """`GET /v1/runs`."""
        limit = number(request, "limit", 50, MAX_RUNS)
        job = request.query_params.get("job")
        before = request.query_params.get("before")
        words = [word for word in request.query_params.get("state", "").split(",") if word]
        if not set(words) <= set(map(str, State)):
            raise Problem(400, f"state is one of {', '.join(State)}")
        found = self._service.store.runs(
            job=None if job is None else job_name(job), states=map(State, words), before=before, limit=limit
        )
        views = [self.view_run(run) for run in found]
        return reply({"runs": views, "before": found[-1].id if found and len(found) == limit else None})

    async def run(self, request: Request) -> Response:
        """`GET /v1/runs/{run_id}`."""
        return reply(self.view_run(self._run(request)))

    def view_run(self, run: RunRow) -> dict[str, Any]:
        """One run with its live figures."""
        return run_view(run, self._service.runner.live.get(run.id))

    def _run(self, request: Request) -> RunRow:
        return self._service.store.run(run_id(request))

    async def pause(self, request: Request) -> Response:
        """`POST /v1/runs/{run_id}/pause`."""
        return self._acted(request, "pause", self._service.runner.pause(run_id(request)))

    async def resume(self, request: Request) -> Response:
        """`POST /v1/runs/{run_id}/resume`."""
        return self._acted(request, "resume", self._service.runner.resume(run_id(request)))

    async def cancel(self, request: Request) -> Response:
        """`POST /v1/runs/{run_id}/cancel`."""
        return self._acted(request, "cancel", self._service.runner.cancel(run_id(request)))

    def _acted(self, request: Request, action: str, run: RunRow) -> Response:
        self._note(request, action, run.id, run.job)
        return reply(self.view_run(run), 202)

    def _note(self, request: Request, action: str, target: str, detail: str) -> None:
        client = request.client
        actor = f"{request.scope.get('crawler.right', 'nobody')} {client.host if client is not None else ''}".strip()
        self._service.store.note(actor, action, target, self._service.wall(), detail)

    # -- what a run left ----------------------------------------------------------------------------------------------

    def records_file(self, run: RunRow) -> Path | None:
        """The JSONL file of a run's records; None if it has none (yet)."""
        for output in run.outputs:
            if output.get("is_shown", output["format"] == "jsonl"):
                return Path(output["path"])
        return None

    async def results(self, request: Request) -> Response:
        """`GET /v1/runs/{run_id}/results`."""
        run = self._run(request)
        cursor = number(request, "cursor", 0, _CURSOR_MOST)
        limit = max(number(request, "limit", 100, MAX_LIMIT), 1)
        keep = chosen(*(request.query_params.get(name) for name in ("outcome", "kind", "url")))
        path = self.records_file(run)
        if path is None:
            return reply({"records": [], "cursor": 0, "is_end": True})
        try:
            page = await asyncio.to_thread(read_page, path, cursor, limit, keep)
        except BadCursor as error:
            raise Problem(410, str(error)) from error
        return reply({"records": page.records, "cursor": page.cursor, "is_end": page.is_end})

    async def log(self, request: Request) -> Response:
        """`GET /v1/runs/{run_id}/log`."""
        run = self._run(request)
        text = await asyncio.to_thread(read_tail, self._service.settings.folder(run.job, run.id) / LOG_FILE)
        return Response(text, media_type="text/plain; charset=utf-8")

    async def file(self, request: Request) -> Response:
        """`GET /v1/runs/{run_id}/files/{path}`: as a download, never shown by the browser."""
        from starlette.responses import FileResponse

        run = self._run(request)
        root = (self._service.settings.folder(run.job, run.id) / "files").resolve()
        path = await asyncio.to_thread(_inside, root, str(request.path_params["path"]))
        if path is None:
            raise Problem(404, "the run has no such file")
        return FileResponse(path, media_type="application/octet-stream", filename=path.name)

    # -- live ---------------------------------------------------------------------------------------------------------

    async def events(self, request: Request) -> Response:
        """`GET /v1/runs/{run_id}/events`."""
        run = self._run(request)
        kind = "end" if run.state in ENDED else "state"
        view = self.view_run(run)
        first = self._service.hub.encode(kind, {"run": run.id, **{k: view[k] for k in ("job", "state", "progress")}})
        if run.state in ENDED:
            return _stream([first])
        return self._listen(run.id, first)

    async def all_events(self, request: Request) -> Response:
        """`GET /v1/events`."""
        return self._listen(None, b"retry: 3000\n\n")

    def _listen(self, topic: str | None, first: bytes) -> Response:
        hub = self._service.hub
        if hub.listeners >= MAX_LISTENERS:
            raise TooMany(f"{MAX_LISTENERS} listeners are all that are served")
        return StreamingResponse(hub.listen(topic, first), media_type="text/event-stream")

    # -- the service itself -------------------------------------------------------------------------------------------

    async def audit(self, request: Request) -> Response:
        """`GET /v1/audit`."""
        return reply({"audit": self._service.store.audit(100)})

    async def health(self, request: Request) -> Response:
        """`GET /healthz`."""
        return Response("ok\n", media_type="text/plain")

    async def ready(self, request: Request) -> Response:
        """`GET /readyz`."""
        if not self._service.is_ready:
            raise Problem(503, "the service is being stopped")
        return Response("ready\n", media_type="text/plain")

    async def metrics(self, request: Request) -> Response:
        """`GET /metrics`."""
        service = self._service
        broken = sum(entry.job is None for entry in service.catalog.entries.values())
        drifts, service.scheduler.drifts = service.scheduler.drifts, []
        page = service.metrics.page(
            states=service.store.counts(),
            whole=len(service.catalog.entries) - broken,
            broken=broken,
            listeners=service.hub.listeners,
            drifts=drifts,
        )
        return Response(page, media_type=metrics.CONTENT_TYPE)

    async def openapi(self, request: Request) -> Response:
        """`GET /openapi.json`."""
        return reply(openapi(self.endpoints, SCHEMAS, __version__))


def read_tail(path: Path) -> bytes:
    """The last lines of a log; empty if there is none."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            file.seek(max(size - LOG_TAIL, 0))
            data = file.read()
    except FileNotFoundError:
        return b""
    return data if size <= LOG_TAIL else data.partition(b"\n")[2]


def _inside(root: Path, name: str) -> Path | None:
    """The file of that name below a folder; None for what is not there, no file, or outside, by links too."""
    if "\x00" in name:
        return None
    path = (root / name).resolve()
    return path if path.is_relative_to(root) and path.is_file() else None


def _stream(parts: Sequence[bytes]) -> Response:
    async def give() -> Any:
        for part in parts:
            yield part

    return StreamingResponse(give(), media_type="text/event-stream")

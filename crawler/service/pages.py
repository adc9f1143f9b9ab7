"""The dashboard: pages made on the server from the same store as the API; scripts only make them live.

Templates and static files are package data. Everything that came from outside (URLs, titles, error texts) is escaped by
the template engine; no script or style stands in a page.
"""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jinja2
import orjson
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from crawler.fanout.summary import REPORT_FILE
from crawler.service.api import SHOWN_STARTS, Api, read_tail
from crawler.service.guard import COOKIE, LOGIN, LOGOUT, right_of, session_value
from crawler.service.problems import Problem, answer, problem_of
from crawler.service.process import LOG_FILE
from crawler.service.reading import job_name, number, run_id
from crawler.service.results import BadCursor, chosen, read_page
from crawler.service.routes import Endpoint
from crawler.service.service import Service
from crawler.service.states import ENDED, RAN, State
from crawler.service.store import RunRow

_FOLDER: Final = Path(__file__).parent
_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".txt": "text/plain"}
HISTORY: Final = 30
RECORDS: Final = 50
_LOGIN_BODY: Final = 4096
OVER: Final = tuple(ENDED)
_REPORT_HEADERS: Final = {
    # The report brings its own style sheet and no script; and only our own page may show it in a frame.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; "
    "frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
}
LOGIN_STYLE: Final = (
    "body{max-width:22rem;margin:15vh auto;padding:1rem;font:16px/1.5 system-ui,sans-serif}"
    "input,button{display:block;width:100%;box-sizing:border-box;font:inherit;padding:.5rem .75rem;margin:.25rem 0}"
)
"""The only style that stands in a page, let in by its hash: no file of ours can be had without the token."""
_LOGIN_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; form-action 'self'; base-uri 'none'; "
    f"frame-ancestors 'none'; style-src 'sha256-{b64encode(hashlib.sha256(LOGIN_STYLE.encode()).digest()).decode()}'"
}


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = shown_duration
    environment.filters["size"] = shown_size
    environment.filters["moment"] = shown_moment
    return environment


def shown_duration(seconds: float | None) -> str:
    """Seconds for people: `850 ms`, `12.3 s`, `4 min 10 s`, `2 h 5 min`."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def shown_size(size: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def shown_moment(text: str | None) -> str:
    """An RFC 3339 instant without its fraction: `2026-06-01 06:30:00 UTC`."""
    if text is None:
        return "–"
    return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


class Pages:
    """The pages.

    Args:
        service: What they show.
        api: Its views and its table.
    """

    def __init__(self, service: Service, api: Api) -> None:
        self._service = service
        self._api = api
        self._templates = _environment()
        self._static = {path.name: path.read_bytes() for path in sorted((_FOLDER / "static").iterdir())}
        digest = hashlib.blake2b(b"".join(self._static.values()), digest_size=6)
        self._stamp = digest.hexdigest()  # in the URLs of static files, so that they may be kept for ever

    def routes(self) -> list[Route]:
        """Their routes."""
        table = (
            ("GET", "/", self.home),
            ("GET", "/jobs/{name}", self.job),
            ("GET", "/runs/{run_id}", self.run),
            ("GET", "/runs/{run_id}/report", self.report),
            ("GET", "/docs", self.docs),
            ("GET", LOGIN, self.ask_token),
            ("POST", LOGIN, self.take_token),
            ("POST", LOGOUT, self.forget_token),
            ("GET", "/static/{name}", self.static),
        )
        return [Endpoint(method, path, self._showing(handler), "").route() for method, path, handler in table]

    def _showing(self, handler: Any) -> Any:
        """A handler whose problems are pages for browsers."""

        async def handle(request: Request) -> Response:
            try:
                response: Response = await handler(request)
            except Exception as error:
                problem = problem_of(error)
                if "text/html" not in request.headers.get("accept", ""):
                    return answer(problem)
                return self._page("problem.html", request, problem.status, problem=problem)
            return response

        return handle

    def _page(self, template: str, request: Request, status: int = 200, **values: Any) -> Response:
        text = self._templates.get_template(template).render(
            stamp=self._stamp,
            can_write=request.scope.get("crawler.right") == "write",
            has_login=self._service.settings.token is not None or self._service.settings.read_token is not None,
            **values,
        )
        return Response(text, status, media_type="text/html")

    async def home(self, request: Request) -> Response:
        """`/`: jobs, what runs now, what ran."""
        service, api = self._service, self._api
        jobs = [api.view_job(name) for name in sorted(service.catalog.entries)]
        live = [api.view_run(run) for run in service.store.active()]
        past = [api.view_run(run) for run in service.store.runs(states=OVER, limit=HISTORY)]
        problem = service.catalog.problem
        return self._page("home.html", request, jobs=jobs, live=live, past=past, points=_points(past), problem=problem)

    async def job(self, request: Request) -> Response:
        """`/jobs/{name}`: one job, its next starts, its history."""
        name = job_name(str(request.path_params["name"]))
        job = self._api.view_job(name, SHOWN_STARTS)
        runs = [self._api.view_run(run) for run in self._service.store.runs(job=name, limit=HISTORY)]
        return self._page("job.html", request, job=job, runs=runs, points=_points(runs))

    async def run(self, request: Request) -> Response:
        """`/runs/{run_id}`: one run, its figures, log and records."""
        row = self._service.store.run(run_id(request))
        query = {name: request.query_params.get(name) or None for name in ("outcome", "kind", "url")}
        cursor = number(request, "cursor", 0, 2**53)
        path = self._api.records_file(row)
        page = None
        if path is not None:
            try:
                page = await asyncio.to_thread(read_page, path, cursor, RECORDS, chosen(*query.values()))
            except BadCursor as error:
                raise Problem(410, str(error)) from error
        log = await asyncio.to_thread(read_tail, self._service.settings.folder(row.job, row.id) / LOG_FILE)
        lines = log.decode("utf-8", "replace").splitlines()[-200:]
        has_report = await asyncio.to_thread(self._report_of(row).is_file)
        shown = self._api.view_run(row)
        return self._page("run.html", request, run=shown, page=page, query=query, log=lines, has_report=has_report)

    async def report(self, request: Request) -> Response:
        """`/runs/{run_id}/report`: what the run says of itself, in a sandbox: it shows texts that servers sent."""
        path = self._report_of(self._service.store.run(run_id(request)))
        try:
            text = await asyncio.to_thread(path.read_bytes)
        except FileNotFoundError:
            raise Problem(404, "the run has no report; it is written when a run ends") from None
        return Response(text, headers=_REPORT_HEADERS, media_type="text/html")

    def _report_of(self, run: RunRow) -> Path:
        return self._service.settings.folder(run.job, run.id) / REPORT_FILE

    async def docs(self, request: Request) -> Response:
        """`/docs`: the API for people, from the same table."""
        return self._page("docs.html", request, endpoints=self._api.endpoints)

    # -- the token ----------------------------------------------------------------------------------------------------

    async def ask_token(self, request: Request) -> Response:
        """Asks for the token, once."""
        return self._ask(request, is_wrong=False)

    def _ask(self, request: Request, *, is_wrong: bool) -> Response:
        response = self._page("login.html", request, 401, is_wrong=is_wrong, style=LOGIN_STYLE)
        response.headers.update(_LOGIN_HEADERS)
        return response

    async def take_token(self, request: Request) -> Response:
        """Takes it, and sets a cookie that no script and no other site can use."""
        body = (await request.body())[:_LOGIN_BODY]
        given = dict(_pairs(body.decode("utf-8", "replace"))).get("token", "")
        if right_of(given, self._service.settings) is None:
            self._service.store.note(
                "nobody", "login refused", request.client.host if request.client else "", self._now()
            )
            return self._ask(request, is_wrong=True)
        response = RedirectResponse("/", 303)
        is_https = request.url.scheme == "https"
        response.set_cookie(COOKIE, session_value(given), httponly=True, samesite="strict", secure=is_https, path="/")
        return response

    async def forget_token(self, request: Request) -> Response:
        """Forgets it."""
        response = RedirectResponse("/", 303)
        response.delete_cookie(COOKIE, path="/")
        return response

    def _now(self) -> float:
        return self._service.wall()

    async def static(self, request: Request) -> Response:
        """A file of ours."""
        name = str(request.path_params["name"])
        content = self._static.get(name)
        if content is None:
            raise Problem(404, "there is no such file")
        kind = _TYPES.get(Path(name).suffix, "application/octet-stream")
        return Response(content, headers={"Cache-Control": "private, max-age=31536000, immutable"}, media_type=kind)


def _points(runs: Sequence[dict[str, Any]]) -> str:
    """What the chart of durations draws, the oldest run first; empty if there is nothing to draw."""
    spent = [run for run in reversed(runs) if run["state"] in RAN and run["started"]]
    points = [{"started": run["started"], "seconds": run["seconds"], "end": _end(run)} for run in spent]
    return orjson.dumps(points).decode() if points else ""


def _end(run: dict[str, Any]) -> str:
    if run["state"] == State.STOPPED:
        return "stopped"
    return "good" if run["state"] == State.FINISHED and run["exit_code"] == 0 else "bad"


def _pairs(text: str) -> list[tuple[str, str]]:
    from urllib.parse import parse_qsl

    return parse_qsl(text, max_num_fields=10)

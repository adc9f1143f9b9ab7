"""The ASGI application: guard, API, pages; and the time each request takes."""

from __future__ import annotations

import time

from starlette.applications import Starlette
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crawler.service.api import Api
from crawler.service.guard import Guard
from crawler.service.metrics import Metrics
from crawler.service.pages import Pages
from crawler.service.problems import on_problem
from crawler.service.routes import routes_of
from crawler.service.service import Service


class _Timed:
    """Measures requests; a stream counts until its head."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def observe(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in ("GET", "POST", "HEAD") else "_OTHER"
                labels = (method, scope.get("crawler.route", ""), str(message["status"]))
                self._metrics.requests.labels(*labels).observe(time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, observe)


def make_app(service: Service) -> ASGIApp:
    """The application of a service; the service is started and stopped by whoever serves it."""
    api = Api(service)
    pages = Pages(service, api)
    handlers = dict.fromkeys((404, 405), on_problem) | {Exception: on_problem}
    routes = [*routes_of(api.endpoints), *pages.routes()]
    inner = Starlette(routes=routes, exception_handlers=handlers)
    return _Timed(Guard(inner, service.settings), service.metrics)

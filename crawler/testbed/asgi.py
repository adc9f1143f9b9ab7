"""The ASGI app: routes, counters, and what is done for every request before it is routed.

    connection -> hypercorn -> App: count, keep the header lines as received, read the body -> Router -> endpoint

The body is read before the endpoint runs: hypercorn queues ten pieces of it and then stops reading the connection, so
an endpoint that never asked for the body would leave it stuck. `/upload` reads its own, as it may be of any size.

Used alone it is an ordinary ASGI app, under any server or a transport without sockets.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, Router
from starlette.types import Receive, Scope, Send

from crawler.testbed import (
    auth,
    caching,
    cookies,
    echo,
    encodings,
    flow,
    limits,
    orders,
    pages,
    ranges,
    redirects,
    site,
    websockets,
)
from crawler.testbed.exchange import MAX_BODY_BYTES, BadRequest, Body, PeerLeft, json_response, remember
from crawler.testbed.stats import Stats

_BODY_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def _endpoints() -> list[BaseRoute]:
    # The router tries them in this order: what is asked most often stands first.
    families = (
        echo,
        flow,
        ranges,
        site,
        redirects,
        limits,
        cookies,
        auth,
        encodings,
        caching,
        pages,
        orders,
        websockets,
    )
    return [route for family in families for route in family.routes()]


class App:
    """The testbed as an ASGI app; each instance has its own counters, keys and nonces.

    Attributes:
        stats: What was asked of it.
    """

    def __init__(self) -> None:
        self.stats = Stats()
        self._router = Router(routes=[*_endpoints(), Route("/stats", self._stats, methods=["GET", "DELETE"])])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket (or the server's lifespan)."""
        if scope["type"] == "websocket":
            scope["headers"] = [(name.lower(), value) for name, value in scope["headers"]]
            await self._serve_websocket(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._router(scope, receive, send)
            return
        raw = list(scope["headers"])
        headers = [(name.lower(), value) for name, value in raw]
        scope["headers"] = headers
        path = scope["path"]
        self.stats.begin(path)
        try:
            has_body = scope["method"] in _BODY_METHODS or _announces_body(headers)
            remember(scope, raw, await _read_body(receive) if has_body and path != "/upload" else None)
            await self._route(scope, receive, send)
        finally:
            self.stats.end()

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.stats.begin(scope["path"])
        try:
            await self._router(scope, receive, send)
        finally:
            self.stats.end()

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._router(scope, receive, send)
        except BadRequest as exc:
            await PlainTextResponse(f"{exc}\n", 400)(scope, receive, send)
        except PeerLeft:
            return

    async def _stats(self, request: Request) -> Response:
        if request.method == "DELETE":
            self.stats.clear()
        return json_response(self.stats.as_dict())


def _announces_body(headers: list[tuple[bytes, bytes]]) -> bool:
    return any(name in (b"content-length", b"transfer-encoding") for name, _ in headers)


async def _read_body(receive: Receive) -> Body:
    """Read the body to its end, or to the peer's leaving; keep the first `MAX_BODY_BYTES`."""
    kept = bytearray()
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        piece = message.get("body", b"")
        size += len(piece)
        kept += piece[: MAX_BODY_BYTES - len(kept)]
        more = message.get("more_body", False)
    return Body(bytes(kept), size)


app = App()
"""An instance for use with a server of one's own: `hypercorn crawler.testbed:app`."""

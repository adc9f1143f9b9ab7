"""A transport that calls an ASGI application in place of the network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from crawler.client.transports.base import AsyncBaseTransport
from crawler.models import AsyncByteStream, Request, Response
from crawler.net import WEBSOCKET
from crawler.net.upload import async_chunks

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class ASGITransport(AsyncBaseTransport):
    """Sends requests to an ASGI application, within the task that asks; lifespan events are not sent.

    WebSockets (`client.websocket(...)`) are served, too.

    Args:
        app: The application.
        raise_app_exceptions: Let its exceptions through; otherwise they become a 500, unless it has answered.
        root_path: Where the application is mounted.
        client: The address of the client that the application sees.

    Source: the ASGI specification, HTTP and WebSocket connection scopes.
    """

    def __init__(
        self,
        app: ASGIApp,
        raise_app_exceptions: bool = True,
        root_path: str = "",
        client: tuple[str, int] = ("127.0.0.1", 123),
    ) -> None:
        self.app = app
        self.raise_app_exceptions = raise_app_exceptions
        self.root_path = root_path
        self.client = client

    async def handle_async_request(self, request: Request) -> Response:
        """See `AsyncBaseTransport.handle_async_request`; gives the response when the application has returned.

        A WebSocket, though, is open as soon as the application accepts it, which runs on in a task of its own.
        """
        if WEBSOCKET in request.extensions:
            from crawler.client.transports.asgi_websocket import ASGIWebSocket

            return await ASGIWebSocket(self.app, self._websocket_scope(request), self.raise_app_exceptions).handshake(
                request
            )
        conversation = Conversation(request)
        try:
            await self.app(self._scope(request), conversation.receive, conversation.send)
        except Exception:
            if self.raise_app_exceptions:
                raise
            conversation.is_complete.set()
            if conversation.status is None:
                conversation.status, conversation.headers = 500, []
        if conversation.status is None:
            raise RuntimeError("The ASGI application returned without a response.")
        return Response(conversation.status, headers=conversation.headers, stream=CollectedBody(conversation.body))

    def _websocket_scope(self, request: Request) -> dict[str, Any]:
        scope = self._scope(request)
        del scope["method"]
        return {
            **scope,
            "type": "websocket",
            "scheme": "wss" if request.url.scheme == "https" else "ws",
            "subprotocols": request.headers.get_list("Sec-WebSocket-Protocol", split_commas=True),
            "extensions": {"websocket.http.response": {}},
        }

    def _scope(self, request: Request) -> dict[str, Any]:
        url = request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.split(b"?")[0],
            "query_string": url.query,
            "server": (url.host, url.port),
            "client": self.client,
            "root_path": self.root_path,
        }


class Conversation:
    """One request and response, as the application reads and writes them."""

    def __init__(self, request: Request) -> None:
        import anyio  # heavy, and needed by users of this transport only

        self._pieces: AsyncIterator[bytes] | None = async_chunks(request.stream)
        self._drops_body = request.method == "HEAD"
        self.is_complete = anyio.Event()
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []

    async def receive(self) -> Message:
        """The next piece of the request's body; then, once the response is complete, the disconnect."""
        if self._pieces is None:
            await self.is_complete.wait()
            return {"type": "http.disconnect"}
        try:
            return {"type": "http.request", "body": await anext(self._pieces), "more_body": True}
        except StopAsyncIteration:
            self._pieces = None
            return {"type": "http.request", "body": b"", "more_body": False}

    async def send(self, message: Message) -> None:
        """A message of the response."""
        if message["type"] == "http.response.start":
            assert self.status is None
            self.status = message["status"]
            self.headers = list(message.get("headers", []))
        elif message["type"] == "http.response.body":
            assert self.status is not None
            assert not self.is_complete.is_set()
            body: bytes = message.get("body", b"")
            if body and not self._drops_body:
                self.body.append(body)
            if not message.get("more_body", False):
                self.is_complete.set()


class CollectedBody(AsyncByteStream):
    """The pieces that the application sent."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter(pieces)

    def __aiter__(self) -> CollectedBody:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration

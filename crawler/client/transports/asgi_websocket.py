"""A WebSocket to an ASGI application: the application runs beside its client, with a byte stream between them.

    session ──frames──▶ ASGIWebSocket ──"websocket.receive"──▶ application
            ◀──frames──               ◀──"websocket.send"────

The session speaks RFC 6455 as over a network, so that it needs to know nothing of this. The application lives in a
task of its own from the handshake on; when its client leaves it hears of it and has a moment to end by itself.

Source: the ASGI specification, WebSocket connection scope and the WebSocket denial response extension.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any, Final

from crawler.errors import ReadTimeout, WriteError
from crawler.models import AsyncByteStream, Request, Response
from crawler.models.content import AsyncOver
from crawler.wire.websocket import accept_token

Message = MutableMapping[str, Any]
App = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]

GRACE_S: Final = 1.0
"""What an application has to end after its client has left; then it is cancelled."""

HIGH_WATER: Final = 1024 * 1024
"""Bytes that a client has not read at which the application is made to wait."""

ABNORMAL: Final = 1006  # RFC 6455 §7.4.1: no close was received
INTERNAL_ERROR: Final = 1011
FORBIDDEN: Final = 403  # what a server makes of a close in place of an accept


class ASGIWebSocket:
    """The application's end, and the `network_stream` that its client holds.

    Args:
        app: The application.
        scope: Of the type "websocket".
        raise_app_exceptions: Let its exceptions through to whoever reads, but for those that come of the client's
            leaving; otherwise they close with 1011.
    """

    def __init__(self, app: App, scope: MutableMapping[str, Any], raise_app_exceptions: bool) -> None:
        import anyio  # heavy, and needed by users of this transport only
        from wsproto.connection import Connection, ConnectionType

        self._anyio = anyio
        self._app = app
        self._scope = scope
        self._raises = raise_app_exceptions
        self._codec = Connection(ConnectionType.SERVER)
        self._inbox: deque[Message] = deque([{"type": "websocket.connect"}])
        self._pieces: list[Any] = []  # of the client's message that has begun
        self._outgoing = bytearray()  # frames for the client
        self._news = anyio.Event()  # set, and replaced, whenever something has changed
        self._cancelled = anyio.CancelScope()
        self._error: Exception | None = None
        self._accept: Message | None = None
        self._denial: Message | None = None
        self._denial_body: list[bytes] = []
        self._is_answered = False  # the handshake
        self._is_left = False  # by the client
        self._was_told = False  # the application, of that
        self._has_ended = False  # the application

    # --- the handshake ---

    async def handshake(self, request: Request) -> Response:
        """Start the application and wait for its answer."""
        _start(self._run)
        try:
            while not self._is_answered and not self._has_ended:
                await self._news.wait()
        except BaseException:
            self._cancelled.cancel()
            raise
        if self._accept is not None:
            return self._accepted(request, self._accept)
        self._raise_error()
        if self._denial is None:
            return Response(FORBIDDEN if self._is_answered else 500)
        headers = list(self._denial.get("headers", []))
        return Response(self._denial["status"], headers=headers, content=b"".join(self._denial_body))

    def _accepted(self, request: Request, accept: Message) -> Response:
        headers = [
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Accept", accept_token(request.headers["Sec-WebSocket-Key"]).encode("ascii")),
            *accept.get("headers", []),
        ]
        if accept.get("subprotocol") is not None:
            headers.append((b"Sec-WebSocket-Protocol", accept["subprotocol"].encode("ascii")))
        return Response(101, headers=headers, stream=NoBody(self), extensions={"network_stream": self})

    # --- the application's side ---

    async def _run(self) -> None:
        try:
            with self._cancelled:
                await self._app(self._scope, self._receive, self._send)
            self._close(1000, "")
        except Exception as exc:
            # To be told that the client has left is an exception in many frameworks, which nobody there catches.
            self._error = exc if self._raises and not self._was_told else None
            self._close(INTERNAL_ERROR, "")
        finally:
            self._has_ended = True
            self._notify()

    async def _receive(self) -> Message:
        while not self._inbox:
            await self._news.wait()
        message = self._inbox.popleft()
        self._was_told |= message["type"] == "websocket.disconnect"
        return message

    async def _send(self, message: Message) -> None:
        from wsproto.events import BytesMessage, TextMessage

        match message["type"]:
            case "websocket.accept":
                self._accept = message
                self._is_answered = True
            case "websocket.close" if self._accept is None:
                self._is_answered = True
            case "websocket.close":
                self._close(message.get("code", 1000), message.get("reason") or "")
            case "websocket.http.response.start":
                self._denial = message
            case "websocket.http.response.body":
                self._denial_body.append(message.get("body", b""))
                self._is_answered = not message.get("more_body", False)
            case "websocket.send" if not self._is_open:
                self._was_told = True
                raise OSError("The WebSocket is closed.")  # what the specification wants of a server
            case "websocket.send" if message.get("text") is not None:
                self._outgoing += self._codec.send(TextMessage(data=message["text"]))
            case "websocket.send":
                self._outgoing += self._codec.send(BytesMessage(data=message["bytes"]))
            case other:
                raise RuntimeError(f"The ASGI application sent {other!r}, which is no message of a WebSocket.")
        self._notify()
        while len(self._outgoing) > HIGH_WATER and self._is_open:
            await self._news.wait()

    @property
    def _is_open(self) -> bool:
        return self._accept is not None and self._codec.state.name == "OPEN"

    def _close(self, code: int, reason: str) -> None:
        from wsproto.events import CloseConnection

        if self._is_open:
            self._outgoing += self._codec.send(CloseConnection(code=code, reason=reason))

    # --- the client's side ---

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Frames of the application; `b""` when it has ended.

        Raises:
            ReadTimeout: Nothing came for `timeout` seconds.
            Exception: What the application raised.
        """
        with self._anyio.move_on_after(timeout):
            while not self._outgoing and not self._has_ended:
                await self._news.wait()
        if not self._outgoing or self._error is not None:
            self._raise_error()
            if not self._has_ended:
                raise ReadTimeout("Nothing came in time.")
        data = bytes(self._outgoing[:max_bytes])
        del self._outgoing[:max_bytes]
        self._notify()
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Take in frames of the client.

        Raises:
            WriteError: It has closed the stream.
        """
        from wsproto.events import CloseConnection, Ping

        if self._codec.state.name == "CLOSED":
            raise WriteError("The WebSocket is closed.")
        self._codec.receive_data(buffer)
        for event in self._codec.events():
            if isinstance(event, CloseConnection):
                if self._codec.state.name == "REMOTE_CLOSING":
                    self._outgoing += self._codec.send(event.response())
                self._disconnect(event.code, event.reason or "")
            elif isinstance(event, Ping):
                self._outgoing += self._codec.send(event.response())
            elif hasattr(event, "message_finished"):
                self._take_in(event)
        self._notify()
        await self._anyio.lowlevel.checkpoint()  # the application's turn

    def _take_in(self, piece: Any) -> None:
        self._pieces.append(piece.data)
        if piece.message_finished:
            pieces, self._pieces = self._pieces, []
            if isinstance(pieces[0], str):
                self._inbox.append({"type": "websocket.receive", "text": "".join(pieces)})
            else:
                self._inbox.append({"type": "websocket.receive", "bytes": b"".join(pieces)})

    async def aclose(self) -> None:
        """Let the application go.

        Raises:
            Exception: What it raised before it heard of that.
        """
        self._disconnect(ABNORMAL, "")
        with self._anyio.move_on_after(GRACE_S):
            while not self._has_ended:
                await self._news.wait()
        self._cancelled.cancel()
        self._raise_error()

    def get_extra_info(self, info: str) -> Any:
        """`is_readable`; None for all that a network would know."""
        return bool(self._outgoing) or self._has_ended if info == "is_readable" else None

    def _disconnect(self, code: int, reason: str) -> None:
        """Tell the application that its client has left, once."""
        if not self._is_left:
            self._is_left = True
            self._inbox.append({"type": "websocket.disconnect", "code": code, "reason": reason})
            self._notify()

    def _raise_error(self) -> None:
        """Raise what the application raised, once."""
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _notify(self) -> None:
        news, self._news = self._news, self._anyio.Event()
        news.set()


class NoBody(AsyncByteStream):
    """The body of an accepted handshake: none, but to close it ends the WebSocket."""

    def __init__(self, websocket: ASGIWebSocket) -> None:
        self._websocket = websocket

    def __aiter__(self) -> AsyncIterator[bytes]:
        return AsyncOver(iter(()))

    async def aclose(self) -> None:
        """See `AsyncByteStream.aclose`."""
        await self._websocket.aclose()


_tasks: set[Any] = set()
"""Of asyncio, which keeps none alive by itself."""


def _start(work: Callable[[], Awaitable[None]]) -> None:
    """Run `work`, which lets no exception through, beside the caller and for as long as it takes."""
    import sniffio

    if sniffio.current_async_library() == "trio":
        import trio

        trio.lowlevel.spawn_system_task(work)
    else:
        import asyncio

        task = asyncio.ensure_future(work())
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)

"""WebSocket sessions: what `client.websocket(...)` gives.

    AsyncWebSocketSession   the one implementation; it awaits nothing but its `Line`
    WebSocketSession        its blocking face: drives the same coroutines to their end

There is no task and no thread in the background. Whoever receives reads the connection, answers pings and sends the
keep-alive ones; whoever sends looks first at what has come. So a program that does neither for long answers no ping:
let a task receive meanwhile.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from crawler.client.websocket_line import LEAST_WAIT_S, AsyncLine, BlockingLine, Line
from crawler.errors import (
    NetworkError,
    ReadTimeout,
    TimeoutException,
    WebSocketDisconnect,
    WebSocketError,
    WebSocketInvalidTypeReceived,
    WebSocketNetworkError,
    WebSocketTimeout,
    WebSocketUpgradeError,
)
from crawler.models import URL, Headers, Response
from crawler.net import run_blocking
from crawler.wire.websocket import NEVER, Conversation, handshake_fault, handshake_headers

if TYPE_CHECKING:
    from wsproto.events import Event

    from crawler.models.types import HeaderTypes

JSONMode = Literal["text", "binary"]

DEFAULT_MAX_MESSAGE_SIZE_BYTES: Final = 65_536
DEFAULT_QUEUE_SIZE: Final = 512
DEFAULT_KEEPALIVE_PING_INTERVAL_SECONDS: Final = 20.0
DEFAULT_KEEPALIVE_PING_TIMEOUT_SECONDS: Final = 20.0

CLOSE_TIMEOUT_S: Final = 5.0
"""How long the peer may take to answer a close, and to take in a pong or a ping."""

NORMAL: Final = frozenset({1000, 1001})
"""Codes that end an iteration: done, going away (RFC 6455 §7.4.1)."""


class WebSocketOptions:
    """The options of one WebSocket, see `Client.websocket`, and what the handshake is made of."""

    def __init__(
        self,
        max_message_size_bytes: int,
        queue_size: int,
        keepalive_ping_interval_seconds: float | None,
        keepalive_ping_timeout_seconds: float | None,
        subprotocols: list[str] | None,
    ) -> None:
        if queue_size < 1:
            raise ValueError(f"queue_size must be at least 1, not {queue_size}.")
        self._max_message_size = max_message_size_bytes
        self.queue_size = queue_size
        self._ping_interval = keepalive_ping_interval_seconds
        self.ping_timeout = keepalive_ping_timeout_seconds
        self._subprotocols = subprotocols
        self.conversation()  # wsproto is missing: say so before anything is sent

    def conversation(self) -> Conversation:
        """A new conversation."""
        return Conversation(self._max_message_size, self._ping_interval, self.ping_timeout, monotonic())

    def headers(self, headers: HeaderTypes | None) -> Headers:
        """The user's headers with those of the handshake laid over."""
        merged = Headers(headers)
        merged.update(handshake_headers(os.urandom(16), self._subprotocols))
        return merged


def http_url(url: URL) -> URL:
    """Where the handshake goes: http for ws, https for wss (RFC 6455 §3)."""
    scheme = {"ws": "http", "wss": "https"}.get(url.scheme)
    return url if scheme is None else url.copy_with(scheme=scheme)


class AsyncWebSocketSession:
    """A WebSocket of an `AsyncClient`.

    Several tasks may use it at once. A send that is cancelled, or takes longer than the write timeout, drops the
    connection, as a part of the message may have been sent.

    Attributes:
        response: The answer to the handshake.
        subprotocol: What the server chose of those offered, if anything.
    """

    def __init__(
        self, response: Response, options: WebSocketOptions, make_line: Callable[[Any], Line] = AsyncLine
    ) -> None:
        self.response = response
        self.subprotocol: str | None = response.headers.get("Sec-WebSocket-Protocol")
        self._make_line = make_line
        self._line: Line
        self._talk = options.conversation()
        self._queue: deque[Event] = deque()
        self._queue_size = options.queue_size
        limits = response.request.extensions.get("timeout") or {}
        self._write_timeout: float | None = limits.get("write")
        self._close_timeout = min(CLOSE_TIMEOUT_S, options.ping_timeout or CLOSE_TIMEOUT_S)
        self._fault: tuple[str, BaseException | None] | None = None

    async def __aenter__(self) -> Self:
        response = self.response
        fault = handshake_fault(response.status_code, response.request.headers, response.headers)
        if response.status_code == 101:
            self._line = self._make_line(response.extensions["network_stream"])
            if fault is not None:
                await self._line.close()
        if fault is not None:
            raise WebSocketUpgradeError(response, f"No WebSocket at {response.request.url}: {fault}.")
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        if exc_value is None:
            await self.close()
        elif isinstance(exc_value, Exception):
            await self._close(1000, "", 0.0)
        else:  # cancelled, interrupted
            await self._line.close()

    # --- sending ---

    async def send(self, event: Event) -> None:
        """Send an event of wsproto, for what has no method here: a fragment, a pong.

        Raises:
            WebSocketDisconnect: The WebSocket is closed.
            WebSocketNetworkError: The connection broke, or the peer took nothing for the write timeout.
            LocalProtocolError: The event cannot be sent.
        """
        await self._catch_up()
        await self._write(lambda: self._talk.send(event))

    async def send_text(self, data: str) -> None:
        """Send a text; errors as for `send`."""
        from wsproto.events import TextMessage

        await self.send(TextMessage(data=data))

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes; errors as for `send`."""
        from wsproto.events import BytesMessage

        await self.send(BytesMessage(data=data))

    async def send_json(self, data: Any, mode: JSONMode = "text") -> None:
        """Send a value as JSON, in a message of text or (`mode="binary"`) of bytes; errors as for `send`."""
        from json import dumps

        text = dumps(data)
        if _is_text(mode):
            await self.send_text(text)
        else:
            await self.send_bytes(text.encode("utf-8"))

    async def ping(self, payload: bytes = b"") -> AsyncPong:
        """Send a ping.

        Args:
            payload: At most 125 bytes; made up if it is empty.

        Returns:
            What to wait with for the answer.
        """
        return AsyncPong(self, await self._ping(payload))

    # --- receiving ---

    async def receive(self, timeout: float | None = None) -> Event:
        """The next message as wsproto's event: `TextMessage` or `BytesMessage`, whole.

        Args:
            timeout: Seconds to wait for it; None for no limit.

        Raises:
            WebSocketTimeout: Nothing came in time; it is a `ReadTimeout` and a `TimeoutError`.
            WebSocketDisconnect: The peer closed the WebSocket, or it was closed here; also because of a message that
                was too large (1009) or none at all (1002, 1007).
            WebSocketNetworkError: The connection broke, or the peer did not answer a keep-alive ping.
        """
        deadline = NEVER if timeout is None else monotonic() + timeout
        while True:
            if self._queue:
                try:
                    return self._queue.popleft()
                except IndexError:  # another thread was faster
                    continue
            self._check()
            await self._step(lambda: bool(self._queue), deadline)

    async def receive_text(self, timeout: float | None = None) -> str:
        """The next message, a text; otherwise as `receive`.

        Raises:
            WebSocketInvalidTypeReceived: It is bytes.
        """
        from wsproto.events import TextMessage

        event = await self.receive(timeout)
        if not isinstance(event, TextMessage):
            raise WebSocketInvalidTypeReceived(event)
        return event.data

    async def receive_bytes(self, timeout: float | None = None) -> bytes:
        """The next message, bytes; otherwise as `receive`.

        Raises:
            WebSocketInvalidTypeReceived: It is a text.
        """
        from wsproto.events import BytesMessage

        event = await self.receive(timeout)
        if not isinstance(event, BytesMessage):
            raise WebSocketInvalidTypeReceived(event)
        return bytes(event.data)

    async def receive_json(self, timeout: float | None = None, mode: JSONMode = "text") -> Any:
        """The value of the next message, JSON in text or (`mode="binary"`) in bytes; otherwise as `receive`.

        Raises:
            WebSocketInvalidTypeReceived: The message is of the other type.
            ValueError: It is no JSON.
        """
        from json import loads

        is_text = _is_text(mode)
        return loads(await self.receive_text(timeout) if is_text else await self.receive_bytes(timeout))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str | bytes:
        """The next message; the end when the WebSocket was closed with 1000 or 1001, an error otherwise."""
        from wsproto.events import TextMessage

        try:
            event = await self.receive()
        except WebSocketDisconnect as exc:
            if exc.code in NORMAL:
                raise StopAsyncIteration from None
            raise
        data: str | bytes = event.data if isinstance(event, TextMessage) else bytes(event.data)  # type: ignore[attr-defined]
        return data

    # --- closing ---

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close the WebSocket, and wait a few seconds for the peer to do so; the end of the block does it, too.

        Messages that come meanwhile are dropped; those that have come can still be received.

        Raises:
            LocalProtocolError: The code is not one of 1000 to 4999.
        """
        await self._close(code, reason or "", self._close_timeout)

    async def _close(self, code: int, reason: str, patience_s: float) -> None:
        with suppress(WebSocketError):  # it is over already
            await self._write(lambda: self._talk.close(code, reason), is_control=True)
        deadline = monotonic() + patience_s
        try:
            while patience_s and not self._is_over():
                await self._step(lambda: False, deadline)
        except WebSocketTimeout:
            pass
        finally:
            self._talk.give_up(code, reason)
            await self._line.close()

    # --- inside ---

    def _is_over(self) -> bool:
        return self._talk.closed is not None or self._fault is not None

    def _check(self) -> None:
        """Raise what ended the session, if it has ended."""
        if self._talk.closed is not None:
            raise WebSocketDisconnect(*self._talk.closed)
        if self._fault is not None:
            message, cause = self._fault
            raise WebSocketNetworkError(message) from cause

    async def _break(self, message: str, cause: BaseException | None = None) -> None:
        """The connection is of no further use."""
        if self._fault is None:
            self._fault = message, cause
        await self._line.close()

    async def _write(self, make: Callable[[], bytes], *, is_control: bool = False) -> None:
        """Send what `make` gives, whole; `is_control` lets it be a word on a session that has ended."""
        has_begun = False

        def begin() -> bytes:
            nonlocal has_begun
            if not is_control:
                self._check()
            data = make()
            has_begun = True
            return data

        timeout = CLOSE_TIMEOUT_S if is_control else self._write_timeout
        try:
            await self._line.write(begin, timeout, is_control=is_control)
        except (NetworkError, TimeoutException) as exc:
            await self._break(f"The connection broke while sending: {exc}", exc)
            self._check()
        except BaseException:
            if has_begun:
                await self._break("A send was broken off: a part of the message may have been sent.")
            raise

    async def _ping(self, payload: bytes) -> bytes:
        sent = payload

        def make() -> bytes:
            nonlocal sent
            sent, data = self._talk.ping(payload)
            return data

        await self._catch_up()
        await self._write(make)
        return sent

    async def _await_pong(self, payload: bytes, timeout: float | None) -> bool:
        deadline = NEVER if timeout is None else monotonic() + timeout
        while self._talk.awaits_pong(payload):
            self._check()
            if len(self._queue) >= self._queue_size:
                raise RuntimeError(f"{self._queue_size} messages are waiting; receive them, then wait for the pong.")
            try:
                await self._step(lambda: not self._talk.awaits_pong(payload), deadline)
            except WebSocketTimeout:
                return False
        return True

    async def _catch_up(self) -> None:
        """Before a send: see whether the peer has closed, answer its pings, send ours if it is due."""
        if len(self._queue) < self._queue_size and await self._line.take_turn(self._is_over, 0.0):
            try:
                if self._line.has_news():
                    await self._read(0.0)
                    self._parse()
            finally:
                self._line.give_turn()
        self._talk.tick(monotonic())
        await self._flush()

    async def _step(self, is_done: Callable[[], bool], deadline: float) -> None:
        """Read and deal with what came, or wait until another task or thread did.

        Raises:
            WebSocketTimeout: The deadline passed, and what was waited for has not come.
        """

        def is_settled() -> bool:
            return is_done() or self._is_over()

        left = None if deadline == NEVER else max(0.0, deadline - monotonic())
        if await self._line.take_turn(is_settled, left):
            try:
                self._parse()
                if not is_settled():
                    await self._read(deadline)
                    self._parse()
                await self._flush()
            finally:
                self._line.give_turn()
        if monotonic() >= deadline and not is_settled():
            raise WebSocketTimeout("Nothing came in time.")

    async def _read(self, deadline: float) -> None:
        until = min(deadline, self._talk.due)
        try:
            data = await self._line.read(None if until == NEVER else max(LEAST_WAIT_S, until - monotonic()))
        except ReadTimeout:
            if not self._talk.tick(monotonic()):
                await self._break("The peer did not answer a keep-alive ping in time.")
        except NetworkError as exc:
            await self._break(f"The connection broke while receiving: {exc}", exc)
        else:
            if data:
                self._talk.feed(data, monotonic())
            else:
                await self._break("The peer ended the connection without closing the WebSocket.")

    def _parse(self) -> None:
        """Queue the messages that were read, as far as there is room; when closing, they are dropped."""
        while len(self._queue) < self._queue_size or not self._talk.is_open:
            message = self._talk.next_message()
            if message is None:
                return
            self._queue.append(message)

    async def _flush(self) -> None:
        """Send pongs, pings and the answer to a close; if that fails, what ended the session is raised later."""
        if self._talk.has_output:
            with suppress(WebSocketError):
                await self._write(self._talk.take_output, is_control=True)


class AsyncPong:
    """The answer to a ping that is still to come."""

    def __init__(self, session: AsyncWebSocketSession, payload: bytes) -> None:
        self._session = session
        self._payload = payload

    def is_set(self) -> bool:
        """Whether it has come."""
        return not self._session._talk.awaits_pong(self._payload)

    async def wait(self, timeout: float | None = None) -> bool:
        """Wait for it, also where nobody receives; messages that come meanwhile wait to be received.

        Returns:
            False if it did not come within `timeout` seconds.

        Raises:
            WebSocketDisconnect, WebSocketNetworkError: The session ended before.
            RuntimeError: `queue_size` messages came before.
        """
        return await self._session._await_pong(self._payload, timeout)


class WebSocketSession:
    """A WebSocket of a `Client`: as `AsyncWebSocketSession`, and it blocks. Several threads may use it at once.

    Attributes:
        response: The answer to the handshake.
        subprotocol: What the server chose of those offered, if anything.
    """

    def __init__(self, response: Response, options: WebSocketOptions) -> None:
        self.response = response
        self._session = AsyncWebSocketSession(response, options, BlockingLine)
        self.subprotocol = self._session.subprotocol

    def __enter__(self) -> Self:
        run_blocking(self._session.__aenter__())
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        run_blocking(self._session.__aexit__(exc_type, exc_value, traceback))

    def send(self, event: Event) -> None:
        """See `AsyncWebSocketSession.send`."""
        run_blocking(self._session.send(event))

    def send_text(self, data: str) -> None:
        """See `AsyncWebSocketSession.send_text`."""
        run_blocking(self._session.send_text(data))

    def send_bytes(self, data: bytes) -> None:
        """See `AsyncWebSocketSession.send_bytes`."""
        run_blocking(self._session.send_bytes(data))

    def send_json(self, data: Any, mode: JSONMode = "text") -> None:
        """See `AsyncWebSocketSession.send_json`."""
        run_blocking(self._session.send_json(data, mode))

    def ping(self, payload: bytes = b"") -> Pong:
        """See `AsyncWebSocketSession.ping`."""
        return Pong(run_blocking(self._session.ping(payload)))

    def receive(self, timeout: float | None = None) -> Event:
        """See `AsyncWebSocketSession.receive`."""
        return run_blocking(self._session.receive(timeout))

    def receive_text(self, timeout: float | None = None) -> str:
        """See `AsyncWebSocketSession.receive_text`."""
        return run_blocking(self._session.receive_text(timeout))

    def receive_bytes(self, timeout: float | None = None) -> bytes:
        """See `AsyncWebSocketSession.receive_bytes`."""
        return run_blocking(self._session.receive_bytes(timeout))

    def receive_json(self, timeout: float | None = None, mode: JSONMode = "text") -> Any:
        """See `AsyncWebSocketSession.receive_json`."""
        return run_blocking(self._session.receive_json(timeout, mode))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str | bytes:
        """See `AsyncWebSocketSession.__anext__`."""
        try:
            return run_blocking(self._session.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self, code: int = 1000, reason: str | None = None) -> None:
        """See `AsyncWebSocketSession.close`."""
        run_blocking(self._session.close(code, reason))


class Pong:
    """See `AsyncPong`."""

    def __init__(self, pong: AsyncPong) -> None:
        self._pong = pong

    def is_set(self) -> bool:
        """See `AsyncPong.is_set`."""
        return self._pong.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        """See `AsyncPong.wait`."""
        return run_blocking(self._pong.wait(timeout))


def _is_text(mode: JSONMode) -> bool:
    if mode not in ("text", "binary"):
        raise ValueError(f"mode must be 'text' or 'binary', not {mode!r}.")
    return mode == "text"

"""A quick server for thousands of connections and streams: one event loop in a thread, HTTP/1.1 or HTTP/2 by hand.

It answers every request in two pieces with little pauses, so that a request can be cancelled anywhere.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

import uvloop

from tests.peers.frames import ACK, DATA, END_STREAM, HEADERS, PING, RST_STREAM, SETTINGS, data, frame, head, word

PAUSE_S = 0.001
WINDOW = 1 << 30


class Quick(asyncio.Protocol):
    """What both protocols share."""

    def __init__(self, rng: random.Random, transports: set[asyncio.Transport]) -> None:
        self._rng = rng
        self._transports = transports
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]  # uvloop's is no subclass
        self._transports.add(self._transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._transports.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._held += data
        while self._take():
            pass

    def _take(self) -> bool:
        raise AssertionError("each protocol takes its own")  # pragma: no cover

    def _send(self, piece: bytes, rest: Callable[[], bytes]) -> None:
        """Send a piece, and what `rest` then gives a little later; now and then both a little later."""
        loop = asyncio.get_running_loop()
        if self._rng.random() < 0.5:
            self._write(piece)
            piece = b""
        loop.call_later(self._rng.random() * PAUSE_S, lambda: self._write(piece + rest()))

    def _write(self, data: bytes) -> None:
        if data and not self._transport.is_closing():
            self._transport.write(data)


class QuickHttp1(Quick):
    """HTTP/1.1; a body has to have a length."""

    def _take(self) -> bool:
        start, end, rest = self._held.partition(b"\r\n\r\n")
        if not end:
            return False
        length = start.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        size = int(length or b"0")
        if len(rest) < size:
            return False
        self._held = rest[size:]
        self._send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", lambda: b"world")
        return True


class QuickHttp2(Quick):
    """HTTP/2 with prior knowledge; bodies of requests are taken without limit."""

    _is_greeted = False

    def __init__(self, rng: random.Random, transports: set[asyncio.Transport]) -> None:
        super().__init__(rng, transports)
        self._resets: set[int] = set()

    def _take(self) -> bool:
        if not self._is_greeted:
            if len(self._held) < 24:
                return False
            self._is_greeted = True
            self._held = self._held[24:]
            settings = b"\0\4" + word(WINDOW) + b"\0\3" + word(20)
            self._transport.write(frame(SETTINGS, 0, 0, settings) + frame(8, 0, 0, word(WINDOW)))
        size = int.from_bytes(self._held[:3], "big")
        if len(self._held) < 9 + size:
            return False
        kind, flags, stream_id = self._held[3], self._held[4], int.from_bytes(self._held[5:9], "big")
        payload, self._held = self._held[9 : 9 + size], self._held[9 + size :]
        if kind in (SETTINGS, PING) and not flags & ACK:
            self._transport.write(frame(kind, ACK, 0, payload if kind == PING else b""))
        elif kind == RST_STREAM:
            self._resets.add(stream_id)
        elif kind in (HEADERS, DATA) and flags & END_STREAM:
            self._send(head(stream_id) + data(stream_id, b"hello"), lambda: self._rest(stream_id))
        return True

    def _rest(self, stream_id: int) -> bytes:
        return b"" if stream_id in self._resets else data(stream_id, b"world", end=True)


class QuickServer:
    """Serves until its block is left.

    Attributes:
        url: Of its root.
    """

    def __init__(self, protocol: type[Quick], seed: int) -> None:
        self._protocol = protocol
        self._rng = random.Random(seed)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="quick-server", daemon=True)
        self.url = ""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(5)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(5)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        transports: set[asyncio.Transport] = set()
        server = await self._loop.create_server(
            lambda: self._protocol(self._rng, transports), "127.0.0.1", 0, backlog=1000
        )
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        self._ready.set()
        await self._stop.wait()
        server.close()
        for transport in list(transports):
            transport.abort()
        await asyncio.sleep(0.01)  # they are closed in the next turns of the loop

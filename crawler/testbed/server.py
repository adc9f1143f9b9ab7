"""Hypercorn's protocols on listeners of our own, in the running event loop.

Hypercorn offers `serve(app, config)`. We take one level below it, its `TCPServer` for one connection, for three things
that `serve` does not give: sockets bound beforehand, so that a taken port is an error of the caller at once and port 0
is known; a stop that does not wait for peers (from Python 3.12 on `Server.wait_closed` waits for every connection);
and silence.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Collection
from typing import Any, Final

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData

from crawler.testbed.asgi import App
from crawler.testbed.listen import BACKLOG, Listeners

_log: Final = logging.getLogger("crawler.testbed")

_LAST_WORDS_S: Final = 1.0
"""How long a request may go on when its peer has left: a peer that closed only its own direction still reads."""

_CANCEL_ROUNDS: Final = 50
_CANCEL_ROUND_S: Final = 0.1


async def _cancel(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended, for five seconds at most.

    Once is not enough: after its cancellation hypercorn sends the rest of an answer, and over HTTP/2 waits for ever to
    have it sent by a task that has ended.
    """
    pending = set(tasks)
    for _ in range(_CANCEL_ROUNDS):
        if not pending:
            return
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_ROUND_S)


def _config() -> Config:
    config = Config()
    config.errorlog = _log  # only bugs of ours arrive there: exceptions of the app
    config.accesslog = None
    config.include_server_header = False
    config.keep_alive_timeout = 75  # 5 s would close connections under a client that paces itself
    config.keep_alive_max_requests = 1_000_000_000  # a client that reuses its connections must not be punished for it
    config.h11_max_incomplete_size = 64 * 1024  # request line and headers; 16 KiB is less than clients are tested with
    config.h11_pass_raw_headers = True  # the echo shows names in the letter case in which they were sent
    config.h2_max_concurrent_streams = 256
    config.ssl_handshake_timeout = 10
    return config


class _Connection(TCPServer):
    """One connection; hypercorn's, but it neither writes to a peer that has left nor works for it for long."""

    def __init__(
        self, app: ASGIWrapper, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(self._answer, loop, server.config, server.context, {}, reader, writer)  # type: ignore[arg-type]
        self._asgi = app
        self.requests: set[asyncio.Task[None]] = set()

    async def _answer(self, *args: Any) -> None:
        """Run the app for one request, and remember the task in which hypercorn does so."""
        task = asyncio.current_task()
        assert task is not None
        self.requests.add(task)
        task.add_done_callback(self.requests.discard)
        await self._asgi(*args)

    async def _read_data(self) -> None:
        await super()._read_data()
        if self.requests:
            await asyncio.wait(self.requests, timeout=_LAST_WORDS_S)
            await _cancel(self.requests)

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, RawData) and self.writer.transport.is_closing():
            # asyncio would log a warning for each further piece of a body; instead the app hears of it, and gets the
            # chance to be cancelled.
            await self.protocol.handle(Closed())
            await asyncio.sleep(0)
            return
        await super().protocol_send(event)
        # Writing need not suspend: an endless body to a dead TLS peer would never let the loop say that it is dead (up
        # to Python 3.12 such a transport does not know that it closes), nor serve anyone else.
        await asyncio.sleep(0)


class Server:
    """Listeners and their connections in the running event loop.

    Attributes:
        config: Hypercorn's limits and switches, the same for all connections.
        context: What tells hypercorn's connections that it is over.
    """

    def __init__(self, app: App) -> None:
        self._app = ASGIWrapper(app)  # type: ignore[arg-type]  # starlette types ASGI by mappings, hypercorn by dicts
        self.config = _config()
        self.context = WorkerContext(None)
        self._servers: list[asyncio.Server] = []
        self._connections: dict[asyncio.Task[None], _Connection] = {}

    async def start(self, listeners: Listeners) -> None:
        """Accept connections on bound sockets, which are ours from now on."""
        await self._listen(listeners.plain, None)
        if listeners.tls is not None and listeners.certificate is not None:
            await self._listen(listeners.tls, listeners.certificate.context)

    async def _listen(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        timeout = self.config.ssl_handshake_timeout if tls else None
        server = await asyncio.start_server(
            self._accept, sock=listener, ssl=tls, backlog=BACKLOG, ssl_handshake_timeout=timeout
        )
        self._servers.append(server)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A plain function that makes the task: a coroutine here would have its cancellation reported as an error.
        if self.context.terminated.is_set():
            writer.transport.abort()
            return
        connection = _Connection(self._app, self, reader, writer)
        task = asyncio.get_running_loop().create_task(self._converse(connection))
        self._connections[task] = connection
        task.add_done_callback(self._connections.pop)

    async def _converse(self, connection: _Connection) -> None:
        try:
            await connection.run()
        except Exception:
            # What escapes hypercorn are its own races with a peer that left (h2: KeyError for a stream just closed).
            _log.debug("a connection ended in an error", exc_info=True)
        finally:
            connection.writer.transport.abort()

    async def stop(self) -> None:
        """Close the listeners and break off every connection, without waiting for any peer."""
        for server in self._servers:
            server.close()
        await self.context.terminated.set()
        for connection in self._connections.values():
            connection.writer.transport.abort()
        requests = [task for connection in self._connections.values() for task in connection.requests]
        await _cancel([*self._connections, *requests])
        self._servers.clear()

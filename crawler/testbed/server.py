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
from typing import Any, Final

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData

from crawler.testbed.asgi import App
from crawler.testbed.listen import BACKLOG, Listeners

_log: Final = logging.getLogger("crawler.testbed")

_STOP_TIMEOUT_S: Final = 5.0


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
    """One connection; hypercorn's, but it does not write to a peer that has left."""

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
    """Listeners and their connections in the running event loop."""

    def __init__(self, app: App) -> None:
        self._app = ASGIWrapper(app)  # type: ignore[arg-type]  # starlette types ASGI by mappings, hypercorn by dicts
        self._config = _config()
        self._context = WorkerContext(None)
        self._servers: list[asyncio.Server] = []
        self._connections: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    async def start(self, listeners: Listeners) -> None:
        """Accept connections on bound sockets, which are ours from now on."""
        await self._listen(listeners.plain, None)
        if listeners.tls is not None and listeners.certificate is not None:
            await self._listen(listeners.tls, listeners.certificate.context)

    async def _listen(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        timeout = self._config.ssl_handshake_timeout if tls else None
        server = await asyncio.start_server(
            self._accept, sock=listener, ssl=tls, backlog=BACKLOG, ssl_handshake_timeout=timeout
        )
        self._servers.append(server)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A plain function that makes the task: a coroutine here would have its cancellation reported as an error.
        if self._context.terminated.is_set():
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._converse(reader, writer))
        self._connections[task] = writer
        task.add_done_callback(self._connections.pop)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            await _Connection(self._app, loop, self._config, self._context, {}, reader, writer)
        except Exception:
            # What escapes hypercorn are its own races with a peer that left (h2: KeyError for a stream just closed).
            _log.debug("a connection ended in an error", exc_info=True)
        finally:
            writer.transport.abort()

    async def stop(self) -> None:
        """Close the listeners and break off every connection, without waiting for any peer."""
        for server in self._servers:
            server.close()
        await self._context.terminated.set()
        connections = list(self._connections.items())
        for task, writer in connections:
            writer.transport.abort()
            task.cancel()
        if connections:
            await asyncio.wait([task for task, _ in connections], timeout=_STOP_TIMEOUT_S)
        self._servers.clear()

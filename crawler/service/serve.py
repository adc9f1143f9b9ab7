"""The network side: uvicorn on our application, signals, and the order in which all of it ends.

SIGTERM, SIGINT   not ready any more; runs are drained (`settings.drain`), meanwhile the API answers; then the
                  streams end, connections close, the store closes. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from crawler.service.app import make_app
from crawler.service.service import Service
from crawler.service.settings import Settings

HEAD_TIMEOUT_S: Final = 15.0
"""A connection that has not sent a whole request head by then is closed."""
MAX_CONNECTIONS: Final = 2000
"""More are closed at once: idle ones must not take the descriptors of the runs."""


class _Protocol(HttpToolsProtocol):
    """uvicorn's, with a deadline for the first head and a bound on connections."""

    def connection_made(self, transport: Any) -> None:
        """Begin the deadline."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.close()
            return
        self.loop.call_later(HEAD_TIMEOUT_S, self._check_head)

    def _check_head(self) -> None:
        if getattr(self, "cycle", None) is None and not self.transport.is_closing():
            self.transport.close()


class _Server(uvicorn.Server):
    """uvicorn's, without its own signal handlers: ours drain first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings, on_ready: Callable[[str], None] = lambda url: None) -> None:
    """Run the service until a signal ends it.

    Args:
        settings: As told.
        on_ready: Called with the address once it answers; with port 0, a free one.

    Raises:
        OSError: The address cannot be listened on.
        StateLocked, StoreDamaged, OutputError: As for `Service`.
    """
    listener = _listen(settings.host, settings.port)
    with listener:
        service = Service(settings)
        config = uvicorn.Config(
            make_app(service),
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=64 * 1024,
        )
        server = _Server(config)
        await service.start()
        ending = asyncio.Event()
        with _signals(ending, server):
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            on_ready(f"http://{host}:{listener.getsockname()[1]}")
            waiting = asyncio.create_task(ending.wait())
            await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            await service.stop()
            server.should_exit = True
            await serving


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(1024)
    except BaseException:
        listener.close()
        raise
    return listener


@contextlib.contextmanager
def _signals(ending: asyncio.Event, server: uvicorn.Server) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def end() -> None:
        if ending.is_set():
            server.force_exit = True
        ending.set()

    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in previous:
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(end))
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)

"""Running the testbed, in three ways.

    Testbed      in a thread of this process, for tests and benchmarks
    serve()      in the running event loop
    run()        blocks until SIGINT or SIGTERM, for the command line

Hypercorn and starlette are imported when one of them starts, not before.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

from crawler.testbed.listen import Addresses, Listeners

if TYPE_CHECKING:
    from crawler.testbed.asgi import App

_START_TIMEOUT_S: Final = 30.0
_STOP_TIMEOUT_S: Final = 10.0


async def serve(
    host: str = "127.0.0.1",
    port: int = 8008,
    tls_port: int | None = None,
    *,
    on_ready: Callable[[Addresses], object] | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve the testbed in the running event loop until `stop` is set or the task is cancelled.

    Args:
        host: Address to listen on, IPv4 or IPv6.
        port: Port for plain HTTP; 0 takes a free one.
        tls_port: Port for TLS; None for no TLS, 0 for a free one.
        on_ready: Called with the addresses as soon as connections are accepted.
        stop: Ends the serving; without it only cancellation does.

    Raises:
        ListenError: A port is taken, or the address is not ours.
    """
    from crawler.testbed.asgi import App
    from crawler.testbed.server import Server

    listeners = Listeners(host, port, tls_port)
    server = Server(App())
    try:
        await server.start(listeners)
        if on_ready is not None:
            on_ready(listeners.addresses)
        await (stop or asyncio.Event()).wait()
    finally:
        await server.stop()
        listeners.close()


def run(
    host: str = "127.0.0.1",
    port: int = 8008,
    tls_port: int | None = None,
    *,
    on_ready: Callable[[Addresses], object] | None = None,
) -> None:
    """Serve the testbed until SIGINT or SIGTERM, then return; prints nothing. Arguments and errors as for `serve()`.

    To be called in the main thread, as signals are received there.
    """

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows: SIGINT arrives as KeyboardInterrupt
                loop.add_signal_handler(number, stop.set)
        await serve(host, port, tls_port, on_ready=on_ready, stop=stop)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())


class Testbed:
    """The testbed in a thread of this process, as a context manager.

    >>> with Testbed() as bed:
    ...     urllib.request.urlopen(bed.url + "/get")

    `start()` returns when connections are accepted; `stop()` breaks off whatever is open and returns at once. The
    thread is a daemon, so a forgotten testbed keeps no program alive.

    Args:
        host: Address to listen on, IPv4 or IPv6.
        port: Port for plain HTTP; 0 takes a free one.
        tls: Listen with TLS too, with a certificate made for this run.
        tls_port: Port for TLS; 0 takes a free one. Any other number implies `tls`.
    """

    __test__ = False  # pytest: a name that begins with Test, and no test

    def __init__(self, host: str = "127.0.0.1", port: int = 0, *, tls: bool = False, tls_port: int = 0) -> None:
        self._host = host
        self._port = port
        self._tls_port = tls_port if tls or tls_port else None
        self._listeners: Listeners | None = None
        self._app: App | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    @property
    def addresses(self) -> Addresses:
        """Where it is reached; `RuntimeError` before the start."""
        if self._listeners is None:
            raise RuntimeError("The testbed was not started; use `with Testbed() as bed:` or call start().")
        return self._listeners.addresses

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`, without a slash at the end."""
        return self.addresses.url

    @property
    def tls_url(self) -> str:
        """`https://127.0.0.1:PORT`; `RuntimeError` without TLS."""
        return self._with_tls(self.addresses.tls_url)

    @property
    def ca_pem(self) -> str:
        """The authority to trust for `tls_url`, for `ssl.create_default_context(cadata=...)`."""
        return self._with_tls(self.addresses.ca_pem)

    @staticmethod
    def _with_tls(value: str | None) -> str:
        if value is None:
            raise RuntimeError("This testbed has no TLS; use Testbed(tls=True).")
        return value

    @property
    def app(self) -> App:
        """The ASGI app; its `stats` count what was asked."""
        if self._app is None:
            raise RuntimeError("The testbed was not started; use `with Testbed() as bed:` or call start().")
        return self._app

    def start(self) -> Self:
        """Start and wait until connections are accepted.

        Raises:
            ListenError: A port is taken, or the address is not ours.
            RuntimeError: It runs already.
        """
        from crawler.testbed.asgi import App

        if self._thread is not None:
            raise RuntimeError("The testbed runs already.")
        self._listeners = Listeners(self._host, self._port, self._tls_port)
        self._app = App()
        ready: list[BaseException | None] = []
        is_ready = threading.Event()

        def report(error: BaseException | None) -> None:
            ready.append(error)
            is_ready.set()

        self._thread = threading.Thread(
            target=self._run, args=(self._listeners, self._app, report), name="crawler-testbed", daemon=True
        )
        self._thread.start()
        if not is_ready.wait(_START_TIMEOUT_S):
            raise RuntimeError(f"The testbed did not start within {_START_TIMEOUT_S:g} s.")
        if ready[0] is not None:
            self._thread.join()
            self._thread = None
            raise ready[0]
        return self

    def _run(self, listeners: Listeners, app: App, report: Callable[[BaseException | None], None]) -> None:
        from crawler.testbed.server import Server

        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            self._stop = asyncio.Event()
            server = Server(app)
            try:
                await server.start(listeners)
                report(None)
                await self._stop.wait()
            finally:
                await server.stop()

        try:
            asyncio.run(main())
        except Exception as exc:
            report(exc)
        finally:
            listeners.close()

    def stop(self) -> None:
        """Stop at once, whatever is open; nothing happens if it does not run."""
        if self._thread is None:
            return
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_STOP_TIMEOUT_S)
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

"""A transport that calls a WSGI application in place of the network."""

from __future__ import annotations

import io
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import IO, Any

from crawler.client.transports.base import BaseTransport
from crawler.models import Request, Response, SyncByteStream

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class WSGITransport(BaseTransport):
    """Sends requests to a WSGI application, within the thread that asks.

    Args:
        app: The application.
        raise_app_exceptions: Let exceptions through that it hands to `start_response`.
        script_name: Where the application is mounted.
        remote_addr: The address of the client that the application sees.
        wsgi_errors: Where it writes errors; standard error by default.

    Source: PEP 3333.
    """

    def __init__(
        self,
        app: WSGIApp,
        raise_app_exceptions: bool = True,
        script_name: str = "",
        remote_addr: str = "127.0.0.1",
        wsgi_errors: IO[str] | None = None,
    ) -> None:
        self.app = app
        self.raise_app_exceptions = raise_app_exceptions
        self.script_name = script_name
        self.remote_addr = remote_addr
        self.wsgi_errors = wsgi_errors

    def handle_request(self, request: Request) -> Response:
        """See `BaseTransport.handle_request`."""
        request.read()
        started: list[tuple[str, list[tuple[str, str]], ExcInfo | None]] = []
        written: list[bytes] = []

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
        ) -> Callable[[bytes], Any]:
            started[:] = [(status, headers, exc_info)]
            return written.append

        result = self.app(self._environ(request), start_response)
        body = _until_first_piece(_pieces(result, written))
        if not started:
            raise RuntimeError("The WSGI application gave a body without calling start_response.")
        status, headers, exc_info = started[0]
        if exc_info is not None and exc_info[1] is not None and self.raise_app_exceptions:
            raise exc_info[1]
        pairs = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]
        return Response(int(status.split()[0]), headers=pairs, stream=WSGIBody(body, result))

    def _environ(self, request: Request) -> dict[str, Any]:
        url = request.url
        port = url.origin.port
        environ: dict[str, Any] = {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": url.scheme,
            "wsgi.input": io.BytesIO(request.content),
            "wsgi.errors": self.wsgi_errors or sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": self.script_name,
            "PATH_INFO": url.path.encode("utf-8").decode("latin-1"),  # PEP 3333: bytes disguised as latin-1
            "QUERY_STRING": url.query.decode("ascii"),
            "SERVER_NAME": url.host,
            "SERVER_PORT": str(port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self.remote_addr,
        }
        for name, value in request.headers.raw:
            key = name.decode("ascii").upper().replace("-", "_")
            if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
                key = f"HTTP_{key}"
            environ[key] = value.decode("latin-1")
        return environ


class WSGIBody(SyncByteStream):
    """The body as the application yields it."""

    def __init__(self, body: Iterator[bytes], result: Iterable[bytes]) -> None:
        self._body = body
        self._result = result

    def __iter__(self) -> Iterator[bytes]:
        return self._body

    def close(self) -> None:
        """Let the application clean up."""
        close = getattr(self._result, "close", None)
        if close is not None:
            close()


def _pieces(result: Iterable[bytes], written: list[bytes]) -> Iterator[bytes]:
    """What the application wrote and what it yields, in that order; none is empty."""
    for piece in itertools.chain(result, (b"",)):
        while written:
            yield written.pop(0)
        if piece:
            yield piece


def _until_first_piece(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Run the application up to its first bytes: it may call `start_response` as late as that."""
    for piece in pieces:
        return itertools.chain([piece], pieces)
    return iter(())

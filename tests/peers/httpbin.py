"""The real httpbin, in a thread."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def running_httpbin() -> Iterator[str]:
    """Serve httpbin on a free port; gives its URL."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own dependencies, at import
        from httpbin import app
        from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"  # keep-alive

        def log(self, type: str, message: str, *args: object) -> None:
            """Say nothing."""

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, name="httpbin", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()

"""The embedded server that the quick start, the tests and the benchmarks fetch from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crawler.testbed.bed import Testbed, run, serve
from crawler.testbed.content import content, content_sha256
from crawler.testbed.listen import Addresses, ListenError
from crawler.testbed.raw import Do, RawConnection, RawServer, Wait

if TYPE_CHECKING:
    from crawler.testbed.asgi import App, app

__all__ = [
    "Addresses",
    "App",
    "Do",
    "ListenError",
    "RawConnection",
    "RawServer",
    "Testbed",
    "Wait",
    "app",
    "content",
    "content_sha256",
    "run",
    "serve",
]


def __getattr__(name: str) -> object:
    # Late, because they bring starlette with them.
    if name in ("App", "app"):
        from crawler.testbed import asgi

        return asgi.App if name == "App" else asgi.app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

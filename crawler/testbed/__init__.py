"""The embedded server that the quick start, the tests and the benchmarks fetch from."""

from __future__ import annotations

from crawler.testbed.bed import Testbed, run, serve
from crawler.testbed.content import content, content_sha256
from crawler.testbed.listen import Addresses, ListenError

__all__ = [
    "Addresses",
    "ListenError",
    "Testbed",
    "content",
    "content_sha256",
    "run",
    "serve",
]

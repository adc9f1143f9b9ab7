"""One testbed for the tests of its endpoints, and a small way to ask it."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from crawler.testbed import Testbed


class Reply:
    """A response, read whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self) -> Any:
        """Return the body's JSON."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode()


class Asker:
    """Sends requests to one testbed, each on a connection of its own."""

    def __init__(self, bed: Testbed) -> None:
        self.bed = bed

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection; the caller closes it."""
        return http.client.HTTPConnection(urllib.parse.urlsplit(self.bed.url).netloc, timeout=10)

    def __call__(
        self, path: str, method: str = "GET", *, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            return Reply(connection.getresponse())
        finally:
            connection.close()


@pytest.fixture(scope="session")
def bed() -> Iterator[Testbed]:
    """A testbed with TLS, shared by all tests of endpoints."""
    with Testbed(tls=True) as bed:
        yield bed


@pytest.fixture(scope="session")
def ask(bed: Testbed) -> Asker:
    """Ask the shared testbed."""
    return Asker(bed)

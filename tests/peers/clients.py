"""A client without a network: answers requests as a script says, and remembers what was going on."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable

import anyio
import anyio.lowlevel

from crawler.models import URL, AsyncByteStream, Headers, HeadTemplate, Request, Response

Answer = int | bytes | Exception | Response | float | list[bytes | Exception]
"""What comes back: a status; a body with status 200; an error; a whole response; seconds to wait and then 200; or the
pieces of a streamed body with status 200, in which an error breaks it off."""

Script = Callable[[str, int], Answer]
"""Gives the answer for a URL and the number of the try, from 1."""


class Pieces(AsyncByteStream):
    """A body that comes piece by piece; counts whether it was closed."""

    def __init__(self, client: ScriptedClient, pieces: list[bytes | Exception]) -> None:
        self._client = client
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            await anyio.lowlevel.checkpoint()
            if isinstance(piece, Exception):
                raise piece
            yield piece

    async def aclose(self) -> None:
        self._client.closed += 1


class ScriptedClient:
    """Answers by a script; never opens a socket.

    Attributes:
        tries: How often each URL was asked for.
        in_flight, most: Requests under way now, and at most.
        begun, ended: Requests that were begun; that ended, in whatever way.
        opened, closed: Streamed bodies that were handed out, and closed.
    """

    def __init__(self, script: Script | None = None) -> None:
        self._script = script or (lambda url, number: 200)
        self._template = HeadTemplate(Headers({"user-agent": "test"}))
        self.tries: Counter[str] = Counter()
        self.in_flight = self.most = self.begun = self.ended = self.opened = self.closed = 0
        self.last: Request | None = None

    def build_request(
        self,
        method: str,
        url: URL | str,
        *,
        headers: list[tuple[str, str]] | None = None,
        content: bytes | None = None,
    ) -> Request:
        if headers or content is not None:
            return Request(method, url, headers=headers, content=content)
        return Request.from_template(method, URL(url), self._template, {})

    async def send(
        self, request: Request, *, stream: bool = False, follow_redirects: bool = False, auth: None = None
    ) -> Response:
        url = str(request.url)
        self.last = request
        self.tries[url] += 1
        self.begun += 1
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        try:
            await anyio.lowlevel.checkpoint()
            return await self._answer(self._script(url, self.tries[url]), request)
        finally:
            self.in_flight -= 1
            self.ended += 1

    def has_ended(self, n: int) -> bool:
        """Whether `n` requests or more have ended."""
        return self.ended >= n

    async def _answer(self, answer: Answer, request: Request) -> Response:
        match answer:
            case Exception():
                raise answer
            case Response():
                answer.request = request
                return answer
            case float():
                await anyio.sleep(answer)
                return Response.from_wire(200, [], b"late", {}, request)
            case int():
                return Response.from_wire(answer, [(b"Content-Type", b"text/plain")], b"body", {}, request)
            case bytes():
                return Response.from_wire(200, [(b"content-type", b"application/x")], answer, {}, request)
            case list():
                self.opened += 1
                return Response.from_wire(200, [], Pieces(self, answer), {}, request)

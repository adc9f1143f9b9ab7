"""What the endpoints share: the request as it was received, and answers in JSON.

The outermost app (`asgi.py`) leaves two things in the ASGI scope before it routes: the header lines with their names as
the peer wrote them, and the request's body. Endpoints look at them through the functions here.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Final, cast

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

MAX_BODY_BYTES: Final = 16 * 1024 * 1024
"""How much of a request's body is kept to be echoed; the rest is read and dropped, and echo answers 413."""

MAX_WAIT_S: Final = 60.0
"""The longest wait that `/delay`, `/drip` and `/sse` can be asked for; more is cut down to it."""

_RAW_HEADERS: Final = "testbed.raw_headers"
_BODY: Final = "testbed.body"
_DURATION: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ms|s|m|)", re.ASCII)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0}


class BadRequest(ValueError):
    """The request asks for something the endpoint cannot do; answered with 400 and this text."""


class PeerLeft(Exception):
    """Nobody waits for the answer: none is sent."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request's body: its first `MAX_BODY_BYTES`, and its true size in bytes."""

    data: bytes
    size: int

    @property
    def is_cut(self) -> bool:
        """Whether the body was larger than what was kept."""
        return self.size > len(self.data)


_EMPTY: Final = Body(b"", 0)


def remember(scope: Scope, raw_headers: list[tuple[bytes, bytes]], body: Body | None) -> None:
    """Leave the received header lines and body in the scope, for `raw_headers()` and `body_of()`."""
    scope[_RAW_HEADERS] = raw_headers
    if body is not None:
        scope[_BODY] = body


def raw_headers(request: Request) -> list[tuple[str, str]]:
    """Return the header lines in their order, names in the peer's own letter case."""
    raw = cast("list[tuple[bytes, bytes]]", request.scope.get(_RAW_HEADERS, request.scope["headers"]))
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in raw]


def body_of(request: Request) -> Body:
    """Return the request's body; an empty one if it had none."""
    return cast("Body", request.scope.get(_BODY, _EMPTY))


def json_response(value: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with `value` as JSON in UTF-8 and a closing line feed."""
    body = orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    return Response(body, status_code=status, headers=headers, media_type="application/json")


def duration(text: str) -> float:
    """Parse a duration (`200ms`, `1.5`, `2s`, `1m`) into seconds, at most `MAX_WAIT_S`.

    Raises:
        BadRequest: The text is none of these forms.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise BadRequest(f"expected a duration such as 200ms, 1.5 or 2s, got {text!r}")
    return min(float(match[1]) * _UNITS[match[2]], MAX_WAIT_S)


async def pause(request: Request, seconds: float) -> None:
    """Wait so long, or until the peer has left.

    Raises:
        PeerLeft: The stream was reset or the connection closed, under HTTP/2. Under HTTP/1 the wait only ends: a peer
            that closed its own direction may still read the answer.
    """
    if seconds <= 0:
        return
    try:
        async with asyncio.timeout(seconds):
            while (await request.receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return
    if request.scope["http_version"] == "2":
        raise PeerLeft


def header_value(text: str) -> str:
    """Return `text` if it can stand in a header line as it is: printable ASCII without blanks around it.

    Raises:
        BadRequest: It cannot.
    """
    if not (text.isascii() and text.isprintable() and text == text.strip()):
        raise BadRequest(f"expected printable ASCII for a header's value, got {text!r}")
    return text


def whole_number(request: Request, name: str, default: int, maximum: int, *, minimum: int = 0) -> int:
    """Return the query parameter `name` as a number from `minimum` to `maximum`.

    Raises:
        BadRequest: It is no such number.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and minimum <= int(text[:20]) <= maximum):
        raise BadRequest(f"expected {name}= as a whole number from {minimum} to {maximum}, got {text!r}")
    return int(text)

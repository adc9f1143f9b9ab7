"""An ASGI application in place of the network, under asyncio and trio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

import crawler
from tests.peers.worlds import Face

METHODS = ["GET", "HEAD", "POST"]


@pytest.fixture(params=["asyncio", "trio"])
def face(request: pytest.FixtureRequest) -> Face:
    """The two async worlds."""
    return Face(request.param)


async def scope(request: Request) -> Response:
    """What the application sees."""
    names = ("method", "path", "root_path", "scheme", "server", "client", "http_version", "type")
    seen: dict[str, Any] = {name: request.scope[name] for name in names}
    for name in ("raw_path", "query_string"):
        seen[name] = request.scope[name].decode("ascii")
    seen["headers"] = [(name.decode(), value.decode("latin-1")) for name, value in request.scope["headers"]]
    return JSONResponse(seen)


async def echo(request: Request) -> Response:
    """The body, piece by piece as it came."""
    return JSONResponse([piece.decode() async for piece in request.stream()])


async def stream(request: Request) -> Response:
    """A body in pieces."""

    async def pieces() -> AsyncIterator[bytes]:
        for number in range(3):
            await anyio.lowlevel.checkpoint()
            yield b"%d" % number

    return StreamingResponse(pieces(), headers={"X-Two": "1"})


async def fail(request: Request) -> Response:
    """An exception of the application."""
    raise ZeroDivisionError("app")


async def watched(request: Request) -> Response:
    """A response whose application waits for the disconnect after it."""
    request.app.state.messages = []

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"done"})
        request.app.state.messages.append((await receive())["type"])
        request.app.state.messages.append((await receive())["type"])

    return answer  # type: ignore[return-value]  # any ASGI callable does


ROUTES = [
    Route("/scope/{rest:path}", scope, methods=METHODS),
    Route("/echo", echo, methods=METHODS),
    Route("/stream", stream, methods=METHODS),
    Route("/fail", fail, methods=METHODS),
    Route("/watched", watched, methods=METHODS),
    Route("/hello", lambda request: PlainTextResponse("hello"), methods=METHODS),
]


def transport(**options: Any) -> crawler.ASGITransport:
    """The way to the application."""
    return crawler.ASGITransport(Starlette(routes=ROUTES), **options)


async def test_the_application_sees_the_request(face: Face) -> None:
    """As the ASGI specification has it: names lower-case, the path decoded, the query apart."""
    async with face.client(transport=transport()) as client:
        seen = (await client.get("http://h:81/scope/a%20b?c=%20d", headers={"X-Mixed": "é".encode()})).json()

    headers = seen.pop("headers")
    assert seen == {
        "method": "GET",
        "path": "/scope/a b",
        "raw_path": "/scope/a%20b",
        "query_string": "c=%20d",
        "root_path": "",
        "scheme": "http",
        "server": ["h", 81],
        "client": ["127.0.0.1", 123],
        "http_version": "1.1",
        "type": "http",
    }
    assert ["host", "h:81"] in headers
    assert ["x-mixed", "Ã©"] in headers


async def test_where_it_is_mounted_and_who_asks_can_be_said(face: Face) -> None:
    """For applications behind a proxy."""
    async with face.client(transport=transport(root_path="/api", client=("1.2.3.4", 5))) as client:
        seen = (await client.get("https://h/api/scope/x")).json()

    assert seen["root_path"] == "/api"
    assert seen["client"] == ["1.2.3.4", 5]
    assert seen["scheme"] == "https"


async def test_a_streamed_body_comes_in_its_pieces(face: Face) -> None:
    """It is never held as a whole."""
    async with face.client(transport=transport()) as client:
        pieces = (await client.post("http://h/echo", content=face.chunks([b"a", b"bc"]))).json()
        whole = (await client.post("http://h/echo", content=b"abc")).json()
        nothing = (await client.get("http://h/echo")).json()

    assert [piece for piece in pieces if piece] == ["a", "bc"]
    assert "".join(whole) == "abc"
    assert "".join(nothing) == ""


async def test_a_streamed_response_is_given_in_its_pieces(face: Face) -> None:
    """With status and headers as the application sent them."""
    async with (
        face.client(transport=transport()) as client,
        client.stream("GET", "http://h/stream") as response,
    ):
        assert response.headers["x-two"] == "1"
        assert [piece async for piece in response.aiter_raw()] == [b"0", b"1", b"2"]


async def test_head_has_no_body(face: Face) -> None:
    """Though the application may send one; its length stays in the headers."""
    async with face.client(transport=transport()) as client:
        response = await client.request("HEAD", "http://h/hello")

    assert response.content == b""
    assert response.headers["content-length"] == "5"


async def test_exceptions_pass_through(face: Face) -> None:
    """Tests want to see them."""
    async with face.client(transport=transport()) as client:
        with pytest.raises(ZeroDivisionError, match="app"):
            await client.get("http://h/fail")


async def test_exceptions_may_become_a_500(face: Face) -> None:
    """As a server would answer."""
    async with face.client(transport=transport(raise_app_exceptions=False)) as client:
        assert (await client.get("http://h/fail")).status_code == 500

    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    async def late(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 202, "headers": [(b"a", b"b")]})
        raise ZeroDivisionError

    for app, status in ((nothing, 500), (late, 202)):
        async with face.client(transport=crawler.ASGITransport(app, raise_app_exceptions=False)) as client:
            assert (await client.get("http://h/")).status_code == status


async def test_the_disconnect_comes_once_the_response_is_complete(face: Face) -> None:
    """First the body, then the disconnect; an application that waits for it ends."""
    app = Starlette(routes=ROUTES)
    async with face.client(transport=crawler.ASGITransport(app)) as client:
        assert (await client.post("http://h/watched", content=b"")).text == "done"

    assert app.state.messages == ["http.request", "http.disconnect"]


async def test_starlette_s_own_watch_for_disconnects_works(face: Face) -> None:
    """`request.body()` first, `is_disconnected()` after: neither hangs."""

    async def handler(request: Request) -> Response:
        try:
            body = await request.body()
        except ClientDisconnect:
            body = b"gone"
        return JSONResponse([body.decode(), await request.is_disconnected()])

    app = Starlette(routes=[Route("/", handler, methods=METHODS)])
    async with face.client(transport=crawler.ASGITransport(app)) as client:
        assert (await client.post("http://h/", content=b"x")).json() == ["x", False]


async def test_an_application_that_answers_nothing_is_told(face: Face) -> None:
    """There is no response to give."""

    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        return

    async with face.client(transport=crawler.ASGITransport(nothing)) as client:
        with pytest.raises(RuntimeError, match="without a response"):
            await client.get("http://h/")


async def test_a_body_that_blocks_is_refused(face: Face) -> None:
    """A plain generator cannot be awaited."""
    async with face.client(transport=transport()) as client:
        with pytest.raises(RuntimeError, match="async"):
            await client.post("http://h/echo", content=iter([b"x"]))


async def test_ordinary_responses_are_of_the_client(face: Face) -> None:
    """Timed, with cookies in the jar and redirects followed."""

    async def login(request: Request) -> Response:
        response = Response(status_code=302, headers={"Location": "/end"})
        response.set_cookie("a", "b")
        return response

    async def end(request: Request) -> Response:
        return JSONResponse(request.cookies)

    app = Starlette(routes=[Route("/", login), Route("/end", end)])
    base = "http://www.example.org"
    async with face.client(transport=crawler.ASGITransport(app), base_url=base, follow_redirects=True) as client:
        response = await client.get("/")

    assert response.json() == {"a": "b"}
    assert response.elapsed.total_seconds() >= 0


def test_the_blocking_client_refuses_it() -> None:
    """An ASGI application cannot be called by blocking; told when the client is made, also in a mount."""
    wrong: Any = transport()
    for options in ({"transport": wrong}, {"mounts": {"all://": wrong}}):
        with pytest.raises(TypeError, match=r"ASGITransport cannot be a transport of Client: .* handle_request"):
            crawler.Client(**options)

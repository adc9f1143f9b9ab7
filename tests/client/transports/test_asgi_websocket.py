"""WebSockets to an ASGI application, under asyncio and trio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

import crawler
from tests.peers.worlds import Face


@pytest.fixture(params=["asyncio", "trio"])
def face(request: pytest.FixtureRequest) -> Face:
    """The two async worlds."""
    return Face(request.param)


def connect(app: Any, **options: Any) -> crawler.AsyncClient:
    """A client of `app`."""
    return crawler.AsyncClient(transport=crawler.ASGITransport(app, **options), base_url="http://app")


def app_of(endpoint: Callable[[WebSocket], Awaitable[None]]) -> Starlette:
    """An application with one WebSocket."""
    return Starlette(routes=[WebSocketRoute("/{rest:path}", endpoint)])


async def echo(ws: WebSocket) -> None:
    """Give everything back, until the client closes."""
    await ws.accept()
    try:
        while True:
            message = await ws.receive()
            if message["type"] == "websocket.disconnect":
                return
            await ws.send({**message, "type": "websocket.send"})
    finally:
        ended.append("echo")


ended: list[str] = []


async def test_messages_come_back(face: Face) -> None:
    """Text, bytes, JSON, an empty one, and one of many frames' size."""
    ended.clear()
    async with connect(app_of(echo)) as client, client.websocket("/", max_message_size_bytes=1_000_000) as ws:
        await ws.send_text("häh?")
        assert await ws.receive_text() == "häh?"
        await ws.send_bytes(b"\x00\xff" * 100_000)
        assert await ws.receive_bytes() == b"\x00\xff" * 100_000
        await ws.send_json({"a": [1]})
        assert await ws.receive_json(timeout=5) == {"a": [1]}
        await ws.send_text("")
        assert await ws.receive_text() == ""
    assert ended == ["echo"]


async def test_fragments_are_one_message(face: Face) -> None:
    """As a server gives them to its application."""
    from wsproto.events import TextMessage

    async with connect(app_of(echo)) as client, client.websocket("/") as ws:
        await ws.send(TextMessage(data="one ", message_finished=False))
        await ws.send(TextMessage(data="message"))
        assert await ws.receive_text() == "one message"


async def test_what_the_application_sees(face: Face) -> None:
    """The scope of a WebSocket, with what was offered."""

    async def tell(ws: WebSocket) -> None:
        await ws.accept("second", headers=[(b"x-own", b"1")])
        names = ("type", "scheme", "path", "root_path", "http_version", "client", "server", "subprotocols")
        await ws.send_json({name: ws.scope[name] for name in names} | {"query": ws.scope["query_string"].decode()})
        await ws.close()

    async with (
        connect(app_of(tell), root_path="/mounted") as client,
        client.websocket("wss://app/mounted/a", params={"q": "1"}, subprotocols=["first", "second"]) as ws,
    ):
        seen = await ws.receive_json()
        assert ws.subprotocol == "second"
        assert ws.response.headers["X-Own"] == "1"
        assert [message async for message in ws] == []

    assert seen == {
        "type": "websocket",
        "scheme": "wss",
        "path": "/mounted/a",
        "root_path": "/mounted",
        "http_version": "1.1",
        "client": ["127.0.0.1", 123],
        "server": ["app", None],
        "subprotocols": ["first", "second"],
        "query": "q=1",
    }


async def test_the_application_closes(face: Face) -> None:
    """With its code and reason; what it sent before is received first."""

    async def leave(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text("bye")
        await ws.close(4000, "enough")

    async with connect(app_of(leave)) as client, client.websocket("/") as ws:
        assert await ws.receive_text() == "bye"
        with pytest.raises(crawler.WebSocketDisconnect) as caught:
            await ws.receive()

    assert (caught.value.code, caught.value.reason) == (4000, "enough")


async def test_the_client_closes(face: Face) -> None:
    """The application hears the code, and ends before the block does."""
    heard: list[int] = []

    async def listen(ws: WebSocket) -> None:
        await ws.accept()
        try:
            await ws.receive_text()
        except WebSocketDisconnect as exc:
            heard.append(exc.code)

    async with connect(app_of(listen)) as client, client.websocket("/") as ws:
        await ws.close(3001)

    assert heard == [3001]


async def test_an_application_that_returns_closes(face: Face) -> None:
    """Normally, as it had nothing more to say."""

    async def brief(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})

    async with connect(brief) as client, client.websocket("/") as ws:
        assert [message async for message in ws] == []


async def test_a_refused_handshake(face: Face) -> None:
    """403 for a close, and the application's own response where it gives one."""

    async def refuse(ws: WebSocket) -> None:
        if ws.url.path == "/denied":
            await ws.send_denial_response(JSONResponse({"why": "full"}, status_code=503))
        else:
            await ws.close()

    async with connect(app_of(refuse)) as client:
        for path, status, body in (("/", 403, b""), ("/denied", 503, b'{"why":"full"}')):
            with pytest.raises(crawler.WebSocketUpgradeError) as caught:
                async with client.websocket(path):
                    pass
            assert caught.value.response.status_code == status
            assert await caught.value.response.aread() == body


async def test_exceptions_before_the_accept(face: Face) -> None:
    """They come through, or are a 500."""

    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("oops")

    async with connect(fail) as client:
        with pytest.raises(KeyError):
            async with client.websocket("/"):
                pass
    async with connect(fail, raise_app_exceptions=False) as client:
        with pytest.raises(crawler.WebSocketUpgradeError) as caught:
            async with client.websocket("/"):
                pass
    assert caught.value.response.status_code == 500


async def test_exceptions_after_the_accept(face: Face) -> None:
    """They come through to who receives, or close with 1011."""

    async def fail(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await receive()
        await receive()
        raise KeyError("oops")

    async with connect(fail) as client, client.websocket("/") as ws:
        await ws.send_text("go")
        with pytest.raises(KeyError):
            await ws.receive()
    async with connect(fail, raise_app_exceptions=False) as client, client.websocket("/") as ws:
        await ws.send_text("go")
        with pytest.raises(crawler.WebSocketDisconnect) as caught:
            await ws.receive()
    assert caught.value.code == 1011


async def test_nothing_in_time(face: Face) -> None:
    """A receive times out and the session goes on; a ping is answered in the application's name."""
    async with connect(app_of(echo)) as client, client.websocket("/") as ws:
        with pytest.raises(crawler.WebSocketTimeout):
            await ws.receive(timeout=0.01)
        pong = await ws.ping()
        assert await pong.wait(5)
        await ws.send_text("still here")
        assert await ws.receive_text() == "still here"


async def test_an_application_waits_for_a_slow_client(face: Face) -> None:
    """What nobody reads is bounded."""
    sent: list[int] = []

    async def pour(ws: WebSocket) -> None:
        await ws.accept()
        for number in range(200):
            await ws.send_bytes(bytes(50_000))
            sent.append(number)
        await ws.close()

    async with connect(app_of(pour)) as client, client.websocket("/") as ws:
        for _ in range(10):
            await anyio.lowlevel.checkpoint()
        assert len(sent) < 50
        assert sum([len(message) async for message in ws]) == 200 * 50_000


async def test_an_application_that_does_not_catch_the_end(face: Face) -> None:
    """That its client has left is no error of the client's, be it told on receiving or on sending."""

    async def careless(ws: WebSocket) -> None:
        await ws.accept()
        if ws.url.path == "/sending":
            while True:
                await ws.send_text("more")
                await anyio.lowlevel.checkpoint()
        await ws.receive_text()

    async with connect(app_of(careless)) as client:
        for path in ("/sending", "/receiving"):
            async with client.websocket(path):
                pass


async def test_an_application_that_does_not_end_is_cancelled(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is left when the block is."""
    monkeypatch.setattr("crawler.client.transports.asgi_websocket.GRACE_S", 0.01)
    was_cancelled: list[bool] = []

    async def stay(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        try:
            await anyio.sleep_forever()
        finally:
            was_cancelled.append(True)

    async with connect(stay) as client:
        async with client.websocket("/"):
            pass
        await anyio.sleep(0.01)
    assert was_cancelled == [True]


async def test_a_cancelled_handshake_ends_the_application(face: Face) -> None:
    """It never answered."""
    was_cancelled: list[bool] = []

    async def ponder(scope: Any, receive: Any, send: Any) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            was_cancelled.append(True)

    async with connect(ponder) as client:
        with anyio.move_on_after(0.01):
            async with client.websocket("/"):
                pass
        await anyio.sleep(0.01)
    assert was_cancelled == [True]


async def test_a_wrong_message_is_the_applications_error(face: Face) -> None:
    """It is told so."""

    async def confuse(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})

    async with connect(confuse) as client:
        with pytest.raises(RuntimeError, match="no message of a WebSocket"):
            async with client.websocket("/"):
                pass

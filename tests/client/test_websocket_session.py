"""WebSockets of both clients in four worlds: against the testbed's server, and against peers that do as they like."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import struct
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage
from wsproto.utilities import generate_accept_token

import crawler
from crawler.client.websocket_line import BlockingLine
from crawler.models.content import AsyncOver
from crawler.testbed import RawServer, Testbed
from crawler.testbed.raw import RawConnection
from tests.peers.proxies import HTTPProxy, SOCKSProxy
from tests.peers.worlds import WORLDS, Face, FaceClient


@pytest.fixture(params=WORLDS)
def face(request: pytest.FixtureRequest) -> Face:
    """One world after the other; the standard event loop and uvloop count as two."""
    return Face(request.param)


@pytest.fixture(scope="module")
def tls_bed() -> Iterator[Testbed]:
    """A testbed with TLS."""
    with Testbed(tls=True) as bed:
        yield bed


class Session:
    """A session whose methods are awaited in all worlds."""

    def __init__(self, face: Face, session: Any) -> None:
        self._face = face
        self.session = session
        self.response: crawler.Response = session.response
        self.subprotocol: str | None = session.subprotocol

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def call(*args: Any, **options: Any) -> Any:
            return await self._face.settle(getattr(self.session, name)(*args, **options))

        return call

    def __aiter__(self) -> AsyncIterator[Any]:
        iterator: AsyncIterator[Any] = aiter(self.session) if self._face.is_async else AsyncOver(iter(self.session))
        return iterator


@asynccontextmanager
async def websocket(face: Face, client: FaceClient, url: Any, **options: Any) -> AsyncIterator[Session]:
    """Open a WebSocket in the world of `face`."""
    if isinstance(client.client, crawler.Client):
        with client.client.websocket(url, **options) as session:
            yield Session(face, session)
    else:
        async with client.client.websocket(url, **options) as session:
            yield Session(face, session)


@asynccontextmanager
async def connected(face: Face, url: Any, **options: Any) -> AsyncIterator[Session]:
    """Open a WebSocket with a client of its own, whose pool must be whole in the end."""
    async with face.client() as client, websocket(face, client, url, **options) as session:
        yield session


class Peer:
    """A server's end that does as the test likes."""

    def __init__(self, connection: RawConnection) -> None:
        self._connection = connection
        self._codec = Connection(ConnectionType.SERVER)
        self._events: Iterator[Event] = iter(())

    def accept(self, *lines: str, then: bytes = b"") -> str:
        """Read the handshake and answer it; `then` is sent in the same piece. Gives the handshake."""
        request = self._connection.read_request().decode("ascii")
        self._connection.send(switching(request, *lines) + then)
        return request

    def send(self, *events: Event) -> None:
        """Send events."""
        self._connection.send(b"".join(self._codec.send(event) for event in events))

    def send_raw(self, data: bytes) -> None:
        """Send bytes."""
        self._connection.send(data)

    def receive(self) -> Event:
        """The next event of the client."""
        while (event := next(self._events, None)) is None:
            data = self._connection.read()
            if not data:
                raise ConnectionResetError("the client left")
            self._codec.receive_data(data)
            self._events = self._codec.events()
        return event

    def expect(self, event: Event) -> None:
        """The next event of the client is this one."""
        assert self.receive() == event

    def finish(self) -> CloseConnection:
        """Wait for the client's close, answer it, give it."""
        while not isinstance(event := self.receive(), CloseConnection):
            pass
        if self._codec.state.name == "REMOTE_CLOSING":
            with contextlib.suppress(OSError):  # after a violation nobody waits for the answer
                self.send(event.response())
        return event

    def vanish(self) -> None:
        """End the connection in the ordinary way, without a word."""
        self._connection.half_close()
        self._connection.hold()


def switching(request: str, *lines: str) -> bytes:
    """A right answer to a handshake, and further header lines."""
    key = re.search(r"sec-websocket-key: (\S+)", request, re.IGNORECASE)
    assert key is not None
    token = generate_accept_token(key[1].encode("ascii")).decode("ascii")
    head = ["HTTP/1.1 101 ", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Accept: {token}", *lines]
    return "\r\n".join([*head, "", ""]).encode("ascii")


def serving(play: Callable[[Peer], object]) -> RawServer:
    """A server whose every connection is a WebSocket that `play` plays the other end of."""
    return RawServer(lambda connection: play(Peer(connection)))


# --- messages ---


async def test_messages_come_back(face: Face, bed: Testbed) -> None:
    """Text and bytes, empty and as large as allowed, JSON in both kinds."""
    async with connected(face, bed.url.replace("http", "ws") + "/ws/echo") as ws:
        assert ws.response.status_code == 101
        for text in ("hello", "", "grüß 🐟", "x" * 65_536):
            await ws.send_text(text)
            assert await ws.receive_text() == text
        for data in (b"\0\xff", b"", bytes(65_536)):
            await ws.send_bytes(data)
            assert await ws.receive_bytes(timeout=10) == data
        value = {"a": [1, None, "ß"]}
        await ws.send_json(value)
        assert await ws.receive_json() == value
        await ws.send_json(value, mode="binary")
        assert await ws.receive_json(mode="binary") == value


async def test_receive_gives_the_event(face: Face, bed: Testbed) -> None:
    """`receive` gives what wsproto makes of a message, `send` takes that; fragments are put together."""
    async with connected(face, bed.url + "/ws/echo") as ws:
        await ws.send(TextMessage("in ", message_finished=False))
        await ws.send(TextMessage("two"))
        assert await ws.receive() == TextMessage("in two")
        await ws.send(BytesMessage(b"one"))
        assert await ws.receive() == BytesMessage(b"one")


async def test_the_wrong_type_is_an_error(face: Face, bed: Testbed) -> None:
    """It has the message, and the session goes on."""
    async with connected(face, bed.url + "/ws/echo") as ws:
        await ws.send_text("hello")
        with pytest.raises(crawler.WebSocketInvalidTypeReceived, match="TextMessage") as caught:
            await ws.receive_bytes()
        assert caught.value.event == TextMessage("hello")
        await ws.send_bytes(b"hello")
        with pytest.raises(crawler.WebSocketInvalidTypeReceived):
            await ws.receive_json()
        with pytest.raises(ValueError, match="mode"):
            await ws.send_json({}, mode="bytes")


async def test_nothing_in_time_is_a_timeout(face: Face, bed: Testbed) -> None:
    """Of our tree, and a `TimeoutError` as with httpx2; the session goes on."""
    async with connected(face, bed.url + "/ws/echo") as ws:
        for timeout in (0, 0.01):
            with pytest.raises(crawler.WebSocketTimeout) as caught:
                await ws.receive(timeout=timeout)
            assert isinstance(caught.value, crawler.ReadTimeout)
            assert isinstance(caught.value, TimeoutError)
        await ws.send_text("hello")
        assert await ws.receive_text(timeout=10) == "hello"


async def test_messages_behind_the_handshake_are_not_lost(face: Face) -> None:
    """They may come in one piece with the answer."""
    first = Connection(ConnectionType.SERVER).send(TextMessage("early"))
    with serving(lambda peer: (peer.accept(then=first), peer.finish())) as server:
        async with connected(face, server.url) as ws:
            assert await ws.receive_text() == "early"


async def test_many_messages_in_one_piece_are_all_given(face: Face) -> None:
    """More than the queue holds, after a send that looked at them."""

    def play(peer: Peer) -> None:
        peer.accept()
        peer.send(*[TextMessage(str(number)) for number in range(50)])
        peer.expect(TextMessage("go on"))
        peer.send(TextMessage("last"))
        peer.finish()

    with serving(play) as server:
        async with connected(face, server.url, queue_size=3) as ws:
            assert await ws.receive_text() == "0"
            await ws.send_text("go on")
            assert [await ws.receive_text() for _ in range(50)] == [*map(str, range(1, 50)), "last"]


async def test_a_session_is_iterated(face: Face) -> None:
    """Up to a normal close; any other is an error."""

    def play(peer: Peer) -> None:
        request = peer.accept()
        peer.send(TextMessage("one"), BytesMessage(b"two"))
        peer.send(CloseConnection(int(request.split("/", 1)[1].split()[0]), "enough"))
        peer.finish()

    with serving(play) as server:
        for code in (1000, 1001):
            async with connected(face, f"{server.url}/{code}") as ws:
                assert [message async for message in ws] == ["one", b"two"]
        async with connected(face, f"{server.url}/4000") as ws:
            messages = aiter(ws)
            assert [await anext(messages), await anext(messages)] == ["one", b"two"]
            with pytest.raises(crawler.WebSocketDisconnect, match="enough"):
                await anext(messages)


async def send_on(ws: Session, event: Event) -> None:
    """Send the same again and again, until the session is over."""
    while True:
        await ws.send(event)


# --- the handshake ---


async def test_the_handshake_is_a_request_of_the_client(face: Face, bed: Testbed) -> None:
    """Base URL, params, headers, cookies and auth hold for it."""
    options = {"base_url": bed.url.replace("http", "ws"), "headers": {"X-Client": "1"}, "cookies": {"a": "b"}}
    async with face.client(**options) as client:
        arguments: dict[str, Any] = {"params": {"q": "ß"}, "headers": {"X-Own": "2"}, "auth": ("user", "password")}
        async with websocket(face, client, "/ws/info", subprotocols=["chat", "log"], **arguments) as ws:
            assert ws.subprotocol == "chat"
            about = await ws.receive_json()
    assert about["args"] == {"q": "ß"}
    assert about["subprotocols"] == ["chat", "log"]
    headers = about["headers"]
    assert (headers["x-client"], headers["x-own"], headers["cookie"]) == ("1", "2", "a=b")
    assert headers["authorization"].startswith("Basic ")
    assert (headers["connection"], headers["sec-websocket-version"]) == ("Upgrade", "13")


async def test_no_subprotocol_is_none(face: Face, bed: Testbed) -> None:
    """Where none was offered."""
    async with connected(face, crawler.URL(bed.url + "/ws/echo")) as ws:
        assert ws.subprotocol is None


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bm8=\r\n\r\n",
        b"HTTP/1.1 101 \r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 101 \r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_a_wrong_answer_is_an_upgrade_error(face: Face, answer: bytes) -> None:
    """It has the response and the request; the connection is closed, and nothing is left in the pool."""
    with RawServer(answer) as server:
        async with face.client() as client:
            with pytest.raises(crawler.WebSocketUpgradeError, match="No WebSocket at http") as caught:
                async with websocket(face, client, server.url):
                    pytest.fail("this is no WebSocket")
            assert caught.value.response.status_code == int(answer.split()[1])
            assert str(caught.value.request.url) == server.url
            assert isinstance(caught.value, crawler.TransportError)


@pytest.mark.parametrize("line", ["Sec-WebSocket-Protocol: mail", "Sec-WebSocket-Extensions: permessage-deflate"])
async def test_what_was_not_offered_is_an_upgrade_error(face: Face, line: str) -> None:
    """A subprotocol, an extension."""
    with (
        serving(lambda peer: peer.accept(line)) as server,
        pytest.raises(crawler.WebSocketUpgradeError, match="not offered"),
    ):
        async with connected(face, server.url, subprotocols=["chat"]):
            pytest.fail("this is no WebSocket")


async def test_a_denied_handshake_is_an_upgrade_error(face: Face, bed: Testbed) -> None:
    """By a real server; its connection is of no further use, as the body is not read."""
    for path, status in (("/ws/deny/429", 429), ("/ws/nowhere", 403)):
        with pytest.raises(crawler.WebSocketUpgradeError) as caught:
            async with connected(face, bed.url + path):
                pytest.fail("this is no WebSocket")
        assert caught.value.response.status_code == status


async def test_a_challenge_is_answered_first(face: Face) -> None:
    """Digest authentication: the second handshake goes over the same connection."""
    challenge = (
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n"
        b'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256\r\n\r\n'
    )

    def play(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(challenge)
        peer = Peer(connection)
        assert 'username="user"' in peer.accept()
        peer.finish()

    with RawServer(play) as server:
        async with connected(face, server.url, auth=crawler.DigestAuth("user", "password")):
            pass
        assert len(server.connections) == 1


async def test_a_redirect_is_followed_where_asked_for(face: Face) -> None:
    """As for any request of the client."""

    def play(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 307 \r\nLocation: /there\r\nContent-Length: 0\r\n\r\n")
        peer = Peer(connection)
        assert peer.accept().startswith("GET /there ")
        peer.finish()

    with RawServer(play) as server:
        async with connected(face, server.url, follow_redirects=True) as ws:
            assert [response.status_code for response in ws.response.history] == [307]


async def test_a_refused_connection_is_a_connect_error(face: Face) -> None:
    """Errors of the handshake are those of any request."""
    with RawServer(b"") as server:
        pass
    with pytest.raises(crawler.ConnectError):
        async with connected(face, server.url.replace("http", "ws")):
            pytest.fail("nobody listens")


async def test_the_transport_may_be_any(face: Face) -> None:
    """One that gives status 101 and a `network_stream` of its own making."""

    class Stream:
        def __init__(self) -> None:
            self.codec = Connection(ConnectionType.SERVER)
            self.is_closed = False

        def get_extra_info(self, name: str) -> None:
            return None

        def close(self) -> None:
            self.is_closed = True

        def write(self, data: bytes, timeout: float | None) -> None:
            self.codec.receive_data(data)

        def read(self, max_bytes: int, timeout: float | None) -> bytes:
            return b"".join(self.codec.send(event) for event in self.codec.events())

    class AsyncStream(Stream):
        async def aclose(self) -> None:
            self.close()

        async def write(self, data: bytes, timeout: float | None) -> None:  # type: ignore[override]
            super().write(data, timeout)

        async def read(self, max_bytes: int, timeout: float | None) -> bytes:  # type: ignore[override]
            return super().read(max_bytes, timeout)

    stream = AsyncStream() if face.is_async else Stream()

    def answer(request: crawler.Request) -> crawler.Response:
        token = generate_accept_token(request.headers["Sec-WebSocket-Key"].encode("ascii")).decode("ascii")
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Accept": token}
        return crawler.Response(101, headers=headers, extensions={"network_stream": stream})

    client = face.client(transport=crawler.MockTransport(answer))
    async with client, websocket(face, client, "wss://nowhere.invalid/") as ws:
        await ws.send_text("hello")
        assert await ws.receive_text() == "hello"
    assert stream.is_closed


async def test_a_missing_wsproto_is_told_before_anything_is_sent(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the name of the extra."""
    monkeypatch.setitem(sys.modules, "wsproto.connection", None)
    with serving(lambda peer: peer.accept()) as server:
        with pytest.raises(ImportError, match=r"crawler\[ws\]"):
            async with connected(face, server.url):
                pytest.fail("this cannot work")
        assert server.connections == []


async def test_an_empty_queue_is_refused(face: Face) -> None:
    """Nothing could ever be received."""
    with pytest.raises(ValueError, match="queue_size"):
        async with connected(face, "ws://nowhere.invalid", queue_size=0):
            pytest.fail("this cannot work")


# --- routes ---


async def test_tls_never_offers_http2(face: Face, tls_bed: Testbed) -> None:
    """A client of HTTP/2 speaks HTTP/1.1 where a WebSocket is asked for, and HTTP/2 for the rest."""
    trusted = ssl.create_default_context(cadata=tls_bed.ca_pem)
    async with face.client(http2=True, verify=trusted) as client:
        for _ in range(2):
            assert (await client.get(tls_bed.tls_url + "/get")).http_version == "HTTP/2"
            async with websocket(face, client, tls_bed.tls_url.replace("http", "ws") + "/ws/echo") as ws:
                assert ws.response.http_version == "HTTP/1.1"
                await ws.send_bytes(bytes(60_000))
                assert await ws.receive_bytes() == bytes(60_000)


async def test_both_protocols_at_once_over_one_context(face: Face, tls_bed: Testbed) -> None:
    """Which protocols TLS offers is set on the user's context; who begins at the same time must not get the other's."""
    trusted = ssl.create_default_context(cadata=tls_bed.ca_pem)

    async def talk(client: FaceClient) -> str:
        async with websocket(face, client, tls_bed.tls_url.replace("http", "ws") + "/ws/echo") as ws:
            await ws.send_text("hello")
            answer: str = await ws.receive_text()
            return answer

    async def get() -> str:
        async with face.client(http2=True, verify=trusted) as other:
            return (await other.get(tls_bed.tls_url + "/get")).http_version

    async with face.client(http2=True, verify=trusted) as client:
        answers = await face.gather(*(work for _ in range(6) for work in (talk(client), get())))

    assert answers[::2] == ["hello"] * 6
    assert set(answers[1::2]) <= {"HTTP/2", "HTTP/1.1"}


async def test_a_client_of_http2_alone_opens_websockets_too(face: Face, bed: Testbed) -> None:
    """As a WebSocket begins with nothing but HTTP/1.1."""
    async with face.client(http1=False, http2=True) as client, websocket(face, client, bed.url + "/ws/echo") as ws:
        await ws.send_text("hello")
        assert await ws.receive_text() == "hello"


async def test_an_http_proxy_makes_a_tunnel(face: Face, bed: Testbed) -> None:
    """By CONNECT, also without TLS: proxies that forward do not forward `Upgrade`."""
    with HTTPProxy(auth=("user", "password")) as proxy:
        client = face.client(proxy=proxy.url)
        async with client, websocket(face, client, bed.url.replace("http", "ws") + "/ws/echo") as ws:
            await ws.send_text("hello")
            assert await ws.receive_text() == "hello"
        assert [seen.method for seen in proxy.seen] == ["CONNECT"]


async def test_a_socks_proxy_is_gone_through(face: Face, tls_bed: Testbed) -> None:
    """With TLS to the server within."""
    trusted = ssl.create_default_context(cadata=tls_bed.ca_pem)
    with SOCKSProxy() as proxy:
        client = face.client(proxy=proxy.url, verify=trusted)
        async with client, websocket(face, client, tls_bed.tls_url + "/ws/echo") as ws:
            await ws.send_text("hello")
            assert await ws.receive_text() == "hello"
        assert len(proxy.seen) == 1


# --- closing ---


async def test_the_peers_close_is_told_and_answered(face: Face, bed: Testbed) -> None:
    """Code and reason; again for each further receive and send."""
    async with connected(face, bed.url + "/ws/close/4000?reason=enough") as ws:
        for _ in range(2):
            with pytest.raises(crawler.WebSocketDisconnect, match="enough") as caught:
                await ws.receive()
            assert (caught.value.code, caught.value.reason) == (4000, "enough")
            with pytest.raises(crawler.WebSocketDisconnect):
                await ws.send_text("late")


async def test_a_send_sees_that_the_peer_has_closed(face: Face) -> None:
    """Also where nobody receives."""
    seen: list[CloseConnection] = []
    is_closed = threading.Event()

    def play(peer: Peer) -> None:
        peer.accept()
        peer.send(CloseConnection(1012, "restart"))
        is_closed.set()
        seen.append(peer.finish())

    with serving(play) as server:
        async with connected(face, server.url) as ws:
            await face.wait(is_closed)
            with pytest.raises(crawler.WebSocketDisconnect, match="restart"):
                await send_on(ws, Pong())
    assert seen == [CloseConnection(1012, "restart")]


async def test_the_end_of_the_block_closes(face: Face) -> None:
    """With 1000, after all that was sent; the peer's last words do not count, nor does it matter if they are many."""
    seen: list[Event] = []

    def play(peer: Peer) -> None:
        peer.accept()
        seen.append(peer.receive())
        seen.append(peer.receive())
        peer.send_raw(b"\x81\x04late" * 100)
        peer.send(CloseConnection(1000))

    with serving(play) as server:
        async with connected(face, server.url, queue_size=2) as ws:
            await ws.send_text("last")
    assert seen == [TextMessage("last"), CloseConnection(1000, "")]


async def test_a_session_is_closed_by_hand(face: Face) -> None:
    """With any code; twice is no error; what had come can be received still."""
    seen: list[CloseConnection] = []

    def play(peer: Peer) -> None:
        peer.accept()
        peer.send(TextMessage("one"), TextMessage("two"))
        seen.append(peer.finish())

    with serving(play) as server:
        async with connected(face, server.url) as ws:
            assert await ws.receive_text() == "one"
            with pytest.raises(crawler.LocalProtocolError, match="99"):
                await ws.close(99)
            assert not seen
    with serving(play) as server:
        async with connected(face, server.url) as ws:
            assert await ws.receive_text() == "one"
            await ws.close(4001, "enough")
            await ws.close()
            assert await ws.receive_text() == "two"
            for act in (ws.receive, ws.ping):
                with pytest.raises(crawler.WebSocketDisconnect) as caught:
                    await act()
            assert caught.value.code == 4001
    assert seen[-1] == CloseConnection(4001, "enough")


async def test_a_peer_that_does_not_answer_the_close_is_left(face: Face) -> None:
    """After `keepalive_ping_timeout_seconds`, at most a few seconds."""
    with serving(lambda peer: (peer.accept(), peer.receive(), peer.receive())) as server:
        async with connected(face, server.url, keepalive_ping_timeout_seconds=0.02) as ws:
            await ws.close()
            with pytest.raises(crawler.WebSocketDisconnect):
                await ws.receive()


async def test_an_error_in_the_block_goes_through(face: Face) -> None:
    """As it is; the peer is told, and its answer not waited for."""
    seen: list[Event] = []

    def play(peer: Peer) -> None:
        peer.accept()
        seen.append(peer.receive())

    with serving(play) as server, pytest.raises(LookupError, match="mine"):
        async with connected(face, server.url):
            raise LookupError("mine")
    assert seen == [CloseConnection(1000, "")]


# --- pings ---


async def test_a_ping_is_answered(face: Face, bed: Testbed) -> None:
    """Waiting for the pong takes in what comes before it."""
    async with connected(face, bed.url + "/ws/echo") as ws:
        await ws.send_text("first")
        pong = await ws.ping(b"there?")
        assert await face.settle(pong.wait(10))
        assert pong.is_set()
        assert await face.settle(pong.wait(0))
        assert await ws.receive_text() == "first"
        pong = await ws.ping()
        await ws.send_text("second")
        assert await ws.receive_text() == "second"
        assert pong.is_set()


async def test_a_ping_without_an_answer(face: Face) -> None:
    """Waiting for it ends with the time, with a full queue, or with the session."""

    def play(peer: Peer) -> None:
        peer.accept()
        peer.expect(Ping(b"1"))
        peer.expect(Ping(b"2"))
        peer.send(TextMessage("one"), TextMessage("two"), TextMessage("three"))
        peer.expect(Ping(b"3"))
        peer.vanish()

    with serving(play) as server:
        async with connected(face, server.url, queue_size=2) as ws:
            pong = await ws.ping()
            assert not await face.settle(pong.wait(0.01))
            pong = await ws.ping()
            with pytest.raises(RuntimeError, match="2 messages"):
                await face.settle(pong.wait(10))
            assert [await ws.receive_text() for _ in range(3)] == ["one", "two", "three"]
            pong = await ws.ping()
            with pytest.raises(crawler.WebSocketNetworkError):
                await face.settle(pong.wait())
            with pytest.raises(crawler.WebSocketNetworkError):
                await ws.ping()


async def test_the_peers_pings_are_answered_while_receiving(face: Face) -> None:
    """Without anybody noticing."""

    def play(peer: Peer) -> None:
        peer.accept()
        peer.send(Ping(b"there?"))
        peer.expect(Pong(b"there?"))
        peer.send(TextMessage("good"))
        peer.finish()

    with serving(play) as server:
        async with connected(face, server.url) as ws:
            assert await ws.receive_text() == "good"


async def test_the_peers_pings_are_answered_while_sending(face: Face) -> None:
    """A program that only sends looks at what comes, and keeps the messages for later."""
    is_asked = threading.Event()

    def play(peer: Peer) -> None:
        peer.accept()
        peer.send(TextMessage("by the way"), Ping(b"there?"))
        is_asked.set()
        while peer.receive() != Pong(b"there?"):
            pass
        peer.finish()

    with serving(play) as server:
        async with connected(face, server.url) as ws:
            await face.wait(is_asked)
            for _ in range(3):
                await ws.send_text("more")
                with contextlib.suppress(crawler.WebSocketTimeout):
                    assert await ws.receive_text(0.01) == "by the way"


async def test_a_peer_that_answers_no_keepalive_ping_is_given_up(face: Face) -> None:
    """In bounded time, though the receive has no limit of its own."""
    seen: list[Event] = []

    def play(peer: Peer) -> None:
        peer.accept()
        seen.append(peer.receive())
        seen.append(peer.receive())

    with serving(play) as server:
        options = {"keepalive_ping_interval_seconds": 0.02, "keepalive_ping_timeout_seconds": 0.02}
        async with connected(face, server.url, **options) as ws:
            with pytest.raises(crawler.WebSocketNetworkError, match="keep-alive") as caught:
                await ws.receive()
            assert isinstance(caught.value, crawler.NetworkError)
    assert seen == [Ping(b"")]


async def test_a_peer_that_answers_keepalive_pings_is_waited_for(face: Face) -> None:
    """As long as it takes."""

    def play(peer: Peer) -> None:
        peer.accept()
        for _ in range(3):
            peer.expect(Ping(b""))
            peer.send(Pong(b""))
        peer.send(TextMessage("at last"))
        peer.finish()

    with serving(play) as server:
        options = {"keepalive_ping_interval_seconds": 0.02, "keepalive_ping_timeout_seconds": 10.0}
        async with connected(face, server.url, **options) as ws:
            assert await ws.receive_text() == "at last"


# --- faults ---

MASKED = bytes([0x81, 0x85]) + b"abcd" + bytes(a ^ b for a, b in zip(b"hello", b"abcda", strict=True))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (MASKED, 1002),
        (b"\x83\x00", 1002),
        (b"\x81\x02\xff\xfe", 1007),
        (b"\x82\x7e" + struct.pack("!H", 5000) + bytes(5000), 1009),
        (b"\x02\x7e" + struct.pack("!H", 900) + bytes(900) + b"\x80\x7e" + struct.pack("!H", 900) + bytes(900), 1009),
    ],
    ids=["masked", "opcode", "utf-8", "too large", "too large together"],
)
async def test_a_violation_closes(face: Face, data: bytes, code: int) -> None:
    """After the messages before it; the peer is told why."""
    seen: list[CloseConnection] = []

    def play(peer: Peer) -> None:
        peer.accept()
        peer.send(TextMessage("good"))
        peer.send_raw(data)
        seen.append(peer.finish())

    with serving(play) as server:
        async with connected(face, server.url, max_message_size_bytes=1000) as ws:
            assert await ws.receive_text() == "good"
            with pytest.raises(crawler.WebSocketDisconnect) as caught:
                await ws.receive()
            assert caught.value.code == code
    assert [close.code for close in seen] == [code]


@pytest.mark.parametrize("tail", [b"", b"\x81\x05hel"], ids=["between messages", "within one"])
async def test_an_end_without_a_close_is_a_network_error(face: Face, tail: bytes) -> None:
    """After the messages before it; and again at each further call."""

    def play(peer: Peer) -> None:
        peer.accept()
        peer.send(TextMessage("good"))
        peer.send_raw(tail)
        peer.vanish()

    with serving(play) as server:
        async with connected(face, server.url) as ws:
            assert await ws.receive_text() == "good"
            for _ in range(2):
                with pytest.raises(crawler.WebSocketNetworkError):
                    await ws.receive()
                with pytest.raises(crawler.WebSocketNetworkError):
                    await ws.send_text("late")


async def test_a_reset_is_a_network_error(face: Face) -> None:
    """Whoever meets it first, a receive or a send; the end of the block says nothing more."""

    def play(connection: RawConnection) -> None:
        Peer(connection).accept()
        connection.read()
        connection.reset()

    with RawServer(play) as server:
        async with connected(face, server.url) as ws:
            await ws.send_text("hello")
            with pytest.raises(crawler.WebSocketNetworkError) as caught:
                await ws.receive()
            assert caught.value.kind == "connection_lost"
        async with connected(face, server.url) as ws:
            with pytest.raises(crawler.WebSocketNetworkError):
                await send_on(ws, BytesMessage(bytes(1000)))


async def test_a_peer_that_takes_nothing_is_given_up(face: Face) -> None:
    """After the write timeout, of the client or the handshake; the session is over then."""
    is_over = threading.Event()
    with serving(lambda peer: (peer.accept(), is_over.wait(20))) as server:
        try:
            async with connected(face, server.url, timeout=crawler.Timeout(10, write=0.05)) as ws:
                with pytest.raises(crawler.WebSocketNetworkError) as caught:
                    await send_on(ws, BytesMessage(bytes(1_000_000)))
                assert isinstance(caught.value.__cause__, crawler.WriteTimeout)
                with pytest.raises(crawler.WebSocketNetworkError):
                    await ws.receive()
        finally:
            is_over.set()


# --- several at once ---


@pytest.mark.parametrize("is_tls", [False, True], ids=["plain", "tls"])
async def test_one_receives_while_others_send(face: Face, tls_bed: Testbed, is_tls: bool) -> None:
    """From tasks or threads of their own: every message arrives whole."""
    base = tls_bed.tls_url if is_tls else tls_bed.url
    got: list[str] = []

    async def receive(ws: Session) -> None:
        while len(got) < 60:
            got.append(await ws.receive_text(timeout=15))

    async def send(ws: Session, name: str) -> None:
        for number in range(20):
            await ws.send_text(f"{name}{number}".ljust(5000))

    trusted = ssl.create_default_context(cadata=tls_bed.ca_pem)
    async with face.client(verify=trusted) as client, websocket(face, client, base + "/ws/echo") as ws:
        assert await face.gather(receive(ws), *(send(ws, name) for name in "abc")) == [None] * 4
    assert sorted(text.strip() for text in got) == sorted(f"{name}{number}" for name in "abc" for number in range(20))


async def test_several_receive_and_wait_for_pongs(face: Face, bed: Testbed) -> None:
    """One of them reads for all; none is forgotten when another has what it waited for."""

    async def receive(ws: Session) -> str:
        text: str = await ws.receive_text(timeout=15)
        return text

    async def ping(ws: Session) -> str:
        pong = await ws.ping()
        assert await face.settle(pong.wait(15))
        await ws.send_text("hello")
        return "pong"

    async with connected(face, bed.url + "/ws/echo") as ws:
        answers = await face.gather(receive(ws), receive(ws), ping(ws), ping(ws))
    assert answers == ["hello", "hello", "pong", "pong"]


async def test_a_close_ends_a_receive_elsewhere(face: Face) -> None:
    """It hears that the session was closed."""
    is_open = threading.Event()

    def play(peer: Peer) -> None:
        peer.accept()
        peer.expect(TextMessage("open"))
        is_open.set()
        peer.finish()

    async def receive(ws: Session) -> None:
        await ws.send_text("open")
        await ws.receive()

    async def close(ws: Session) -> None:
        await face.wait(is_open)
        await ws.close(4002, "enough")

    with serving(play) as server:
        async with connected(face, server.url) as ws:
            [error, nothing] = await face.gather(receive(ws), close(ws))
    assert isinstance(error, crawler.WebSocketDisconnect)
    assert (error.code, error.reason, nothing) == (4002, "enough", None)


@pytest.mark.parametrize("face", [Face("asyncio"), Face("uvloop"), Face("trio")], ids=lambda face: face.world)
async def test_a_cancelled_receive_loses_nothing(face: Face, bed: Testbed) -> None:
    """The session goes on; a cancelled block drops the connection at once."""
    async with face.client() as client:
        async with websocket(face, client, bed.url + "/ws/echo") as ws:
            for number in range(20):
                with anyio.move_on_after(0.001 * (number % 3)):
                    await ws.receive()
                    pytest.fail("nothing was sent")
                await ws.send_text(str(number))
                assert await ws.receive_text() == str(number)
        with anyio.move_on_after(0.01) as scope:
            async with websocket(face, client, bed.url + "/ws/echo") as ws:
                await ws.receive()
        assert scope.cancelled_caught


@pytest.mark.parametrize("face", [Face("asyncio"), Face("uvloop"), Face("trio")], ids=lambda face: face.world)
async def test_a_cancelled_send_drops_the_connection(face: Face) -> None:
    """As a part of the message may have been sent."""
    is_over = threading.Event()
    with serving(lambda peer: (peer.accept(), is_over.wait(20))) as server:
        try:
            async with connected(face, server.url, timeout=None) as ws:
                with anyio.move_on_after(0.2) as scope:
                    await ws.send_bytes(bytes(20_000_000))
                assert scope.cancelled_caught
                with pytest.raises(crawler.WebSocketNetworkError, match="broken off"):
                    await ws.receive()
        finally:
            is_over.set()


def test_the_top_level_function(bed: Testbed) -> None:
    """`crawler.websocket`, with a client of its own."""
    with crawler.websocket(bed.url.replace("http", "ws") + "/ws/info", params={"a": "1"}, trust_env=False) as ws:
        assert ws.receive_json()["args"] == {"a": "1"}
        assert list(ws) == []


def test_a_half_record_is_waited_for() -> None:
    """Bytes of TLS that do not make a message yet: the blocking reader goes on waiting, within its time limit."""
    looks: list[bool] = []
    ours, theirs = socket.socketpair()
    theirs.send(b"half")

    class Stream:
        def get_extra_info(self, name: str) -> Any:
            if name == "socket":
                return ours
            looks.append(len(looks) == 2)
            return looks[-1]

        def read(self, max_bytes: int, timeout: float | None) -> bytes:
            return b"whole"

    with ours, theirs:
        assert BlockingLine(Stream()).read(None).value == b"whole"
        assert looks == [False, False, True]
        with pytest.raises(crawler.ReadTimeout):
            BlockingLine(Stream()).read(0.0)

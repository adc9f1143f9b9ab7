"""Ways to connect, retries, logging, pickling, and other things asked for by a word."""

from __future__ import annotations

import logging
import pickle
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

import crawler
from crawler.testbed import Testbed
from crawler.testbed.raw import Do, RawConnection, RawServer
from tests.peers.worlds import Face

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BUSY = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy"
BUSY_AND_GONE = BUSY.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")


async def test_a_unix_socket(face: Face, tmp_path: Path) -> None:
    """`uds=` replaces the network; the URL still gives Host and path."""
    path = str(tmp_path / "s")
    received: list[bytes] = []
    is_done = threading.Event()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                received.append(connection.recv(65_536))
                connection.sendall(OK)
                connection.recv(1)
            is_done.set()

        thread = threading.Thread(target=serve)
        thread.start()
        async with face.client(transport=face.transport(uds=path)) as client:
            response = await client.get("http://docker.test/info")
        await face.wait(is_done)
        thread.join(10)

    assert response.text == "ok"
    assert response.extensions["crawler.timing"].remote_ip is None
    assert received[0].startswith(b"GET /info HTTP/1.1\r\nHost: docker.test\r\n")


async def test_a_unix_socket_that_is_not_there(face: Face, tmp_path: Path) -> None:
    """ConnectError that names it."""
    async with face.client(transport=face.transport(uds=str(tmp_path / "none"))) as client:
        with pytest.raises(crawler.ConnectError, match="none"):
            await client.get("http://docker.test/")


async def test_a_local_address(face: Face) -> None:
    """Connections start from it, and socket options are set."""
    peers: list[Any] = []

    def serve(connection: RawConnection) -> None:
        peers.append(connection.sock.getpeername())
        connection.read_request()
        connection.send(OK)

    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    with RawServer(serve) as server:
        transport = face.transport(local_address="127.0.0.2", socket_options=options)
        async with face.client(transport=transport) as client, client.stream("GET", server.url) as response:
            sock = response.extensions["network_stream"].get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert response.extensions["network_stream"].get_extra_info("client_addr")[0] == "127.0.0.2"

    assert peers[0][0] == "127.0.0.2"


async def test_a_local_address_of_another_machine(face: Face) -> None:
    """ConnectError."""
    async with face.client(transport=face.transport(local_address="192.0.2.1")) as client:
        with pytest.raises(crawler.ConnectError):
            await client.get("http://127.0.0.1:9/")


async def test_connecting_is_tried_again(face: Face) -> None:
    """`retries=` of the transport: at once, then after half a second; only for connecting."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    events: list[str] = []

    def trace(name: str, info: dict[str, Any]) -> None:
        events.append(name)

    async with face.client(transport=face.transport(retries=1)) as client:
        with pytest.raises(crawler.ConnectError):
            await client.get(f"http://127.0.0.1:{port}/", extensions={"trace": face.hook(trace)})

    tries = ["connection.connect_tcp.started", "connection.connect_tcp.failed"]
    assert events == [*tries, "connection.retry.started", "connection.retry.complete", *tries]


async def test_retrying_by_status(face: Face) -> None:
    """`Retry`: until a good answer, on the same connection."""
    with RawServer([BUSY, Do.READ, BUSY, Do.READ, OK, Do.HOLD]) as server:
        async with face.client(retries=crawler.Retry(3, backoff=0.001)) as client:
            response = await client.get(server.url)

        assert response.text == "ok"
        assert len(server.connections) == 1


async def test_retrying_gives_up(face: Face) -> None:
    """The last answer, or the last error."""
    with RawServer([BUSY, Do.READ, BUSY_AND_GONE], [Do.CLOSE]) as server:
        async with face.client(retries=crawler.Retry(2, backoff=0.001)) as client:
            response = await client.get(server.url)
            assert (response.status_code, response.text) == (503, "busy")
            with pytest.raises(crawler.TransportError):
                await client.get(server.url)


async def test_a_post_is_not_retried(face: Face) -> None:
    """Only idempotent methods, and only bodies that can be sent again."""
    with RawServer(BUSY_AND_GONE) as server:
        async with face.client(retries=crawler.Retry(3, backoff=0.001)) as client:
            assert (await client.post(server.url, content=b"x")).status_code == 503
            assert (await client.request("PUT", server.url, content=face.chunks([b"x"]))).status_code == 503

        assert len(server.connections) == 2


async def test_what_another_attempt_cannot_mend(face: Face) -> None:
    """Our own mistakes and the total limit are told at once."""
    with RawServer([Do.HOLD]) as server:
        async with face.client(retries=crawler.Retry(50, backoff=10.0)) as client:
            with pytest.raises(crawler.LocalProtocolError):
                await client.get(server.url, headers={"X": "a\nb"})
            with pytest.raises(crawler.UnsupportedProtocol):
                await client.get("ftp://example.test/")
            with pytest.raises(crawler.TotalTimeout):
                await client.get(server.url, timeout=crawler.Timeout(5.0, total=0.05))


async def test_no_waiting_beyond_the_total_limit(face: Face) -> None:
    """A Retry-After past the deadline: the answer is given as it is, at once."""
    busy = BUSY.replace(b"\r\n\r\n", b"\r\nRetry-After: 30\r\n\r\n")
    with RawServer(busy) as server:
        async with face.client(retries=crawler.Retry(3), timeout=crawler.Timeout(5.0, total=1.0)) as client:
            assert (await client.get(server.url)).status_code == 503


async def test_one_line_per_exchange_is_logged(face: Face, bed: Testbed, caplog: pytest.LogCaptureFixture) -> None:
    """At INFO, by the package's logger, without the URL's credentials."""
    caplog.set_level(logging.INFO, logger="crawler")
    async with face.client(follow_redirects=True) as client:
        await client.get(f"{bed.url}/redirect/1".replace("//", "//user:secret@"))

    messages = [record.getMessage() for record in caplog.records if record.name == "crawler"]
    assert messages == [
        f'HTTP Request: GET {bed.url}/redirect/1 "HTTP/1.1 302 "',
        f'HTTP Request: GET {bed.url}/get "HTTP/1.1 200 "',
    ]


async def test_the_steps_are_logged(face: Face, bed: Testbed, caplog: pytest.LogCaptureFixture) -> None:
    """At DEBUG, by a child logger, by the names that a trace hears; neither headers nor credentials."""
    caplog.set_level(logging.DEBUG, logger="crawler")
    async with face.client(headers={"Authorization": "Bearer secret"}) as client:
        await client.get(f"{bed.url}/get".replace("//", "//user:secret@"))

    messages = [record.getMessage() for record in caplog.records if record.name == "crawler.wire"]
    assert messages[0].startswith("connection.connect_tcp.started host='127.0.0.1' port=")
    assert "http11.receive_response_headers.complete status=200" in messages
    assert messages[-1] == "http11.response_closed.complete"
    assert not any("secret" in message.replace("[secure]", "") for message in messages)


LEVELS: list[tuple[dict[str, int], set[str]]] = [
    ({}, {"crawler", "crawler.wire"}),
    ({"httpx": logging.WARNING}, set()),
    ({"httpcore": logging.WARNING}, {"crawler"}),
    ({"httpx": logging.INFO}, {"crawler"}),
    ({"httpx": logging.WARNING, "httpcore": logging.WARNING, "crawler": logging.DEBUG}, {"crawler", "crawler.wire"}),
    ({"crawler": logging.WARNING}, set()),
]


@pytest.mark.parametrize(("levels", "heard"), LEVELS)
async def test_who_quietens_httpx_quietens_us(
    face: Face, bed: Testbed, caplog: pytest.LogCaptureFixture, levels: dict[str, int], heard: set[str]
) -> None:
    """Programs that moved over from HTTPX have silenced its loggers by their names; our own names go first."""
    caplog.set_level(logging.DEBUG)
    for name, level in levels.items():
        caplog.set_level(level, logger=name)
    caplog.handler.setLevel(logging.DEBUG)
    async with face.client() as client:
        await client.get(f"{bed.url}/get")

    assert {record.name for record in caplog.records if record.name.startswith("crawler")} - {
        "crawler.testbed"
    } == heard


async def test_errors_do_not_tell_credentials(face: Face, bed: Testbed) -> None:
    """Neither messages nor the repr of the request."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with face.client(follow_redirects=True, max_redirects=1) as client:
        with pytest.raises(crawler.ConnectError) as refused:
            await client.get(f"http://user:secret@127.0.0.1:{port}/")
        with pytest.raises(crawler.TooManyRedirects) as looping:
            await client.get(f"{bed.url}/redirect-loop".replace("//", "//user:secret@"))
        with pytest.raises(crawler.UnsupportedProtocol) as unsupported:
            await client.get("ftp://user:secret@127.0.0.1/")

    for caught in (refused, looping, unsupported):
        assert "secret" not in str(caught.value) + repr(caught.value)


async def test_responses_can_be_pickled(face: Face, bed: Testbed) -> None:
    """With request, history, timing and text."""
    async with face.client(follow_redirects=True) as client:
        response = await client.get(f"{bed.url}/redirect/1")

    again = pickle.loads(pickle.dumps(response))
    assert again.json() == response.json()
    assert again.request.url == response.request.url
    assert again.history[0].status_code == 302
    assert again.elapsed == response.elapsed
    assert again.is_closed


async def test_auth_is_chosen(face: Face, bed: Testbed) -> None:
    """The request's, None for none; the client's; the URL's."""
    async with face.client() as client:
        url = bed.url.replace("//", "//u:p@") + "/headers"

        async def sent(**options: Any) -> str | None:
            headers: dict[str, str] = (await client.get(url, **options)).json()["headers"]
            return headers.get("Authorization")

        assert await sent() == "Basic dTpw"
        assert await sent(auth=None) is None
        client.client.auth = ("a", "b")
        assert await sent() == "Basic YTpi"
        assert await sent(auth=("c", "d")) == "Basic Yzpk"


async def test_a_request_made_by_hand_gets_the_clients_limits(face: Face) -> None:
    """Without them it would wait for ever for a server that never answers."""
    with RawServer([Do.READ, Do.HOLD]) as server:
        async with face.client(timeout=0.05, max_response_size=5) as client:
            request = crawler.Request("GET", server.url)
            with pytest.raises(crawler.ReadTimeout):
                await client.send(request)
            own = crawler.Request("GET", server.url, extensions={"timeout": {"read": 0.01}})
            with pytest.raises(crawler.ReadTimeout):
                await client.send(own)

    assert request.extensions["timeout"]["read"] == 0.05
    assert request.extensions["max_response_size"] == 5
    assert own.extensions["timeout"] == {"read": 0.01}

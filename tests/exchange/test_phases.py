"""Time limits of single phases: the name look-up, the TLS handshake, the first byte of the response."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

import crawler
from crawler.testbed.raw import Do, RawConnection, RawServer, Step, Wait
from tests.exchange.test_addresses import Names, called
from tests.peers.certificates import Authority
from tests.peers.http2 import Http2Peer, http2_server
from tests.peers.worlds import Face

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
OK = HEAD + b"ok"
LONG = 15.0  # no limit is reached by it, also on a busy machine
SHORT = 0.05
PAUSE = 0.3  # of a server, well beyond the short limit


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """In place of the system's resolver."""
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    yield names
    names.is_over.set()


# --- the first byte ---


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_silence_before_the_first_byte(face: Face, method: str) -> None:
    """ReadTimeout of the kind `timeout_ttfb`, by its own limit and not by that of reading."""
    limits = crawler.Timeout(LONG, ttfb=SHORT)
    with RawServer([Do.HOLD]) as server:
        async with face.client(timeout=limits) as client:
            with pytest.raises(crawler.ReadTimeout, match=rf"ttfb timeout of {SHORT} s") as caught:
                await client.request(
                    method, server.url, **({"content": face.chunks([b"a"])} if method == "POST" else {})
                )

    assert caught.value.kind == "timeout_ttfb"


async def test_the_first_byte_may_take_longer_than_others(face: Face) -> None:
    """The read timeout counts from the first byte on, and then it does."""
    script: list[Step] = [Wait(PAUSE), OK, Do.READ, Wait(PAUSE), HEAD, Do.HOLD]
    limits = crawler.Timeout(LONG, read=SHORT, ttfb=LONG)
    with RawServer(script) as server:
        async with face.client(timeout=limits) as client:
            response = await client.get(server.url)
            with pytest.raises(crawler.ReadTimeout, match="read timeout") as caught:
                await client.get(server.url)

    assert response.text == "ok"
    assert caught.value.kind == "timeout_read"


async def test_silence_on_an_http2_stream(face: Face) -> None:
    """The same, by stream."""

    def script(peer: Http2Peer) -> None:
        peer.respond(peer.next_request(), b"ok")
        peer.next_request()
        peer.hold()

    with http2_server(script) as server:
        async with face.client(http1=False, http2=True, timeout=crawler.Timeout(LONG, ttfb=0.5)) as client:
            response = await client.get(server.url)
            with pytest.raises(crawler.ReadTimeout, match="ttfb timeout") as caught:
                await client.get(server.url)

    assert response.text == "ok"
    assert caught.value.kind == "timeout_ttfb"


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
async def test_the_first_byte_of_an_http2_stream_may_take_longer(face: Face, is_streamed: bool) -> None:
    """From the head on it is the read timeout that counts."""

    def script(peer: Http2Peer) -> None:
        stream = peer.next_request()
        time.sleep(PAUSE)
        peer.head(stream)
        peer.flush()
        peer.hold()

    limits = crawler.Timeout(LONG, read=SHORT, ttfb=LONG)
    with http2_server(script) as server:
        async with face.client(http1=False, http2=True, timeout=limits) as client:
            with pytest.raises(crawler.ReadTimeout, match="read timeout") as caught:
                await client.fetch(server.url, is_streamed=is_streamed)

    assert caught.value.kind == "timeout_read"


# --- TLS ---


async def test_a_handshake_by_its_own_limit(face: Face) -> None:
    """ConnectTimeout of the kind `timeout_tls`."""
    with RawServer(lambda connection: connection.hold()) as server:
        async with face.client(timeout=crawler.Timeout(LONG, tls=SHORT)) as client:
            with pytest.raises(crawler.ConnectTimeout, match=rf"tls timeout of {SHORT} s") as caught:
                await client.get(server.url.replace("http:", "https:"))

    assert caught.value.kind == "timeout_tls"


async def test_a_handshake_does_not_count_for_connecting(face: Face, authority: Authority) -> None:
    """With a limit of its own it may take longer than that of connecting."""

    def serve(connection: RawConnection) -> None:
        time.sleep(2 * PAUSE)
        with authority.server_context().wrap_socket(connection.sock, server_side=True) as secure:
            while not secure.recv(65536).endswith(b"\r\n\r\n"):
                pass
            secure.sendall(OK)

    with RawServer(serve) as server:
        url = server.url.replace("http://127.0.0.1", "https://localhost")
        limits = crawler.Timeout(LONG, connect=PAUSE, tls=LONG, dns=LONG)
        async with face.client(timeout=limits, verify=authority.client_context()) as client:
            response = await client.get(url)

    assert response.text == "ok"


# --- names ---


async def test_a_look_up_by_its_own_limit(face: Face, names: Names) -> None:
    """ConnectTimeout of the kind `dns_timeout`."""
    async with face.client(timeout=crawler.Timeout(LONG, dns=SHORT)) as client:
        with pytest.raises(crawler.ConnectTimeout, match=rf"dns timeout of {SHORT} s") as caught:
            await client.get(f"http://{names.silent()}/")

    assert caught.value.kind == "dns_timeout"


async def test_a_look_up_does_not_count_for_connecting(
    face: Face, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a limit of its own it may take longer than that of connecting."""
    names.known["slow.test"] = ["127.0.0.1"]

    def slowly(*args: Any, **options: Any) -> Any:
        time.sleep(2 * PAUSE)
        return names.getaddrinfo(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    with RawServer(OK) as server:
        async with face.client(timeout=crawler.Timeout(LONG, connect=PAUSE, dns=LONG)) as client:
            response = await client.get(called(server, "slow.test"))

    assert response.text == "ok"


async def test_the_total_limit_goes_before(face: Face, names: Names) -> None:
    """TotalTimeout, whatever the limits of the phases."""
    limits = crawler.Timeout(LONG, dns=LONG, tls=LONG, ttfb=LONG, total=SHORT)
    with RawServer([Do.HOLD]) as server:
        async with face.client(timeout=limits) as client:
            for url in (f"http://{names.silent()}/", server.url.replace("http:", "https:"), server.url):
                with pytest.raises(crawler.TotalTimeout):
                    await client.get(url)

"""TLS against real handshakes: right, wrong, cut short and stalled."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import crawler
from crawler.testbed.raw import Do, RawServer
from tests.peers.certificates import Authority
from tests.peers.listener import Listener, receive_until
from tests.peers.worlds import Face

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def serve(connection: socket.socket) -> None:
    """Answer every request."""
    rest = b""
    while True:
        _, rest = receive_until(connection, b"\r\n\r\n", rest)
        connection.sendall(OK)


async def test_https_with_a_context(face: Face, authority: Authority) -> None:
    """The authority is trusted, the name is right, the connection is used again."""
    with Listener(serve, authority.server_context()) as server:
        async with face.client(verify=authority.client_context()) as client:
            first = await client.get(f"https://localhost:{server.port}/")
            second = await client.get(f"https://localhost:{server.port}/")

    assert (first.text, second.text) == ("ok", "ok")
    assert first.extensions["crawler.timing"].tls > 0
    assert second.extensions["crawler.timing"].conn_reused


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
async def test_what_was_agreed_is_kept(face: Face, authority: Authority, is_streamed: bool) -> None:
    """On every response, also when its connection is gone: version, cipher, ALPN, the end of the certificate."""
    with Listener(serve, authority.server_context()) as server:
        async with face.client(verify=authority.client_context()) as client:
            responses = []
            for _ in range(2):
                async with client.stream("GET", f"https://localhost:{server.port}/") as response:
                    responses.append(response)
                if not is_streamed:
                    responses[-1] = await client.get(f"https://localhost:{server.port}/")

    first, second = (response.extensions["crawler.tls"] for response in responses)
    assert first.version in ("TLSv1.2", "TLSv1.3")
    assert first.cipher
    assert first.alpn in (None, "http/1.1")
    assert first.is_verified
    assert first.not_after > datetime.now(UTC)
    assert (second.version, second.not_after) == (first.version, first.not_after)
    assert repr(first).startswith("TLSInfo(version='TLSv1.")


async def test_a_certificate_that_was_not_checked(face: Face, authority: Authority) -> None:
    """Nobody knows until when it holds."""
    with Listener(serve, authority.server_context()) as server:
        async with face.client(verify=False) as client:
            response = await client.get(f"https://localhost:{server.port}/")

    info = response.extensions["crawler.tls"]
    assert (info.is_verified, info.not_after) == (False, None)


async def test_large_bodies_both_ways(face: Face, authority: Authority) -> None:
    """Many records, streamed and whole."""
    size = 3 * 2**20

    def echo(connection: socket.socket) -> None:
        _, data = receive_until(connection, b"\r\n\r\n")
        while len(data) < size:
            data += connection.recv(65_536)
        # The next POST would be lost on a connection that closes unannounced.
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size + data)

    body = bytes(range(256)) * (size // 256)
    with Listener(echo, authority.server_context()) as server:
        async with face.client(verify=authority.client_context()) as client:
            whole = await client.post(f"https://127.0.0.1:{server.port}/", content=body)
            async with client.stream("POST", f"https://127.0.0.1:{server.port}/", content=body) as response:
                streamed = b"".join([piece async for piece in face.pieces(response, "raw")])

    assert whole.content == streamed == body


async def test_uploads_in_pieces_are_not_stopped_by_tickets(face: Face, authority: Authority) -> None:
    """The tickets of TLS 1.3 come right after the handshake, and are no early answer."""
    with Listener(answer_chunked, authority.server_context()) as server:
        async with face.client(verify=authority.client_context()) as client:
            for _ in range(3):
                response = await client.post(
                    f"https://localhost:{server.port}/", content=face.chunks([b"x" * 20_000] * 20)
                )
                assert response.text == "ok"


def answer_chunked(connection: socket.socket) -> None:
    """Read a chunked body to its end, then answer."""
    rest = b""
    while True:
        _, rest = receive_until(connection, b"\r\n\r\n", rest)
        while b"0\r\n\r\n" not in rest:
            rest = rest[-8:] + connection.recv(65_536)
        connection.sendall(OK)
        rest = b""


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"expired": True}, "tls_expired"),
    "wants a client certificate": ({"wants_client_certificate": True}, "tls_protocol"),
}


@pytest.mark.parametrize("case", BAD)
async def test_certificates_that_are_not_accepted(face: Face, authority: Authority, case: str) -> None:
    """ConnectError with the reason, or what the server said when it hung up; never a second try without checking."""
    options, kind = BAD[case]
    with Listener(serve, authority.server_context(**options)) as server:
        async with face.client(verify=authority.client_context()) as client:
            with pytest.raises(crawler.TransportError) as caught:
                await client.get(f"https://localhost:{server.port}/")

    assert caught.value.request.url.scheme == "https"
    if isinstance(caught.value, crawler.ConnectError):
        assert caught.value.kind == kind
    else:  # TLS 1.3: the server refuses after the client's part of the handshake is done
        assert options == {"wants_client_certificate": True}


async def test_a_certificate_of_another_name(face: Face, authority: Authority) -> None:
    """`tls_hostname`."""
    with Listener(serve, authority.server_context("other.test")) as server:
        async with face.client(verify=authority.client_context()) as client:
            with pytest.raises(crawler.ConnectError) as caught:
                await client.get(f"https://localhost:{server.port}/")

    assert caught.value.kind == "tls_hostname"
    assert isinstance(caught.value.__cause__, ssl.SSLError)


async def test_an_unknown_authority(face: Face, authority: Authority) -> None:
    """Not trusted by default; accepted where verification is off."""
    with Listener(serve, authority.server_context()) as server:
        async with face.client() as client:
            with pytest.raises(crawler.ConnectError) as caught:
                await client.get(f"https://localhost:{server.port}/")
        async with face.client(verify=False) as client:
            assert (await client.get(f"https://localhost:{server.port}/")).text == "ok"

    assert caught.value.kind == "tls_untrusted"


async def test_another_name_for_the_handshake(face: Face, authority: Authority) -> None:
    """The extension `sni_hostname` is what is asked for and checked."""
    with Listener(serve, authority.server_context("other.test")) as server:
        async with face.client(verify=authority.client_context()) as client:
            response = await client.get(f"https://localhost:{server.port}/", extensions={"sni_hostname": "other.test"})

    assert response.text == "ok"


@pytest.mark.parametrize("script", [[b"HTTP/1.1 400 No TLS here\r\n\r\n"], [Do.CLOSE], [Do.RESET]])
async def test_a_port_that_does_not_speak_tls(face: Face, script: list[Any]) -> None:
    """Plain text, a close, a reset: ConnectError at once."""

    def play(connection: Any) -> None:
        connection.read()
        if isinstance(script[0], bytes):
            connection.send(script[0])
        elif script[0] is Do.RESET:
            connection.reset()

    with RawServer(play) as server:
        async with face.client() as client:
            with pytest.raises(crawler.ConnectError) as caught:
                await client.get(server.url.replace("http:", "https:"))

    assert caught.value.kind == ("tls_protocol" if isinstance(script[0], bytes) else "connect_reset")


async def test_a_handshake_that_stalls(face: Face) -> None:
    """ConnectTimeout."""
    with RawServer(lambda connection: connection.hold()) as server:
        async with face.client(timeout=crawler.Timeout(5.0, connect=0.05)) as client:
            with pytest.raises(crawler.ConnectTimeout):
                await client.get(server.url.replace("http:", "https:"))


async def test_a_body_cut_within_tls(face: Face, authority: Authority) -> None:
    """Closed without TLS's good-bye: never a complete body."""

    def cut(connection: socket.socket) -> None:
        receive_until(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        socket.socket.shutdown(connection, socket.SHUT_RDWR)

    with Listener(cut, authority.server_context()) as server:
        async with face.client(verify=authority.client_context()) as client:
            with pytest.raises((crawler.RemoteProtocolError, crawler.ReadError)):
                await client.get(f"https://localhost:{server.port}/")


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("says_good_bye", [True, False])
async def test_a_body_that_ends_with_the_connection(
    face: Face, authority: Authority, says_good_bye: bool, is_streamed: bool
) -> None:
    """Whole with TLS's good-bye (close_notify), and an error without: anybody on the path could have cut it."""

    def serve(connection: socket.socket) -> None:
        receive_until(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nbody")
        if says_good_bye:
            assert isinstance(connection, ssl.SSLSocket)
            connection.unwrap()
        else:
            socket.socket.shutdown(connection, socket.SHUT_WR)

    with Listener(serve, authority.server_context()) as server:
        url = f"https://localhost:{server.port}/"
        async with face.client(verify=authority.client_context()) as client:
            if says_good_bye:
                assert await client.fetch(url, is_streamed=is_streamed) == b"body"
            else:
                with pytest.raises(crawler.RemoteProtocolError) as caught:
                    await client.fetch(url, is_streamed=is_streamed)
                assert caught.value.kind == "body_incomplete"


async def test_a_body_of_known_length_needs_no_good_bye(face: Face, authority: Authority) -> None:
    """Its own framing says that it is whole (RFC 9112 §9.8)."""

    def serve(connection: socket.socket) -> None:
        receive_until(connection, b"\r\n\r\n")
        connection.sendall(OK)
        socket.socket.shutdown(connection, socket.SHUT_RDWR)

    with Listener(serve, authority.server_context()) as server:
        async with face.client(verify=authority.client_context()) as client:
            for _ in range(2):
                assert (await client.get(f"https://localhost:{server.port}/")).text == "ok"


async def test_bytes_that_are_no_record(face: Face, authority: Authority) -> None:
    """A ReadError, closed."""

    def garbage(connection: socket.socket) -> None:
        receive_until(connection, b"\r\n\r\n")
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        socket.socket.send(connection, b"this is no TLS record at all")
        connection.recv(1)

    with Listener(garbage, authority.server_context()) as server:
        async with face.client(verify=authority.client_context()) as client:
            with pytest.raises((crawler.RemoteProtocolError, crawler.ReadError)) as caught:
                await client.get(f"https://localhost:{server.port}/")

    assert caught.value.request.url.host == "localhost"


@pytest.mark.filterwarnings("ignore:`verify=<str>`:DeprecationWarning", "ignore:`cert=:DeprecationWarning")
async def test_the_deprecated_paths(face: Face, authority: Authority, tmp_path: Path) -> None:
    """A file with roots, a client certificate; each is read once, when the client is made."""
    roots, own = tmp_path / "roots.pem", tmp_path / "own.pem"
    roots.write_bytes(authority.pem)
    authority.client_certificate().private_key_and_cert_chain_pem.write_to_path(own)
    with Listener(serve, authority.server_context()) as server:
        async with face.client(verify=str(roots)) as client:
            roots.unlink()
            for _ in range(2):
                response = await client.get(f"https://localhost:{server.port}/", headers={"Connection": "close"})
                assert response.text == "ok"
    with Listener(serve, authority.server_context(wants_client_certificate=True)) as server:
        async with face.client(verify=authority.client_context(), cert=str(own)) as client:
            assert (await client.get(f"https://localhost:{server.port}/")).text == "ok"


async def test_paths_warn(face: Face, authority: Authority, tmp_path: Path) -> None:
    """Once, when the client is made."""
    roots = tmp_path / "roots.pem"
    roots.write_bytes(authority.pem)

    with pytest.warns(DeprecationWarning, match="verify=<str>"):
        face.client(verify=str(roots))
    with pytest.raises(TypeError):
        face.client(verify=3)

"""Streams that are never waited for: what does not fit is kept, what has come is given, TLS in memory as on sockets."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import pytest

from crawler.errors import ReadError, WriteError
from crawler.net.blocking import run_blocking
from crawler.net.blocking_stream import BlockingStream
from crawler.net.duplex import Duplex, SharedStream, SocketDuplex, duplex
from crawler.net.stream import HTTPNetworkStream, Stream
from crawler.net.tls_stream import TLSStream
from tests.peers.certificates import Authority
from tests.peers.listener import Listener

BIG = 5_000_000


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(10)
        yield ours, theirs


def drain(wire: Duplex, theirs: socket.socket, size: int) -> bytes:
    """Let the other end read while this one sends the rest."""
    received = bytearray()
    while len(received) < size:
        received += theirs.recv(1_000_000)
        wire.send()
    return bytes(received)


def test_nothing_has_come(pair: tuple[socket.socket, socket.socket]) -> None:
    """None, bytes and the end are told apart."""
    ours, theirs = pair
    wire = SocketDuplex(ours)

    assert wire.take() is None
    theirs.send(b"hello")
    assert wire.take() == b"hello"
    theirs.shutdown(socket.SHUT_WR)
    assert wire.take() == b""


def test_what_does_not_fit_is_kept_in_order(pair: tuple[socket.socket, socket.socket]) -> None:
    """A full socket is no error: the rest leaves with later calls."""
    ours, theirs = pair
    wire = SocketDuplex(ours)

    wanted = [wire.wants_write]
    wire.send(b"a" * BIG)
    wire.send(b"b" * 1000)
    wanted.append(wire.wants_write)
    received = drain(wire, theirs, BIG + 1000)
    wanted.append(wire.wants_write)

    assert wanted == [False, True, False]
    assert received == b"a" * BIG + b"b" * 1000


def test_a_broken_connection_is_an_error(pair: tuple[socket.socket, socket.socket]) -> None:
    """Writing to a peer that has left raises; so does using what was closed, and closing twice does not."""
    ours, theirs = pair
    wire = SocketDuplex(ours)
    theirs.close()

    with pytest.raises(WriteError):
        wire.send(b"x")
    wire.close()
    wire.close()
    with pytest.raises(ReadError):
        wire.take()


@pytest.mark.parametrize("in_memory", [False, True])
def test_tls_in_both_directions(in_memory: bool) -> None:
    """Encrypted, by a socket or in memory: a large body out while small ones come in, and the end."""
    authority = Authority()
    sizes: list[int] = []

    def serve(sock: socket.socket) -> None:
        sock.sendall(b"first")
        size = 0
        while size < BIG:
            size += len(sock.recv(100_000))
        sizes.append(size)
        sock.sendall(b"last")

    with Listener(serve, authority.server_context()) as listener:
        stream: Stream = BlockingStream(socket.create_connection(("127.0.0.1", listener.port)))
        context = authority.client_context()
        if in_memory:
            stream = run_blocking(TLSStream.handshake(stream, context, "localhost", None))
        else:
            stream = stream.start_tls(context, "localhost", None).value  # type: ignore[attr-defined]
        wire = duplex(stream)
        try:
            wire.send(bytes(BIG))
            received = b""
            while not received.endswith(b"last"):
                select_for(wire)
                wire.send()
                received += wire.take() or b""
            while (data := wire.take()) is None:
                select_for(wire)
            assert data == b""
        finally:
            wire.close()

    assert received == b"firstlast"
    assert sizes == [BIG]


def select_for(wire: Duplex) -> None:
    """Wait until something can be done."""
    import select

    select.select([wire.sock], [wire.sock] if wire.wants_write else [], [], 10)


def test_a_shared_stream_only_tells(pair: tuple[socket.socket, socket.socket]) -> None:
    """Its users can look at the connection and end it, but not read, write or encrypt it."""
    ours, theirs = pair
    face = HTTPNetworkStream(SharedStream(ours, None))

    with pytest.raises(ReadError):
        face.read(1)
    with pytest.raises(WriteError):
        face.write(b"x")
    with pytest.raises(WriteError):
        face.start_tls(ssl.create_default_context())
    assert face.get_extra_info("socket") is ours
    assert face.get_extra_info("ssl_object") is None
    assert face.get_extra_info("unknown") is None
    assert not face.get_extra_info("is_readable")
    face.close()
    assert theirs.recv(1) == b""

"""The raw server: each step, as a client's socket sees it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time

import pytest

from crawler.testbed import Do, RawConnection, RawServer, Wait

REQUEST = b"GET / HTTP/1.1\r\nHost: t\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def connect(server: RawServer) -> socket.socket:
    """Connect to a raw server."""
    return socket.create_connection((server.host, server.port), timeout=10)


def read_all(sock: socket.socket) -> bytes:
    """Read to the end of the stream."""
    data = b""
    while piece := sock.recv(65_536):
        data += piece
    return data


def accepted(server: RawServer) -> bool:
    """Wait until the first connection was accepted."""
    for _ in range(1_000):
        if server.connections:
            return True
        time.sleep(0.005)
    return False


def ask(server: RawServer, request: bytes = REQUEST) -> bytes:
    """Send a request on a connection of its own and read to the end."""
    with connect(server) as sock:
        sock.sendall(request)
        return read_all(sock)


def test_bytes_are_sent_after_the_request_and_the_connection_is_closed() -> None:
    """A script of bytes answers one request; what came is kept."""
    with RawServer(ANSWER) as server:
        assert ask(server) == ANSWER
    assert server.received == [REQUEST]


def test_scripts_serve_connections_in_order_and_the_last_one_all_further() -> None:
    """The first connection gets the first script; from the second on all get the second."""
    with RawServer(b"one", b"two") as server:
        assert [ask(server) for _ in range(3)] == [b"one", b"two", b"two"]


def test_steps_read_several_requests_of_one_connection() -> None:
    """`Do.READ` makes a conversation of a list of steps; bodies belong to their requests."""
    post = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    with RawServer([b"1", Do.READ, b"2", Do.READ, Wait(0), b"3", Do.CLOSE]) as server:
        assert ask(server, post + chunked + REQUEST) == b"123"
    assert server.received == [post + chunked + REQUEST]


def test_read_request_returns_each_request_alone() -> None:
    """Pipelined requests are told apart by length and by chunks."""
    post = b"POST / HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc"
    chunked = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    seen: list[bytes] = []

    def script(connection: RawConnection) -> None:
        seen.extend(connection.read_request() for _ in range(3))

    with RawServer(script) as server:
        assert ask(server, post + chunked + REQUEST) == b""
    assert seen == [post, chunked, REQUEST]


def test_reset_is_a_reset() -> None:
    """`Do.RESET` makes the client's read fail with ECONNRESET instead of ending."""
    with RawServer([Do.RESET]) as server, pytest.raises(ConnectionResetError):
        ask(server)


def test_half_close_ends_one_direction() -> None:
    """After `Do.HALF_CLOSE` the client reads to the end and may still send."""
    with RawServer([b"half", Do.HALF_CLOSE, Do.READ]) as server, connect(server) as sock:
        sock.sendall(REQUEST)
        assert read_all(sock) == b"half"
        sock.sendall(REQUEST)
        server._threads[0].join(10)
    assert server.received == [REQUEST + REQUEST]


def test_a_callable_may_send_without_end() -> None:
    """A head without end stops when the client leaves; that is no error of the script."""

    def endless(connection: RawConnection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.send(b"X-More: yes\r\n" * 1_000)

    with RawServer(endless) as server, connect(server) as sock:
        for _ in range(10):
            assert sock.recv(10_000)


def test_send_in_pieces() -> None:
    """`send` can cut at every byte."""
    with RawServer(lambda connection: connection.send(ANSWER, piece_bytes=1, pause_s=0.0001)) as server:
        assert ask(server) == ANSWER


def test_an_error_of_a_script_is_raised_at_the_end() -> None:
    """A failed assertion in a script does not get lost in its thread."""

    def script(connection: RawConnection) -> None:
        request = connection.read_request()
        raise AssertionError(request.decode())

    with pytest.raises(AssertionError, match="GET /"), RawServer(script) as server:
        ask(server)


def test_stop_wakes_scripts_that_wait_read_or_write() -> None:
    """Leaving the block ends every connection, whatever its script is doing."""

    def flood(connection: RawConnection) -> None:
        while True:
            connection.send(b"x" * 65_536)

    with contextlib.ExitStack() as stack:
        with RawServer([Wait(3_600)], [Do.HOLD], flood) as server:
            sockets = [stack.enter_context(connect(server)) for _ in range(3)]
            for sock in sockets:
                sock.sendall(REQUEST)
            assert sockets[2].recv(1) == b"x"
        assert not any(thread.is_alive() for thread in server._threads)


def test_a_life_has_an_end() -> None:
    """After `lifetime_s` open connections end and nothing is accepted any more."""
    with RawServer([Do.HOLD], lifetime_s=0.2) as server:
        assert ask(server) == b""
        server._acceptor.join(10)
        with pytest.raises(ConnectionRefusedError):
            connect(server)


def test_tls() -> None:
    """With TLS the bytes are the same, the authority is known and the end is announced by close_notify."""
    with RawServer(ANSWER, tls=True) as server:
        context = ssl.create_default_context(cadata=server.ca_pem)
        context.set_alpn_protocols(["h2", "http/1.1"])
        with (
            connect(server) as raw,
            context.wrap_socket(raw, server_hostname=server.host, suppress_ragged_eofs=False) as sock,
        ):
            assert sock.selected_alpn_protocol() == "http/1.1"
            sock.sendall(REQUEST)
            assert read_all(sock) == ANSWER


def test_tls_stops_within_a_handshake() -> None:
    """A client that never begins its handshake does not keep the server."""
    with contextlib.ExitStack() as stack:
        with RawServer(ANSWER, tls=True) as server:
            stack.enter_context(connect(server))
            assert accepted(server)
        assert not any(thread.is_alive() for thread in server._threads)


def test_a_server_needs_a_script() -> None:
    """No script is a mistake, said at once."""
    with pytest.raises(ValueError, match="needs a script"):
        RawServer()


def test_nothing_is_left_open() -> None:
    """A server that was made and stopped without a connection closes its sockets."""
    with RawServer(ANSWER) as server:
        pass
    assert server.received == []

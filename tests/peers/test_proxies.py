"""The test proxies themselves, asked by the standard library: what other tests build on must hold."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable

import pytest

from tests.peers.certificates import Authority
from tests.peers.listener import Listener, receive_exactly, receive_until
from tests.peers.proxies import HTTPProxy


def answer_with_request(framing: str) -> Callable[[socket.socket], None]:
    """Serve one request per connection by sending its head and body back, framed as asked."""

    def serve(connection: socket.socket) -> None:
        head, body = receive_until(connection, b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        body += receive_exactly(connection, size - len(body))
        said = head + body
        if framing == "length":
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(said) + said)
        elif framing == "chunked":
            start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            connection.sendall(start + b"%x\r\n" % len(said) + said + b"\r\n0\r\n\r\n")
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + said)

    return serve


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_forwarding_keeps_the_clients_connection(framing: str) -> None:
    """Several requests for absolute URLs go over one connection to the proxy, and reach the server in origin form."""
    with Listener(answer_with_request(framing)) as server, HTTPProxy(auth=("user", "secret")) as proxy:
        url = f"http://{server.host}:{server.port}"
        headers = {"Proxy-Authorization": "Basic dXNlcjpzZWNyZXQ="}
        connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=10)
        connection.request("GET", f"{url}/one?x=1", headers=headers)
        local = connection.sock
        first = connection.getresponse().read()
        connection.request("POST", f"{url}/two", body=b"the body", headers=headers)
        second = connection.getresponse().read()
        assert connection.sock is local
        connection.close()

    assert first.startswith(b"GET /one?x=1 HTTP/1.1\r\n")
    assert b"dXNlcjpzZWNyZXQ=" not in first
    assert second.startswith(b"POST /two HTTP/1.1\r\n")
    assert second.endswith(b"\r\n\r\nthe body")
    assert [seen.target for seen in proxy.seen] == [f"{url}/one?x=1", f"{url}/two"]


def test_forwarding_wants_its_credentials() -> None:
    """Without them the proxy answers 407 and goes on listening."""
    with HTTPProxy(auth=("user", "secret")) as proxy:
        connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=10)
        for _ in range(2):
            connection.request("GET", "http://never.test/")
            response = connection.getresponse()
            response.read()
            assert response.status == 407
        connection.close()

    assert proxy.url == f"http://user:secret@127.0.0.1:{proxy.port}"


def test_an_https_proxy_tunnels() -> None:
    """CONNECT within TLS to the proxy leads to the target."""
    authority = Authority()
    with (
        Listener(answer_with_request("length")) as server,
        HTTPProxy(tls=authority.server_context(), hosts={("inner.test", 80): (server.host, server.port)}) as proxy,
    ):
        connection = http.client.HTTPSConnection(
            "localhost", proxy.port, timeout=10, context=authority.client_context()
        )
        connection.connect()
        assert connection.sock is not None
        connection.sock.sendall(b"CONNECT inner.test:80 HTTP/1.1\r\nHost: inner.test:80\r\n\r\n")
        head, _ = receive_until(connection.sock, b"\r\n\r\n")
        connection.sock.sendall(b"GET /through HTTP/1.1\r\n\r\n")
        answer, _ = receive_until(connection.sock, b"GET /through")
        connection.close()

    assert head.startswith(b"HTTP/1.1 200 ")
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert proxy.url.startswith("https://")


def test_a_target_that_is_not_there() -> None:
    """A dead target is a 502, for both ways of using the proxy."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with HTTPProxy() as proxy:
        for method, target in (("CONNECT", f"127.0.0.1:{port}"), ("GET", f"http://127.0.0.1:{port}/")):
            connection = http.client.HTTPConnection(proxy.host, proxy.port, timeout=10)
            connection.request(method, target)
            assert connection.getresponse().status == 502
            connection.close()

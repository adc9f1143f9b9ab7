"""Real proxies on loopback: HTTP (CONNECT and forwarding, plain or within TLS) and SOCKS5.

    with HTTPProxy(auth=("user", "pass")) as proxy:
        client = crawler.Client(proxy=proxy.url)          # http://user:pass@127.0.0.1:PORT
        ...
    assert proxy.seen[0].method == "CONNECT"

`hosts` maps the (host, port) a client asks for to where the proxy really connects, so that tests can use names which
exist only behind the proxy.
"""

from __future__ import annotations

import base64
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.peers.listener import Listener, receive_exactly, receive_until, relay

Hosts = Mapping[tuple[str, int], tuple[str, int]]


@dataclass
class Seen:
    """One request that a proxy got.

    Attributes:
        target: As sent: `host:port` for CONNECT and SOCKS, a URL for forwarding.
        headers: Names lower-case; empty for SOCKS.
    """

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)


class HTTPProxy(Listener):
    """An HTTP proxy.

    Args:
        auth: User and password it wants by Basic authentication; 407 without.
        tls: A server context makes it an https proxy.
        answer: Bytes to send to every request instead of doing it; the connection is then closed.
        is_stalling: Never answer at all.
        hosts: Where to connect instead of what was asked for.
    """

    def __init__(
        self,
        *,
        auth: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        answer: bytes | None = None,
        is_stalling: bool = False,
        hosts: Hosts | None = None,
    ) -> None:
        super().__init__(self._proxy, tls)
        self._auth = auth
        self._scheme = "http" if tls is None else "https"
        self._answer = answer
        self._is_stalling = is_stalling
        self._hosts = hosts or {}
        self.seen: list[Seen] = []

    @property
    def url(self) -> str:
        """For `proxy=`, with the credentials."""
        user = "" if self._auth is None else f"{self._auth[0]}:{self._auth[1]}@"
        return f"{self._scheme}://{user}{self.host}:{self.port}"

    def _proxy(self, client: socket.socket) -> None:
        rest = b""
        while True:
            head, rest = receive_until(client, b"\r\n\r\n", rest)
            lines = head.decode("latin-1").split("\r\n")
            method, target, _ = lines[0].split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:-2])}
            self.seen.append(Seen(method, target, headers))
            if self._is_stalling:
                client.recv(1)
                return
            if self._answer is not None:
                client.sendall(self._answer)
                return
            if not self._is_allowed(headers):
                client.sendall(
                    b'HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic realm="tests"\r\nContent-Length: 0\r\n\r\n'
                )
            elif method == "CONNECT":
                self._tunnel(client, target)
                return
            else:
                rest = self._forward(client, method, target, headers, rest)

    def _is_allowed(self, headers: dict[str, str]) -> bool:
        if self._auth is None:
            return True
        expected = base64.b64encode(":".join(self._auth).encode()).decode()
        return headers.get("proxy-authorization") == f"Basic {expected}"

    def _dial(self, host: str, port: int) -> socket.socket:
        return self.dial(self._hosts.get((host, port), (host, port)))

    def _tunnel(self, client: socket.socket, target: str) -> None:
        host, _, port = target.rpartition(":")
        try:
            server = self._dial(host.strip("[]"), int(port))
        except OSError:
            client.sendall(b"HTTP/1.1 502 No such place\r\nContent-Length: 0\r\n\r\n")
            return
        try:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            relay(client, server)
        finally:
            self.hang_up(server)

    def _forward(self, client: socket.socket, method: str, target: str, headers: dict[str, str], rest: bytes) -> bytes:
        """Do one exchange with the server on a connection of its own; bodies by Content-Length."""
        url = urlsplit(target)
        size = int(headers.get("content-length", "0"))
        body = rest[:size] + receive_exactly(client, max(0, size - len(rest)))
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        passed = {name: value for name, value in headers.items() if name not in ("connection", "proxy-authorization")}
        passed["connection"] = "close"
        head = "".join(f"{name}: {value}\r\n" for name, value in passed.items())
        try:
            server = self._dial(url.hostname or "", url.port or 80)
        except OSError:
            client.sendall(b"HTTP/1.1 502 No such place\r\nContent-Length: 0\r\n\r\n")
            return rest[size:]
        try:
            server.sendall(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body)
            client.sendall(_as_kept_alive(_receive_all(server), method))
        finally:
            self.hang_up(server)
        return rest[size:]


def _receive_all(server: socket.socket) -> bytes:
    pieces = []
    while piece := server.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)


def _as_kept_alive(response: bytes, method: str) -> bytes:
    """Frame a response, which was read to the end of its connection, so that the client's connection can go on."""
    head, _, body = response.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    names = {line.partition(b":")[0].lower() for line in lines}
    if not names & {b"content-length", b"transfer-encoding"} and method != "HEAD" and b" 204 " not in lines[0]:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class SOCKSProxy(Listener):
    """A SOCKS5 proxy that knows CONNECT (RFC 1928), and users and passwords (RFC 1929).

    Args:
        auth: User and password it wants.
        hosts: Where to connect instead of what was asked for.
    """

    def __init__(self, *, auth: tuple[str, str] | None = None, hosts: Hosts | None = None) -> None:
        super().__init__(self._proxy)
        self._auth = auth
        self._hosts = hosts or {}
        self.seen: list[Seen] = []

    @property
    def url(self) -> str:
        """For `proxy=`, with the credentials."""
        user = "" if self._auth is None else f"{self._auth[0]}:{self._auth[1]}@"
        return f"socks5://{user}{self.host}:{self.port}"

    def _proxy(self, client: socket.socket) -> None:
        _, count = receive_exactly(client, 2)
        methods = receive_exactly(client, count)
        wanted = 0 if self._auth is None else 2
        if wanted not in methods:
            client.sendall(b"\x05\xff")
            return
        client.sendall(bytes([5, wanted]))
        if self._auth is not None and not self._is_allowed(client, self._auth):
            client.sendall(b"\x01\x01")
            return
        if self._auth is not None:
            client.sendall(b"\x01\x00")
        host, port = self._receive_target(client)
        self.seen.append(Seen("CONNECT", f"{host}:{port}"))
        try:
            server = self.dial(self._hosts.get((host, port), (host, port)))
        except socket.gaierror:
            client.sendall(b"\x05\x04\x00\x01" + bytes(6))
            return
        except OSError:
            client.sendall(b"\x05\x05\x00\x01" + bytes(6))
            return
        try:
            client.sendall(b"\x05\x00\x00\x03\x05bound\x00\x50")
            relay(client, server)
        finally:
            self.hang_up(server)

    def _is_allowed(self, client: socket.socket, auth: tuple[str, str]) -> bool:
        _, size = receive_exactly(client, 2)
        user = receive_exactly(client, size)
        password = receive_exactly(client, receive_exactly(client, 1)[0])
        return (user.decode(), password.decode()) == auth

    def _receive_target(self, client: socket.socket) -> tuple[str, int]:
        _, _, _, address_type = receive_exactly(client, 4)
        if address_type == 1:
            host = socket.inet_ntop(socket.AF_INET, receive_exactly(client, 4))
        elif address_type == 4:
            host = socket.inet_ntop(socket.AF_INET6, receive_exactly(client, 16))
        else:
            host = receive_exactly(client, receive_exactly(client, 1)[0]).decode("ascii")
        return host, int.from_bytes(receive_exactly(client, 2), "big")

"""Where the testbed listens: sockets bound, and the certificate made, before any event loop or thread exists.

Everything about a start that can fail is done here, so that it fails in the caller's hands.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import Final

from crawler.testbed.certificate import ServerCertificate, make_certificate

BACKLOG: Final = 2_048
"""Connections that may wait to be accepted; the kernel may hold fewer."""


class ListenError(OSError):
    """The server cannot listen there; `errno` tells why, as for any OSError."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running testbed is reached.

    Attributes:
        url: `http://host:port`, without a slash at the end.
        tls_url: `https://host:port`, or None without TLS. HTTP/2 and HTTP/1.1, chosen by ALPN.
        ca_pem: The certificate to trust for `tls_url`, in PEM; None without TLS.
    """

    url: str
    tls_url: str | None = None
    ca_pem: str | None = None


def listen(host: str, port: int) -> socket.socket:
    """Bind a listening socket; port 0 takes a free one.

    Raises:
        ListenError: The port is taken, or the address is not ours.
    """
    if not 0 <= port <= 65_535:
        raise ListenError(errno.EINVAL, f"cannot listen on port {port}: expected 0 to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as exc:
        reason = exc.strerror or str(exc)
        hint = "Choose another port, or 0 for any free one"
        raise ListenError(exc.errno, f"cannot listen on {host} port {port}: {reason}. {hint}") from exc
    # Accepted sockets inherit it. asyncio sets it only on sockets whose protocol number is IPPROTO_TCP, not 0 as here;
    # without it a body waits 40 ms for the acknowledgement of its head (1,440 instead of 4,000 requests/s).
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _url(scheme: str, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # the wildcard is no address to connect to
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


class Listeners:
    """The bound sockets of one testbed.

    Args:
        host: Address to listen on, IPv4 or IPv6.
        port: Port for plain HTTP; 0 takes a free one.
        tls_port: Port for TLS; 0 takes a free one, None is no TLS.

    Attributes:
        plain: The socket for plain HTTP.
        tls: The socket for TLS, or None.
        certificate: What `tls` shows, or None.
        addresses: Where clients find them.

    Raises:
        ListenError: A port is taken, or the address is not ours; nothing is left open then.
    """

    def __init__(self, host: str, port: int, tls_port: int | None) -> None:
        self.plain = listen(host, port)
        self.tls: socket.socket | None = None
        self.certificate: ServerCertificate | None = None
        if tls_port is None:
            self.addresses = Addresses(_url("http", self.plain))
            return
        try:
            self.tls = listen(host, tls_port)
            self.certificate = make_certificate(host)
        except BaseException:
            self.close()
            raise
        self.addresses = Addresses(_url("http", self.plain), _url("https", self.tls), self.certificate.ca_pem)

    def close(self) -> None:
        """Close the sockets; those that a server took over are closed already."""
        self.plain.close()
        if self.tls is not None:
            self.tls.close()

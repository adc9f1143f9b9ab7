"""Where the time of one exchange went, and over which connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from crawler.net.tls_info import TLS

if TYPE_CHECKING:
    from crawler.net.stream import AsyncHTTPNetworkStream

TIMING: Final = "crawler.timing"
"""Name of the response extension that holds the `Timing`."""


class ConnectTiming:
    """What opening one connection cost; shared by all exchanges on it.

    Attributes:
        dns, connect, tls: Seconds for the name look-up, TCP (and the proxy's tunnel) and TLS.
    """

    __slots__ = ("connect", "dns", "tls")

    def __init__(self) -> None:
        self.dns = self.connect = self.tls = 0.0


class Timing:
    """The phases of one exchange; they do not overlap.

    A plain slots class with positional arguments: it is made for every response (0.35 µs; a frozen dataclass 1.1 µs).

    Attributes:
        dns, connect, tls: Seconds; 0 on a connection that was open already.
        send: Seconds from the first byte of the request written to the last.
        ttfb: Seconds from then to the first byte of the response.
        receive: Seconds from then to the end of the body; 0 until it has ended.
        conn_id: Number of the connection within the process.
        conn_reused: Whether an earlier exchange used it.
        remote_ip, remote_port: The peer, where there is one.
    """

    __slots__ = (
        "conn_id",
        "conn_reused",
        "connect",
        "dns",
        "receive",
        "remote_ip",
        "remote_port",
        "send",
        "tls",
        "ttfb",
    )

    def __init__(
        self,
        opening: ConnectTiming | None,
        send: float,
        ttfb: float,
        receive: float,
        conn_id: int,
        peer: tuple[str | None, int | None],
    ) -> None:
        self.conn_reused = opening is None
        if opening is None:
            self.dns = self.connect = self.tls = 0.0
        else:
            self.dns, self.connect, self.tls = opening.dns, opening.connect, opening.tls
        self.send = send
        self.ttfb = ttfb
        self.receive = receive
        self.conn_id = conn_id
        self.remote_ip, self.remote_port = peer

    @property
    def total(self) -> float:
        """Seconds of all phases together."""
        return self.dns + self.connect + self.tls + self.send + self.ttfb + self.receive

    def plus(self, others: Iterable[Timing]) -> Timing:
        """Give a new one with the phases of others added: what a chain of redirects took, with the last connection."""
        timing = Timing(None, self.send, self.ttfb, self.receive, self.conn_id, (self.remote_ip, self.remote_port))
        timing.conn_reused = self.conn_reused
        timing.dns, timing.connect, timing.tls = self.dns, self.connect, self.tls
        for other in others:
            timing.dns += other.dns
            timing.connect += other.connect
            timing.tls += other.tls
            timing.send += other.send
            timing.ttfb += other.ttfb
            timing.receive += other.receive
        return timing


def http1_extensions(
    version: str,
    reason: bytes,
    network_stream: AsyncHTTPNetworkStream,
    trailers: list[tuple[bytes, bytes]],
    opening: ConnectTiming | None,
    started: float,
    sent: float,
    first_byte: float,
    ended: float,
    conn_id: int,
    peer: tuple[str | None, int | None],
) -> dict[str, Any]:
    """The extensions of a response that came whole over HTTP/1.1, made when somebody looks (1.1 µs saved)."""
    timing = Timing(opening, sent - started, max(0.0, first_byte - sent), ended - first_byte, conn_id, peer)
    extensions: dict[str, Any] = {
        "http_version": version.encode("ascii"),
        "reason_phrase": reason,
        "network_stream": network_stream,
        TIMING: timing,
    }
    if network_stream.tls is not None:
        extensions[TLS] = network_stream.tls
    if trailers:
        extensions["trailers"] = trailers
    return extensions

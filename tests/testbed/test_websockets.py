"""The testbed's WebSockets, asked with wsproto alone."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    RejectConnection,
    Request,
    TextMessage,
)

from crawler.testbed import Testbed

E = TypeVar("E", bound=Event)


class Asker:
    """A client's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._codec = WSConnection(ConnectionType.CLIENT)

    def send(self, event: Event) -> None:
        """Send an event."""
        self._sock.sendall(self._codec.send(event))

    def receive(self, kind: type[E]) -> E:
        """The next event, which is of this kind."""
        while (event := next(self._codec.events(), None)) is None:
            self._codec.receive_data(self._sock.recv(65_536) or None)
        assert isinstance(event, kind)
        return event


@contextmanager
def asked(bed: Testbed, target: str, subprotocols: tuple[str, ...] = ()) -> Iterator[Asker]:
    """Ask for a WebSocket."""
    host, port = bed.addresses.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        asker = Asker(sock)
        asker.send(Request(host=f"{host}:{port}", target=target, subprotocols=list(subprotocols)))
        yield asker


def test_echo_gives_back_what_it_gets(bed: Testbed) -> None:
    """Text as text, bytes as bytes, until the peer closes; with the first subprotocol offered."""
    before = bed.app.stats.paths["/ws/echo"]
    with asked(bed, "/ws/echo", ("chat", "log")) as asker:
        assert asker.receive(AcceptConnection).subprotocol == "chat"
        asker.send(TextMessage("hello"))
        assert asker.receive(TextMessage).data == "hello"
        asker.send(BytesMessage(b"\0"))
        assert asker.receive(BytesMessage).data == b"\0"
        asker.send(CloseConnection(1000))
        assert asker.receive(CloseConnection).code == 1000
    assert bed.app.stats.paths["/ws/echo"] == before + 1


def test_info_tells_what_the_handshake_said(bed: Testbed) -> None:
    """Query, headers and subprotocols; then it closes."""
    with asked(bed, "/ws/info?a=1") as asker:
        asker.receive(AcceptConnection)
        about = json.loads(asker.receive(TextMessage).data)
        assert asker.receive(CloseConnection).code == 1000
    assert about["args"] == {"a": "1"}
    assert about["subprotocols"] == []
    assert about["headers"]["upgrade"].lower() == "websocket"


def test_close_closes_with_a_code(bed: Testbed) -> None:
    """And with the reason that was asked for."""
    with asked(bed, "/ws/close/4000?reason=enough") as asker:
        asker.receive(AcceptConnection)
        assert asker.receive(CloseConnection) == CloseConnection(4000, "enough")


@pytest.mark.parametrize(("path", "status"), [("/ws/deny/429", 429), ("/ws/deny/401", 401), ("/ws/nowhere", 403)])
def test_deny_answers_with_a_status(bed: Testbed, path: str, status: int) -> None:
    """Paths that are none are denied, too."""
    with asked(bed, path) as asker:
        refusal = asker.receive(RejectConnection)
    assert refusal.status_code == status
    assert (b"www-authenticate" in dict(refusal.headers)) == (status == 401)

"""The server's side of HTTP/2 in the hands of a script, over plain TCP with prior knowledge.

    def script(peer: Http2Peer) -> None:
        first = peer.next_request()
        peer.respond(first, b"hello")

    with http2_server(script) as server:
        ...                              # a client with http1=False, http2=True asks server.url

Frames are h2's; what h2 refuses to send goes out by `peer.connection.send`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes

from crawler.testbed.raw import RawConnection, RawServer

E = TypeVar("E", bound=Event)


class Http2Peer:
    """One connection.

    Attributes:
        connection: What it runs over.
        h2: The state machine.
        heads: Request fields by stream.
        bodies: Request bodies by stream, as far as they have come.
        ended: Streams whose request has ended.
        resets: Error codes of streams that the client gave up.
        most: Most requests that were open at once, none of them answered.
    """

    def __init__(self, connection: RawConnection, settings: dict[SettingCodes | int, int], gives_credit: bool) -> None:
        self.connection = connection
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.heads: dict[int, dict[bytes, bytes]] = {}
        self.bodies: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}
        self.most = 0
        self._open: set[int] = set()
        self._gives_credit = gives_credit
        self._requests: list[int] = []
        self._events: list[Event] = []
        self.h2.initiate_connection()
        if settings:
            self.h2.update_settings(settings)
        self.flush()

    def flush(self) -> None:
        """Send what is to be sent."""
        self.connection.send(self.h2.data_to_send())

    def next_request(self, *, ended: bool = False) -> int:
        """Wait for the head of the next request (with `ended`: for all of it), and give its stream."""
        while not self._requests:
            self.read()
        stream_id = self._requests.pop(0)
        while ended and stream_id not in self.ended:
            self.read()
        return stream_id

    def expect(self, kind: type[E]) -> E:
        """Wait for the next event of a kind; earlier ones are forgotten."""
        while True:
            while self._events:
                event = self._events.pop(0)
                if isinstance(event, kind):
                    return event
            self.read()

    def read(self) -> None:
        """Wait for the next bytes, and take note of what they say.

        Raises:
            ConnectionResetError: The client has closed.
        """
        data = self.connection.read()
        if not data:
            raise ConnectionResetError("the client has closed")
        for event in self.h2.receive_data(data):
            self._note(event)
            self._events.append(event)
        self.flush()

    def _note(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=int(stream_id)):
                self.heads[stream_id] = dict(event.headers)
                self.bodies[stream_id] = b""
                self._requests.append(stream_id)
                self._open.add(stream_id)
                self.most = max(self.most, len(self._open))
            case DataReceived(stream_id=int(stream_id)):
                self.bodies[stream_id] += event.data
                if self._gives_credit:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, stream_id)
            case StreamEnded(stream_id=int(stream_id)):
                self.ended.add(stream_id)
            case StreamReset(stream_id=int(stream_id)):
                self.resets[stream_id] = int(event.error_code)
                self._open.discard(stream_id)

    def head(self, stream_id: int, status: int = 200, *fields: tuple[str, str], end: bool = False) -> None:
        """Send the head of a response."""
        self.h2.send_headers(stream_id, [(":status", str(status)), *fields], end_stream=end)
        self.flush()

    def data(self, stream_id: int, data: bytes, *, end: bool = False) -> None:
        """Send body bytes, no more than a frame."""
        self.h2.send_data(stream_id, data, end_stream=end)
        self.flush()

    def respond(self, stream_id: int, body: bytes = b"ok", status: int = 200) -> None:
        """Send a response whose body fits in a frame."""
        self._open.discard(stream_id)
        self.h2.send_headers(stream_id, [(":status", str(status)), ("content-length", str(len(body)))])
        self.h2.send_data(stream_id, body, end_stream=True)
        self.flush()

    def reset(self, stream_id: int, code: int) -> None:
        """Give a stream up."""
        self._open.discard(stream_id)
        self.h2.reset_stream(stream_id, code)
        self.flush()

    def go_away(self, last_stream_id: int) -> None:
        """Say that streams after `last_stream_id` were not processed."""
        self.connection.send(bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + last_stream_id.to_bytes(4, "big") + bytes(4))

    def hold(self) -> None:
        """Read until the client closes."""
        while True:
            self.read()

    def serve(self) -> None:
        """Answer every request with its path, until the client closes."""
        while True:
            stream_id = self.next_request(ended=True)
            self.respond(stream_id, self.heads[stream_id][b":path"])


Script = Callable[[Http2Peer], object]


def http2_server(
    *scripts: Script, settings: dict[SettingCodes | int, int] | None = None, gives_credit: bool = True
) -> RawServer:
    """A server whose first connection is served by the first script, and so on; the last one serves all further ones.

    Args:
        settings: What it says in its first SETTINGS.
        gives_credit: Whether windows open again as bodies come.
    """

    def over(script: Script) -> Callable[[RawConnection], object]:
        return lambda connection: script(Http2Peer(connection, settings or {}, gives_credit))

    return RawServer(*map(over, scripts))


def frames(*parts: Sequence[Any]) -> bytes:
    """Write frames by hand: (type, flags, stream, payload) each."""
    return b"".join(
        len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream_id.to_bytes(4, "big") + payload
        for kind, flags, stream_id, payload in parts
    )

"""The server's side of HTTP/2 by the frame, over plain TCP: it says anything, in any order, to anybody.

    def script(peer: FramePeer) -> None:
        streams = peer.requests(2)                       # from path to stream
        peer.send(frame(DATA, 0, streams["/a"], b"x"))   # before any head: a fault
        peer.serve()

    with frame_server(script) as server:
        ...                              # a client with http1=False, http2=True asks server.url

`tests/peers/http2.py` is the peer that keeps the rules.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from hpack import Decoder, Encoder

from crawler.testbed.raw import RawConnection, RawServer

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
END = END_STREAM | END_HEADERS

_PREFACE_BYTES = 24

Pair = tuple[bytes, bytes]


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    """Write one frame."""
    return struct.pack(">L", len(payload))[1:] + struct.pack(">BBL", kind, flags, stream_id) + payload


def word(value: int) -> bytes:
    """32 bits."""
    return struct.pack(">L", value)


def block(*fields: Pair) -> bytes:
    """A field section that touches no table."""
    return Encoder().encode([(name, value, True) for name, value in fields])


def section(stream_id: int, *fields: Pair, flags: int = END_HEADERS) -> bytes:
    """Any field section."""
    return frame(HEADERS, flags, stream_id, block(*fields))


def head(stream_id: int, *fields: Pair, status: bytes = b"200", flags: int = END_HEADERS) -> bytes:
    """The head of a response."""
    return section(stream_id, (b":status", status), *fields, flags=flags)


def data(stream_id: int, body: bytes, *, end: bool = False) -> bytes:
    """A piece of a body, in as many frames as it takes."""
    pieces = [body[at : at + 16_384] for at in range(0, len(body), 16_384)] or [b""]
    frames = [frame(DATA, 0, stream_id, piece) for piece in pieces[:-1]]
    return b"".join([*frames, frame(DATA, END_STREAM if end else 0, stream_id, pieces[-1])])


def answer(stream_id: int, body: bytes) -> bytes:
    """A whole response."""
    return head(stream_id) + data(stream_id, body, end=True)


def setting(key: int, value: int) -> bytes:
    """A SETTINGS frame with one setting."""
    return frame(SETTINGS, 0, 0, struct.pack(">HL", key, value))


def goaway(last_stream_id: int, code: int = 0) -> bytes:
    """A GOAWAY frame."""
    return frame(GOAWAY, 0, 0, word(last_stream_id) + word(code))


HELLO = frame(SETTINGS, 0, 0)
"""What a peer says first."""


@dataclass
class Seen:
    """What the client has said.

    Attributes:
        paths: Of the requests, by stream.
        bodies: What has come of their bodies.
        ended: Streams whose request is whole.
        resets: Error codes of streams that were given up.
        credit: Window given back, by stream; 0 for that of the connection.
        pings: How many it has sent.
        is_settled: Whether it has acknowledged our SETTINGS.
        goaway: The error code of its last words, -1 if it has said none.
    """

    paths: dict[int, str] = field(default_factory=dict)
    bodies: dict[int, bytes] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    resets: dict[int, int] = field(default_factory=dict)
    credit: dict[int, int] = field(default_factory=dict)
    pings: int = 0
    is_settled: bool = False
    goaway: int = -1


class FramePeer:
    """One connection.

    Attributes:
        connection: What it runs over.
        seen: What the client has said so far.
        answers_pings: Whether PING is answered.
        answers_settings: Whether SETTINGS is; by itself only where there was a hello, as it comes first of all.
    """

    def __init__(self, connection: RawConnection, hello: bytes) -> None:
        self.connection = connection
        self.seen = Seen()
        self.answers_pings = True
        self.answers_settings = bool(hello)
        self._decoder = Decoder()
        self._held = b""
        self._requests: list[int] = []
        self.send(hello)
        self._more(_PREFACE_BYTES)
        self._held = self._held[_PREFACE_BYTES:]

    def send(self, frames: bytes) -> None:
        """Send bytes, whatever they are."""
        self.connection.send(frames)

    def next_request(self) -> int:
        """Wait for a request's head, and give its stream."""
        while not self._requests:
            self.read_frame()
        return self._requests.pop(0)

    def requests(self, number: int) -> dict[str, int]:
        """Wait for so many requests; gives their streams by path."""
        streams = [self.next_request() for _ in range(number)]
        return {self.seen.paths[stream_id]: stream_id for stream_id in streams}

    def until(self, condition: Callable[[Seen], object]) -> None:
        """Read until what was seen fulfils a condition."""
        while not condition(self.seen):
            self.read_frame()

    def serve(self) -> None:
        """Answer every request with its path, until the client closes."""
        while True:
            self.respond(self.next_request())

    def respond(self, stream_id: int) -> None:
        """Answer one request, as soon as it is whole, with its path; not if it was given up."""
        self.until(lambda seen: stream_id in seen.ended or stream_id in seen.resets)
        if stream_id not in self.seen.resets:
            self.send(answer(stream_id, self.seen.paths[stream_id].encode()))

    def hold(self) -> None:
        """Read until the client closes."""
        while True:
            self.read_frame()

    def read_frame(self) -> None:
        """Take note of the next frame.

        Raises:
            ConnectionResetError: The client has closed.
        """
        self._more(9)
        size = int.from_bytes(self._held[:3], "big")
        kind, flags, stream_id = struct.unpack(">BBL", self._held[3:9])
        self._more(9 + size)
        payload, self._held = self._held[9 : 9 + size], self._held[9 + size :]
        self._note(kind, flags, stream_id, payload)

    def _more(self, size: int) -> None:
        while len(self._held) < size:
            piece = self.connection.read()
            if not piece:
                raise ConnectionResetError("the client has closed")
            self._held += piece

    def _note(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        seen = self.seen
        if kind == HEADERS:
            fields = {bytes(name): bytes(value) for name, value in self._decoder.decode(payload, raw=True)}
            seen.paths[stream_id] = fields[b":path"].decode()
            seen.bodies[stream_id] = b""
            self._requests.append(stream_id)
        elif kind == DATA:
            seen.bodies[stream_id] += payload
        elif kind == RST_STREAM:
            seen.resets[stream_id] = int.from_bytes(payload, "big")
        elif kind == WINDOW_UPDATE:
            seen.credit[stream_id] = seen.credit.get(stream_id, 0) + int.from_bytes(payload, "big")
        elif kind == GOAWAY:
            seen.goaway = int.from_bytes(payload[4:8], "big")
        elif kind == SETTINGS and flags & ACK:
            seen.is_settled = True
        elif kind == SETTINGS and self.answers_settings:
            self.send(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            seen.pings += 1
            if self.answers_pings:
                self.send(frame(PING, ACK, 0, payload))
        if kind in (DATA, HEADERS) and flags & END_STREAM:
            seen.ended.add(stream_id)


Script = Callable[[FramePeer], object]


class FrameServer(RawServer):
    """Serves each connection by a script of frames.

    Attributes:
        peers: The connections so far.
    """

    def __init__(self, *scripts: Script, hello: bytes = HELLO) -> None:
        super().__init__(*[self._over(script, hello) for script in scripts])
        self.peers: list[FramePeer] = []

    def _over(self, script: Script, hello: bytes) -> Callable[[RawConnection], None]:
        def run(connection: RawConnection) -> None:
            peer = FramePeer(connection, hello)
            self.peers.append(peer)
            script(peer)

        return run

    def last_words(self) -> list[int]:
        """The codes of the GOAWAY frames that clients have said; for after their leaving."""
        return [peer.seen.goaway for peer in self.peers]


def read_out(peer: FramePeer) -> None:
    """Take note of all that a client says before it closes."""
    with contextlib.suppress(OSError):
        peer.hold()

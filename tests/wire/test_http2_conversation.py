"""Whole conversations with a server, in memory: both connections of the pair against h2's server side.

The server acknowledges nothing by itself but what h2 does, so each test says what it lets go; nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import ConnectionTerminated, DataReceived, PingReceived, RequestReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes

from crawler.errors import LocalProtocolError, RemoteProtocolError
from crawler.models.headers import Headers, HeadTemplate
from crawler.wire.http2_api import ErrorCode, Http2Connection, Http2Limits, Http2Stream

NewConnection = Callable[..., Http2Connection]


class Talk:
    """A client's connection and a server, and the bytes between them."""

    def __init__(self, client: Http2Connection) -> None:
        self.client = client
        self.server = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self.server.initiate_connection()
        self.events: list[Any] = []
        self.exchange()

    def to_server(self) -> list[Any]:
        """Hand the client's bytes over; returns what the server makes of them."""
        events = self.server.receive_data(self.client.take_outgoing())
        self.events += events
        return events

    def to_client(self) -> list[Http2Stream]:
        """Hand the server's bytes over; returns the streams with something new."""
        self.client.feed(self.server.data_to_send())
        return self.client.take_changed()

    def exchange(self) -> None:
        """Both ways, until all settings are acknowledged."""
        for _ in range(3):
            self.to_server()
            self.to_client()

    def get(self, path: bytes = b"/", method: str = "GET", *, end: bool = True) -> Http2Stream:
        """Begin a request."""
        return self.client.request(method, b"https", b"example", path, [], end=end)

    def respond(self, stream: Http2Stream, body: bytes = b"", *, end: bool = True, status: bytes = b"200") -> None:
        """Answer a request, whole or up to the end of `body`."""
        self.server.send_headers(stream.stream_id, [(b":status", status)])
        for at in range(0, len(body), 16384):
            self.server.send_data(stream.stream_id, body[at : at + 16384])
        if end:
            self.server.end_stream(stream.stream_id)

    def requests(self) -> list[list[tuple[bytes, bytes]]]:
        """The heads the server has seen."""
        return [[(bytes(n), bytes(v)) for n, v in e.headers] for e in self.events if isinstance(e, RequestReceived)]

    def uploaded(self, stream: Http2Stream) -> bytes:
        """The request body the server has seen."""
        return b"".join(e.data for e in self.events if isinstance(e, DataReceived) and e.stream_id == stream.stream_id)


@pytest.fixture
def talk(new_connection: NewConnection) -> Talk:
    """A conversation past its settings."""
    return Talk(new_connection())


def test_request_head(talk: Talk) -> None:
    """Pseudo fields come first; names are lower case; what HTTP/2 forbids is dropped; `host` is the authority."""
    headers = [
        (b"Accept", b"*/*"),
        (b"Connection", b"keep-alive"),
        (b"Keep-Alive", b"5"),
        (b"Proxy-Connection", b"x"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Upgrade", b"h2c"),
        (b"TE", b"trailers"),
        (b"Cookie", b"a=b"),
        (b"Host", b"other"),
    ]
    talk.client.request("GET", b"https", b"example", b"/a?b", headers)
    talk.to_server()

    assert talk.requests() == [
        [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", b"other"),
            (b":path", b"/a?b"),
            (b"accept", b"*/*"),
            (b"te", b"trailers"),
            (b"cookie", b"a=b"),
        ]
    ]


def test_templates(talk: Talk) -> None:
    """Default headers of several clients and authorities arrive right, request after request, in any order."""
    templates = [
        HeadTemplate(Headers([("User-Agent", f"agent/{n}"), ("Authorization", "s"), ("X-Long", "y" * 600)]))
        for n in range(3)
    ]
    expected = []
    for number in range(30):
        template, authority, method = templates[number % 3], b"host-%d" % (number % 2), ("GET", "HEAD")[number % 7 == 0]
        path = b"/" + b"x" * (number * 10)
        talk.client.request(method, b"https", authority, path, template)
        pseudo = [(b":method", method.encode()), (b":scheme", b"https"), (b":authority", authority), (b":path", path)]
        expected.append(pseudo + [(name.lower(), value) for name, value in template.pairs])
    talk.to_server()

    assert talk.requests() == expected


@pytest.mark.parametrize("size", [0, 1, 100, 4096, 65536])
def test_peer_changes_its_table(size: int, talk: Talk) -> None:
    """A server may shrink its table at any time; what was remembered of requests is written anew."""
    template = HeadTemplate(Headers([("User-Agent", "agent"), ("Accept", "*/*")]))
    for round_ in range(4):
        if round_ == 2:
            talk.server.update_settings({SettingCodes.HEADER_TABLE_SIZE: size})
            talk.exchange()
        for _ in range(2):
            talk.client.request("GET", b"https", b"example", b"/", template)
        talk.to_server()

    assert len(talk.requests()) == 8
    assert len({tuple(head) for head in talk.requests()}) == 1


def test_long_head(talk: Talk) -> None:
    """A head larger than a frame goes on in CONTINUATION frames."""
    talk.server.local_settings.max_header_list_size = 100_000
    talk.server.decoder.max_header_list_size = 100_000
    talk.client.request("GET", b"https", b"example", b"/", [(b"x", b"y" * 40_000)])
    talk.to_server()

    assert talk.requests()[0][-1] == (b"x", b"y" * 40_000)


def test_many_streams(talk: Talk) -> None:
    """A hundred responses, interleaved piece by piece, are each whole."""
    streams = [talk.get(b"/%d" % number) for number in range(100)]
    talk.to_server()
    for stream in streams:
        talk.respond(stream, end=False)
    for piece in range(5):
        for stream in reversed(streams):
            talk.server.send_data(stream.stream_id, b"%d-%d," % (stream.stream_id, piece), end_stream=piece == 4)
    changed = talk.to_client()

    assert {stream.stream_id for stream in changed} == {stream.stream_id for stream in streams}
    assert len(changed) == 100
    for stream in streams:
        assert b"".join(stream.body) == b"".join(b"%d-%d," % (stream.stream_id, piece) for piece in range(5))
        assert stream.is_complete
    assert not talk.client.streams
    assert talk.client.capacity == 100


def test_capacity(talk: Talk) -> None:
    """No more streams are opened than the peer allows, also when it changes its mind."""
    assert talk.client.capacity == 100
    talk.server.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 2})
    talk.exchange()
    first, second = talk.get(), talk.get()

    assert talk.client.capacity == 0
    with pytest.raises(LocalProtocolError):
        talk.get()
    talk.to_server()
    talk.respond(first)
    talk.to_client()
    assert talk.client.capacity == 1
    talk.server.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 0})
    talk.exchange()
    assert talk.client.capacity == 0
    talk.respond(second)
    talk.to_client()
    assert second.is_complete


def test_cancelled_streams_count_until_the_peer_knows(talk: Talk) -> None:
    """Fast cancellation never opens more streams than the peer allows (F-28, F-29)."""
    talk.server.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 10})
    talk.exchange()
    streams = [talk.get() for _ in range(10)]
    for stream in streams:
        talk.client.reset(stream)

    assert talk.client.capacity == 0
    assert all(stream.error is not None for stream in streams)
    events = talk.to_server()
    assert [e.error_code for e in events if isinstance(e, StreamReset)] == [ErrorCode.CANCEL] * 10
    for _ in range(2):  # the streams reset after the first PING went out are covered by a second
        talk.to_client()
        talk.to_server()
    talk.to_client()
    assert talk.client.capacity == 10


def test_late_frames_of_a_cancelled_stream(talk: Talk) -> None:
    """What was on its way when we gave a stream up does no harm, and its bytes go back to the connection's window."""
    stream, other = talk.get(), talk.get()
    talk.to_server()
    talk.respond(stream, b"x" * 10_000)
    talk.respond(other, b"other")
    talk.client.reset(stream)
    talk.to_client()

    assert stream.body == []
    assert b"".join(other.body) == b"other"
    assert other.is_complete
    for _ in range(20):
        again = talk.get()
        talk.to_server()
        talk.respond(again, b"y" * 65_535)
        talk.to_client()
        assert again.is_complete


def test_reset_of_an_ended_stream(talk: Talk) -> None:
    """To give up what has ended does nothing."""
    stream = talk.get()
    talk.to_server()
    talk.respond(stream)
    talk.to_client()
    talk.client.reset(stream)

    assert stream.error is None
    assert talk.client.take_outgoing() == b""


def test_slow_reader_stops_only_itself(new_connection: NewConnection) -> None:
    """A stream that is not read stops at its window, while others go on past the connection's (F-27)."""
    limits = Http2Limits(stream_window_bytes=100_000, connection_window_bytes=200_000)
    talk = Talk(new_connection(limits))
    slow, fast = talk.get(), talk.get()
    talk.to_server()
    talk.respond(slow, b"x" * 100_000, end=False)
    talk.server.send_headers(fast.stream_id, [(b":status", b"200")])

    assert talk.server.local_flow_control_window(slow.stream_id) == 0
    taken = 0
    for _ in range(200):
        window = min(10_000, talk.server.local_flow_control_window(fast.stream_id))
        talk.server.send_data(fast.stream_id, b"y" * window)
        talk.to_client()
        size = sum(map(len, fast.body))
        taken += size
        fast.body.clear()
        talk.client.consumed(fast, size)
        talk.to_server()
    assert taken == 2_000_000
    assert talk.server.local_flow_control_window(slow.stream_id) == 0

    talk.client.consumed(slow, 100_000)
    talk.to_server()
    assert talk.server.local_flow_control_window(slow.stream_id) == 100_000


def test_windows_are_topped_up_in_large_steps(talk: Talk) -> None:
    """Small reads of a large body do not answer each with a frame."""
    stream = talk.get()
    talk.to_server()
    talk.respond(stream, b"x" * 400_000, end=False)
    talk.to_client()
    for _ in range(400):
        talk.client.consumed(stream, 1000)

    assert talk.client.take_outgoing() == b""
    talk.server.send_data(stream.stream_id, b"x" * 10_000)
    talk.to_client()
    talk.client.consumed(stream, 200_000)
    assert talk.client.take_outgoing() != b""


def test_upload_within_the_windows(talk: Talk) -> None:
    """A body goes out as far as the windows of stream and connection allow, and on when there is room again."""
    body = bytes(range(256)) * 800
    stream = talk.get(method="POST", end=False)
    sent = 0
    rounds = 0
    while stream.is_sending:
        sent += talk.client.send_data(stream, body[sent:], True)
        talk.to_server()
        received = len(talk.uploaded(stream))
        assert received == sent
        if stream.is_sending:
            assert talk.client.send_data(stream, b"more", False) == 0
            talk.server.acknowledge_received_data(min(60_000, received - rounds * 60_000), stream.stream_id)
            assert stream in talk.to_client()
        rounds += 1
        assert rounds < 10

    assert talk.uploaded(stream) == body
    assert any(isinstance(event, StreamEnded) for event in talk.events)
    talk.respond(stream, b"done")
    talk.to_client()
    assert stream.is_complete
    assert not talk.client.streams


def test_window_shrinks_below_zero(talk: Talk) -> None:
    """The peer may take window back that was used already; the upload waits until it is above zero (§6.9.2)."""
    stream = talk.get(method="POST", end=False)
    assert talk.client.send_data(stream, bytes(30_000), False) == 30_000
    talk.to_server()
    talk.server.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 10_000})
    talk.exchange()

    assert talk.client.send_data(stream, b"x", False) == 0
    talk.server.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 30_001})
    talk.to_server()
    assert stream in talk.to_client()
    assert talk.client.send_data(stream, b"xy", False) == 1


def test_empty_body_and_empty_end(talk: Talk) -> None:
    """A body may be empty, and may end by itself."""
    empty, later = talk.get(method="POST", end=False), talk.get(method="POST", end=False)
    assert talk.client.send_data(empty, b"", True) == 0
    assert talk.client.send_data(later, b"abc", False) == 3
    assert talk.client.send_data(later, b"", False) == 0
    assert talk.client.send_data(later, b"", True) == 0
    events = talk.to_server()

    assert [event.stream_id for event in events if isinstance(event, StreamEnded)] == [1, 3]
    with pytest.raises(LocalProtocolError):
        talk.client.send_data(later, b"x", True)


def test_answer_while_uploading(talk: Talk) -> None:
    """A whole answer before the upload has ended stands; the owner may then give the upload up (F-2, H-31)."""
    stream = talk.get(method="POST", end=False)
    talk.client.send_data(stream, b"abc", False)
    talk.to_server()
    talk.respond(stream, b"no thanks", status=b"413")
    talk.server.reset_stream(stream.stream_id, ErrorCodes.NO_ERROR)
    talk.to_client()

    assert stream.is_complete
    assert stream.error is None
    assert stream.status == 413
    assert not stream.is_sending
    assert talk.client.send_data(stream, b"def", True) == 0
    assert not talk.client.streams


def test_upload_may_go_on_after_the_answer(talk: Talk) -> None:
    """A server may answer first and read on; the stream ends when both sides have."""
    stream = talk.get(method="POST", end=False)
    talk.to_server()
    talk.respond(stream, b"early")
    talk.to_client()

    assert stream.is_complete
    assert stream.is_sending
    assert talk.client.send_data(stream, b"all of it", True) == 9
    talk.to_server()
    assert talk.uploaded(stream) == b"all of it"
    assert not talk.client.streams


def test_giving_an_upload_up_after_the_answer(talk: Talk) -> None:
    """The answer stands when the owner resets the rest of its upload."""
    stream = talk.get(method="POST", end=False)
    talk.to_server()
    talk.respond(stream, b"early")
    talk.to_client()
    talk.client.reset(stream, ErrorCode.NO_ERROR)

    assert stream.error is None
    assert any(isinstance(event, StreamReset) for event in talk.to_server())


def test_ping(talk: Talk) -> None:
    """While the peer owes an answer to a ping nothing new begins (F-31); pings of the peer are answered."""
    talk.client.ping()
    assert talk.client.capacity == 0
    assert any(isinstance(event, PingReceived) for event in talk.to_server())
    talk.to_client()

    assert talk.client.capacity == 100
    talk.server.ping(b"12345678")
    talk.to_client()
    assert b"12345678" in talk.client.take_outgoing()


def test_draining(talk: Talk) -> None:
    """After GOAWAY running streams go on, uploads too, and nothing new begins (F-4)."""
    stream = talk.get(method="POST", end=False)
    talk.to_server()
    talk.client.feed(b"\0\0\x08\7\0\0\0\0\0" + (1).to_bytes(4, "big") + bytes(4))

    assert talk.client.is_draining
    assert talk.client.capacity == 0
    assert talk.client.send_data(stream, b"abc", True) == 3
    talk.to_server()
    talk.respond(stream, b"done")
    talk.to_client()
    assert stream.is_complete


def test_end_of_bytes(talk: Talk) -> None:
    """A cut connection fails every stream that is not complete, and says whether a head had come (F-6)."""
    silent, begun, done = talk.get(), talk.get(), talk.get()
    talk.to_server()
    talk.respond(begun, b"half", end=False)
    talk.respond(done, b"whole")
    talk.to_client()
    talk.client.feed_eof()

    assert done.error is None
    assert silent.error is not None
    assert silent.error.kind == "connection_lost"
    assert begun.error is not None
    assert begun.error.kind == "body_incomplete"
    assert set(talk.client.take_changed()) == {silent, begun}
    assert talk.client.capacity == 0


def test_close(talk: Talk) -> None:
    """A connection says good-bye, but not while something runs."""
    stream = talk.get()
    talk.to_server()
    talk.client.close()
    assert talk.client.take_outgoing() == b""
    talk.respond(stream)
    talk.to_client()
    talk.client.close()

    assert any(isinstance(event, ConnectionTerminated) for event in talk.to_server())
    assert talk.client.capacity == 0


def test_after_a_failure(talk: Talk) -> None:
    """A failed connection says why to the peer, and takes nothing more."""
    stream = talk.get()
    talk.to_server()
    with pytest.raises(RemoteProtocolError):
        talk.client.feed(b"\0\0\0\x09\0\0\0\0\1")

    assert talk.client.take_changed() == [stream]
    assert stream.error is not None
    assert any(isinstance(event, ConnectionTerminated) for event in talk.to_server())
    with pytest.raises(RemoteProtocolError):
        talk.client.feed(b"\0\0\0\x04\0\0\0\0\0")
    with pytest.raises(LocalProtocolError):
        talk.get()
    talk.client.ping()
    talk.client.close()
    talk.client.reset(stream)
    talk.client.feed_eof()
    assert talk.client.take_outgoing() == b""


@pytest.mark.parametrize(
    ("method", "path", "header"),
    [
        ("G T", b"/", (b"a", b"b")),
        ("CONNECT", b"/", (b"a", b"b")),
        ("GET", b"", (b"a", b"b")),
        ("GET", b"a", (b"a", b"b")),
        ("GET", b"/ ", (b"a", b"b")),
        ("GET", b"/\r\n", (b"a", b"b")),
        ("GET", b"/", (b":path", b"/x")),
        ("GET", b"/", (b"a b", b"c")),
        ("GET", b"/", (b"a", b"b\nc")),
        ("GET", b"/", (b"a", b"b\0")),
        ("GET", b"/", (b"host", b"a b")),
    ],
)
def test_refused_requests(method: str, path: bytes, header: tuple[bytes, bytes], talk: Talk) -> None:
    """What may not go out is refused before a byte is written, and the connection goes on (H-29)."""
    with pytest.raises(LocalProtocolError):
        talk.client.request(method, b"https", b"example", path, [header])

    assert talk.client.take_outgoing() == b""
    stream = talk.get()
    talk.to_server()
    talk.respond(stream)
    talk.to_client()
    assert stream.is_complete


def test_headers_are_the_owners(talk: Talk) -> None:
    """Each response has a list of headers of its own, though field sections are remembered."""
    streams = [talk.get(), talk.get()]
    talk.to_server()
    for stream in streams:
        talk.server.send_headers(stream.stream_id, [(b":status", b"200"), (b"a", b"b")], end_stream=True)
    talk.to_client()
    streams[0].headers.append((b"x", b"y"))
    again = talk.get()
    talk.to_server()
    talk.server.send_headers(again.stream_id, [(b":status", b"200"), (b"a", b"b")], end_stream=True)
    talk.to_client()

    assert streams[1].headers == again.headers == [(b"a", b"b")]

"""Event streams: the decoder at every split, and what an `EventSource` makes of a response."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import SSEError
from crawler.models import EventSource, Request, Response, ServerSentEvent
from crawler.models.sse import EventDecoder

Event = ServerSentEvent

STREAMS = [
    pytest.param(b"data: a\n\n", [Event(data="a")], id="one line"),
    pytest.param(b"data: a\r\ndata: b\r\n\r\n", [Event(data="a\nb")], id="CR LF"),
    pytest.param(b"data: a\rdata: b\r\r", [Event(data="a\nb")], id="CR"),
    pytest.param(b"data: a\r\n\rdata: b\n\r\n", [Event(data="a"), Event(data="b")], id="line ends mixed"),
    pytest.param(b"data:a\ndata:  b\ndata\ndata:\n\n", [Event(data="a\n b\n\n")], id="spaces and empty values"),
    pytest.param(b"data: a: b\n\n", [Event(data="a: b")], id="a colon in the value"),
    pytest.param("data: ä\u2028\u0085€\n\n".encode(), [Event(data="ä\u2028\u0085€")], id="line ends of Unicode"),
    pytest.param(b"data: \xff\n\n", [Event(data="\ufffd")], id="no UTF-8"),
    pytest.param(b"\xef\xbb\xbfdata: a\n\n", [Event(data="a")], id="byte order mark"),
    pytest.param(b"event: x\ndata: a\n\ndata: b\n\n", [Event("x", "a"), Event(data="b")], id="type of one event"),
    pytest.param(b"id: 1\ndata: a\n\ndata: b\n\n", [Event(data="a", id="1"), Event(data="b", id="1")], id="id stays"),
    pytest.param(b"id: 1\n\nid\ndata: a\n\n", [Event(id="1"), Event(data="a")], id="id is taken back"),
    pytest.param(b"id: 1\0\ndata: a\n\n", [Event(data="a")], id="NUL in an id"),
    pytest.param(b"retry: 10\n\ndata: a\n\n", [Event(retry=10), Event(data="a")], id="retry"),
    pytest.param(b"retry: -1\nretry: 1.5\nretry: x\nretry:\ndata: a\n\n", [Event(data="a")], id="no retry"),
    pytest.param("retry: ٣\ndata: a\n\n".encode(), [Event(data="a")], id="digits of other scripts"),
    pytest.param(b": hello\n:\n\n\n\ndata: a\n:x\n\n", [Event(data="a")], id="comments and blank lines"),
    pytest.param(b"Data: a\nfoo: b\n data: c\n\n", [], id="unknown fields"),
    pytest.param(b"data: a\n\ndata: b\n", [Event(data="a")], id="the last event is incomplete"),
    pytest.param(b"data: a", [], id="the last line is incomplete"),
    pytest.param(b"", [], id="nothing"),
]


def decode(pieces: list[bytes], max_event_size: int | None = None) -> list[Event]:
    """What the pieces give."""
    decoder = EventDecoder(max_event_size)
    return [event for piece in pieces for event in decoder.feed(piece)] + list(decoder.end())


@pytest.mark.parametrize(("stream", "events"), STREAMS)
def test_events_wherever_the_stream_is_cut(stream: bytes, events: list[Event]) -> None:
    """Whole, byte by byte, and cut at every position: the same events."""
    assert decode([stream]) == events
    assert decode([stream[at : at + 1] for at in range(len(stream))]) == events
    for at in range(len(stream)):
        assert decode([stream[:at], b"", stream[at:]]) == events


@given(st.lists(st.sampled_from([b"data", b":", b" ", b"\r", b"\n", b"id", b"a", b"\xef\xbb\xbf"])), st.data())
def test_no_split_changes_events(parts: list[bytes], data: st.DataObject) -> None:
    """For any stream and any way of cutting it."""
    stream = b"".join(parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))

    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert decode(pieces) == decode([stream])


def test_an_event_is_given_at_once() -> None:
    """A server that ends lines in CR does not keep us waiting for a LF that never comes."""
    decoder = EventDecoder()

    assert list(decoder.feed(b"data: a\r\r")) == [Event(data="a")]
    assert list(decoder.feed(b"\ndata: b\n\n")) == [Event(data="b")]


def test_the_size_of_an_event_is_bounded() -> None:
    """All its lines count, also one that has not ended; neither comments nor earlier events do."""
    line = b"data: 12345678\n"

    assert decode([b"id: 1\n\n", b": comment\n", line, b"\n"] * 3, max_event_size=14) != []
    for stream in ([line, b"id: 1\n"], [b"data: 1234567890"], [b"x"] * 15, [b":" + b"x" * 14]):
        with pytest.raises(SSEError, match="max_event_size"):
            decode(stream, max_event_size=14)


def test_the_size_may_be_unbounded() -> None:
    """None says so."""
    assert len(decode([b"data: " + b"x" * 2_000_000 + b"\n\n"])[0].data) == 2_000_000
    with pytest.raises(SSEError):
        list(EventDecoder().feed(b"x" * 2_000_000))


def test_data_as_json() -> None:
    """What most streams carry."""
    assert Event(data='{"n":\n1}').json() == {"n": 1}
    with pytest.raises(ValueError, match="Expecting"):
        Event().json()


def source(content: bytes, content_type: str | None = "text/event-stream") -> EventSource:
    """The events of a response."""
    headers = {} if content_type is None else {"Content-Type": content_type}
    return EventSource(Response(200, headers=headers, content=content, request=Request("GET", "https://h/")))


def test_the_charset_is_utf8_whatever_it_says() -> None:
    """HTML Living Standard §9.2.5: event streams are always decoded as UTF-8."""
    events = list(source("data: é\n\n".encode(), "Text/Event-Stream; charset=latin-1"))

    assert events == [Event(data="é")]


@pytest.mark.parametrize("content_type", [None, "", "text/plain", "text/event-streams", "application/json"])
def test_another_content_type_is_refused(content_type: str | None) -> None:
    """An error page is no event stream; the error says what came."""
    with pytest.raises(SSEError, match="status 200") as caught:
        iter(source(b"data: a\n\n", content_type))

    assert caught.value.request.url == "https://h/"


def test_coded_streams_are_decoded() -> None:
    """Servers do compress them."""
    import zlib

    body = zlib.compress(b"data: a\n\n")
    headers = {"Content-Type": "text/event-stream", "Content-Encoding": "deflate"}

    assert list(EventSource(Response(200, headers=headers, content=body))) == [Event(data="a")]

"""What is particular to the fast HTTP/1.1 reader: when it is fast, and that it leaves nothing behind."""

from __future__ import annotations

import gc
import weakref

import pytest

from crawler.wire import http1_llhttp, http1_machine

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\n"


class CountingReader(http1_llhttp.Http1Reader):
    """Counts the responses that were read whole in C; has a weak reference."""

    __slots__ = ("__weakref__", "whole")

    def __init__(self) -> None:
        super().__init__()
        self.whole = 0

    def _feed_whole(self, data: bytes) -> bool:
        is_whole = super()._feed_whole(data)
        self.whole += is_whole
        return is_whole


def read(reader: CountingReader, *pieces: bytes, method: str = "GET") -> None:
    """Read one response."""
    reader.expect(method)
    for piece in pieces:
        reader.feed(piece)
    assert reader.is_complete


def test_whole_responses_are_read_in_c() -> None:
    """A response with a length that comes in one piece takes the fast way, again and again on one parser."""
    reader = CountingReader()
    parser = reader._parser
    for _ in range(3):
        read(reader, HEAD + b"hello")

        assert reader.body == [b"hello"]
        assert reader.can_reuse
    assert reader.whole == 3
    assert reader._parser is parser


@pytest.mark.parametrize(
    "pieces",
    [
        (HEAD, b"hello"),
        (HEAD + b"he", b"llo"),
        (HEAD[:20], HEAD[20:] + b"hello"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",),
        (
            b"HTTP/1.1 200 OK\r\nX-Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\na\r\n0\r\nContent-Length: 5\r\n\r\n",
        ),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",),
    ],
)
def test_other_responses_go_the_common_way(pieces: tuple[bytes, ...]) -> None:
    """All else is read by the common machine, and the next whole response takes the fast way again."""
    reader = CountingReader()
    read(reader, *pieces)

    assert reader.whole == 0
    assert reader.can_reuse
    read(reader, HEAD + b"again")
    assert reader.whole == 1
    assert reader.body == [b"again"]


def test_dropped_reader_is_freed_at_once() -> None:
    """A reader is no part of a reference cycle: thousands of closed connections need no collector."""
    gc.disable()
    try:
        reader = CountingReader()
        read(reader, HEAD + b"hello")
        gone = weakref.ref(reader)
        del reader

        assert gone() is None
    finally:
        gc.enable()


def test_states_are_all_named() -> None:
    """The module constants of the machine are the members of its enum, in order."""
    names = ("IDLE", "HEAD", "LENGTH", "CHUNKED", "TO_CLOSE", "TUNNEL", "SPENT", "DEAD")

    assert [getattr(http1_machine, name) for name in names] == list(http1_machine.State)


@pytest.mark.parametrize("name", ["Set-Cookie", "set-cookie", "CONTENT-ENCODING"])
@pytest.mark.parametrize("is_first", [True, False])
def test_telling_fields_are_found_wherever_they_stand(name: str, is_first: bool) -> None:
    """A head with a cookie or a coding is not plain, be that field the first or the last, in any case."""
    telling = f"{name}: x\r\n".encode()
    length = b"Content-Length: 5\r\n"
    lines = telling + length if is_first else length + telling
    reader = CountingReader()
    read(reader, b"HTTP/1.1 200 OK\r\n" + lines + b"\r\nhello")

    assert reader.whole == 1
    assert not reader.is_plain


def test_names_that_only_end_like_telling_ones_are_plain() -> None:
    """`X-Set-Cookie` is a field like any other."""
    reader = CountingReader()
    read(reader, b"HTTP/1.1 200 OK\r\nX-Set-Cookie: a\r\nContent-Length: 5\r\n\r\nhello")

    assert reader.whole == 1
    assert reader.is_plain


def test_fields_are_split_when_somebody_looks() -> None:
    """The fast way keeps the checked lines, and the fields of one response stay its own."""
    reader = CountingReader()
    read(reader, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Empty:\r\nETag:\t w\r\n\r\nhello")
    lines = reader.fields

    assert lines == b"Content-Length: 5\r\nX-Empty:\r\nETag:\t w\r\n"
    assert reader.headers == [(b"Content-Length", b"5"), (b"X-Empty", b""), (b"ETag", b"w")]
    assert reader.headers is reader.headers


def test_closing_is_seen_in_any_case() -> None:
    """`Connection: Close` ends the reuse of a connection whose response was read whole."""
    reader = CountingReader()
    read(reader, b"HTTP/1.1 200 OK\r\nCONNECTION: x, Close\r\nContent-Length: 5\r\n\r\nhello")

    assert reader.whole == 1
    assert not reader.can_reuse


def test_long_heads_go_the_common_way() -> None:
    """A head that could hold more fields than allowed is counted by the machine."""
    reader = CountingReader()
    filler = b"X-Filler: %b\r\n" % (b"x" * 8192)
    read(reader, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + filler + b"\r\nhello")

    assert reader.whole == 0
    assert len(reader.headers) == 2

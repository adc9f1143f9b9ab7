"""The chunked decoder on its own: bounds that a reader's owner cannot see."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.wire.http1 import LIMITS, encode_chunk
from crawler.wire.http1_chunked import ChunkedDecoder


def test_many_tiny_chunks_become_few_pieces() -> None:
    """Ten thousand one-byte chunks in one feed are handed on as one piece (H-28)."""
    decoder = ChunkedDecoder(LIMITS)

    assert decoder.feed(encode_chunk(b"x") * 10_000) == [b"x" * 10_000]


def test_few_chunks_are_not_joined() -> None:
    """Ordinary chunks are not copied a second time."""
    decoder = ChunkedDecoder(LIMITS)

    assert decoder.feed(encode_chunk(b"ab") + encode_chunk(b"cd")) == [b"ab", b"cd"]


def test_large_chunk_needs_nothing_ahead() -> None:
    """A chunk of announced exabytes allocates nothing; what comes is handed on."""
    decoder = ChunkedDecoder(LIMITS)

    assert decoder.feed(b"7fffffffffffffff\r\nabc") == [b"abc"]
    assert not decoder.is_complete


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.binary(min_size=1, max_size=40), st.sampled_from([b"", b";a", b'; b="c"', b"  "])), max_size=6
    ),
    st.binary(max_size=9),
    st.data(),
)
def test_no_cut_changes_anything(chunks: list[tuple[bytes, bytes]], rest: bytes, data: st.DataObject) -> None:
    """Data, end and rest are the same however the coded bytes are cut."""
    coded = b"".join(b"%x%b\r\n%b\r\n" % (len(body), extension, body) for body, extension in chunks)
    coded += b"0\r\nX: y\r\n\r\n" + rest
    decoder = ChunkedDecoder(LIMITS)
    body = b""
    at = 0
    while not decoder.is_complete:
        end = data.draw(st.integers(at + 1, len(coded)))
        body += b"".join(decoder.feed(coded[at:end]))
        at = end

    assert body == b"".join(body for body, _ in chunks)
    assert decoder.trailers == [(b"X", b"y")]
    assert decoder.rest + coded[at:] == rest

"""The memoised HPACK against the `hpack` package: the same fields, whatever is remembered and put off."""

from __future__ import annotations

import pytest
from hpack import Decoder, Encoder
from hpack.exceptions import HPACKError
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.models.headers import Headers, HeadTemplate
from crawler.wire.http2_api import LIMITS, ErrorCode, Http2Limits
from crawler.wire.http2_hpack import HpackDecoder, RequestEncoder
from crawler.wire.http2_machine import Fault

NAMES = st.sampled_from([b":status", b"date", b"etag", b"server", b"x-a", b"set-cookie", b"x-long"])
VALUES = st.one_of(st.sampled_from([b"200", b"nginx", b"", b"x" * 900, b"y" * 5000]), st.binary(max_size=4))
# The third part: whether the field stays out of the table.
FIELDS = st.lists(st.tuples(NAMES, VALUES, st.booleans()), max_size=6)
TABLE_SIZES = st.sampled_from([None, None, None, 0, 40, 4096])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(FIELDS, TABLE_SIZES, st.booleans()), max_size=12))
def test_decodes_what_hpack_encodes(blocks: list[tuple[list[tuple[bytes, bytes, bool]], int | None, bool]]) -> None:
    """Blocks that add, read, resize and repeat come out as they went in, in any order."""
    encoder, decoder = Encoder(), HpackDecoder(LIMITS)
    for fields, size, huffman in blocks:
        if size is not None:
            encoder.header_table_size = size
        for _ in range(3):
            block = encoder.encode(fields, huffman)

            assert decoder.decode(block).fields == [(name, value) for name, value, _ in fields]


def _both(decoder: HpackDecoder, theirs: Decoder, block: bytes) -> bool:
    """Decode by both; whether they took it, which both must, and alike, or neither."""
    try:
        expected = [(bytes(name), bytes(value)) for name, value in theirs.decode(block, raw=True)]
    except (HPACKError, IndexError):
        with pytest.raises(Fault):
            decoder.decode(block)
        return False
    assert decoder.decode(block).fields == expected
    return True


ATOMS = st.sampled_from(
    (
        *(b"\x82", b"\x88", b"\xbe", b"\xbf", b"\xc0", b"\x80", b"\x20", b"\x3f\x09", b"\x3f\xe1\x1f", b"\x3f\xe2\x1f"),
        *(b"\x40\x01a\x01b", b"\x40\x01c\x01d", b"\x00\x01a\x01b", b"\x10\x01a\x01b", b"\x0f\x2f\x01x"),
        *(b"\x7e\x01y", b"\x7f\x80\x01\x01z", b"\x40\x81\x1f\x81\x1f", b"\x00\x05a", b"\xff", b"\x48\x82\x64\x02"),
    )
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(ATOMS, max_size=6).map(b"".join), max_size=8))
def test_decodes_as_hpack_decodes(blocks: list[bytes]) -> None:
    """Right or wrong, our decoder and that of `hpack` agree on every block, up to the first that is refused."""
    decoder, theirs = HpackDecoder(LIMITS), Decoder(LIMITS.header_list_bytes)
    for block in [block for block in blocks for _ in range(2)]:
        if not _both(decoder, theirs, block):
            break


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=30))
def test_any_bytes(block: bytes) -> None:
    """Whatever comes, a block is decoded or refused; nothing else happens."""
    decoder, theirs = HpackDecoder(LIMITS), Decoder(LIMITS.header_list_bytes)
    _both(decoder, theirs, block)


def test_bombs_stop_early() -> None:
    """A small block that says a large list is refused at the limit, before the list is made (F-9)."""
    decoder = HpackDecoder(Http2Limits(header_list_bytes=10_000))

    with pytest.raises(Fault) as caught:
        decoder.decode(b"\x40\x01a\x7f\x81\x07" + b"x" * 1024 + b"\xbe" * 1_000_000)
    assert caught.value.code == ErrorCode.ENHANCE_YOUR_CALM
    assert caught.value.kind == "header_too_large"


def test_what_is_remembered_is_bounded() -> None:
    """Blocks that never repeat do not pile up, nor do additions that nobody reads."""
    decoder = HpackDecoder(LIMITS)
    for number in range(2000):
        decoder.decode(b"\x00\x01a\x05%05d" % number)
        decoder.decode(b"\x40\x01a\x01b")

    assert len(decoder._always) <= 256
    assert len(decoder._put_off) <= 128
    assert decoder.decode(b"\xbe").fields == [(b"a", b"b")]


def test_requests_settle() -> None:
    """From the second request on, what does not change is a few bytes."""
    template = HeadTemplate(Headers([("User-Agent", "agent/1.0"), ("Accept", "*/*")]))
    encoder, decoder = RequestEncoder(), Decoder()
    blocks = [encoder.encode("GET", b"https", b"example.org", b"/%d" % n, template) for n in range(3)]

    assert len(blocks[0]) > 20
    assert len(blocks[1]) == len(blocks[2]) == 9
    for number, block in enumerate(blocks):
        assert [(bytes(n), bytes(v)) for n, v in decoder.decode(block, raw=True)] == [
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":authority", b"example.org"),
            (b":path", b"/%d" % number),
            (b"user-agent", b"agent/1.0"),
            (b"accept", b"*/*"),
        ]


def test_secrets_enter_no_table() -> None:
    """Credentials are sent as never-indexed literals, in templates and sequences alike (RFC 7541 §7.1.3)."""
    secret = [(b"Authorization", b"s3cret"), (b"Cookie", b"s3cret")]
    template = HeadTemplate(Headers(secret))
    encoder, decoder = RequestEncoder(), Decoder()
    for headers in (template, secret, template):
        fields = list(decoder.decode(encoder.encode("GET", b"https", b"h", b"/", headers), raw=True))

        assert [field.indexable for field in fields[-2:]] == [False, False]
    assert all(b"s3cret" not in value for _, value in decoder.header_table.dynamic_entries)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from([b"a", b"b"]), st.sampled_from(["GET", "PUT"]), TABLE_SIZES),
        max_size=12,
    )
)
def test_encodes_what_hpack_decodes(requests: list[tuple[int, bytes, str, int | None]]) -> None:
    """Requests of any template or none, to any authority, with a table of any size, arrive as they were meant."""
    templates = [HeadTemplate(Headers([("User-Agent", "x" * n), ("X", "y" * 400 * n)])) for n in (1, 2, 9)]
    encoder, decoder = RequestEncoder(), Decoder()
    for which, authority, method, size in requests:
        if size is not None:
            encoder.resize(size)
            decoder.max_allowed_table_size = size
        headers = templates[which] if which < 3 else [(b"Q", b"r")]
        pairs = templates[which].pairs if which < 3 else [(b"Q", b"r")]
        block = encoder.encode(method, b"http", authority, b"/" + authority, headers)

        assert [(bytes(n), bytes(v)) for n, v in decoder.decode(block, raw=True)] == [
            (b":method", method.encode()),
            (b":scheme", b"http"),
            (b":authority", authority),
            (b":path", b"/" + authority),
            *((name.lower(), value) for name, value in pairs),
        ]

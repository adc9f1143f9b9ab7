"""Content codings: whole, in any split, cut short, damaged, stacked, exploding."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable, Iterable

import brotli
import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import DecodingError, ResponseTooLarge
from crawler.models import decoders
from crawler.models.decoders import BodyDecoder, accept_encoding, content_codings, decode_whole

TEXT = b"The quick brown fox. " * 40
SKIPPABLE = b"\x50\x2a\x4d\x18\x04\x00\x00\x00junk"


def raw_deflate(data: bytes) -> bytes:
    """Deflate without the zlib wrapper, as wrong servers send it."""
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


CODERS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", lambda data: gzip.compress(data, mtime=0)),
    "x-gzip": ("x-gzip", lambda data: gzip.compress(data, mtime=0)),
    "zlib deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstd.compress),
    "gzip members": ("gzip", lambda data: gzip.compress(data[:100]) + gzip.compress(b"") + gzip.compress(data[100:])),
    "zstd frames": ("zstd", lambda data: SKIPPABLE + zstd.compress(data[:100]) + SKIPPABLE + zstd.compress(data[100:])),
}

coders = pytest.mark.parametrize(("coding", "encode"), CODERS.values(), ids=CODERS)


def outcome(codings: list[str], pieces: Iterable[bytes]) -> bytes | type[Exception]:
    """What comes of a body that arrives in these pieces."""
    decoder = BodyDecoder(codings)
    found = bytearray()
    try:
        for piece in pieces:
            for output in decoder.feed(piece):
                assert 0 < len(output) <= decoders.MAX_PIECE
                found += output
        assert not [*decoder.end()]
    except DecodingError as exc:
        return type(exc)
    return bytes(found)


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Pieces of `data`, cut at these places."""
    at = sorted({min(place, len(data)) for place in places})
    return [data[start:stop] for start, stop in zip([0, *at], [*at, len(data)], strict=True)]


@coders
def test_decodes_whole_and_byte_by_byte(coding: str, encode: Callable[[bytes], bytes]) -> None:
    """A body decodes to what was encoded, arriving at once or in single bytes."""
    coded = encode(TEXT)

    assert outcome([coding], [coded]) == TEXT
    assert outcome([coding], [coded[i : i + 1] for i in range(len(coded))]) == TEXT


@coders
def test_every_cut_is_missing_something(coding: str, encode: Callable[[bytes], bytes]) -> None:
    """A coded body cut short anywhere is an error, never shorter content; only the empty body is fine.

    Between two members, a cut is none that can be seen.
    """
    coded = encode(TEXT)
    whole = {gzip.compress(TEXT[:100]), gzip.compress(TEXT[:100]) + gzip.compress(b"")}
    whole |= {SKIPPABLE, SKIPPABLE + zstd.compress(TEXT[:100]), SKIPPABLE + zstd.compress(TEXT[:100]) + SKIPPABLE}
    magics = [whole_part + rest for whole_part in whole for rest in (b"", b"\x1f", b"\x1f\x8b", SKIPPABLE[:3])]
    magics += [whole_part + zstd.compress(b"")[:size] for whole_part in whole for size in range(4)]
    magics += [whole_part + SKIPPABLE[:size] for whole_part in whole for size in range(4)]

    assert outcome([coding], [b""]) == b""
    assert outcome([coding], []) == b""
    for size in range(1, len(coded)):
        if coded[:size] not in magics:
            assert outcome([coding], [coded[:size]]) is DecodingError, size


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", b"this is no gzip"),
        ("gzip", gzip.compress(TEXT)[:-8] + b"\0\0\0\0" + gzip.compress(TEXT)[-4:]),
        ("gzip", gzip.compress(TEXT)[:-4] + b"\0\0\0\0"),
        ("gzip", gzip.compress(TEXT) + b"\x1f\x8b\x08 and then no member"),
        ("deflate", b"this is no deflate"),
        ("deflate", zlib.compress(TEXT)[:-4] + b"\0\0\0\0"),
        ("deflate", zlib.compress(TEXT)[:20] + b"\xff" * 20),
        ("br", b"this is no brotli"),
        ("br", brotli.compress(TEXT) + b"tail"),
        ("zstd", b"this is no zstd"),
        ("zstd", zstd.compress(TEXT, options={zstd.CompressionParameter.checksum_flag: 1})[:-4] + b"\0\0\0\0"),
        ("zstd", zstd.compress(TEXT)[:10] + b"\xff" * 20),
        # a window of 128 MiB, asked for by a body of a few bytes
        ("zstd", b"\x28\xb5\x2f\xfd\x00\x88" + b"\x01\x00\x00"),
    ],
)
def test_bad_data_is_a_decoding_error(coding: str, data: bytes) -> None:
    """Data of another kind, a wrong checksum or length, an unreasonable window: an error, wherever it is split."""
    assert outcome([coding], [data]) is DecodingError
    assert outcome([coding], [data[i : i + 1] for i in range(len(data))]) is DecodingError


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("junk", [b"\0" * 20, b"\n", b"\x1f", b"\x1f\x8b", b"(\xb5/", b"<html>", b"\x50\x2a"])
def test_junk_after_the_end_is_ignored(coding: str, junk: bytes) -> None:
    """Bytes behind the coded stream that begin no new one are no data and no error."""
    coded = CODERS["zlib deflate" if coding == "deflate" else coding][1](TEXT) + junk

    assert outcome([coding], [coded]) == TEXT
    assert outcome([coding], [coded[i : i + 1] for i in range(len(coded))]) == TEXT
    assert outcome([coding], [coded, gzip.compress(b"no member any more")]) == TEXT


def test_br_ends_where_it_ends() -> None:
    """Bytes behind a br stream are an error, in the same piece or a later one."""
    assert outcome(["br"], [brotli.compress(TEXT), b"tail"]) is DecodingError


_CODED = st.sampled_from([*CODERS.values()]).flatmap(
    lambda coder: st.tuples(st.just(coder[0]), st.binary(max_size=600).map(coder[1]))
)


@given(_CODED, st.lists(st.integers(0, 2000), max_size=8), st.binary(max_size=4), st.integers(0, 3))
def test_no_split_changes_the_outcome(coded: tuple[str, bytes], places: list[int], tail: bytes, missing: int) -> None:
    """However a body is split, also a cut or a littered one, what comes out is the same."""
    coding, data = coded
    data = data[: len(data) - missing] + tail

    assert outcome([coding], cut(data, places)) == outcome([coding], [data])


def test_codings_are_undone_outermost_first() -> None:
    """The header names the codings in the order they were applied."""
    coded = zstd.compress(brotli.compress(zlib.compress(gzip.compress(TEXT))))

    assert outcome(["gzip", "deflate", "br", "zstd"], [coded]) == TEXT
    assert outcome(["gzip", "deflate", "br", "zstd"], [coded[:-9]]) is DecodingError
    # The outer stream is whole, the inner one is not:
    assert outcome(["gzip", "deflate"], [zlib.compress(gzip.compress(TEXT)[:-9])]) is DecodingError
    assert outcome(["gzip", "gzip"], [b""]) == b""


def test_at_most_five_codings() -> None:
    """Five stacked codings decode; a sixth is refused."""
    coded = TEXT
    for _ in range(5):
        coded = gzip.compress(coded)
    assert outcome(["gzip"] * 5, [coded]) == TEXT
    with pytest.raises(DecodingError, match="6 times"):
        BodyDecoder(["gzip"] * 6)


@pytest.mark.parametrize(
    ("headers", "codings"),
    [
        ([], []),
        ([(b"Content-Encoding", b"gzip")], ["gzip"]),
        ([(b"content-encoding", b" GZip , Deflate,br")], ["gzip", "deflate", "br"]),
        ([(b"CONTENT-ENCODING", b"gzip"), (b"Content-Encoding", b"zstd")], ["gzip", "zstd"]),
        ([(b"Content-Encoding", b"identity, x-gzip, unknown, ,\xff")], ["x-gzip"]),
        ([(b"Transfer-Encoding", b"gzip"), (b"Content-Language", b"br")], []),
    ],
)
def test_codings_of_headers(headers: list[tuple[bytes, bytes]], codings: list[str]) -> None:
    """Case, spaces and repeated fields do not matter; `identity` and unknown names are left out."""
    assert content_codings(headers) == codings


def test_accept_encoding_names_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """br and zstd are offered if, and only if, their decoders are installed; finding out imports nothing."""
    assert accept_encoding() == "gzip, deflate, br, zstd"

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    decoders.available_codings.cache_clear()
    try:
        assert accept_encoding() == "gzip, deflate"
        assert content_codings([(b"Content-Encoding", b"br")]) == []
    finally:
        decoders.available_codings.cache_clear()


def bomb(coding: str, size: int) -> bytes:
    """`size` zero bytes, coded."""
    zeros = bytes(2**20)
    if coding == "br":
        packer = brotli.Compressor(quality=5)
        return b"".join([*(packer.process(zeros) for _ in range(size // 2**20)), packer.finish()])
    stream = zstd.ZstdCompressor() if coding == "zstd" else zlib.compressobj(wbits=31 if coding == "gzip" else 15)
    return b"".join([*(stream.compress(zeros) for _ in range(size // 2**20)), stream.flush()])


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_bomb_in_pieces_is_bounded(coding: str) -> None:
    """A bomb gives pieces of at most 1 MiB and takes little memory, however much of it is asked for."""
    coded = bomb(coding, 64 * 2**20)
    decoder = BodyDecoder([coding])
    tracemalloc.start()
    try:
        sizes = [len(piece) for piece in decoder.feed(coded)]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    decoder.end()

    assert sum(sizes) == 64 * 2**20
    assert max(sizes) <= 2**20
    assert peak < 16 * 2**20


def test_bomb_guard_needs_size_and_ratio() -> None:
    """Only what is large *and* expands much is a bomb; the error says so by its kind."""
    coded = gzip.compress(bytes(300_000))

    assert len(decode_whole(coded, BodyDecoder(["gzip"], bomb=(400_000, 100)))) == 300_000
    assert len(decode_whole(coded, BodyDecoder(["gzip"], bomb=(200_000, 2000)))) == 300_000
    with pytest.raises(ResponseTooLarge, match="bomb") as caught:
        decode_whole(coded, BodyDecoder(["gzip"], bomb=(200_000, 100)))
    assert caught.value.kind == "decompression_bomb"


def test_max_size_is_of_decoded_bytes() -> None:
    """A limit counts what comes out; exactly the limit is allowed."""
    coded = gzip.compress(TEXT)

    assert decode_whole(coded, BodyDecoder(["gzip"], len(TEXT))) == TEXT
    with pytest.raises(ResponseTooLarge, match="max_response_size") as caught:
        decode_whole(coded, BodyDecoder(["gzip"], len(TEXT) - 1))
    assert caught.value.kind == "too_large"


def test_input_without_output_ends() -> None:
    """Members that hold nothing cost little and give nothing."""
    assert outcome(["gzip"], [gzip.compress(b"") * 5000]) == b""
    assert outcome(["zstd"], [SKIPPABLE * 5000]) == b""

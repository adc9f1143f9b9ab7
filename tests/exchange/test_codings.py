"""Content codings through the client: bombs, cuts, wrong labels, stacks. Numbers Z-n are those of the fault table.

The decoders by themselves are tested in `tests/models/test_decoders.py`; here it is the whole way from the wire.
"""

from __future__ import annotations

import gzip
import resource
import zlib
from collections.abc import Callable
from typing import Any

import brotli
import pytest
from backports import zstd

import crawler
from crawler.testbed.raw import RawConnection, RawServer
from tests.peers.frames import FramePeer, FrameServer, data, head
from tests.peers.worlds import Face, FaceClient

MIB = 1 << 20
TEXT = b"To be decoded. " * 500
CHECKED: dict[int, int] = {zstd.CompressionParameter.checksum_flag: 1}

Headers = list[tuple[str, str]]


def raw_deflate(plain: bytes) -> bytes:
    """Deflate without the wrapping that the standard asks for."""
    coder = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return coder.compress(plain) + coder.flush()


CODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": lambda plain: zstd.compress(plain, options=CHECKED),
}
codings = pytest.mark.parametrize("coding", CODERS)
two_worlds = pytest.mark.parametrize("face", ["blocking", "asyncio"], indirect=True)  # the decoders know none
streamings = pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])


def message(body: bytes, *fields: tuple[str, str], status: str = "200 OK") -> bytes:
    """A response with a length."""
    lines = [f"{name}: {value}\r\n" for name, value in [*fields, ("Content-Length", str(len(body)))]]
    return f"HTTP/1.1 {status}\r\n{''.join(lines)}\r\n".encode() + body


def coded(coding: str, body: bytes, **more: str) -> bytes:
    """A response that says how it is coded."""
    return message(body, ("Content-Encoding", coding), **more)


async def fetch(face: Face, client: FaceClient, url: str, is_streamed: bool) -> bytes:
    """A decoded body."""
    if not is_streamed:
        return (await client.get(url)).content
    async with client.stream("GET", url) as response:
        return b"".join([piece async for piece in face.pieces(response)])


# --- what decodes ---

GOOD: dict[str, tuple[Headers, bytes, bytes]] = {
    "Z-6 several gzip members": ([("Content-Encoding", "gzip")], gzip.compress(TEXT) * 3, TEXT * 3),
    "Z-6 several zstd frames": ([("Content-Encoding", "zstd")], CODERS["zstd"](TEXT) * 3, TEXT * 3),
    "Z-7 junk after gzip": ([("Content-Encoding", "gzip")], gzip.compress(TEXT) + b"\0\0junk", TEXT),
    "Z-7 junk after deflate": ([("Content-Encoding", "deflate")], zlib.compress(TEXT) + b"junk", TEXT),
    "Z-7 junk after zstd": ([("Content-Encoding", "zstd")], CODERS["zstd"](TEXT) + b"junk", TEXT),
    "Z-9 five in one field": (
        [("Content-Encoding", "gzip, br, zstd, deflate, gzip")],
        gzip.compress(zlib.compress(CODERS["zstd"](brotli.compress(gzip.compress(TEXT))))),
        TEXT,
    ),
    "Z-9 two in two fields": (
        [("Content-Encoding", "gzip"), ("X-Between", "1"), ("content-encoding", "br")],
        brotli.compress(gzip.compress(TEXT)),
        TEXT,
    ),
    "Z-10 unknown": ([("Content-Encoding", "sdch")], TEXT, TEXT),
    "Z-10 identity": ([("Content-Encoding", "identity")], TEXT, TEXT),
    "Z-10 empty": ([("Content-Encoding", "")], TEXT, TEXT),
    "Z-11 gzip of nothing at all": ([("Content-Encoding", "gzip")], b"", b""),
    "Z-11 br of nothing at all": ([("Content-Encoding", "br")], b"", b""),
    "Z-12 raw deflate": ([("Content-Encoding", "deflate")], raw_deflate(TEXT), TEXT),
    "Z-12 x-gzip": ([("Content-Encoding", "x-gzip")], gzip.compress(TEXT), TEXT),
    "Z-12 letter case and spaces": ([("CONTENT-ENCODING", " GZip ,\tBR ")], brotli.compress(gzip.compress(TEXT)), TEXT),
}


@two_worlds
@streamings
@pytest.mark.parametrize("case", GOOD)
async def test_decoded(face: Face, case: str, is_streamed: bool) -> None:
    """The content is what was coded, and the label stays as it was sent."""
    fields, body, plain = GOOD[case]
    with RawServer(message(body, *fields)) as server:
        async with face.client() as client:
            assert await fetch(face, client, server.url, is_streamed) == plain


@codings
async def test_raw_bytes_are_as_sent(face: Face, coding: str) -> None:
    """Z-10, Z-15: whoever wants no decoding gets the bytes of the wire, and the label."""
    body = CODERS[coding](TEXT)
    with RawServer(coded(coding, body)) as server:
        async with face.client() as client, client.stream("GET", server.url) as response:
            assert b"".join([piece async for piece in face.pieces(response, "raw")]) == body
            assert response.headers["Content-Encoding"] == coding
            assert response.num_bytes_downloaded == len(body)


@codings
async def test_bodies_that_cannot_be(face: Face, coding: str) -> None:
    """Z-11: 204, 304 and the answer to HEAD have no body, whatever the label says; the connection goes on."""
    heads = [
        f"HTTP/1.1 {status}\r\nContent-Encoding: {coding}\r\nContent-Length: 99\r\n\r\n".encode()
        for status in ("304 Not Modified", "200 OK")
    ]
    heads.insert(0, f"HTTP/1.1 204 No Content\r\nContent-Encoding: {coding}\r\n\r\n".encode())

    def script(connection: RawConnection) -> None:
        for each in heads:
            connection.read_request()
            connection.send(each)

    with RawServer(script) as server:
        async with face.client() as client:
            for method, status in (("GET", 204), ("GET", 304), ("HEAD", 200)):
                response = await client.request(method, server.url)
                assert (response.status_code, response.content) == (status, b"")

    assert len(server.connections) == 1


# --- what does not ---


def huge_window() -> bytes:
    """A zstd frame of nothing that asks for 128 MiB of window."""
    return b"\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00"


WRONG_CHECKSUM = gzip.compress(TEXT)[:-8] + b"\1\2\3\4" + gzip.compress(TEXT)[-4:]

BAD: dict[str, tuple[Headers, bytes]] = {
    "Z-4 gzip cut": ([("Content-Encoding", "gzip")], gzip.compress(TEXT)[:-9]),
    "Z-4 gzip without its trailer": ([("Content-Encoding", "gzip")], gzip.compress(TEXT)[:-8]),
    "Z-4 deflate cut": ([("Content-Encoding", "deflate")], zlib.compress(TEXT)[:-5]),
    "Z-4 raw deflate cut": ([("Content-Encoding", "deflate")], raw_deflate(TEXT)[:-1]),
    "Z-4 br cut": ([("Content-Encoding", "br")], brotli.compress(TEXT)[:-1]),
    "Z-4 zstd cut": ([("Content-Encoding", "zstd")], CODERS["zstd"](TEXT)[:-1]),
    "Z-4 second member cut": ([("Content-Encoding", "gzip")], (gzip.compress(TEXT) * 2)[:-1]),
    "Z-4 inner one cut": ([("Content-Encoding", "gzip, br")], brotli.compress(gzip.compress(TEXT)[:-1])),
    "Z-5 gzip checksum": ([("Content-Encoding", "gzip")], WRONG_CHECKSUM),
    "Z-5 gzip length": ([("Content-Encoding", "gzip")], gzip.compress(TEXT)[:-4] + b"\1\2\3\4"),
    "Z-5 deflate checksum": ([("Content-Encoding", "deflate")], zlib.compress(TEXT)[:-4] + b"\1\2\3\4"),
    "Z-5 zstd checksum": ([("Content-Encoding", "zstd")], CODERS["zstd"](TEXT)[:-4] + b"\1\2\3\4"),
    "Z-7 junk after br": ([("Content-Encoding", "br")], brotli.compress(TEXT) + b"junk"),
    "Z-8 no gzip": ([("Content-Encoding", "gzip")], TEXT),
    "Z-8 no deflate": ([("Content-Encoding", "deflate")], b"<html>" + TEXT),
    "Z-8 no br": ([("Content-Encoding", "br")], b"<html>" + TEXT),
    "Z-8 no zstd": ([("Content-Encoding", "zstd")], TEXT),
    "Z-8 another one": ([("Content-Encoding", "zstd")], gzip.compress(TEXT)),
    "Z-9 six in one field": ([("Content-Encoding", ", ".join(["gzip"] * 6))], b""),
    "Z-9 six in six fields": ([("Content-Encoding", "gzip")] * 6, b""),
    "Z-9 thousands": ([("Content-Encoding", ",".join(["br"] * 10_000))], TEXT),
    "Z-14 huge window": ([("Content-Encoding", "zstd")], huge_window()),
}


@two_worlds
@streamings
@pytest.mark.parametrize("case", BAD)
async def test_refused(face: Face, case: str, is_streamed: bool) -> None:
    """A `DecodingError` with its request, never shorter content; the framing was whole, so the next request works."""
    fields, body = BAD[case]
    with RawServer([message(body, *fields)], message(b"ok")) as server:
        async with face.client() as client:
            with pytest.raises(crawler.DecodingError) as caught:
                await fetch(face, client, server.url, is_streamed)
            assert await fetch(face, client, f"{server.url}/next", is_streamed) == b"ok"

    assert caught.value.request.url == server.url
    assert caught.value.kind == "decode_failed"


@pytest.mark.parametrize(
    ("fields", "begin", "more"),
    [
        ([("Content-Encoding", "gzip")], b"\x1f\x8b\x08\x08\0\0\0\0\0\xff", b"an endless file name"),
        ([("Content-Encoding", "deflate")], b"\x78\x9c", b"\0\0\0\xff\xff"),  # empty blocks
        ([("Content-Encoding", "zstd")], b"", b"\x50\x2a\x4d\x18\0\0\0\0"),  # frames to be skipped
    ],
    ids=["gzip", "deflate", "zstd"],
)
@streamings
async def test_input_that_never_yields_output(
    face: Face, fields: Headers, begin: bytes, more: bytes, is_streamed: bool
) -> None:
    """Z-13: it comes for ever and says nothing; the total time ends it."""

    def script(connection: RawConnection) -> None:
        connection.read_request()
        name, value = fields[0]
        connection.send(f"HTTP/1.1 200 OK\r\n{name}: {value}\r\n\r\n".encode() + begin)
        while True:
            connection.send(more * 100)
            connection.wait(0.001)

    with RawServer(script, message(b"ok")) as server:
        async with face.client(timeout=crawler.Timeout(5.0, total=0.1)) as client:
            with pytest.raises(crawler.TotalTimeout) as caught:
                await fetch(face, client, server.url, is_streamed)
            assert (await client.get(server.url)).text == "ok"

    assert caught.value.request.url == server.url


# --- bombs ---


@pytest.fixture(scope="module")
def bombs() -> dict[str, bytes]:
    """128 MiB of zeros in few bytes, by every coding."""
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    inner = b"".join([deflate.compress(bytes(MIB)) for _ in range(128)]) + deflate.flush()
    crc = 0
    for _ in range(128):
        crc = zlib.crc32(bytes(MIB), crc)
    gzipped = gzip.compress(b"")[:10] + inner + crc.to_bytes(4, "little") + (128 * MIB).to_bytes(4, "little")
    zeros = bytes(128 * MIB)
    return {
        "gzip": gzipped,
        "deflate": inner,
        "br": brotli.compress(zeros, quality=1),
        "zstd": zstd.compress(zeros),
        "gzip, gzip": gzip.compress(gzipped),
    }


def peak_bytes() -> int:
    """The most memory this process has ever had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("face", ["asyncio"], indirect=True)
@pytest.mark.parametrize("coding", [*CODERS, "gzip, gzip"])
async def test_a_bomb_on_default_settings(face: Face, coding: str, bombs: dict[str, bytes]) -> None:
    """Z-1: an error, and memory grows by less than 200 MB."""
    bomb = bombs[coding]
    assert len(bomb) < MIB
    before = peak_bytes()
    with RawServer(coded(coding, bomb), message(b"ok")) as server:
        async with face.client() as client:
            with pytest.raises(crawler.ResponseTooLarge) as caught:
                await client.get(server.url)
            assert (await client.get(server.url)).text == "ok"

    assert caught.value.kind == "decompression_bomb"
    assert caught.value.request.url == server.url
    assert peak_bytes() - before < 200_000_000


@pytest.mark.parametrize("face", ["asyncio"], indirect=True)
@pytest.mark.parametrize("coding", [*CODERS, "gzip, gzip"])
async def test_a_bomb_that_streams(face: Face, coding: str, bombs: dict[str, bytes]) -> None:
    """Z-2: pieces of at most 1 MiB, however many; memory is flat."""
    size = 0
    before = peak_bytes()
    with RawServer(coded(coding, bombs[coding])) as server:
        async with face.client() as client, client.stream("GET", server.url) as response:
            async for piece in face.pieces(response):
                assert 0 < len(piece) <= MIB
                size += len(piece)

    assert size == 128 * MIB
    assert peak_bytes() - before < 20_000_000


@pytest.fixture
def small_bombs(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a megabyte on it is one, so that the test is quick."""
    monkeypatch.setattr(crawler.Response, "BOMB_SIZE", MIB)


@pytest.mark.usefixtures("small_bombs")
@codings
async def test_a_bomb_in_every_world(face: Face, coding: str) -> None:
    """Z-1, Z-2: `get` refuses it, a stream may be left at any byte, and the connection or the client goes on."""
    bomb = CODERS[coding](bytes(4 * MIB))
    with RawServer(coded(coding, bomb), coded(coding, bomb), message(b"ok")) as server:
        async with face.client() as client:
            with pytest.raises(crawler.ResponseTooLarge) as caught:
                await client.get(server.url)
            async with client.stream("GET", server.url) as response:
                pieces = face.pieces(response, "bytes", 1000)
                assert [await anext(pieces) for _ in range(5)] == [bytes(1000)] * 5
            assert (await client.get(server.url)).text == "ok"

    assert caught.value.kind == "decompression_bomb"


@pytest.mark.usefixtures("small_bombs")
async def test_the_guard_can_be_raised(face: Face) -> None:
    """Z-1: `max_response_size` says what is expected, and takes the place of the guard."""
    with RawServer(coded("gzip", gzip.compress(bytes(4 * MIB)))) as server:
        async with face.client(max_response_size=4 * MIB) as client:
            assert len((await client.get(server.url)).content) == 4 * MIB


@pytest.mark.usefixtures("small_bombs")
@streamings
@codings
async def test_max_response_size_is_of_decoded_bytes_too(face: Face, coding: str, is_streamed: bool) -> None:
    """A small body that decodes to more than allowed is refused where the limit is passed."""
    with RawServer(coded(coding, CODERS[coding](bytes(100_001))), message(bytes(100_000))) as server:
        async with face.client(max_response_size=100_000) as client:
            with pytest.raises(crawler.ResponseTooLarge) as caught:
                await fetch(face, client, server.url, is_streamed)
            assert len(await fetch(face, client, server.url, is_streamed)) == 100_000

    assert caught.value.kind == "too_large"
    assert caught.value.request.url == server.url


@streamings
async def test_max_response_size_is_of_bytes_on_the_wire_too(face: Face, is_streamed: bool) -> None:
    """An endless coded body that yields nothing is refused when so many bytes have come."""

    def script(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: deflate\r\n\r\n\x78\x9c")
        while True:
            connection.send(b"\0\0\0\xff\xff" * 1000)

    with RawServer(script, message(b"ok")) as server:
        async with face.client(max_response_size=100_000) as client:
            with pytest.raises(crawler.ResponseTooLarge) as caught:
                await fetch(face, client, server.url, is_streamed)
            assert (await client.get(server.url)).text == "ok"

    assert caught.value.kind == "too_large"


# --- answers that are thrown away ---

ASIDE: dict[str, tuple[bytes, dict[str, Any]]] = {
    "redirect": (coded("gzip", b"no gzip", status="302 Found\r\nLocation: /there"), {"follow_redirects": True}),
    "retry": (
        coded("br", b"no br", status="503 Busy"),
        {"retries": crawler.Retry(attempts=2, backoff=0.001, statuses=(503,))},
    ),
    "challenge": (
        coded("zstd", b"no zstd", status='401 Who\r\nWWW-Authenticate: Digest realm="r", nonce="n", qop="auth"'),
        {"auth": crawler.DigestAuth("user", "secret")},
    ),
}


@streamings
@pytest.mark.parametrize("case", ASIDE)
async def test_what_is_thrown_away_is_not_decoded(face: Face, case: str, is_streamed: bool) -> None:
    """Z-3: what would not decode, or be a bomb, harms nobody who does not want it."""
    first, options = ASIDE[case]
    with RawServer([first], message(b"ok")) as server:
        async with face.client(**options) as client:
            assert await fetch(face, client, server.url, is_streamed) == b"ok"


@pytest.mark.usefixtures("small_bombs")
@streamings
async def test_a_redirect_that_is_a_bomb(face: Face, is_streamed: bool) -> None:
    """Z-3: it is followed; only who looks at its content gets the error."""
    bomb = coded("gzip", gzip.compress(bytes(4 * MIB)), status="302 Found\r\nLocation: /there")
    with RawServer([bomb], message(b"ok")) as server:
        async with face.client(follow_redirects=True) as client:
            if is_streamed:
                assert await fetch(face, client, server.url, True) == b"ok"
            else:
                response = await client.get(server.url)
                assert response.text == "ok"
                with pytest.raises(crawler.ResponseTooLarge):
                    _ = response.history[0].content


@pytest.mark.usefixtures("small_bombs")
@streamings
async def test_bombs_over_http2(face: Face, is_streamed: bool) -> None:
    """The same there: the redirect is followed undecoded, the bomb refused, the connection kept."""
    bomb = gzip.compress(bytes(4 * MIB))
    label = (b"content-encoding", b"gzip")

    def script(peer: FramePeer) -> None:
        first = peer.next_request()
        peer.send(head(first, label, (b"location", b"/bomb"), status=b"302") + data(first, b"no gzip", end=True))
        second = peer.next_request()
        peer.send(head(second, label) + data(second, bomb, end=True))
        peer.serve()

    with FrameServer(script) as server:
        async with face.client(http1=False, http2=True, follow_redirects=True, max_response_size=None) as client:
            if is_streamed:
                assert len(await fetch(face, client, server.url, True)) == 4 * MIB
            else:
                with pytest.raises(crawler.ResponseTooLarge):
                    await client.get(server.url)
            assert (await client.get(f"{server.url}/next")).text == "/next"

    assert len(server.connections) == 1

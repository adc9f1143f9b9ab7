"""Bodies: what headers and bytes each kind of argument gives, and whether it can be sent again."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from crawler.errors import LocalProtocolError, StreamConsumed
from crawler.models.content import (
    AsyncByteStream,
    BodyMeter,
    ByteStream,
    FileStream,
    SyncByteStream,
    encode_request,
    encode_response,
)

Streams = SyncByteStream | AsyncByteStream


def sent(stream: Streams) -> bytes:
    """All bytes of a blocking stream."""
    assert isinstance(stream, SyncByteStream)
    return b"".join(stream)


def sent_async(stream: Streams) -> bytes:
    """All bytes of an async stream."""

    async def collect() -> bytes:
        assert isinstance(stream, AsyncByteStream)
        return b"".join([piece async for piece in stream])

    return asyncio.run(collect())


@pytest.mark.parametrize(
    ("arguments", "headers", "body"),
    [
        ({}, {}, b""),
        ({"content": b""}, {}, b""),
        ({"content": b"abc"}, {"Content-Length": "3"}, b"abc"),
        ({"content": bytearray(b"abc")}, {"Content-Length": "3"}, b"abc"),
        ({"content": "é"}, {"Content-Length": "2"}, b"\xc3\xa9"),
        (
            {"json": {"é": [1, None]}},
            {"Content-Length": "15", "Content-Type": "application/json"},
            '{"é":[1,null]}'.encode(),
        ),
        ({"json": 0}, {"Content-Length": "1", "Content-Type": "application/json"}, b"0"),
        (
            {"data": {"a": [1, True, None], "b": "x y&é", "c": b"\xff"}},
            {"Content-Length": "37", "Content-Type": "application/x-www-form-urlencoded"},
            b"a=1&a=true&a=&b=x+y%26%C3%A9&c=%FF",
        ),
        ({"data": {}}, {}, b""),
    ],
)
def test_bodies_in_memory(arguments: dict[str, Any], headers: dict[str, str], body: bytes) -> None:
    """Bytes, text, JSON and forms have a known length, go through both clients, and replay."""
    found, stream = encode_request(**arguments)

    assert found == headers | ({"Content-Length": str(len(body))} if "Content-Length" in headers else {})
    assert sent(stream) == sent_async(stream) == sent(stream) == body
    assert stream.can_replay


def test_first_argument_wins() -> None:
    """`content` goes before `files`, `files` before `data`, `data` before `json`."""
    _, stream = encode_request(content=b"c", data={"a": "1"}, json=1)
    assert sent(stream) == b"c"
    headers, _ = encode_request(files={"f": b""}, data={"a": "1"}, json=1)
    assert headers["Content-Type"].startswith("multipart/")
    _, stream = encode_request(data={"a": "1"}, json=1)
    assert sent(stream) == b"a=1"


def test_json_refuses_nan() -> None:
    """NaN is no JSON; it is refused before anything is sent."""
    with pytest.raises(ValueError, match="JSON"):
        encode_request(json={"a": float("nan")})


def test_raw_data_warns() -> None:
    """Bytes as `data=` work as with requests, with a hint."""
    with pytest.warns(DeprecationWarning, match="content="):
        _, stream = encode_request(data=b"raw")
    assert sent(stream) == b"raw"


@pytest.mark.parametrize("content", [{"a": 1}, 3, object()])
def test_wrong_content_is_a_type_error(content: Any) -> None:
    """What has no bytes is refused, a dict too, although it can be iterated."""
    with pytest.raises(TypeError, match="content="):
        encode_request(content=content)


def test_text_file_is_refused(tmp_path: Path) -> None:
    """A file in text mode has no byte length; the message says how to open it."""
    path = tmp_path / "a.txt"
    path.write_text("abc")
    with path.open() as file, pytest.raises(TypeError, match="'rb'"):
        encode_request(content=file)  # type: ignore[arg-type]  # that is the test


def test_file_is_sent_from_where_it_stands(tmp_path: Path) -> None:
    """Length and bytes count from the current position, in pieces of 64 KiB, again after a rewind to there."""
    path = tmp_path / "a.bin"
    data = os.urandom(200_000)
    path.write_bytes(data)
    with path.open("rb") as file:
        file.seek(1000)
        headers, stream = encode_request(content=file)
        assert isinstance(stream, FileStream)
        pieces = [*stream]

        assert headers == {"Content-Length": "199000"}
        assert b"".join(pieces) == data[1000:]
        assert max(map(len, pieces)) == 64 * 1024
        assert stream.can_replay
        assert sent(stream) == data[1000:]


def test_length_of_a_gzip_file_is_the_decoded_one() -> None:
    """The length is asked of the file object, not of the descriptor below it."""
    with gzip.open(io.BytesIO(gzip.compress(b"abc" * 100))) as file:
        headers, stream = encode_request(content=file)

        assert headers == {"Content-Length": "300"}
        assert sent(stream) == b"abc" * 100


def test_pipe_is_chunked_and_one_shot() -> None:
    """A file that cannot seek has no length, and is gone once it was read."""
    reader, writer = os.pipe()
    os.write(writer, b"through the pipe")
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        headers, stream = encode_request(content=file)

        assert headers == {"Transfer-Encoding": "chunked"}
        assert not stream.can_replay
        assert sent(stream) == b"through the pipe"
        with pytest.raises(StreamConsumed):
            sent(stream)


def test_list_replays_and_generator_does_not() -> None:
    """An iterable that is no iterator gives the same twice; an iterator raises, instead of sending nothing."""
    headers, stream = encode_request(content=[b"a", b"b"])
    assert headers == {"Transfer-Encoding": "chunked"}
    assert stream.can_replay
    assert sent(stream) == sent(stream) == b"ab"

    for one_shot in (iter([b"a", b"b"]), (piece for piece in (b"a", b"b")), map(bytes, [b"a", b"b"])):
        _, stream = encode_request(content=one_shot)
        assert not stream.can_replay
        assert sent(stream) == b"ab"
        with pytest.raises(StreamConsumed):
            sent(stream)


def test_async_generator_is_for_the_async_client_only() -> None:
    """An async generator is chunked, one-shot, and no blocking stream."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    headers, stream = encode_request(content=pieces())
    assert headers == {"Transfer-Encoding": "chunked"}
    assert not isinstance(stream, SyncByteStream)
    assert sent_async(stream) == b"ab"
    with pytest.raises(StreamConsumed):
        sent_async(stream)


def test_async_file_is_read_in_pieces() -> None:
    """An async iterable with `aread(size)` is read by it, since its own iteration gives lines."""

    class AsyncFile:
        def __init__(self) -> None:
            self.file = io.BytesIO(b"x\n" * 50_000)

        def __aiter__(self) -> AsyncIterator[bytes]:
            raise AssertionError("read by lines")

        async def aread(self, size: int) -> bytes:
            return self.file.read(size)

    _, stream = encode_request(content=AsyncFile())

    assert sent_async(stream) == b"x\n" * 50_000


def test_closing_runs_the_finally_of_generators() -> None:
    """A generator that was left half-way is closed with its stream, not when the collector comes."""
    ended = []

    def pieces() -> Iterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            ended.append("blocking")

    async def async_pieces() -> AsyncIterator[bytes]:
        try:
            yield b"a"
            yield b"b"
        finally:
            ended.append("async")

    async def leave_half_way(stream: AsyncByteStream) -> None:
        assert await anext(aiter(stream)) == b"a"
        await stream.aclose()

    _, stream = encode_request(content=pieces())
    assert isinstance(stream, SyncByteStream)
    assert next(iter(stream)) == b"a"
    stream.close()
    _, stream = encode_request(content=async_pieces())
    assert isinstance(stream, AsyncByteStream)
    asyncio.run(leave_half_way(stream))

    assert ended == ["blocking", "async"]


def test_exception_of_a_generator_passes_on() -> None:
    """What the caller's generator raises reaches the caller as it is."""

    def pieces() -> Iterator[bytes]:
        yield b"a"
        raise ZeroDivisionError

    _, stream = encode_request(content=pieces())
    with pytest.raises(ZeroDivisionError):
        sent(stream)


def test_response_bodies_set_their_type() -> None:
    """`text`, `html` and `json` of a response set length and type; text is UTF-8."""
    assert encode_response(text="é")[0] == {"Content-Length": "2", "Content-Type": "text/plain; charset=utf-8"}
    assert encode_response(html="<p>")[0] == {"Content-Length": "3", "Content-Type": "text/html; charset=utf-8"}
    assert encode_response(json=[])[0] == {"Content-Length": "2", "Content-Type": "application/json"}
    assert encode_response()[0] == {}


def test_unfinished_base_streams_say_so() -> None:
    """The bases of streams are no streams: a subclass must iterate."""
    with pytest.raises(NotImplementedError):
        iter(SyncByteStream())
    with pytest.raises(NotImplementedError):
        aiter(AsyncByteStream())
    assert not SyncByteStream().can_replay


def test_byte_stream_is_for_both_clients() -> None:
    """A stream in memory is blocking and async at once."""
    assert sent(ByteStream(b"abc")) == sent_async(ByteStream(b"abc")) == b"abc"


@pytest.mark.parametrize(
    ("declared", "pieces", "complaint"),
    [
        (3, [3], None),
        (3, [1, 2], None),
        (0, [], None),
        (3, [1, 3], "longer"),
        (3, [2], "ended after 2"),
        (1, [], "ended after 0"),
    ],
)
def test_meter_holds_a_body_to_its_length(declared: int, pieces: list[int], complaint: str | None) -> None:
    """A body shorter or longer than its Content-Length is our fault, found before the extra bytes go out."""

    def measure() -> None:
        meter = BodyMeter(declared)
        for size in pieces:
            meter.add(size)
        meter.finish()

    if complaint is None:
        measure()
    else:
        with pytest.raises(LocalProtocolError, match=complaint):
            measure()

"""Streamed responses: one suite over the blocking face, and the async one under asyncio and trio."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import (
    CloseError,
    DecodingError,
    ReadError,
    RequestError,
    ResponseNotRead,
    ResponseTooLarge,
    StreamClosed,
    StreamConsumed,
)
from crawler.models import AsyncByteStream, Request, Response, SyncByteStream

REQUEST = Request("GET", "http://example.org/")


class Source:
    """A scripted body: its pieces, then an error if there is one; counts how often it was closed."""

    closed = 0

    def __init__(self, pieces: list[bytes], error: BaseException | None, close_error: Exception | None) -> None:
        self.pieces = pieces
        self.error = error
        self.close_error = close_error

    def steps(self) -> Iterator[bytes]:
        """The pieces, then the error."""
        yield from self.pieces
        if self.error is not None:
            raise self.error

    def note_close(self) -> None:
        """Count a close."""
        self.closed += 1
        if self.close_error is not None:
            raise self.close_error


class SyncSource(Source, SyncByteStream):
    """The source for blocking responses."""

    def __iter__(self) -> Iterator[bytes]:
        return self.steps()

    def close(self) -> None:
        """Note it."""
        self.note_close()


class AsyncSource(Source, AsyncByteStream):
    """The source for async responses; an async generator, as users write them."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.steps():
            yield piece

    async def aclose(self) -> None:
        """Note it."""
        self.note_close()


class Face:
    """The blocking or the async way to read a response, under one set of names."""

    def __init__(self, run: Callable[..., Any] | None) -> None:
        self._run = run

    def response(
        self, *pieces: bytes, error: BaseException | None = None, close_error: Exception | None = None, **kwargs: Any
    ) -> tuple[Response, Source]:
        """A streamed response of this kind, and its source."""
        source = (AsyncSource if self._run else SyncSource)([*pieces], error, close_error)
        return Response(200, stream=source, request=REQUEST, **kwargs), source

    def call(self, response: Response, name: str) -> Any:
        """Call `read` or `close`, or their async twins."""
        if self._run is None:
            return getattr(response, name)()
        return self._run(getattr(response, f"a{name}"))

    def take(self, response: Response, name: str, *args: Any) -> list[Any]:
        """All that `iter_...` or its async twin gives."""
        if self._run is None:
            return [*getattr(response, name)(*args)]

        async def take() -> list[Any]:
            return [piece async for piece in getattr(response, f"a{name}")(*args)]

        taken: list[Any] = self._run(take)
        return taken

    def begin(self, response: Response, name: str) -> tuple[Any, bool]:
        """The first piece of an iterator, and whether the response was closed then; the response is closed after it."""
        if self._run is None:
            piece = next(iter(getattr(response, name)()))
            was_closed = response.is_closed
            response.close()
            return piece, was_closed

        async def begin() -> tuple[Any, bool]:
            piece = await anext(aiter(getattr(response, f"a{name}")()))
            was_closed = response.is_closed
            await response.aclose()
            return piece, was_closed

        begun: tuple[Any, bool] = self._run(begin)
        return begun


def run_asyncio(function: Callable[[], Any]) -> Any:
    """Run a coroutine function under asyncio."""
    return asyncio.run(function())


@pytest.fixture(params=[None, run_asyncio, trio.run], ids=["blocking", "asyncio", "trio"])
def face(request: pytest.FixtureRequest) -> Face:
    """Every way to read."""
    return Face(request.param)


def gz(data: bytes) -> bytes:
    """Gzip without a time in it."""
    return gzip.compress(data, mtime=0)


GZIPPED = {"Content-Encoding": "gzip"}


def test_read_gives_all_and_closes(face: Face) -> None:
    """`read` gives the content, keeps it, and closes; then everything can be looked at again and again."""
    response, source = face.response(b"one ", b"", b"two")
    with pytest.raises(ResponseNotRead):
        _ = response.content
    assert not response.is_closed

    assert face.call(response, "read") == b"one two"
    assert face.call(response, "read") == response.content == b"one two"
    assert (response.is_closed, response.is_stream_consumed, source.closed) == (True, True, 1)
    assert response.num_bytes_downloaded == 7
    assert face.take(response, "iter_bytes") == [b"one two"]
    assert face.take(response, "iter_bytes", 3) == [b"one", b" tw", b"o"]
    assert face.take(response, "iter_text", 4) == ["one ", "two"]
    assert face.take(response, "iter_lines") == ["one two"]
    with pytest.raises(StreamConsumed):
        face.take(response, "iter_raw")
    face.call(response, "close")
    assert source.closed == 1


@pytest.mark.parametrize(
    ("name", "args", "pieces"),
    [
        ("iter_raw", (), [b"abc", b"de\r", b"\nf"]),
        ("iter_raw", (2,), [b"ab", b"cd", b"e\r", b"\nf"]),
        ("iter_bytes", (), [b"abc", b"de\r", b"\nf"]),
        ("iter_bytes", (100,), [b"abcde\r\nf"]),
        ("iter_text", (), ["abc", "de\r", "\nf"]),
        ("iter_text", (5,), ["abcde", "\r\nf"]),
        ("iter_lines", (), ["abcde", "f"]),
    ],
)
def test_iterators_read_once_and_close(face: Face, name: str, args: tuple[int, ...], pieces: list[Any]) -> None:
    """Each iterator gives the pieces as they come or of a size, none empty; the end closes, a second time raises."""
    response, source = face.response(b"abc", b"", b"de\r", b"\nf")

    assert face.take(response, name, *args) == pieces
    assert (response.is_closed, source.closed, response.num_bytes_downloaded) == (True, 1, 8)
    with pytest.raises(StreamConsumed):
        face.take(response, name, *args)
    with pytest.raises(StreamConsumed):
        face.call(response, "read")
    with pytest.raises(ResponseNotRead):
        _ = response.content


def test_coded_stream_is_decoded_except_raw(face: Face) -> None:
    """Bytes, text and lines are decoded, raw is not; what was downloaded counts before decoding."""
    coded = gz("zwölf\nBoxkämpfer".encode())
    pieces = [coded[:15], coded[15:]]

    assert b"".join(face.take(face.response(*pieces, headers=GZIPPED)[0], "iter_raw")) == coded
    assert b"".join(face.take(face.response(*pieces, headers=GZIPPED)[0], "iter_bytes")).decode() == "zwölf\nBoxkämpfer"
    assert face.take(face.response(*pieces, headers=GZIPPED)[0], "iter_lines") == ["zwölf", "Boxkämpfer"]
    response, _ = face.response(*pieces, headers=GZIPPED)
    assert face.call(response, "read").decode() == response.text == "zwölf\nBoxkämpfer"
    assert response.num_bytes_downloaded == len(coded)


def test_leaving_early_keeps_it_open_until_closed(face: Face) -> None:
    """After a `break` the response is open, and has counted what came; closing closes the source, once."""
    response, source = face.response(b"abc", b"def")
    assert response.num_bytes_downloaded == 0

    assert face.begin(response, "iter_bytes") == (b"abc", False)
    face.call(response, "close")
    assert (response.is_closed, source.closed, response.num_bytes_downloaded) == (True, 1, 3)
    with pytest.raises(StreamConsumed):
        face.call(response, "read")


def test_closed_unread_cannot_be_read(face: Face) -> None:
    """Reading after closing is an error of its own."""
    response, _ = face.response(b"abc")
    face.call(response, "close")
    with pytest.raises(StreamClosed):
        face.call(response, "read")
    with pytest.raises(StreamClosed):
        face.take(response, "iter_raw")


@pytest.mark.parametrize("name", ["read", "iter_raw", "iter_bytes", "iter_text", "iter_lines"])
def test_error_of_the_stream_closes_and_names_the_request(face: Face, name: str) -> None:
    """A failing stream raises its error with the request attached; the response is closed and cannot be read again."""
    response, source = face.response(b"abc", error=ReadError("gone"), close_error=CloseError("not told"))
    act = (lambda: face.call(response, name)) if name == "read" else (lambda: face.take(response, name))

    with pytest.raises(ReadError) as caught:
        act()
    assert caught.value.request is REQUEST
    assert (response.is_closed, source.closed) == (True, 1)
    with pytest.raises(StreamConsumed):
        act()


def test_error_of_close_names_the_request(face: Face) -> None:
    """An error while closing is told, with its request."""
    response, _ = face.response(b"abc", close_error=CloseError("failed"))
    with pytest.raises(CloseError) as caught:
        face.call(response, "close")
    assert caught.value.request is REQUEST


def test_interrupt_closes(face: Face) -> None:
    """Also what is no error (Ctrl-C, cancellation) closes the response on its way up."""
    response, source = face.response(b"abc", error=KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        face.call(response, "read")
    assert (response.is_closed, source.closed) == (True, 1)


@pytest.mark.parametrize("data", [b"no gzip at all", gz(b"abc" * 50)[:-3], gz(b"abc" * 50)[:-5] + b"\0" * 5])
@pytest.mark.parametrize("name", ["read", "iter_bytes", "iter_lines"])
def test_undecodable_stream(face: Face, name: str, data: bytes) -> None:
    """Data that does not decode, or not to its end, is a `DecodingError` with the request; the response is closed."""
    response, source = face.response(data[:7], data[7:], headers=GZIPPED)
    with pytest.raises(DecodingError) as caught:
        _ = face.call(response, name) if name == "read" else face.take(response, name)
    assert caught.value.request is REQUEST
    assert (response.is_closed, source.closed) == (True, 1)
    with pytest.raises(ResponseNotRead):
        _ = response.content


@pytest.mark.parametrize(
    ("name", "size", "is_allowed"),
    [("iter_raw", 6, True), ("iter_raw", 5, False), ("read", 6, True), ("read", 5, False)],
)
def test_max_size_of_a_plain_stream(face: Face, name: str, size: int, is_allowed: bool) -> None:
    """`max_size` bytes may come, one more is too many."""
    response, source = face.response(b"abc", b"def")
    response.max_size = size
    act = (lambda: face.call(response, name)) if name == "read" else (lambda: face.take(response, name))
    if is_allowed:
        act()
    else:
        with pytest.raises(ResponseTooLarge) as caught:
            act()
        assert (caught.value.kind, caught.value.request) == ("too_large", REQUEST)
    assert source.closed == 1


def test_max_size_of_a_coded_stream(face: Face) -> None:
    """Decoded bytes count against `max_size`, before they are handed out."""
    response, _ = face.response(gz(b"x" * 10_000), headers=GZIPPED)
    response.max_size = 9_999
    with pytest.raises(ResponseTooLarge):
        face.call(response, "read")
    response, _ = face.response(gz(b"x" * 10_000), headers=GZIPPED)
    response.max_size = 10_000
    assert len(face.call(response, "read")) == 10_000


def test_bomb_guard_is_for_reading_whole(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """`read` refuses a bomb; streaming it does not, and an explicit `max_size` takes the guard's place."""
    monkeypatch.setattr(Response, "BOMB_SIZE", 50_000)
    coded = gz(bytes(100_000))

    with pytest.raises(ResponseTooLarge) as caught:
        face.call(face.response(coded, headers=GZIPPED)[0], "read")
    assert caught.value.kind == "decompression_bomb"
    assert sum(map(len, face.take(face.response(coded, headers=GZIPPED)[0], "iter_bytes"))) == 100_000
    response, _ = face.response(coded, headers=GZIPPED)
    response.max_size = 200_000
    assert len(face.call(response, "read")) == 100_000


def test_encoding_of_a_stream(face: Face) -> None:
    """A stream's text is decoded by the charset of the header, else by the default, else by what was set."""
    latin = "é".encode("latin-1")
    response, _ = face.response(latin, headers={"Content-Type": "text/plain; charset=latin-1"})
    assert face.take(response, "iter_text") == ["é"]
    assert face.take(face.response(latin, default_encoding="latin-1")[0], "iter_text") == ["é"]
    response, _ = face.response(latin)
    response.encoding = "latin-1"
    assert face.take(response, "iter_text") == ["é"]


def test_default_encoding_function_waits_for_the_content(face: Face) -> None:
    """A function cannot be asked about a stream, so UTF-8 it is; once the content is there, it is asked."""
    response, _ = face.response("é".encode("latin-1"), default_encoding=lambda content: "latin-1")
    assert response.encoding == "utf-8"
    face.call(response, "read")
    assert (response.encoding, response.text) == ("latin-1", "é")


@given(
    st.text(alphabet="ab\r\n\x0bé€😀"),
    st.lists(st.integers(0, 60), max_size=6),
    st.sampled_from([None, 1, 2, 7]),
    st.booleans(),
)
def test_no_split_changes_what_is_read(text: str, places: list[int], size: int | None, is_coded: bool) -> None:
    """However the bytes come, coded or not, chunks, text and lines are those of the whole."""
    data = text.encode()
    wire = zlib.compress(data) if is_coded else data
    at = sorted({min(place, len(wire)) for place in places})
    pieces = [wire[start:stop] for start, stop in zip([0, *at], [*at, len(wire)], strict=True)]
    headers = {"Content-Encoding": "deflate"} if is_coded else {}
    blocking = Face(None)

    def take(name: str, *args: Any) -> list[Any]:
        return blocking.take(blocking.response(*pieces, headers=headers)[0], name, *args)

    assert take("iter_lines") == text.splitlines()
    assert "".join(take("iter_text", size)) == text
    chunks = take("iter_bytes", size)
    assert b"".join(chunks) == data
    if size is not None:
        assert chunks == [data[i : i + size] for i in range(0, len(data), size)]


def test_wrong_world_says_what_to_use() -> None:
    """Blocking calls on an async body, and the reverse, are refused with the name of the right one."""
    response, source = Face(run_asyncio).response(b"abc")
    with pytest.raises(RuntimeError, match="aread"):
        response.read()
    with pytest.raises(RuntimeError, match="aiter_bytes"):
        next(response.iter_lines())
    with pytest.raises(RuntimeError, match="aclose"):
        response.close()
    assert asyncio.run(response.aread()) == b"abc"
    assert source.closed == 1

    response, source = Face(None).response(b"abc")
    with pytest.raises(RuntimeError, match=r"read\(\)"):
        asyncio.run(response.aread())
    with pytest.raises(RuntimeError, match=r"close\(\)"):
        asyncio.run(response.aclose())
    assert response.read() == b"abc"
    assert source.closed == 1


def test_iterators_can_be_closed() -> None:
    """`contextlib.aclosing` and its blocking twin work on the iterators, and close the response."""

    async def leave() -> Response:
        response, _ = Face(run_asyncio).response(b"abc", b"def")
        async with aclosing(response.aiter_bytes()) as pieces:  # type: ignore[type-var]  # the class has aclose()
            assert await anext(pieces) == b"abc"
        return response

    assert asyncio.run(leave()).is_closed
    response, _ = Face(None).response(b"abc")
    response.iter_raw().close()  # type: ignore[attr-defined]  # the class has close()
    assert response.is_closed


def test_cancelled_read_closes() -> None:
    """A cancelled `aread` closes the response; nothing is left to read."""

    class Stuck(AsyncByteStream):
        is_closed = False

        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"abc"
            await trio.sleep_forever()

        async def aclose(self) -> None:
            self.is_closed = True

    async def main() -> None:
        stream = Stuck()
        response = Response(200, stream=stream, request=REQUEST)
        with trio.CancelScope() as scope:
            async for _ in response.aiter_raw():
                scope.cancel()
        assert scope.cancelled_caught
        assert (response.is_closed, stream.is_closed) == (True, True)
        with pytest.raises(StreamConsumed):
            await response.aread()

    trio.run(main)


def test_error_without_a_request_stays_without() -> None:
    """A stand-alone response has no request to attach; one the error knows is kept."""
    response = Response(200, stream=SyncSource([], ReadError("gone"), None))
    with pytest.raises(ReadError) as caught:
        response.read()
    with pytest.raises(RuntimeError):
        _ = caught.value.request

    other = Request("GET", "http://other.example/")
    error = RequestError("gone", request=other)
    with pytest.raises(RequestError) as known:
        Face(None).response(error=error)[0].read()
    assert known.value.request is other

"""Bodies: from what the caller hands over to headers and a stream that can be sent.

    bytes, str, JSON, form        -> ByteStream            length known, replayable
    open binary file              -> FileStream            length known if seekable, replayable by seeking back
    iterable, generator           -> IterableStream        chunked
    async iterable, generator     -> AsyncIterableStream   chunked
    files=                        -> MultipartStream       in `multipart.py`

A stream that is a `SyncByteStream` can be sent by the blocking client, one that is an `AsyncByteStream` by the async
client; some are both. Each stream says by `can_replay` whether a redirect or a retry may send it once more; iterating
one a second time that cannot raises `StreamConsumed`, so that a half or empty body is never sent by accident.

Nothing here knows what goes over the wire; `BodyMeter` is the one rule of it that belongs to bodies: what is sent has
the length that was declared.
"""

from __future__ import annotations

import io
import os
import re
import types
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, Final, Generic, TypeVar

from crawler.errors import LocalProtocolError, StreamClosed, StreamConsumed
from crawler.models.query import primitive_to_str

if TYPE_CHECKING:
    from crawler.models.types import RequestContent, RequestData, RequestFiles, ResponseContent

T = TypeVar("T")

PIECE_SIZE: Final = 64 * 1024
"""Bytes read from a file at a time: enough to keep a socket busy, little enough to hold for thousands of uploads."""


class SyncByteStream:
    """A body for the blocking client: iterate it once for its bytes; subclass it for bodies of your own.

    Attributes:
        can_replay: Whether iterating it again, after it was iterated, gives the same bytes. False where nothing is
            known, so that nothing is resent in doubt.
    """

    can_replay: bool = False

    def __iter__(self) -> Iterator[bytes]:
        raise NotImplementedError(f"{type(self).__name__} must define __iter__")

    def close(self) -> None:
        """Release what the stream holds; called once the exchange is over, however it ended."""


class AsyncByteStream:
    """A body for the async client: iterate it once for its bytes; subclass it for bodies of your own.

    Attributes:
        can_replay: As for `SyncByteStream`.
    """

    can_replay: bool = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise NotImplementedError(f"{type(self).__name__} must define __aiter__")

    async def aclose(self) -> None:
        """Release what the stream holds; called once the exchange is over, however it ended."""


class AsyncOver(Generic[T]):
    """The async face of an iterator that never waits.

    A class and not an async generator: a half-consumed async generator is finished by the garbage collector, which
    asyncio does late and trio warns about.
    """

    __slots__ = ("_pieces",)

    def __init__(self, pieces: Iterator[T]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> AsyncOver[T]:
        return self

    async def __anext__(self) -> T:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Do nothing; here for callers who close what they iterate (`contextlib.aclosing`)."""


class ByteStream(SyncByteStream, AsyncByteStream):
    """A body held in memory, for both clients.

    Attributes:
        body: The bytes.
    """

    can_replay = True

    def __init__(self, stream: bytes) -> None:
        self.body = stream

    def __iter__(self) -> Iterator[bytes]:
        return iter((self.body,))

    def __aiter__(self) -> AsyncIterator[bytes]:
        return AsyncOver(iter((self.body,)))


EMPTY_STREAM: Final = ByteStream(b"")
"""The one stream of all bodiless requests."""


class FileStream(SyncByteStream):
    """An open binary file, from where it stands to its end, in pieces.

    Attributes:
        size: Bytes from the present position to the end, or None where the file cannot tell (a pipe, a socket).
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._start, self.size = measure_file(file)
        self._is_consumed = False

    @property
    def can_replay(self) -> bool:  # type: ignore[override]  # computed here, a constant elsewhere
        """Whether the file can be set back to where it began."""
        return self.size is not None

    def __iter__(self) -> Iterator[bytes]:
        if self._is_consumed:
            if self.size is None:
                raise StreamConsumed
            self._file.seek(self._start)
        self._is_consumed = True
        return read_pieces(self._file)


class IterableStream(SyncByteStream):
    """Any iterable of bytes. Iterators and generators are one-shot, lists and the like replay."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self._is_consumed = False
        self.can_replay = not isinstance(pieces, Iterator)

    def __iter__(self) -> Iterator[bytes]:
        if self._is_consumed and not self.can_replay:
            raise StreamConsumed
        self._is_consumed = True
        return iter(self._pieces)

    def close(self) -> None:
        """Close the generator, so that its `finally` blocks run now and not when it is collected."""
        if isinstance(self._pieces, types.GeneratorType):
            self._pieces.close()


class AsyncIterableStream(AsyncByteStream):
    """Any async iterable of bytes, or an async file with `aread(size)`. Iterators and generators are one-shot."""

    def __init__(self, pieces: AsyncIterable[bytes]) -> None:
        self._pieces = pieces
        self._is_consumed = False
        self.can_replay = not isinstance(pieces, AsyncIterator) and not hasattr(pieces, "aread")

    def __aiter__(self) -> AsyncIterator[bytes]:
        if self._is_consumed and not self.can_replay:
            raise StreamConsumed
        self._is_consumed = True
        if hasattr(self._pieces, "aread"):
            return _AsyncFilePieces(self._pieces)
        return aiter(self._pieces)

    async def aclose(self) -> None:
        """Close the generator, so that its `finally` blocks run now and in this task."""
        if isinstance(self._pieces, types.AsyncGeneratorType):
            await self._pieces.aclose()


class _AsyncFilePieces:
    """The pieces of an async file, read by `aread`; its own iterator would give lines."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __aiter__(self) -> _AsyncFilePieces:
        return self

    async def __anext__(self) -> bytes:
        piece: bytes = await self._file.aread(PIECE_SIZE)
        if not piece:
            raise StopAsyncIteration
        return piece


class UnattachedStream(SyncByteStream, AsyncByteStream):
    """The stream of a request or response that was pickled before its body was read: there is none any more."""

    def __iter__(self) -> Iterator[bytes]:
        raise StreamClosed

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise StreamClosed


class BodyMeter:
    """Holds a body to its declared length while it is sent; a difference would be read as the next request.

    The sender calls `add` with each piece *before* it goes out and `finish` at the end; after an error the connection
    must be closed, since the peer still waits for the rest.

    Source: RFC 9110 §8.6 (Content-Length), RFC 9112 §6.3 (the length of a message).
    """

    __slots__ = ("_declared", "_sent")

    def __init__(self, declared: int) -> None:
        self._declared = declared
        self._sent = 0

    def add(self, size: int) -> None:
        """Count `size` bytes.

        Raises:
            LocalProtocolError: That would be more than was declared.
        """
        self._sent += size
        if self._sent > self._declared:
            raise LocalProtocolError(
                f"The request body is longer than its Content-Length of {self._declared} bytes: "
                f"{self._sent} bytes came so far. Leave the header out, or make the body as long as it says."
            )

    def finish(self) -> None:
        """Note the end of the body.

        Raises:
            LocalProtocolError: It is shorter than was declared.
        """
        if self._sent < self._declared:
            raise LocalProtocolError(
                f"The request body ended after {self._sent} bytes, though its Content-Length says {self._declared}. "
                "Leave the header out, or make the body as long as it says."
            )


def measure_file(file: IO[bytes]) -> tuple[int, int | None]:
    """Give where an open file stands and how many bytes follow, without reading; the size is None if it cannot seek.

    Asks the file object, never the descriptor: that of a `GzipFile` belongs to the compressed file, and that of a
    pipe claims a size of 0.
    """
    try:
        start = file.tell()
        file.seek(0, os.SEEK_END)
        end = file.tell()
        file.seek(start)
    except (AttributeError, OSError):
        return 0, None
    return start, max(0, end - start)


def read_pieces(file: IO[bytes]) -> Iterator[bytes]:
    """Read an open file to its end in pieces of `PIECE_SIZE`."""
    while piece := file.read(PIECE_SIZE):
        yield piece


def form_value(value: str | bytes | float | None) -> str | bytes:
    """Write a primitive value as forms do: `true` and `false`, nothing for None; text and bytes as they are."""
    return value if isinstance(value, bytes) else primitive_to_str(value)


def encode_request(
    content: RequestContent | None = None,
    data: RequestData | RequestContent | None = None,
    files: RequestFiles | None = None,
    json: Any = None,
    boundary: bytes | None = None,
) -> tuple[dict[str, str], SyncByteStream | AsyncByteStream]:
    """Turn the body arguments of a request into its body headers and a stream.

    The first of `content`, `files` (with `data` as further fields), `data`, `json` that is given wins.

    Args:
        boundary: The multipart boundary the caller wrote into the Content-Type; None takes a random one.

    Raises:
        TypeError: A body of a kind that cannot be sent, a file opened in text mode.
        ValueError: JSON cannot say it (NaN, infinity), or a part's header holds control characters.
    """
    if data is not None and not isinstance(data, Mapping):
        from crawler.models.deprecation import warn_deprecated

        warn_deprecated("Raw bytes or text go into `content=`; `data=` is for forms.")
        return _encode_content(data)
    if content is not None:
        return _encode_content(content)
    if files:
        from crawler.models.multipart import MultipartStream

        multipart = MultipartStream(data or {}, files, boundary)
        return multipart.headers, multipart
    if data:
        return _encode_form(data)
    if json is not None:
        return _encode_json(json)
    return {}, EMPTY_STREAM


def encode_response(
    content: ResponseContent | None = None,
    text: str | None = None,
    html: str | None = None,
    json: Any = None,
) -> tuple[dict[str, str], SyncByteStream | AsyncByteStream]:
    """Turn the body arguments of a stand-alone response into its body headers and a stream.

    Raises:
        TypeError: A body of a kind that cannot be iterated as bytes.
        ValueError: JSON cannot say it (NaN, infinity).
    """
    if content is not None:
        return _encode_content(content)
    if text is not None:
        return _sized(text.encode(), "text/plain; charset=utf-8")
    if html is not None:
        return _sized(html.encode(), "text/html; charset=utf-8")
    if json is not None:
        return _encode_json(json)
    return {}, EMPTY_STREAM


def _encode_content(content: Any) -> tuple[dict[str, str], SyncByteStream | AsyncByteStream]:
    if isinstance(content, str):
        content = content.encode()
    if isinstance(content, (bytes, bytearray, memoryview)):
        body = bytes(content)
        return ({"Content-Length": str(len(body))} if body else {}), ByteStream(body)
    if isinstance(content, io.TextIOBase):
        raise TypeError("The file of `content=` is open in text mode; open it with mode 'rb', or pass its text as str.")
    if isinstance(content, Mapping):  # iterable too, but over its keys, which nobody means
        raise TypeError("`content=` is for raw bytes or text; pass a dict as `json=` or, for a form, as `data=`.")
    if isinstance(content, Iterable):
        if not hasattr(content, "read"):
            return {"Transfer-Encoding": "chunked"}, IterableStream(content)
        file = FileStream(content)  # type: ignore[arg-type]  # iterable with read(): a file by all we can ask
        return ({"Transfer-Encoding": "chunked"} if file.size is None else {"Content-Length": str(file.size)}), file
    if isinstance(content, AsyncIterable):
        return {"Transfer-Encoding": "chunked"}, AsyncIterableStream(content)
    raise TypeError(
        "`content=` takes bytes, str, an open binary file or an iterable (also async) of bytes, "
        f"not {type(content).__name__}."
    )


def _encode_form(data: RequestData) -> tuple[dict[str, str], ByteStream]:
    from urllib.parse import urlencode

    pairs = [
        (name, form_value(item))
        for name, value in data.items()
        for item in (value if isinstance(value, (list, tuple)) else (value,))
    ]
    return _sized(urlencode(pairs).encode(), "application/x-www-form-urlencoded")


def _encode_json(value: Any) -> tuple[dict[str, str], ByteStream]:
    return _sized(dump_json(value), "application/json")


def dump_json(value: Any) -> bytes:
    """Write a value as compact JSON in UTF-8, by the rules of the standard library's encoder.

    Most values go through orjson (16 KiB: 18 to 60 µs, the standard library 210). What the two would write
    differently, or only one of them takes, is left to the standard library: integers beyond 64 bits, keys that are no
    text, subclasses, dates, and NaN and infinity, which orjson writes as `null`.

    Raises:
        TypeError: A value of a kind that JSON has not.
        ValueError: NaN or infinity, or a value that contains itself.
    """
    import orjson

    options = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
    try:
        body = orjson.dumps(value, option=options)
    except (TypeError, ValueError, RecursionError):
        body = b""
    if body and (b"null" not in body or _has_finite_floats(value)):
        return body
    from json import dumps

    return dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain).encode()


# A float as `pickle` writes it: "G" and eight bytes, the first two of which tell NaN and infinity (IEEE 754).
_NO_NUMBER: Final = re.compile(rb"G[\x7f\xff][\xf0-\xff]")


def _has_finite_floats(value: Any) -> bool:
    """Whether no float in `value` is NaN or infinite; False also where that is not certain.

    Looks at the value as `pickle` writes it: 45 µs for 16 KiB of JSON, for which the standard library's encoder takes
    210 and orjson, without that look, 18. (`marshal` and a search: 70 to 118. Reading back what orjson wrote: 95. A
    walk in Python: 107.)
    """
    import pickle

    try:
        return _NO_NUMBER.search(pickle.dumps(value, 5)) is None
    except Exception:  # a kind that only orjson knows; what it raises is its own affair
        return False


def _plain(value: Any) -> Any:
    """What orjson takes beyond the standard library, and cannot be told not to: both take it then."""
    from enum import Enum
    from uuid import UUID

    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _sized(body: bytes, content_type: str) -> tuple[dict[str, str], ByteStream]:
    return {"Content-Length": str(len(body)), "Content-Type": content_type}, ByteStream(body)

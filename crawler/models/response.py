"""A response: what came back.

Three lives of a body:

    whole     `from_wire(body=bytes)`, `Response(content=...)`   read and closed from the start; decoded when looked at
    stream    `from_wire(body=stream)`, `Response(stream=...)`   read once, by `read()` or by one of the iterators
    read      either, after `read()`: `content` is there, and everything can be iterated again and again

Nothing is parsed, decoded or normalised before somebody looks: most responses are asked for their status and their
content, and then thrown away.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final

from crawler.errors import HTTPStatusError, RequestError, ResponseNotRead, StreamClosed, StreamConsumed
from crawler.models.codes import codes
from crawler.models.content import (
    AsyncByteStream,
    AsyncOver,
    ByteStream,
    SyncByteStream,
    UnattachedStream,
    encode_response,
)
from crawler.models.decoders import BodyDecoder, content_codings, decode_whole, too_large
from crawler.models.header_values import charset_of, is_text_encoding, parse_links
from crawler.models.headers import Headers, split_lines
from crawler.models.pieces import Chunker, LineSplitter, Pipe, TextDecoder
from crawler.models.reading import AsyncReading, SyncReading, attach_request

if TYPE_CHECKING:
    from datetime import timedelta

    from crawler.models.cookies import Cookies
    from crawler.models.request import Request
    from crawler.models.types import HeaderTypes, ResponseContent
    from crawler.models.url import URL

LazyExtensions = tuple[Any, ...]
"""A function and its arguments: makes the extensions of a response. Most responses are never asked for them, and a
tuple is one object for the collector to visit where a result is kept, instead of three."""

_REDIRECTS: Final = frozenset((301, 302, 303, 307, 308))
_CLASSES: Final = {1: "informational", 3: "redirect", 4: "client error", 5: "server error"}


class Response:
    """An HTTP response.

    Attributes:
        status_code: As received, in or outside the known ones.
        next_request: What following the redirect would send; set by a client that does not follow.
        default_encoding: Of text whose Content-Type names none; a name, or a function of the content that gives one.
        is_closed: Whether the connection is given back.
        is_stream_consumed: Whether the stream was iterated, or is being.
        started: Just before the request was sent, and `ended`, when the body was closed: seconds of one monotonic
            clock, set by the client. `elapsed` is their difference.
        is_plain: Set by a transport that knows that neither `Content-Encoding` nor `Set-Cookie` is among the headers.
        max_size: Bytes the body may have, raw and decoded, or None; set by the client before anything is read.

    Args:
        content: Bytes, text, or an iterable of bytes, still coded as `headers` say.
        text: Content given as text; `html` and `json` alike. Each sets the Content-Type.
        stream: A body as it is: no header is added for it.
        history: The redirects that led here, oldest first.

    Raises:
        DecodingError: `content` is not coded as `headers` say.
    """

    BOMB_SIZE: ClassVar[int] = 100 * 2**20
    """Decoded bytes above which `read()` suspects a decompression bomb, unless `max_size` is set. Assign to change."""

    BOMB_RATIO: ClassVar[int] = 100
    """Times the received bytes above which, and above `BOMB_SIZE`, it is one. Honest text rarely passes 20."""

    # Class-level defaults, so that `from_wire` fills seven attributes and not twenty.
    status_code: int
    next_request: Request | None = None
    default_encoding: str | Callable[[bytes], str | None] = "utf-8"
    is_closed: bool = False
    is_stream_consumed: bool = False
    started: float | None = None
    ended: float | None = None
    max_size: int | None = None
    is_plain: bool = False

    _raw_headers: list[tuple[bytes, bytes]] | bytes
    _extensions: dict[str, Any] | LazyExtensions
    _headers: Headers | None = None
    _request: Request | None = None
    _body: bytes | None = None  # of a whole body: as received, still coded
    _content: bytes | None = None  # decoded
    _stream: SyncByteStream | AsyncByteStream | None = None
    _source: AsyncIterator[bytes] | None = None  # of an async stream that is being iterated
    _num_bytes_downloaded: int = 0
    _text: str | None = None
    _encoding: str | None = None
    _cookies: Cookies | None = None
    _history: list[Response] | None = None
    _elapsed: timedelta | None = None

    def __init__(
        self,
        status_code: int,
        *,
        headers: HeaderTypes | None = None,
        content: ResponseContent | None = None,
        text: str | None = None,
        html: str | None = None,
        json: Any = None,
        stream: SyncByteStream | AsyncByteStream | None = None,
        request: Request | None = None,
        extensions: Mapping[str, Any] | None = None,
        history: list[Response] | None = None,
        default_encoding: str | Callable[[bytes], str | None] = "utf-8",
    ) -> None:
        self.status_code = status_code
        self._headers = Headers(headers)
        self._request = request
        self.extensions = {} if extensions is None else dict(extensions)
        self.default_encoding = default_encoding
        if history:
            self._history = list(history)
        if stream is not None:
            self._stream = stream
            return
        body_headers, self._stream = encode_response(content, text, html, json)
        self._add_headers(body_headers)
        if isinstance(self._stream, ByteStream):
            self._set_whole(b"".join(self._stream))
            self.finish()

    @classmethod
    def from_wire(
        cls,
        status: int,
        raw_headers: list[tuple[bytes, bytes]] | bytes,
        body: bytes | SyncByteStream | AsyncByteStream,
        extensions: dict[str, Any] | LazyExtensions,
        request: Request,
    ) -> Response:
        """Make a response of what a codec gave; for clients and transports.

        Args:
            raw_headers: Taken as it is, not copied. Bytes are checked field lines, split when somebody looks (1.4 µs).
            body: Bytes are the whole body, still coded: the response counts as read and closed. Anything else is a
                stream to be read.
            extensions: Taken as it is, not copied; or what makes it when somebody looks.
        """
        self = cls.__new__(cls)
        self.status_code = status
        self._raw_headers = raw_headers
        self._extensions = extensions
        self._request = request
        if type(body) is bytes:
            self._body = body
            self.is_closed = True
            self.is_stream_consumed = True
        else:
            self._stream = body  # type: ignore[assignment]  # `type() is` narrows nothing; isinstance costs 30 ns more
        return self

    # -- what was asked, and when

    @property
    def request(self) -> Request:
        """The request this answers.

        Raises:
            RuntimeError: It is not known, in a response built without one.
        """
        if self._request is None:
            raise RuntimeError("This response was made without a request; pass `request=` or set `response.request`.")
        return self._request

    @request.setter
    def request(self, request: Request) -> None:
        self._request = request

    @property
    def has_request(self) -> bool:
        """Whether `request` is known."""
        return self._request is not None

    @property
    def url(self) -> URL:
        """The URL that was asked; needs `request`."""
        return self.request.url

    @property
    def history(self) -> list[Response]:
        """The responses that led here by redirects or authentication, oldest first."""
        if self._history is None:
            self._history = []
        return self._history

    @history.setter
    def history(self, history: list[Response]) -> None:
        self._history = history

    @property
    def elapsed(self) -> timedelta:
        """Time from just before the request was sent until the body was closed.

        Raises:
            RuntimeError: The body is not closed yet, or no client made this response.
        """
        if self._elapsed is None:
            # A stream of a client knows itself when it ended; it must not know the response (a reference cycle).
            ended = self.ended or getattr(self._stream, "ended", None)
            if self.started is None or not ended:
                raise RuntimeError("`elapsed` is known once the response was read or closed.")
            from datetime import timedelta

            self._elapsed = timedelta(seconds=ended - self.started)
        return self._elapsed

    @elapsed.setter
    def elapsed(self, elapsed: timedelta) -> None:
        self._elapsed = elapsed

    @property
    def extensions(self) -> dict[str, Any]:
        """What the transport tells beside the message: `http_version`, `reason_phrase`, `network_stream` and more."""
        extensions = self._extensions
        if isinstance(extensions, tuple):
            make, *facts = extensions
            extensions = self._extensions = make(*facts)
        return extensions

    @extensions.setter
    def extensions(self, extensions: dict[str, Any]) -> None:
        self._extensions = extensions

    # -- status and headers

    @property
    def headers(self) -> Headers:
        """The headers as received."""
        if self._headers is None:
            self._headers = Headers.from_wire(self.raw_headers)
        return self._headers

    @headers.setter
    def headers(self, headers: HeaderTypes) -> None:
        self._headers = headers if isinstance(headers, Headers) else Headers(headers)

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The headers as byte pairs, for looking through without making `Headers`; not to be changed."""
        if self._headers is not None:
            return self._headers.raw
        raw = self._raw_headers
        if isinstance(raw, bytes):
            raw = self._raw_headers = split_lines(raw)
        return raw

    @property
    def raw_lines(self) -> bytes | None:
        """The field lines of the head as they came, `Name: value\\r\\n` each; None where they were taken apart."""
        raw = self._raw_headers if self._headers is None else None
        return raw if isinstance(raw, bytes) else None

    @property
    def http_version(self) -> str:
        """`HTTP/1.0`, `HTTP/1.1` or `HTTP/2`, as was negotiated."""
        version: bytes = self.extensions.get("http_version", b"HTTP/1.1")
        return version.decode("ascii", "ignore")

    @property
    def reason_phrase(self) -> str:
        """The phrase that came with the status (HTTP/1.1), else the usual one."""
        phrase: bytes | None = self.extensions.get("reason_phrase")
        return codes.get_reason_phrase(self.status_code) if phrase is None else phrase.decode("ascii", "ignore")

    @property
    def is_informational(self) -> bool:
        """Whether the status is 1xx."""
        return 100 <= self.status_code <= 199

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status_code <= 299

    @property
    def is_redirect(self) -> bool:
        """Whether the status is 3xx; see `has_redirect_location` for those that lead somewhere."""
        return 300 <= self.status_code <= 399

    @property
    def is_client_error(self) -> bool:
        """Whether the status is 4xx."""
        return 400 <= self.status_code <= 499

    @property
    def is_server_error(self) -> bool:
        """Whether the status is 5xx."""
        return 500 <= self.status_code <= 599

    @property
    def is_error(self) -> bool:
        """Whether the status is 4xx or 5xx."""
        return 400 <= self.status_code <= 599

    @property
    def has_redirect_location(self) -> bool:
        """Whether the status is a redirect to follow (301, 302, 303, 307, 308) and there is a Location."""
        return self.status_code in _REDIRECTS and "Location" in self.headers

    def raise_for_status(self) -> Response:
        """Give the response itself if its status is 2xx.

        Raises:
            HTTPStatusError: The status is another, 1xx and 3xx included.
            RuntimeError: `request` is not known.
        """
        request = self.request
        if self.is_success:
            return self
        url = request.url.copy_with(userinfo=b"") if request.url.userinfo else request.url
        meaning = _CLASSES.get(self.status_code // 100, "no valid status")
        status = f"{self.status_code} {self.reason_phrase}".rstrip()
        message = f"{status} ({meaning}) came for {request.method} {url}"
        if self.has_redirect_location:
            message += f"; it leads to {self.headers['Location']!r}, which `follow_redirects=True` follows"
        raise HTTPStatusError(message, request=request, response=self)

    @property
    def cookies(self) -> Cookies:
        """The cookies this response sets; those of the session are the client's."""
        if self._cookies is None:
            from crawler.models.cookies import Cookies

            self._cookies = Cookies()
            self._cookies.extract_cookies(self)
        return self._cookies

    @property
    def links(self) -> dict[str | None, dict[str, str]]:
        """The Link header: from the relation (or the target, where there is none) to target and parameters."""
        return {link.get("rel") or link.get("url"): link for link in parse_links(self.headers.get("Link", ""))}

    # -- the body as a whole

    @property
    def content(self) -> bytes:
        """The decoded body.

        Raises:
            ResponseNotRead: It is a stream that was not read.
            DecodingError: It does not decode.
            ResponseTooLarge: It decodes to more than is allowed.
        """
        if self._content is None:
            if self._body is None:
                raise ResponseNotRead
            self._content = self._decode(self._body)
        return self._content

    @property
    def text(self) -> str:
        """The body as text, by `encoding`; what does not decode becomes U+FFFD."""
        if self._text is None:
            content = self.content
            self._text = content.decode(self.encoding or "utf-8", "replace") if content else ""
        return self._text

    def json(self, **kwargs: Any) -> Any:
        """The body as JSON, in whichever of UTF-8, 16 and 32 it is written; arguments go to `json.loads`."""
        from json import loads

        return loads(self.content, **kwargs)

    @property
    def encoding(self) -> str | None:
        """What `text` decodes by: what was set, else the charset of the Content-Type if Python knows it, else
        `default_encoding`, else UTF-8.

        Raises:
            ValueError: On setting it after `text` was used.
        """
        if self._encoding is None:
            charset = self.charset_encoding
            if charset is None or not is_text_encoding(charset):
                charset = self._default_charset()
                if charset is None:
                    return "utf-8"  # not kept: the function is asked once the content is there
            self._encoding = charset
        return self._encoding

    @encoding.setter
    def encoding(self, encoding: str | None) -> None:
        if self._text is not None:
            raise ValueError("The encoding can be set until `text` is used; it was used already.")
        self._encoding = encoding

    @property
    def charset_encoding(self) -> str | None:
        """The charset the Content-Type names, known or not, or None."""
        content_type = self.headers.get("Content-Type")
        return None if content_type is None else charset_of(content_type)

    @property
    def num_bytes_downloaded(self) -> int:
        """Bytes of body received so far, before decoding."""
        return self._num_bytes_downloaded if self._body is None else len(self._body)

    def finish(self) -> None:
        """Raise now what looking at a whole body would raise later; for clients, before they hand a response out.

        Decodes a coded body and keeps the result; does next to nothing for others.

        Raises:
            DecodingError: The body does not decode.
            ResponseTooLarge: It is larger than `max_size`, or a decompression bomb.
        """
        body = self._body
        if body is not None and self._content is None:
            self._content = self._decode(body)

    def read(self) -> bytes:
        """Read the whole body and give it, decoded; closes the response.

        Raises:
            RuntimeError: The body is an async stream.
            StreamConsumed: It was iterated already.
            StreamClosed: The response was closed before.
            RequestError: The body did not come, or does not decode.
        """
        if self._content is None and self._body is None:
            self._content = b"".join(SyncReading(self, Pipe(self._decoder(is_whole=True))))
        return self.content

    async def aread(self) -> bytes:
        """Read the whole body and give it, decoded; closes the response.

        Raises:
            RuntimeError: The body is a blocking stream.
            StreamConsumed: It was iterated already.
            StreamClosed: The response was closed before.
            RequestError: The body did not come, or does not decode.
        """
        if self._content is None and self._body is None:
            reading = AsyncReading(self, Pipe[bytes](self._decoder(is_whole=True)))
            self._content = b"".join([piece async for piece in reading])
        return self.content

    # -- the body in pieces

    def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Iterate the body as it comes, undecoded, in pieces of `chunk_size` bytes or as they come."""
        return SyncReading(self, Pipe(Chunker[bytes](chunk_size)))

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Iterate the decoded body, in pieces of `chunk_size` bytes or as they come; none is empty."""
        return self._iter(Chunker[bytes](chunk_size))

    def iter_text(self, chunk_size: int | None = None) -> Iterator[str]:
        """Iterate the body as text, in pieces of `chunk_size` characters or as they come; none is empty."""
        return self._iter(self._text_decoder(), Chunker[str](chunk_size))

    def iter_lines(self) -> Iterator[str]:
        """Iterate the body as lines of text, as `str.splitlines` has them, without their ends."""
        return self._iter(self._text_decoder(), LineSplitter())

    def aiter_raw(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """Iterate the body as it comes, undecoded, in pieces of `chunk_size` bytes or as they come."""
        return AsyncReading(self, Pipe(Chunker[bytes](chunk_size)))

    def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        """Iterate the decoded body, in pieces of `chunk_size` bytes or as they come; none is empty."""
        return self._aiter(Chunker[bytes](chunk_size))

    def aiter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:
        """Iterate the body as text, in pieces of `chunk_size` characters or as they come; none is empty."""
        return self._aiter(self._text_decoder(), Chunker[str](chunk_size))

    def aiter_lines(self) -> AsyncIterator[str]:
        """Iterate the body as lines of text, as `str.splitlines` has them, without their ends."""
        return self._aiter(self._text_decoder(), LineSplitter())

    # -- the stream

    @property
    def stream(self) -> SyncByteStream | AsyncByteStream:
        """The raw body; of a whole one, a stream of it that can be iterated at will."""
        if self._stream is None:
            self._stream = UnattachedStream() if self._body is None else ByteStream(self._body)
        return self._stream

    @stream.setter
    def stream(self, stream: SyncByteStream | AsyncByteStream) -> None:
        self._stream = stream

    def open_stream(self) -> Iterator[bytes]:
        """Begin the one iteration of the raw stream; for the iterators."""
        self._check_unread()
        if not isinstance(self._stream, SyncByteStream):
            raise RuntimeError(f"This response has an async body; use {_ASYNC_WAYS}.")
        self.is_stream_consumed = True
        return iter(self._stream)

    def open_async_stream(self) -> AsyncIterator[bytes]:
        """Begin the one iteration of the raw stream; for the iterators."""
        self._check_unread()
        if not isinstance(self._stream, AsyncByteStream):
            raise RuntimeError(f"This response has a blocking body; use {_SYNC_WAYS}.")
        self.is_stream_consumed = True
        self._source = aiter(self._stream)
        return self._source

    def count(self, data: bytes) -> None:
        """Count a piece off the wire; for the iterators. Raises `ResponseTooLarge` beyond `max_size`."""
        self._num_bytes_downloaded += len(data)
        if self.max_size is not None and self._num_bytes_downloaded > self.max_size:
            raise too_large(self.max_size)

    def keep(self, body: bytes) -> None:
        """Make `body`, all that was read from the raw stream, the whole body: decoded when looked at; for clients."""
        self._set_whole(body)

    def close(self) -> None:
        """Give the connection back; what was not read is lost. Reading to the end does so by itself.

        Raises:
            RuntimeError: The body is an async stream.
        """
        if self.is_closed:
            return
        if not isinstance(self._stream, SyncByteStream):
            raise RuntimeError("This response has an async body; use `await response.aclose()`.")
        self.is_closed = True
        try:
            self._stream.close()
        except RequestError as exc:
            attach_request(exc, self)
            raise

    async def aclose(self) -> None:
        """Give the connection back; what was not read is lost. Reading to the end does so by itself.

        Raises:
            RuntimeError: The body is a blocking stream.
        """
        if self.is_closed:
            return
        if not isinstance(self._stream, AsyncByteStream):
            raise RuntimeError("This response has a blocking body; use `response.close()`.")
        self.is_closed = True
        source, self._source = self._source, None
        try:
            # A stream written as an async generator and left half-way is finished here, not by the collector.
            if isinstance(source, AsyncGenerator) and not getattr(source, "ag_running", False):
                await source.aclose()
            await self._stream.aclose()
        except RequestError as exc:
            attach_request(exc, self)
            raise

    # -- protocols of Python

    if not TYPE_CHECKING:  # type checkers shall go on saying that a response cannot be awaited

        def __await__(self):
            """Say what is wrong with `await crawler.get(...)`, a mistake of many tutorials."""
            raise TypeError(
                "A Response cannot be awaited: the request was sent by blocking, and this is its response. To await "
                "requests, use `async with crawler.AsyncClient() as client: response = await client.get(...)`."
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} [{self.status_code} {self.reason_phrase}]>"

    def __getstate__(self) -> dict[str, Any]:
        left_out = ("_extensions", "_stream", "_source", "is_closed")
        return {name: value for name, value in self.__dict__.items() if name not in left_out}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.extensions = {}
        self.is_closed = True

    # -- inner workings

    def _add_headers(self, body_headers: dict[str, str]) -> None:
        headers = self.headers
        for name, value in body_headers.items():
            if name != "Transfer-Encoding" or "Content-Length" not in headers:
                headers.setdefault(name, value)

    def _set_whole(self, body: bytes) -> None:
        self._body = body
        self.is_closed = True
        self.is_stream_consumed = True

    def _decoder(self, is_whole: bool) -> BodyDecoder:
        """The decoder of this body; one that is kept as a whole has the bomb guard, unless the caller set a limit."""
        has_guard = is_whole and self.max_size is None
        guard = (self.BOMB_SIZE, self.BOMB_RATIO) if has_guard else None
        try:
            return BodyDecoder(content_codings(self.raw_headers), self.max_size, guard)
        except RequestError as exc:
            attach_request(exc, self)
            raise

    def _decode(self, body: bytes) -> bytes:
        if self.is_plain and (self.max_size is None or len(body) <= self.max_size):  # 9 µs saved where there is a limit
            return body
        if self.max_size is None and not content_codings(self.raw_headers):
            return body
        try:
            return decode_whole(body, self._decoder(is_whole=True))
        except RequestError as exc:
            attach_request(exc, self)
            raise

    def _text_decoder(self) -> TextDecoder:
        return TextDecoder(self.encoding or "utf-8")

    def _default_charset(self) -> str | None:
        """What `default_encoding` says; None where it is a function and there is no content to ask it about."""
        if isinstance(self.default_encoding, str):
            return self.default_encoding
        if self._content is None and self._body is None:
            return None
        charset = self.default_encoding(self.content)
        return charset if charset is not None and is_text_encoding(charset) else "utf-8"

    def _iter(self, *stages: Any) -> Iterator[Any]:
        if self._content is None and self._body is None:
            return SyncReading(self, Pipe(self._decoder(is_whole=False), *stages))
        return Pipe[Any](*stages).whole(self.content)

    def _aiter(self, *stages: Any) -> AsyncIterator[Any]:
        if self._content is None and self._body is None:
            return AsyncReading(self, Pipe(self._decoder(is_whole=False), *stages))
        return AsyncOver(Pipe[Any](*stages).whole(self.content))

    def _check_unread(self) -> None:
        if self.is_stream_consumed:
            raise StreamConsumed
        if self.is_closed:
            raise StreamClosed


_SYNC_WAYS: Final = "`read()`, `iter_bytes()` and their like, without `await`"
_ASYNC_WAYS: Final = "`await response.aread()`, `async for … in response.aiter_bytes()` and their like"

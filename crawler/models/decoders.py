"""Content codings: gzip, deflate, br, zstd and chains of them, decoded as the bytes arrive.

Push-based and bounded: `feed(data)` gives an iterator of pieces of at most `MAX_PIECE` bytes, made as they are asked
for, so a bomb that is streamed never takes more memory than one piece per coding, and whoever has enough just stops.

        raw bytes --> outermost coding --> ... --> innermost coding --> size limits --> pieces

A coded body must end where its format says so: one cut short is a `DecodingError` even if HTTP's framing was whole.
Bytes after the end of a gzip, deflate or zstd stream that begin no further one are ignored, never data. No output
depends on how the input was split.

Source: RFC 9110 §8.4 (Content-Encoding), RFC 1950-1952 (zlib, deflate, gzip), RFC 7932 (br), RFC 8878, RFC 9659 (zstd).
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final, Protocol

from crawler.errors import DecodingError, ResponseTooLarge

MAX_PIECE: Final = 2**20
"""Bytes a decoder gives at a time, at most."""

MAX_CODINGS: Final = 5
"""Stacked codings; more than any server has reason for, and each multiplies what a bomb can do."""

_INPUT_SLICE: Final = 64 * 1024
"""Coded bytes handed to a decompressor at a time: zlib copies its unread input at each call, which is quadratic."""

_ZSTD_WINDOW_LOG: Final = 23
"""8 MiB of history at most, which is the bound of RFC 9659 for zstd in HTTP; the library alone would take 128 MiB."""

_BROTLI_LIMIT: Final = MAX_PIECE // 2
"""The library stops when its buffer, which doubles, has passed the limit: half of it keeps below `MAX_PIECE`."""

_flat = chain.from_iterable


class Decoder(Protocol):
    """One coding, undone."""

    def decode(self, data: bytes) -> Iterable[bytes]:
        """Give what `data` decodes to, in pieces, none of them empty; raises `DecodingError`."""
        ...

    def finish(self) -> None:
        """Note the end of the input; raises `DecodingError` if the coded stream is not complete."""
        ...


class Decompressor(Protocol):
    """What the standard library's decompressor objects have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


class MemberDecoder:
    """A coded body that is a row of members (gzip) or frames (zstd), or one only (deflate).

    Args:
        name: The coding, for messages.
        begin: Gives the decompressor for a member that begins with `head`, None if `head` begins none, or `head` back
            if it is too short to say. `is_first` is true for the first one, which has to be one.
        drain: Runs a decompressor over some input; gives its output in pieces.
        error: What the decompressor raises.
    """

    def __init__(self, name: str, begin: Begin, drain: Drain, error: type[Exception]) -> None:
        self._name = name
        self._begin = begin
        self._drain = drain
        self._error = error
        self._member: Decompressor | None = None
        self._head = b""  # bytes too few to tell whether they begin a member
        self._is_first = True
        self._is_over = False  # something came that begins no member: all that follows is ignored

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Give what `data` decodes to; see `Decoder`."""
        try:
            for part in _slices(data):
                yield from self._decode(part)
        except self._error as exc:
            raise DecodingError(f"The body is labelled {self._name} but does not decode as such: {exc}") from exc

    def finish(self) -> None:
        """Note the end of the input; see `Decoder`."""
        if self._member is not None or (self._is_first and self._head):
            raise DecodingError(f"The {self._name} body ends before its coded stream does; a part of it is missing.")

    def _decode(self, rest: bytes) -> Iterator[bytes]:
        while rest and not self._is_over:
            if self._member is None:
                rest = self._head + rest
                begun = self._begin(rest, self._is_first)
                if isinstance(begun, bytes):
                    self._head = begun
                    return
                self._head, self._is_first = b"", False
                if begun is None:
                    self._is_over = True
                    return
                self._member = begun
            yield from self._drain(self._member, rest)
            if not self._member.eof:
                return
            rest, self._member = self._member.unused_data, None


Begin = Callable[[bytes, bool], Decompressor | bytes | None]
Drain = Callable[[Any, bytes], Iterator[bytes]]


def gzip_decoder() -> Decoder:
    """Decode gzip, all members of it. A first member that is none is an error, later bytes that are none are junk."""

    def begin(head: bytes, is_first: bool) -> Decompressor | bytes | None:
        magic = b"\x1f\x8b\x08"
        if is_first or head.startswith(magic):
            return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        return head if magic.startswith(head) else None

    return MemberDecoder("gzip", begin, _drain_zlib, zlib.error)


def deflate_decoder() -> Decoder:
    """Decode what servers call deflate: a zlib stream, or (wrongly, but often) a raw one. The first two bytes tell."""

    def begin(head: bytes, is_first: bool) -> Decompressor | bytes | None:
        if not is_first:
            return None
        if len(head) < 2:
            return head
        # RFC 1950 §2.2: method 8, a window up to 32 KiB, and a check that makes both bytes a multiple of 31.
        is_zlib = head[0] & 0x0F == 8 and head[0] >> 4 <= 7 and (head[0] << 8 | head[1]) % 31 == 0
        return zlib.decompressobj(wbits=zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS)

    return MemberDecoder("deflate", begin, _drain_zlib, zlib.error)


def zstd_decoder() -> Decoder:
    """Decode zstd, all frames of it, skippable ones included."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}

    def begin(head: bytes, is_first: bool) -> Decompressor | bytes | None:
        if not is_first and len(head) < 4:
            return head
        is_frame = head.startswith(b"\x28\xb5\x2f\xfd")
        is_skippable = head[1:4] == b"\x2a\x4d\x18" and head[0] & 0xF0 == 0x50
        return zstd.ZstdDecompressor(options=options) if is_first or is_frame or is_skippable else None

    return MemberDecoder("zstd", begin, _drain_zstd, zstd.ZstdError)


class BrotliDecoder:
    """Decodes br. The format has neither members nor a checksum; bytes after its end are an error."""

    def __init__(self) -> None:
        try:
            import brotli
        except ImportError:  # PyPy has the same thing under another name
            import brotlicffi as brotli
        self._error: type[Exception] = brotli.error
        self._brotli = brotli.Decompressor()
        self._process: Callable[..., bytes] = getattr(self._brotli, "process", None) or self._brotli.decompress
        self._has_begun = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Give what `data` decodes to; see `Decoder`."""
        try:
            for part in _slices(data):
                self._has_begun = True
                piece = self._process(part, output_buffer_limit=_BROTLI_LIMIT)
                while piece:
                    yield piece
                    # Until nothing comes: it would "accept more data" as soon as its input is taken, output pending.
                    piece = self._process(b"", output_buffer_limit=_BROTLI_LIMIT)
        except self._error as exc:
            raise DecodingError(f"The body is labelled br but does not decode as such: {exc}") from exc

    def finish(self) -> None:
        """Note the end of the input; see `Decoder`."""
        if self._has_begun and not self._brotli.is_finished():
            raise DecodingError("The br body ends before its coded stream does; a part of it is missing.")


class BodyDecoder:
    """A whole body: its codings undone one after the other, and its decoded size held to a limit.

    Attributes:
        raw_size: Bytes fed so far.
        size: Bytes given so far.

    Args:
        codings: As the header names them, the innermost first; `content_codings` gives them.
        max_size: Decoded bytes allowed, or None.
        bomb: Decoded size and ratio (decoded to raw) beyond *both* of which the body counts as a decompression bomb,
            or None for no such guard.

    Raises:
        DecodingError: More than `MAX_CODINGS` codings.
    """

    def __init__(
        self, codings: Sequence[str], max_size: int | None = None, bomb: tuple[int, int] | None = None
    ) -> None:
        if len(codings) > MAX_CODINGS:
            raise DecodingError(
                f"The body is coded {len(codings)} times over ({', '.join(codings[:8])} …); "
                f"at most {MAX_CODINGS} codings are undone."
            )
        self._decoders: list[Decoder] = [_DECODERS[coding]() for coding in reversed(codings)]
        self._max_size = max_size
        self._bomb = bomb
        self.raw_size = 0
        self.size = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what `data` decodes to, in pieces, made as they are taken.

        Raises:
            DecodingError: The bytes do not decode.
            ResponseTooLarge: A limit is passed; `kind` is `too_large` or `decompression_bomb`.
        """
        self.raw_size += len(data)
        pieces: Iterable[bytes] = (data,)
        for decoder in self._decoders:
            pieces = _flat(map(decoder.decode, pieces))
        for piece in pieces:
            self.size += len(piece)
            self._check_size()
            yield piece

    def end(self) -> Iterator[bytes]:
        """Note the end of the body; gives nothing, since decoders hold nothing back.

        Raises:
            DecodingError: A coded stream is not complete.
        """
        for decoder in self._decoders:
            decoder.finish()
        return iter(())

    def _check_size(self) -> None:
        if self._max_size is not None and self.size > self._max_size:
            raise too_large(self._max_size)
        if self._bomb is not None and self.size > self._bomb[0] and self.size > self._bomb[1] * self.raw_size:
            raise ResponseTooLarge(
                f"The body is a decompression bomb: {self.raw_size} bytes expanded to more than {self.size} "
                f"(allowed: {self._bomb[0]} bytes, or {self._bomb[1]} times the bytes received). "
                "Set `max_response_size` to the size you expect, or stream the body.",
                kind="decompression_bomb",
            )


def too_large(max_size: int) -> ResponseTooLarge:
    """The error for a body beyond `max_size` bytes, raw or decoded."""
    return ResponseTooLarge(f"The body of the response is larger than the {max_size} bytes of `max_response_size`.")


def decode_whole(raw: bytes, decoder: BodyDecoder) -> bytes:
    """Decode a body that is there as a whole; raises as `BodyDecoder` does."""
    pieces = [*decoder.feed(raw)]
    decoder.end()
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def content_codings(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Read the codings to undo off raw header fields, the innermost first; unknown names and `identity` are left out.

    Looks at the raw fields, since for most responses that is all anybody ever looks at (0.4 µs for ten fields).
    """
    found: list[str] = []
    for name, value in headers:
        if len(name) == 16 and name.lower() == b"content-encoding":
            names = value.decode("latin-1").lower().split(",")
            found += [coding for coding in map(str.strip, names) if coding in available_codings()]
    return found


def accept_encoding() -> str:
    """What to send as `Accept-Encoding`: the codings whose decoders are installed."""
    return ", ".join(coding for coding in available_codings() if coding != "x-gzip")


@cache
def available_codings() -> tuple[str, ...]:
    """The names of the codings that can be undone here, found once and without importing the decoders."""
    from importlib.util import find_spec

    has_brotli = bool(find_spec("brotli") or find_spec("brotlicffi"))
    try:
        has_zstd = bool(find_spec("_zstd" if sys.version_info >= (3, 14) else "backports.zstd"))
    except ModuleNotFoundError:  # there is no `backports` at all
        has_zstd = False
    present = {"br": has_brotli, "zstd": has_zstd}
    return tuple(coding for coding in _DECODERS if present.get(coding, True))


_DECODERS: Final[dict[str, Callable[[], Decoder]]] = {
    "gzip": gzip_decoder,
    "x-gzip": gzip_decoder,  # RFC 9110 §8.4.1.3: to be taken for gzip
    "deflate": deflate_decoder,
    "br": BrotliDecoder,
    "zstd": zstd_decoder,
}


def _drain_zlib(inflate: Any, data: bytes) -> Iterator[bytes]:
    piece = inflate.decompress(data, MAX_PIECE)
    while piece:
        yield piece
        # A full piece may leave output inside zlib even when all input is taken: only a short one says it is drained.
        if inflate.eof or (len(piece) < MAX_PIECE and not inflate.unconsumed_tail):
            return
        piece = inflate.decompress(inflate.unconsumed_tail, MAX_PIECE)


def _drain_zstd(decompressor: Any, data: bytes) -> Iterator[bytes]:
    piece = decompressor.decompress(data, MAX_PIECE)
    while piece:
        yield piece
        if decompressor.eof or decompressor.needs_input:
            return
        piece = decompressor.decompress(b"", MAX_PIECE)


def _slices(data: bytes) -> Iterable[bytes]:
    if not data:
        return ()
    if len(data) <= _INPUT_SLICE:
        return (data,)
    return (data[start : start + _INPUT_SLICE] for start in range(0, len(data), _INPUT_SLICE))

"""Lines of a file or of standard input, with numbers, in bounded memory: whatever the file holds.

`.gz`, `.bz2`, `.xz` and `.zst` are unpacked while reading. A line that is too long or no UTF-8 comes with its number
and the reason instead of ending the reading.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast

MAX_LINE_BYTES: Final = 1024 * 1024
"""Longer lines are reported and passed over; they are never whole in memory."""
_CHUNK_BYTES: Final = 256 * 1024
COMPRESSED_SUFFIXES: Final = (".gz", ".bz2", ".xz", ".zst")


class Line(NamedTuple):
    """One line without its end.

    Attributes:
        number: 1-based.
        text: The line; of a bad one, its first part as far as it can be shown.
        problem: Why it cannot be used, None if it can.
    """

    number: int
    text: str
    problem: str | None = None


class InputError(Exception):
    """An input file that cannot be read at all; the message names it."""


@contextlib.contextmanager
def open_input(path: Path | None) -> Iterator[BinaryIO]:
    """Open an input file, unpacking by its suffix; None is standard input.

    Raises:
        InputError: The file cannot be opened.
    """
    if path is None:
        yield _stdin()
        return
    try:
        stream = _open(path)
    except OSError as exc:
        raise InputError(f"{path}: cannot read the file: {exc.strerror or exc}") from exc
    with stream:
        yield stream


def _stdin() -> BinaryIO:
    """Standard input without a buffer, so that nobody holds the lock of `sys.stdin` while waiting in a read.

    The interpreter aborts at its end (exit code 134) if a thread of ours, left behind in such a read, holds it.
    """
    try:
        return cast("BinaryIO", open(sys.stdin.fileno(), "rb", buffering=0, closefd=False))
    except OSError:  # no descriptor below, as where a program has put a stream of its own in its place
        return sys.stdin.buffer


def _open(path: Path) -> BinaryIO:
    # Imported here: most runs need none of them.
    match path.suffix.lower():
        case ".gz":
            import gzip

            return cast("BinaryIO", gzip.open(path, "rb"))
        case ".bz2":
            import bz2

            return cast("BinaryIO", bz2.open(path, "rb"))
        case ".xz":
            import lzma

            return cast("BinaryIO", lzma.open(path, "rb"))
        case ".zst":
            return _open_zstd(path)
        case _:
            return path.open("rb")


def _open_zstd(path: Path) -> BinaryIO:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return cast("BinaryIO", zstd.open(path, "rb"))


def read_lines(stream: BinaryIO, name: str) -> Iterator[Line]:
    """Yield the lines of `stream`; the ends `\\n` and `\\r\\n` and a byte order mark are taken off.

    Args:
        stream: Bytes.
        name: Of the file, for messages.

    Raises:
        InputError: The file is UTF-16, or broken as a compressed file.
    """
    number = 1
    for raw, too_long in _split(_chunks(stream, name)):
        if number == 1:
            if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise InputError(f"{name}: the file is UTF-16; save it as UTF-8")
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        yield _line(number, raw.removesuffix(b"\r"), too_long)
        number += 1


def read_whole(stream: BinaryIO, name: str, limit: int) -> bytes:
    """All bytes of `stream`, a byte order mark taken off.

    Raises:
        InputError: More than `limit` bytes, or the file is broken.
    """
    data = bytearray()
    for chunk in _chunks(stream, name):
        data += chunk
        if len(data) > limit:
            raise InputError(f"{name}: the file is larger than {limit // 2**20} MiB, and this format is read whole")
    return bytes(data).removeprefix(b"\xef\xbb\xbf")


def _line(number: int, raw: bytes, too_long: bool) -> Line:
    if too_long:
        return Line(number, raw[:200].decode("utf-8", "replace"), "the line is longer than 1 MiB")
    try:
        return Line(number, raw.decode("utf-8"))
    except UnicodeDecodeError as exc:
        shown = raw[:200].decode("utf-8", "replace")
        return Line(number, shown, f"byte 0x{raw[exc.start]:02x} at position {exc.start + 1} is not UTF-8")


def _chunks(stream: BinaryIO, name: str) -> Iterator[bytes]:
    while True:
        try:
            # read1: a pipe's lines are used when they come, not when a whole chunk is full
            read = getattr(stream, "read1", stream.read)
            data: bytes = read(_CHUNK_BYTES)
        except (OSError, EOFError, ValueError) as exc:
            raise InputError(f"{name}: cannot read the file: {exc}") from exc
        except Exception as exc:
            # zlib, lzma and zstd each have an error class of their own, some of them below Exception alone.
            if type(exc).__module__.partition(".")[0] not in (
                "zlib",
                "lzma",
                "_lzma",
                "backports",
                "compression",
                "_zstd",
            ):
                raise
            raise InputError(f"{name}: the compressed file is damaged: {exc}") from exc
        if not data:
            return
        yield data


def _split(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Cut chunks at line feeds; a line over the limit is given as its first part, with True, and the rest forgotten."""
    pending: list[bytes] = []
    size = 0
    for chunk in chunks:
        pieces = chunk.split(b"\n")
        for piece in pieces[:-1]:
            yield _join(pending, piece, size)
            pending.clear()
            size = 0
        if size <= MAX_LINE_BYTES:
            pending.append(pieces[-1])
        size += len(pieces[-1])
    if size:
        yield _join(pending, b"", size)


def _join(pending: list[bytes], last: bytes, size: int) -> tuple[bytes, bool]:
    total = size + len(last)
    if total > MAX_LINE_BYTES:
        return (b"".join(pending) or last)[:400], True
    return b"".join([*pending, last]) if pending else last, False

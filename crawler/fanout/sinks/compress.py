"""Compression that can be cut: each batch is a gzip member or a zstd frame of its own.

Both formats are defined as a row of such pieces (RFC 1952 §2.2, RFC 8878 §3), and every reader puts them together. So
a compressed output can be cut wherever a commit ended, and nothing that was written is ever written anew. The price: a
batch of few records compresses worse than a large one. A busy run commits 500 records at once, 600 KB, where a longer
piece would save no more than a few per cent; a slow one writes little.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from crawler.fanout.plan import Output

Compression = Literal["none", "gz", "zst"]
Pack = Callable[[bytes], bytes]

_GZIP: Final = 31  # zlib's name for "gzip, window of 32 KiB"
_READ: Final = 1 << 18


def compression_of(output: Output) -> Compression:
    """Give the compression of an output: as it says, else by its suffix."""
    if output.compress is not None:
        return output.compress
    return compression_by_name(output.remote or output.path.name)


def compression_by_name(name: str) -> Compression:
    """Give the compression that a file's suffix tells."""
    suffix = name.rpartition(".")[2].lower()
    return "gz" if suffix == "gz" else "zst" if suffix in ("zst", "zstd") else "none"


def packer(compression: Compression) -> Pack:
    """Give the function that makes one piece of a batch."""
    if compression == "none":
        return bytes
    return gzip_member if compression == "gz" else _zstd_frame


def gzip_member(data: bytes) -> bytes:
    """Compress to one gzip member, without name and time, so that the same input gives the same bytes."""
    coder = zlib.compressobj(6, zlib.DEFLATED, _GZIP)
    return coder.compress(data) + coder.flush()


def _zstd_frame(data: bytes) -> bytes:
    packed: bytes = _zstd().compress(data)
    return packed


def _zstd() -> Any:
    """Give the module: of the standard library from Python 3.14 on."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def open_packed(path: Path, compression: Compression | None = None) -> IO[bytes]:
    """Open a file for reading what was packed into it, all pieces in one."""
    compression = compression_by_name(path.name) if compression is None else compression
    if compression == "gz":
        import gzip

        return gzip.open(path)  # type: ignore[return-value]
    if compression == "zst":
        opened: IO[bytes] = _zstd().open(path)
        return opened
    return open(path, "rb")


def unpack(data: Iterator[bytes], compression: Compression) -> Iterator[bytes]:
    """Undo the compression of pieces of bytes that come one after the other."""
    if compression == "none":
        yield from data
        return
    make = (lambda: zlib.decompressobj(_GZIP)) if compression == "gz" else _zstd().ZstdDecompressor
    coder = None
    for piece in data:
        rest = piece
        while rest:
            coder = coder or make()
            out = coder.decompress(rest)
            if out:
                yield out
            rest = b""
            if coder.eof:
                rest, coder = coder.unused_data, None


def lines_of(path: Path, end: int, compression: Compression) -> Iterator[bytes]:
    """Give the lines among the first `end` bytes of a file, without what stands behind them."""
    rest = b""
    with open(path, "rb") as file:
        for data in unpack(_pieces(file, end), compression):
            rest += data
            if b"\n" in data:
                *lines, rest = rest.split(b"\n")
                for line in lines:
                    yield line + b"\n"
    if rest:
        yield rest


def _pieces(file: IO[bytes], end: int) -> Iterator[bytes]:
    while end > 0 and (piece := file.read(min(_READ, end))):
        end -= len(piece)
        yield piece

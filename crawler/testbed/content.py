"""Bodies that are a pure function of their seed and of the position in them.

A download is proven right only against bytes somebody else can name, so the body of `/bytes/{n}?seed=s` is computable
here as well: `content(n, s)`. It consists of blocks of 64 KiB; block `i` is

    8 bytes: i, big-endian      65,528 bytes: the seed's noise, the same in each block

so any stretch is made without making what stands before it, a gigabyte costs no memory and runs at memory speed, and a
piece that was written to the wrong place shows, whether it slipped by a byte or by whole blocks.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from typing import Final

BLOCK: Final = 65_536
_COUNTER: Final = 8


@functools.lru_cache(maxsize=64)  # 64 seeds of 64 KiB: 4 MiB at most
def _noise(seed: str) -> bytes:
    return hashlib.shake_128(b"crawler testbed " + seed.encode()).digest(BLOCK - _COUNTER)


def pieces(start: int, stop: int, seed: str | int = 0) -> Iterator[bytes]:
    """Yield the bytes `start` up to but without `stop`, in pieces of at most 64 KiB.

    Args:
        start: First position, 0 or more.
        stop: Position after the last byte; nothing is yielded if it is not above `start`.
        seed: Any text or number; `0` and `"0"` are the same.
    """
    noise = _noise(str(seed))
    while start < stop:
        number, offset = divmod(start, BLOCK)
        block = number.to_bytes(_COUNTER, "big") + noise
        piece = block[offset : offset + stop - start]
        yield piece
        start += len(piece)


def content(n: int, seed: str | int = 0) -> bytes:
    """Return the whole body of `/bytes/{n}?seed={seed}`: `n` bytes, in memory."""
    return b"".join(pieces(0, n, seed))


def content_sha256(n: int, seed: str | int = 0) -> str:
    """Return the SHA-256 of `content(n, seed)` in hex, without holding the body in memory."""
    digest = hashlib.sha256()
    for piece in pieces(0, n, seed):
        digest.update(piece)
    return digest.hexdigest()

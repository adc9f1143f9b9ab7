"""The bodies of downloads."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from crawler.testbed.content import BLOCK, content, content_sha256, pieces


def test_content_is_fixed_forever() -> None:
    """The bytes of a seed are the same in every release: checksums in jobs and docs stay true."""
    assert content_sha256(100_000, "a") == "0146783303ce5ff054ca479b1aef06489a06c12c953ecfd0bab8bad27f9a1748"
    assert content(8) == bytes(8)


def test_a_short_body_is_the_beginning_of_a_long_one() -> None:
    """Length does not change what stands at a position; the seed does."""
    assert content(3 * BLOCK, 1)[:1_000] == content(1_000, 1)
    assert content(1_000, 1) != content(1_000, 2)
    assert content(1_000, 1) == content(1_000, "1")


def test_blocks_differ() -> None:
    """No two blocks of a body are alike, so a block in the wrong place shows."""
    body = content(5 * BLOCK)
    assert len({body[start : start + BLOCK] for start in range(0, len(body), BLOCK)}) == 5


@given(st.integers(0, 3 * BLOCK), st.integers(0, 3 * BLOCK))
def test_any_stretch_is_that_slice_of_the_whole(start: int, stop: int) -> None:
    """`pieces(start, stop)` are the bytes from start to stop, each piece at most a block."""
    stretch = list(pieces(start, stop, 7))
    assert b"".join(stretch) == content(3 * BLOCK, 7)[start:stop]
    assert all(0 < len(piece) <= BLOCK for piece in stretch)


def test_sha256() -> None:
    """The checksum is that of the content."""
    assert content_sha256(200_001, 5) == hashlib.sha256(content(200_001, 5)).hexdigest()

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.jobs.lines import MAX_LINE_BYTES, InputError, Line, open_input, read_lines, read_whole

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


class Dribble(io.RawIOBase):
    """A stream that gives at most so many bytes at once."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data = io.BytesIO(data)
        self._size = size

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, self._size))


def lines_of(data: bytes, size: int = 1 << 20) -> list[Line]:
    return list(read_lines(Dribble(data, size), "list.txt"))  # type: ignore[arg-type]  # a raw stream reads alike


def test_line_ends_and_byte_order_mark() -> None:
    """Both line ends, a last line without one, and a byte order mark."""
    assert lines_of(b"\xef\xbb\xbfa\r\nb\n\nc") == [(1, "a", None), (2, "b", None), (3, "", None), (4, "c", None)]
    assert lines_of(b"") == []


def test_broken_utf8_is_reported_with_its_number() -> None:
    """The line is passed on as bad, and the next ones are good."""
    assert lines_of(b"a\nb\xfc\nc\n")[1:] == [
        (2, "b\N{REPLACEMENT CHARACTER}", "byte 0xfc at position 2 is not UTF-8"),
        (3, "c", None),
    ]


@pytest.mark.parametrize("size", [1 << 20, 70_000])
def test_a_line_of_ten_megabytes_is_reported(size: int) -> None:
    """Its number and beginning are kept, the rest is never held."""
    lines = lines_of(b"a\n" + b"x" * 10_000_000 + b"\nc\n", size)
    assert lines[0] == (1, "a", None)
    assert lines[1] == (2, "x" * 200, "the line is longer than 1 MiB")
    assert lines[2] == (3, "c", None)


def test_the_longest_line() -> None:
    """Exactly the limit is good."""
    assert lines_of(b"x" * MAX_LINE_BYTES)[0].problem is None
    assert lines_of(b"x" * (MAX_LINE_BYTES + 1))[0].problem is not None


def test_utf16_is_refused() -> None:
    """It would be one bad line after the other."""
    with pytest.raises(InputError, match=r"list\.txt: the file is UTF-16"):
        lines_of("a\n".encode("utf-16"))


@given(
    st.lists(st.text(alphabet=st.characters(blacklist_characters="\r\n\ufeff", blacklist_categories=["Cs"]))),
    st.integers(1, 9),
)
def test_no_cut_changes_the_lines(texts: list[str], size: int) -> None:
    """However the bytes come, the lines are the same."""
    data = "".join(text + "\n" for text in texts).encode()
    assert [line.text for line in lines_of(data, size)] == texts


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zstd.compress)],
)
def test_compressed_files(tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]) -> None:
    """Files are unpacked by their suffix; a damaged one says so."""
    path = tmp_path / f"list.txt{suffix}"
    path.write_bytes(compress(b"a\nb\n" * 1000))
    with open_input(path) as stream:
        assert len(list(read_lines(stream, "list"))) == 2000
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], b"no such format"):
        path.write_bytes(broken)
        with open_input(path) as stream, pytest.raises(InputError, match="list: "):
            list(read_lines(stream, "list"))


def test_missing_file(tmp_path: Path) -> None:
    """The name stands in the message."""
    with pytest.raises(InputError, match=r"none\.txt: cannot read the file"), open_input(tmp_path / "none.txt"):
        pass


def test_whole_files_have_a_limit() -> None:
    """A format that is read whole refuses large files."""
    assert read_whole(io.BytesIO(b"\xef\xbb\xbf[]"), "a", 2**20) == b"[]"
    with pytest.raises(InputError, match="a: the file is larger than 1 MiB"):
        read_whole(io.BytesIO(b"x" * (2**20 + 1)), "a", 2**20)

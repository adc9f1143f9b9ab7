"""The stages between raw bytes and what is iterated: their output never depends on how the input was cut."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from typing import Any, AnyStr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.models.pieces import Chunker, LineSplitter, Pipe, Stage, TextDecoder

# Every character that ends a line, and some that do not.
_LINES = st.lists(st.sampled_from(["a", "bc", "\r", "\n", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "", "."]))


def through(stage: Stage[Any, Any], pieces: Sequence[Any]) -> list[Any]:
    """All that a stage gives for these pieces."""
    found = [output for piece in pieces for output in stage.feed(piece)]
    return [*found, *stage.end()]


def joined(pieces: Sequence[AnyStr], empty: AnyStr) -> AnyStr:
    """The pieces as one."""
    return empty.join(pieces)


@given(st.lists(st.binary(max_size=40)), st.integers(1, 25))
def test_chunks_of_bytes(pieces: list[bytes], size: int) -> None:
    """All chunks but the last have exactly the size, none is empty, nothing is lost."""
    data = joined(pieces, b"")

    assert through(Chunker[bytes](size), pieces) == [data[i : i + size] for i in range(0, len(data), size)]


@given(st.lists(st.text(max_size=40)), st.integers(1, 25))
def test_chunks_of_text(pieces: list[str], size: int) -> None:
    """Text is cut as bytes are, by characters."""
    data = joined(pieces, "")

    assert through(Chunker[str](size), pieces) == [data[i : i + size] for i in range(0, len(data), size)]


def test_no_size_passes_pieces_as_they_come() -> None:
    """Without a size nothing is held back, and empty pieces are dropped."""
    assert through(Chunker[bytes](None), [b"a", b"", b"bcd"]) == [b"a", b"bcd"]


@pytest.mark.parametrize("size", [0, -1])
def test_size_of_nothing_is_refused(size: int) -> None:
    """A chunk has at least one byte."""
    with pytest.raises(ValueError, match="at least 1"):
        Chunker[bytes](size)


def test_endless_escape_sequence_is_replaced() -> None:
    """An ISO-2022 escape sequence that never ends, byte by byte, is more than Python's decoder holds; no error."""
    pieces = [bytes((byte,)) for byte in b"A\x1b" + b"$" * 20 + b"B"]

    assert "".join(through(TextDecoder("iso2022_jp"), pieces)).startswith("A\ufffd")


@given(st.lists(_LINES.map("".join)))
def test_lines_are_those_of_splitlines(pieces: list[str]) -> None:
    """Wherever the text is cut, also within CR LF, the lines are those of `str.splitlines`."""
    assert through(LineSplitter(), pieces) == joined(pieces, "").splitlines()


def test_a_line_is_given_as_soon_as_it_is_whole() -> None:
    """A line does not wait for the next; only a CR waits, since LF may follow."""
    splitter = LineSplitter()

    assert [*splitter.feed("one\ntwo")] == ["one"]
    assert [*splitter.feed("\r")] == []
    assert [*splitter.feed("\nthree\n")] == ["two", "three"]
    assert [*splitter.end()] == []


@given(
    st.text(),
    st.sampled_from(["utf-8", "utf-16", "utf-32", "shift_jis", "gb18030", "utf-7", "cp1252"]),
    st.lists(st.integers(0, 100)),
)
def test_text_in_any_split(text: str, encoding: str, places: list[int]) -> None:
    """Characters that are cut in two are put together again."""
    data = text.encode(encoding, "ignore")
    at = sorted({min(place, len(data)) for place in places})
    pieces = [data[start:stop] for start, stop in zip([0, *at], [*at, len(data)], strict=True)]

    assert "".join(through(TextDecoder(encoding), pieces)) == data.decode(encoding)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_wide_text_without_a_mark_is_little_endian(encoding: str) -> None:
    """UTF-16 and 32 that do not begin with a byte order mark are read as little-endian, in any split."""
    data = "aé".encode(f"{encoding}-le")

    assert "".join(through(TextDecoder(encoding), [data])) == "aé"
    assert "".join(through(TextDecoder(encoding), [data[i : i + 1] for i in range(len(data))])) == "aé"


def test_lone_half_of_a_pair_without_a_mark() -> None:
    """Half a surrogate pair alone, and no byte order mark: found only at the end, and replaced."""
    assert through(TextDecoder("utf-16"), [b"\x00\xd8"]) == ["\ufffd"]


def test_undecodable_bytes_become_replacement_characters() -> None:
    """What does not decode is shown as U+FFFD, also a character that never ends."""
    assert "".join(through(TextDecoder("utf-8"), [b"a\xff", b"b\xe2\x82"])) == "a\ufffdb\ufffd"


def test_pipe_runs_all_stages_to_their_ends() -> None:
    """What a stage holds back at the end still goes through those after it."""
    pipe = Pipe[str](TextDecoder("utf-8"), LineSplitter())

    assert [*pipe.feed(b"one\ntw")] == ["one"]
    assert [*pipe.feed(b"o\xe2\x82")] == []
    assert [*pipe.end()] == ["two\ufffd"]
    assert [*Pipe[str](TextDecoder("utf-8"), LineSplitter()).whole(b"a\r\nb")] == ["a", "b"]


def test_pipe_is_lazy() -> None:
    """Nothing is made before it is taken."""
    taken = []

    class Watched:
        def feed(self, data: bytes) -> list[bytes]:
            taken.append(data)
            return [data]

        def end(self) -> list[bytes]:
            return []

    outputs = Pipe[bytes](Chunker[bytes](1), Watched()).feed(b"abc")
    assert taken == []
    assert next(outputs) == b"a"
    assert taken == [b"a"]


def test_unknown_encoding_is_a_lookup_error() -> None:
    """An encoding the caller chose himself and that does not exist is his to know."""
    with pytest.raises(LookupError):
        TextDecoder("nonsense")
    assert codecs.lookup("utf-8")

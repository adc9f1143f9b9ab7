"""Stages between raw bytes and what the caller iterates: pieces of a size, text, lines.

    raw --> BodyDecoder --> Chunker                                  iter_bytes
    raw --> BodyDecoder --> TextDecoder --> Chunker | LineSplitter   iter_text, iter_lines

Each stage is pushed (`feed`, then once `end`) and gives an iterator, so that a `Pipe` of them works piece by piece,
holds little, and serves the blocking and the async face alike.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any, AnyStr, Final, Generic, Protocol, TypeVar

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)

_flat = chain.from_iterable


class Stage(Protocol[In, Out]):
    """One step of a pipe. None of the pieces it gives is empty."""

    def feed(self, data: In, /) -> Iterable[Out]:
        """Give what can be told now that `data` has come."""
        ...

    def end(self) -> Iterable[Out]:
        """Give what was held back; no `feed` follows."""
        ...


class Pipe(Generic[Out]):
    """Stages in a row, the first fed with raw bytes, the last giving `Out`."""

    __slots__ = ("_stages",)

    def __init__(self, *stages: Stage[Any, Any]) -> None:
        self._stages = stages

    def feed(self, data: bytes) -> Iterator[Out]:
        """Give what comes out for `data`, made as it is taken; take all of it before the next `feed`."""
        return self._through(0, (data,))

    def end(self) -> Iterator[Out]:
        """Give what the stages held back."""
        for number, stage in enumerate(self._stages, 1):
            yield from self._through(number, stage.end())

    def whole(self, data: bytes) -> Iterator[Out]:
        """Give what comes out for a body that is there as a whole."""
        yield from self.feed(data)
        yield from self.end()

    def _through(self, number: int, pieces: Iterable[Any]) -> Iterator[Any]:
        for stage in self._stages[number:]:
            pieces = _flat(map(stage.feed, pieces))
        return iter(pieces)


class Chunker(Generic[AnyStr]):
    """Cuts bytes or text into pieces of exactly `size`, the last one excepted; size None passes pieces as they come."""

    __slots__ = ("_held", "_held_size", "_size")

    def __init__(self, size: int | None) -> None:
        if size is not None and size < 1:
            raise ValueError(f"The chunk size is at least 1, not {size}.")
        self._size = size
        self._held: list[AnyStr] = []  # joined once a piece is full, so that a byte is copied twice at most
        self._held_size = 0

    def feed(self, data: AnyStr, /) -> Iterable[AnyStr]:
        """See `Stage`."""
        if self._size is None:
            return (data,) if data else ()
        self._held.append(data)
        self._held_size += len(data)
        return self._full(self._size) if self._held_size >= self._size else ()

    def end(self) -> Iterable[AnyStr]:
        """See `Stage`."""
        return (self._held[0][:0].join(self._held),) if self._held_size else ()

    def _full(self, size: int) -> Iterable[AnyStr]:
        whole = self._held[0][:0].join(self._held)
        cut = len(whole) - len(whole) % size
        self._held, self._held_size = [whole[cut:]], len(whole) - cut
        return (whole[start : start + size] for start in range(0, cut, size))


class TextDecoder:
    """Bytes to text, characters across pieces included; what does not decode becomes U+FFFD."""

    __slots__ = ("_decoder", "_encoding")

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)(errors="replace")

    def feed(self, data: bytes, /) -> Iterable[str]:
        """See `Stage`."""
        text = self._decode(data, False)
        return (text,) if text else ()

    def end(self) -> Iterable[str]:
        """See `Stage`."""
        text = self._decode(b"", True)
        return (text,) if text else ()

    def _decode(self, data: bytes, is_end: bool) -> str:
        try:
            return self._decoder.decode(data, is_end)
        except UnicodeError:  # the two cases in which Python's decoders raise although asked to replace
            held, _ = self._decoder.getstate()
            if codecs.lookup(self._encoding).name in ("utf-16", "utf-32"):
                # No byte order mark at the beginning: little-endian then, as browsers take it.
                self._decoder = codecs.getincrementaldecoder(f"{self._encoding}-le")(errors="replace")
                return self._decoder.decode(held + data, is_end)
            # An escape sequence of ISO-2022 that never ends: more than such a decoder can hold back.
            self._decoder.reset()
            return "\ufffd" + data.decode(self._encoding, "replace")


class LineSplitter:
    """Text to lines, as `str.splitlines` has them, wherever the pieces were cut."""

    __slots__ = ("_begun", "_ends_in_cr")

    def __init__(self) -> None:
        self._begun: list[str] = []  # the pieces of the line whose end has not come
        self._ends_in_cr = False  # held back: it may be the first half of CR LF

    def feed(self, text: str, /) -> Iterable[str]:
        """See `Stage`."""
        if self._ends_in_cr:
            text = "\r" + text
        self._ends_in_cr = text.endswith("\r")
        if self._ends_in_cr:
            text = text[:-1]
        lines = (text + _SENTINEL).splitlines()
        rest = lines.pop()[:-1]
        if lines:
            lines[0] = "".join((*self._begun, lines[0]))
            self._begun.clear()
        if rest:
            self._begun.append(rest)
        return lines

    def end(self) -> Iterable[str]:
        """See `Stage`."""
        return ("".join(self._begun),) if self._begun or self._ends_in_cr else ()


_SENTINEL: Final = "."
"""Put after the text, any character but a line end shows whether its last line is whole."""

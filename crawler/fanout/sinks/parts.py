"""The files of one output, one after the other: their names, where each begins, and who remembers that.

An output counts one offset through all of its parts, so that one number says how far it is vouched for:

    part 0  |-----------------|                   start 0
    part 1                    |------------|      start 52,100
    offset                             ^ 60,000 = 7,900 bytes of part 1

A part is noted in the log before its file exists. So whatever a crash leaves behind is known by name, also where the
name holds the id of the run that crashed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

_SEQ: Final = re.compile(r"\{seq(?::0?(\d+)d)?\}")

COLLECTED: Final = "outputs"
"""Folder below the state's: what outputs collect before it is published, and large bodies on their way to archives."""


class Part(NamedTuple):
    """One file of an output.

    Attributes:
        seq: Its number, from 0.
        path: The file its bytes are collected in.
        start, start_rows: Bytes and records of the output before it.
        target: Its final name, if it is published under another one when it is complete; else empty.
        is_published: Whether that was done, and what was collected removed.
    """

    seq: int
    path: str
    start: int
    start_rows: int
    target: str = ""
    is_published: bool = False


class PartLog(Protocol):
    """Remembers the parts of outputs from run to run."""

    def parts(self, output: str) -> list[Part]:
        """Give the parts of an output in order."""

    def add(self, output: str, part: Part) -> None:
        """Note a part, or note it anew."""

    def remove(self, output: str, seqs: Sequence[int]) -> None:
        """Forget parts."""


class MemoryLog:
    """A log that ends with its process."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[int, Part]] = {}

    def parts(self, output: str) -> list[Part]:
        """Give the parts of an output in order."""
        known = self._parts.get(output, {})
        return [known[seq] for seq in sorted(known)]

    def add(self, output: str, part: Part) -> None:
        """Note a part."""
        self._parts.setdefault(output, {})[part.seq] = part

    def remove(self, output: str, seqs: Sequence[int]) -> None:
        """Forget parts."""
        for seq in seqs:
            self._parts.get(output, {}).pop(seq, None)


def is_numbered(template: str) -> bool:
    """Whether a path has a place for the number of the part, so that there can be several."""
    return _SEQ.search(template) is not None


def part_name(template: str, seq: int) -> str:
    """Put a part's number into a path: `{seq}`, or `{seq:05d}` with leading zeros."""
    return _SEQ.sub(lambda match: f"{seq:0{match[1] or 1}d}", template)

"""What happened when: counts per slice of time, in constant memory however long the run."""

from __future__ import annotations

from typing import Final

MAX_SLICES: Final = 600
"""A chart cannot show more; with as many, two neighbours become one and each covers twice the time."""


class Timeline:
    """Finished requests, failures and bytes over the time of a run.

    Attributes:
        step: Seconds that each slice covers: 1, 2, 4 …
    """

    __slots__ = ("_bytes", "_failed", "_finished", "started", "step")

    def __init__(self, started: float) -> None:
        self.started = started
        self.step = 1
        self._finished: list[int] = []
        self._failed: list[int] = []
        self._bytes: list[int] = []

    def add(self, now: float, *, failed: int, size: int, finished: int = 1) -> None:
        """Count finished requests at monotonic time `now`, with `size` bytes of body on the wire."""
        index = int((now - self.started) / self.step)
        if index >= len(self._finished):
            index = self._grow(index)
        self._finished[index] += finished
        self._failed[index] += failed
        self._bytes[index] += size

    def _grow(self, index: int) -> int:
        while index >= MAX_SLICES:
            self._finished, self._failed, self._bytes = map(_halve, (self._finished, self._failed, self._bytes))
            self.step *= 2
            index //= 2
        for counts in (self._finished, self._failed, self._bytes):
            counts.extend([0] * (index + 1 - len(counts)))
        return index

    def as_dict(self) -> dict[str, object]:
        """Give the slices as JSON values: `step_s`, and per slice `finished`, `failed`, `bytes`."""
        return {"step_s": self.step, "finished": self._finished, "failed": self._failed, "bytes": self._bytes}


def _halve(counts: list[int]) -> list[int]:
    return [sum(counts[at : at + 2]) for at in range(0, len(counts), 2)]

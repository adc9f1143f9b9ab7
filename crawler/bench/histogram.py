"""Durations in constant memory, three digits deep, from 1 µs to more than an hour.

A log-linear histogram as HdrHistogram's: each power of two is cut into 1,024 equal buckets, so a value is off by less
than 0.1 %. An octave takes memory (4 KiB) when a sample falls into it; 128 KiB is the most. The engine's own
(`crawler.fanout.histogram`) is a quarter as fine and cannot be merged or sent to another process; the `hdrhistogram`
package takes 1.0 µs a sample where this takes 0.3, and measuring must not cost more than a tenth of what it measures.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Mapping, Sequence
from math import frexp, ldexp
from typing import Any, Final

_SUB: Final = 1024
_LOW: Final = -20  # 2**-20 s, about 1 µs: what is shorter counts as that
_HIGH: Final = 12  # 2**12 s, 68 minutes: what is longer counts as that
_OCTAVES: Final = _HIGH - _LOW
_EMPTY: Final = bytes(4 * _SUB)
_SHORTEST: Final = ldexp(1, _LOW)
_LONGEST: Final = ldexp(1, _HIGH)
_FIRST: Final = -_LOW - 1  # what makes a number of an octave of an exponent
_COARSE: Final = 64  # buckets that are added up in one go where a drawing needs no finer ones
_DOUBLE: Final = 2 * _SUB

TAIL: Final = 10
"""Samples that must lie above a percentile for it to mean something."""


class Histogram:
    """Counts of durations.

    Attributes:
        count: Samples taken.
        total: Their sum in seconds.
        max: The longest, in seconds; exact.
    """

    __slots__ = ("_octaves", "count", "max", "total")

    def __init__(self) -> None:
        self._octaves: list[array[int] | None] = [None] * _OCTAVES
        self.count = 0
        self.total = 0.0
        self.max = 0.0

    def add(self, seconds: float, times: int = 1) -> None:
        """Take a sample, or several alike."""
        self.count += times
        self.total += seconds * times
        if seconds > self.max:
            self.max = seconds
        fraction, exponent = frexp(seconds)  # fraction in [0.5, 1)
        octave = exponent - _LOW - 1
        if 0 <= octave < _OCTAVES and seconds > 0:
            sub = int(fraction * (2 * _SUB)) - _SUB
        else:
            octave, sub = (0, 0) if seconds < 1 else (_OCTAVES - 1, _SUB - 1)
        counts = self._octaves[octave]
        if counts is None:
            counts = self._octaves[octave] = array("I", _EMPTY)
        counts[sub] += times

    def add_all(self, times: Sequence[float]) -> None:
        """Take many samples, at least one; at a third of the cost of one after the other (0.2 µs against 0.5)."""
        longest = max(times)
        if min(times) < _SHORTEST or longest >= _LONGEST:
            for seconds in times:
                self.add(seconds)
            return
        self.count += len(times)
        self.total += sum(times)
        self.max = max(self.max, longest)
        octaves = self._octaves
        for fraction, exponent in map(frexp, times):
            try:
                octaves[exponent + _FIRST][int(fraction * _DOUBLE) - _SUB] += 1  # type: ignore[index]  # caught below
            except TypeError:
                self._put((exponent + _FIRST) * _SUB + int(fraction * _DOUBLE) - _SUB, 1)

    def merge(self, other: Histogram) -> None:
        """Add all samples of another one."""
        for index, count in other._filled():
            self._put(index, count)
        self.count += other.count
        self.total += other.total
        self.max = max(self.max, other.max)

    @property
    def mean(self) -> float | None:
        """The mean in seconds; exact."""
        return self.total / self.count if self.count else None

    def percentile(self, q: float) -> float | None:
        """Give the duration that `q` percent of the samples do not exceed; `None` without samples."""
        return self.percentiles((q,))[0]

    def percentiles(self, qs: Sequence[float]) -> list[float | None]:
        """Give several percentiles, in the order asked for."""
        wanted = sorted(range(len(qs)), key=lambda place: qs[place])
        found: list[float | None] = [None] * len(qs)
        seen, at = 0, 0
        ranks = [max(1.0, self.count * qs[place] / 100 - 1e-9) for place in wanted]
        for octave, counts in enumerate(self._octaves):
            if counts is None:
                continue
            inside = sum(counts)  # an octave without a rank is passed over as a whole: a live view asks while it runs
            if at == len(ranks) or seen + inside < ranks[at]:
                seen += inside
                continue
            for sub, count in enumerate(counts):
                seen += count
                while at < len(ranks) and seen >= ranks[at]:
                    found[wanted[at]] = min(_edge(octave * _SUB + sub), self.max)
                    at += 1
        return found

    def reliable_percentiles(self, qs: Sequence[float]) -> list[float | None]:
        """Give those percentiles that at least `TAIL` samples lie above; `None` for the others."""
        values = self.percentiles(qs)
        return [
            value if self.count * (100 - q) >= TAIL * 100 - 1e-6 else None for q, value in zip(qs, values, strict=True)
        ]

    def coarse(self, limit: int) -> list[tuple[float, int]]:
        """Give at most `limit` buckets for drawing: (upper edge in seconds, samples), ascending, none of them empty."""
        step, rows = _COARSE, self._sums(_COARSE)
        if len(rows) <= limit:
            step, rows = 1, dict(self._filled())
        while len(rows) > limit:  # from the rows before, fewer each time: a live view asks for this while it measures
            halved: dict[int, int] = {}
            for row, count in rows.items():
                halved[row // 2] = halved.get(row // 2, 0) + count
            step, rows = 2 * step, halved
        return [(min(_edge(row * step + step - 1), self.max), count) for row, count in rows.items()]

    def middles(self) -> Iterator[tuple[float, int]]:
        """Give all buckets that are not empty: (its middle in seconds, samples), ascending."""
        for index, count in self._filled():
            yield (_edge(index - 1) + _edge(index)) / 2, count

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON-ready values: only buckets that are not empty."""
        return {"count": self.count, "total": self.total, "max": self.max, "buckets": list(self._filled())}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Histogram:
        """Make the histogram that `to_json` gave."""
        self = cls()
        self.count, self.total, self.max = document["count"], document["total"], document["max"]
        for index, count in document["buckets"]:
            self._put(index, count)
        return self

    def _put(self, index: int, count: int) -> None:
        octave, sub = divmod(index, _SUB)
        counts = self._octaves[octave]
        if counts is None:
            counts = self._octaves[octave] = array("I", _EMPTY)
        counts[sub] += count

    def _sums(self, step: int) -> dict[int, int]:
        """Rows of `step` buckets that are not empty: number of the row, samples."""
        rows = {}
        for octave, counts in enumerate(self._octaves):
            if counts is not None:
                for start in range(0, _SUB, step):
                    if count := sum(counts[start : start + step]):
                        rows[(octave * _SUB + start) // step] = count
        return rows

    def _filled(self) -> Iterator[tuple[int, int]]:
        for octave, counts in enumerate(self._octaves):
            if counts is not None:
                base = octave * _SUB
                yield from [(base + sub, count) for sub, count in enumerate(counts) if count]


def _edge(index: int) -> float:
    """Upper edge of a bucket, in seconds."""
    octave, sub = divmod(index, _SUB)
    return ldexp((_SUB + sub + 1) / (2 * _SUB), octave + _LOW + 1)

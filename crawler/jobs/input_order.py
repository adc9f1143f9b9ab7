"""Which rows of a list, and in what order: a sample, and a shuffle that never holds the list.

Both are drawn from `input.seed` alone, so that a run that is gone on with sees the same rows in the same order.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

T = TypeVar("T")

DEFAULT_WINDOW: Final = 10_000
"""Rows of `shuffle: true`: enough to spread the hosts of a sorted list, about 10 MB."""


def sampled(rows: Iterable[T], ratio: float, seed: int) -> Iterator[T]:
    """Keep each row with the probability `ratio`."""
    draw = random.Random(f"sample {seed}").random
    return (row for row in rows if draw() < ratio)


def shuffled(rows: Iterable[T], window: int, seed: int) -> Iterator[T]:
    """Give the rows in an order in which each may come anywhere after the row that stands `window` before it.

    Holds `window` rows: each new one takes the place of one that is drawn.
    """
    rng = random.Random(f"shuffle {seed}")
    rows = iter(rows)
    held = list(islice(rows, window))
    for row in rows:
        at = rng.randrange(window)
        held[at], drawn = row, held[at]
        yield drawn
    rng.shuffle(held)
    yield from held

"""Counts per slice of time."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crawler.fanout.timeline import MAX_SLICES, Timeline

MOMENTS = st.lists(st.tuples(st.floats(0, 20_000), st.booleans(), st.integers(0, 10**9)), max_size=200)


@given(MOMENTS)
def test_nothing_is_lost_and_memory_is_bounded(moments: list[tuple[float, bool, int]]) -> None:
    """However long a run and in whatever order its ends come: sums stay, and so does the number of slices."""
    timeline = Timeline(100.0)
    for moment, failed, size in moments:
        timeline.add(100.0 + moment, failed=failed, size=size)
    found: dict[str, Any] = timeline.as_dict()

    assert sum(found["finished"]) == len(moments)
    assert sum(found["failed"]) == sum(failed for _, failed, _ in moments)
    assert sum(found["bytes"]) == sum(size for *_, size in moments)
    assert len(found["finished"]) == len(found["failed"]) == len(found["bytes"]) <= MAX_SLICES
    assert found["step_s"] * MAX_SLICES > max((moment for moment, *_ in moments), default=0)


def test_a_slice_is_a_second_at_first() -> None:
    """What ends at second two stands in the third slice."""
    timeline = Timeline(0.0)
    timeline.add(0.5, failed=False, size=10)
    timeline.add(2.9, failed=True, size=0)
    assert timeline.as_dict() == {"step_s": 1, "finished": [1, 0, 1], "failed": [0, 0, 1], "bytes": [10, 0, 0]}

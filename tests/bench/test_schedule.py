"""Timetables: as many starts as the rate says, where it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.bench import Executor, Stage
from crawler.bench.schedule import constant, ramp, starts

STAGES = st.lists(st.builds(Stage, rate=st.floats(0, 500), duration=st.floats(0.1, 5)), min_size=1, max_size=5)


def test_a_constant_rate_starts_evenly() -> None:
    """Four a second for a second: at quarters, the first at once."""
    assert list(constant(4, 1)) == [0, 0.25, 0.5, 0.75]


def test_a_constant_rate_does_not_drift() -> None:
    """A third of a second, three hundred thousand times, ends within the hundred thousandth second."""
    times = list(constant(3, 100_000))
    assert len(times) == 300_000
    assert times[-1] == 299_999 / 3


def test_a_ramp_by_hand() -> None:
    """From 0 to 2/s within 4 s: the area is t²/4, so the n-th start is at 2·sqrt(n); then 2/s, every half second."""
    assert list(ramp([Stage(2, 4), Stage(2, 1)])) == pytest.approx([2, 2 * 2**0.5, 2 * 3**0.5, 4, 4.5, 5])


@given(STAGES)
def test_a_ramp_keeps_its_rates(stages: list[Stage]) -> None:
    """Starts ascend within the stages, and are as many as the area under the rate."""
    times = list(ramp(stages))
    area, rate = 0.0, 0.0
    for stage in stages:
        area += (rate + stage.rate) / 2 * stage.duration
        rate = stage.rate
    assert abs(len(times) - area) <= 1
    assert times == sorted(times)
    assert all(0 <= at <= sum(stage.duration for stage in stages) + 1e-6 for at in times)


def test_an_executor_has_a_timetable() -> None:
    """Of its kind."""
    assert list(starts(Executor("constant_rate", rate=2, duration=1))) == [0, 0.5]
    assert list(starts(Executor("ramping_rate", stages=(Stage(2, 1),)))) == [1.0]

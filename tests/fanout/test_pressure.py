"""What held a run back, from looks at it."""

from __future__ import annotations

import pytest

from crawler.fanout.pressure import Look, Pressure
from crawler.fanout.stats import Stats

IDLE = Look(cpu=0.1, in_flight=3, slots=10, held=0, put_off=0, is_behind=False, is_starved=False)


@pytest.mark.parametrize(
    ("look", "name"),
    [
        (IDLE._replace(cpu=0.97, in_flight=10), "cpu"),
        (IDLE._replace(is_behind=True), "disk"),
        (IDLE._replace(in_flight=10, held=5), "concurrency"),
        (IDLE._replace(held=5), "politeness"),
        (IDLE._replace(is_starved=True), "input"),
        (IDLE._replace(put_off=5, is_starved=True), "politeness"),
    ],
)
def test_the_most_frequent_case_is_named(look: Look, name: str) -> None:
    """With how often it was seen, and what to change."""
    pressure = Pressure()
    for each in (look, look, look, IDLE._replace(held=1) if name != "politeness" else IDLE):
        pressure.note(each, 0.001)

    found = pressure.judge(Stats(0.0))

    assert found is not None
    assert found.name == name
    assert found.evidence.startswith("in 100 %" if name == "politeness" else "in 75 %")
    assert found.advice


@pytest.mark.parametrize(("phase", "name"), [("receive", "network"), ("dns", "dns"), ("ttfb", "concurrency")])
def test_full_slots_are_judged_by_what_takes_long(phase: str, name: str) -> None:
    """Slots full of bodies are a matter of the line; of names, of the resolver; of waiting, of concurrency."""
    stats, pressure = Stats(0.0), Pressure()
    pressure.note(IDLE._replace(in_flight=10), 0.0)
    stats.phases[phase].add(3.0)
    stats.phases["connect"].add(1.0)

    found = pressure.judge(stats)

    assert found is not None
    assert found.name == name
    assert "75 % of an attempt" in found.evidence


def test_nothing_is_claimed_without_looks() -> None:
    """A run of a moment, or one that nothing held back, has no bottleneck."""
    pressure = Pressure()
    assert pressure.judge(Stats(0.0)) is None
    pressure.note(IDLE, -0.001)
    assert pressure.judge(Stats(0.0)) is None
    assert pressure.lag.count == 1

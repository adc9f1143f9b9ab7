"""Counters of several processes, added up, are those of one."""

from __future__ import annotations

from crawler.fanout.deltas import Gauges, Tally, absorb
from crawler.fanout.frontier import Lease
from crawler.fanout.plan import Item
from crawler.fanout.result import Result
from crawler.fanout.stats import Stats


def work(stats: Stats, number: int) -> str:
    """Have a request counted; gives its outcome."""
    result = Result(Lease(number, bytes(16), Item(f"http://h{number % 3}/")), number, None, 0.0)
    result.host = f"http://h{number % 3}"
    stats.start_attempt(1)
    result.begin(1.0)
    result.ended = 1.0 + number / 1000
    if number % 4 == 0:
        result.fail(TimeoutError("late"))
    stats.end_attempt(result, f"h{number % 3}")
    stats.finish(result, f"h{number % 3}", 2.0, result.outcome)
    return result.outcome


def test_deltas_add_up_to_what_one_process_counts() -> None:
    """Whatever was counted here or there, in whatever portions."""
    whole, total, parts = Stats(0.0), Stats(0.0), [Stats(0.0), Stats(0.0)]
    tallies = [Tally(part) for part in parts]
    counts: dict[str, int] = {}
    for number in range(1, 60):
        outcome = work(whole, number)
        work(parts[number % 2], number)
        counts[outcome] = counts.get(outcome, 0) + 1
        if number % 7 == 0:
            absorb(total, tallies[number % 2].take(), counts, 2.0)
            counts = {}
    for tally in tallies:
        absorb(total, tally.take(), counts, 2.0)
        counts = {}
    one, other = whole.summary(10.0), total.summary(10.0)
    assert one.pop("rate")
    assert other.pop("rate")
    one_timing, other_timing = one.pop("timing"), other.pop("timing")
    one_seconds, other_seconds = one.pop("sequential_seconds"), other.pop("sequential_seconds")
    assert abs(one_seconds - other_seconds) < 1e-6  # type: ignore[operator]
    assert one == other
    assert str(one_timing)[:60] == str(other_timing)[:60]
    assert tallies[0].take() == {}


def test_samples_of_nothing_are_counted_as_nothing() -> None:
    """A phase that took no time at all is in the lowest bucket of every histogram."""
    stats, total = Stats(0.0), Stats(0.0)
    tally = Tally(stats)
    for seconds in (0.0, 0.0, 0.0, 0.5):
        stats.phases["dns"].add(seconds)
    absorb(total, tally.take(), {}, 1.0)
    assert (total.phases["dns"].percentile(50) or 0) < 1e-5
    assert total.phases["dns"].max == 0.5


def test_gauges_are_their_values() -> None:
    """What one process says of itself, the other reads."""
    gauges = Gauges(1, 2, 3, 4, 0.5, 6.0, 7, "why")
    assert Gauges(*gauges.values()) == gauges  # type: ignore[arg-type]

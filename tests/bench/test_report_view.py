from __future__ import annotations

from crawler.bench import BreakEven, Dropped, Errors, Finding, Speedup
from crawler.bench.report_text import text
from crawler.bench.report_view import CLOSED_NOTE, OPEN_NOTE, view
from crawler.bench.thresholds import judged
from crawler.jobs.thresholds import parse_threshold
from tests.bench.examples import arm, result


def test_the_table_and_the_sentence() -> None:
    """Every arm has its rate, speed-up and verdict; each but the baseline a sentence."""
    said = view(result())
    assert said.arms.rows == (
        ("sync", "20.0/s", "19.0–21.0/s", "1.00×", "0.90–1.10×", "baseline", "50.0 ms", "150 ms", "0"),
        ("async", "120/s", "114–126/s", "6.00×", "5.40–6.60×", "faster", "50.0 ms", "150 ms", "0"),
    )
    assert said.headline == ("async is faster than sync: 6.00× (5.40–6.60×)",)
    assert said.percentiles.head == ("arm", "p50", "p90", "p99", "p99.9", "max", "mean")
    assert said.percentiles.rows[0][4] == "–"
    assert ("load", "closed, 200 requests per round") in said.about
    assert ("when", "2026-11-21 06:00:00 UTC, took 42.5 s") in said.about
    assert said.costs.rows[0][2] == "crawler 1.2.3"


def test_machine_and_software_are_told() -> None:
    """CPU, kernel, load, Python, loop and limits: without them the numbers mean nothing."""
    about = dict(view(result()).about)
    assert about["machine"] == "A CPU, 2 cores, Linux x86_64, 6.1, load average 0.50 before"
    assert about["software"] == "crawler 1.2.3, CPython 3.11.7, uvloop 0.23"
    assert about["limits"] == "1,024 open files; 3.0"


def test_closed_load_has_its_caveat() -> None:
    """Coordinated omission is told in every report; under open load that there is none."""
    assert CLOSED_NOTE in view(result()).notes
    opened = result(executor={"kind": "constant_rate", "rate": 500.0, "duration": 10.0, "max_vus": 50})
    said = view(opened)
    assert OPEN_NOTE in said.notes
    assert CLOSED_NOTE not in said.notes
    assert ("load", "constant_rate: 500/s for 10.0 s per round, at most 50 in flight") in said.about
    assert said.costs.head[-1] == "dropped"
    assert said.starts.rows[0] == ("sync", "50.0 ms", "150 ms", "–", "–", "–", "–")
    assert view(result()).starts.rows == ()
    stages = ({"rate": 100.0, "duration": 30.0},)
    ramp = result(executor={"kind": "ramping_rate", "stages": stages, "max_vus": 9})
    assert ("load", "ramping_rate: 100/s in 30.0 s; at most 9 in flight") in view(ramp).about


def test_doubts_are_told() -> None:
    """Guards, too few rounds, an early end and percentiles of chance all have their note."""
    busy = Finding("cpu", 0.97, 0.9, "The client is busy.")
    limited = arm("a", 90, 0.1, "client_limited", client_limited=True, findings=(busy,))
    few = arm("b", 90, 0.1, speedup=Speedup(4.5, 4.05, 4.95, "too_few_rounds", 0.08, "rate", "sync", 6))
    said = view(result(limited, few, planned_rounds=8))
    notes = "\n".join(said.notes)
    for part in (
        "5 of 8 rounds are whole",
        "a: The client is busy.",
        "verdict: 6 would do",
        "cannot win",
        "shown as –",
    ):
        assert part in notes
    assert said.is_partial
    assert said.headline == (
        "a: no verdict against sync: 4.50× (4.05–4.95×); the client was the limit",
        "b: no verdict against sync: 4.50× (4.05–4.95×); too few rounds, 6 would do",
    )
    assert not view(result(planned_rounds=5)).is_partial


def test_errors_stand_beside_the_rate() -> None:
    """How many, which share, and of which kinds, the most frequent first."""
    bad = arm("a", 90, 0.1, errors=Errors(30, 0.03, {"connect_refused": 10, "http_5xx": 20}), dropped=Dropped(1, 0.1))
    said = view(result(bad))
    assert said.arms.rows[0][-1] == "30 (3.00 %)"
    assert [row[1] for row in said.errors.rows] == ["http_5xx", "connect_refused"]


def test_no_data_is_no_number() -> None:
    """An arm that never succeeded has dashes, and no sentence."""
    dead = arm("a", 90, 0.1, speedup=Speedup(baseline="sync"))
    assert view(result(dead)).headline == ()
    assert view(result(dead)).arms.rows[0][3:6] == ("–", "–", "no data")


def test_broken_thresholds_are_told() -> None:
    """With the number that was measured and the one that was wanted."""
    found = result()
    limits = [parse_threshold("async.response_time.p99", "< 100ms"), parse_threshold("*.response_time.p99.9", "< 1s")]
    said = view(judged(found, limits))
    assert said.breaches == (
        "async: response_time.p99 is 150 ms; wanted async.response_time.p99: < 100ms",
        "sync: response_time.p99.9 was not measured; wanted *.response_time.p99.9: < 1s",
        "async: response_time.p99.9 was not measured; wanted *.response_time.p99.9: < 1s",
    )
    plain = text(said)
    assert plain.count("BROKEN: ") == 3
    assert max(len(line) for line in plain.splitlines() if "  async  " in line) < 120


def test_from_how_many_at_once_an_arm_wins() -> None:
    """A sentence and a row for each arm that was measured with several numbers of users."""
    found = result(break_even=(
        BreakEven("async", {}, "sync", 16, 1, (1, 16, 64)),
        BreakEven("threads", {"http_version": "1.1"}, "sync", None, 64, (1, 16, 64)),
    ))  # fmt: skip
    said = view(found)
    assert said.headline[-2:] == (
        "async beats sync from 16 at once",
        "threads[http_version=1.1] is not faster than sync at any number at once that was measured",
    )
    assert said.break_even.rows[0] == ("async", "sync", "16", "1", "1, 16, 64")
    assert said.break_even.rows[1][2] == "–"
    assert "faster from" in text(said)
    assert view(result()).break_even.rows == ()


def test_costs_per_thousand_requests() -> None:
    """CPU and memory of the client, for a sum in one's head."""
    said = view(result(arm("a", 90, 0.1, cpu_per_1000=0.2, rss_per_1000=1_500_000.4)))
    assert said.thousand.rows == (("a", "200 ms", "1.50 MB"),)

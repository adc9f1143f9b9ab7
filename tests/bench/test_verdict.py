"""Verdicts: who is faster, who is not, and who was limited by itself."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from crawler.bench import Arm, BenchPlan, Executor, Guard, RoundResult
from crawler.bench.statistics import Estimate
from crawler.bench.verdict import decide, findings, rounds_needed_for, speedups

OPEN = Executor("constant_rate", rate=1, duration=1)
ROUND = RoundResult(0, 1.0, 100, 0, 0, 0, 100.0, {"p50": 0.1}, 0.5, 0.005, 1, 1, 0.001)


def rounds_of(rates: list[float]) -> list[RoundResult]:
    return [
        replace(ROUND, round=number, rate=rate, response_time={"p50": 1 / rate if rate else None})
        for number, rate in enumerate(rates)
    ]


def plan_of(*names: str, executor: Executor | None = None) -> BenchPlan:
    return BenchPlan(("http://127.0.0.1/",), tuple(map(Arm, names)), executor or Executor(requests=1))


BASE = [100.0, 104, 96, 101, 99, 103, 97, 102, 98, 105]


@pytest.mark.parametrize(
    ("factor", "verdict"), [(2.0, "faster"), (0.5, "slower"), (1.0, "no difference"), (1.02, "no difference")]
)
def test_an_arm_against_its_baseline(factor: float, verdict: str) -> None:
    """Twice is faster, half is slower; two percent is below what the plan calls an effect."""
    found = speedups(plan_of("a", "b"), {"a": rounds_of(BASE), "b": rounds_of([factor * x for x in BASE])}, frozenset())
    assert found["b"].verdict == verdict
    assert found["b"].ratio == pytest.approx(factor)
    assert found["a"].verdict == "baseline"
    assert (found["a"].ratio, found["a"].low, found["a"].high) == (1, 1, 1)


def test_under_open_load_the_response_times_are_compared() -> None:
    """All arms have the same rate; the one that answers in half the time is twice as fast."""
    rounds = {"a": rounds_of(BASE), "b": rounds_of([2 * x for x in BASE])}
    found = speedups(plan_of("a", "b", executor=OPEN), rounds, frozenset())["b"]
    assert (found.metric, found.verdict) == ("response_time.p50", "faster")
    assert found.ratio == pytest.approx(2)


def test_a_limited_arm_cannot_win_but_can_lose() -> None:
    """Its lead is a lower bound of something else."""
    rounds = {"a": rounds_of(BASE), "b": rounds_of([2 * x for x in BASE]), "c": rounds_of([x / 2 for x in BASE])}
    found = speedups(plan_of("a", "b", "c"), rounds, frozenset({"b", "c"}))
    assert (found["b"].verdict, found["c"].verdict) == ("client_limited", "slower")


def test_few_rounds_give_no_verdict_and_failed_ones_no_data() -> None:
    """Four rounds are too few; an arm without a success has no ratio."""
    few = speedups(plan_of("a", "b"), {"a": rounds_of(BASE[:4]), "b": rounds_of([900.0] * 4)}, frozenset())["b"]
    assert few.verdict == "too_few_rounds"
    none = speedups(plan_of("a", "b"), {"a": rounds_of(BASE), "b": rounds_of([0.0] * 10)}, frozenset())["b"]
    assert (none.verdict, none.ratio, none.p_value) == ("no_data", None, None)


def test_p_values_are_corrected_for_the_number_of_arms() -> None:
    """The same five rounds convince alone, and do not among ten other arms."""
    names = [f"b{number}" for number in range(10)]
    faster = rounds_of([2 * x for x in BASE[:5]])
    alone = speedups(plan_of("a", "b0"), {"a": rounds_of(BASE[:5]), "b0": faster}, frozenset())["b0"]
    many = speedups(plan_of("a", *names), {"a": rounds_of(BASE[:5])} | dict.fromkeys(names, faster), frozenset())["b0"]
    assert alone.verdict == "faster"
    assert alone.p_value is not None
    assert many.p_value == pytest.approx(10 * alone.p_value)
    assert (alone.rounds_needed, many.verdict, many.rounds_needed) == (None, "too_few_rounds", 6)


@pytest.mark.parametrize("arms", [1, 6, 7, 20, 63])
def test_as_many_rounds_as_are_asked_for_do(arms: int) -> None:
    """With that many the clearest difference is told; with one less it cannot be, and equal arms are no worse off."""
    names = [f"b{number}" for number in range(arms)]
    plan = plan_of("a", *names)
    needed = rounds_needed_for(plan)
    for number, verdict in ((needed, "faster"), (needed - 1, "too_few_rounds")):
        clear = {"a": rounds_of(BASE[:number])} | dict.fromkeys(names, rounds_of([2 * x for x in BASE[:number]]))
        assert {found.verdict for name, found in speedups(plan, clear, frozenset()).items() if name != "a"} == {verdict}
    equal = dict.fromkeys(("a", *names), rounds_of(BASE[:needed]))
    assert speedups(plan, equal, frozenset())["b0"].verdict == "no difference"


def test_rounds_that_failed_are_not_counted_on() -> None:
    """An arm with five rounds of which two failed rests on three, and three can show nothing."""
    rates = [200.0, 0.0, 202.0, 0.0, 206.0]
    found = speedups(plan_of("a", "b"), {"a": rounds_of(BASE[:5]), "b": rounds_of(rates)}, frozenset())["b"]
    assert (found.verdict, found.rounds_needed) == ("too_few_rounds", 5)


def test_equal_arms_are_rarely_told_apart() -> None:
    """Of a hundred comparisons of ten and ten rounds of one distribution, at most five, with no minimum effect."""
    rng = random.Random(5)
    plan = replace(plan_of("a", "b"), min_effect=0.0)
    told = 0
    for _ in range(100):
        rounds = {name: rounds_of([rng.gauss(1000, 50) for _ in range(10)]) for name in ("a", "b")}
        told += speedups(plan, rounds, frozenset())["b"].verdict != "no difference"
    assert told <= 5


def test_all_three_must_agree() -> None:
    """The interval, the rank test, and the size of the effect."""
    clear = Estimate(1.5, 1.4, 1.6)
    assert decide(clear, 0.01, 0.05, 0.95) == "faster"
    assert decide(clear, 0.06, 0.05, 0.95) == "no difference"
    assert decide(clear, 0.01, 0.6, 0.95) == "no difference"
    assert decide(Estimate(1.5, 0.9, 1.6), 0.01, 0.05, 0.95) == "no difference"


def test_guards_say_when_the_client_was_the_limit() -> None:
    """Each guard by itself, its value and limit in the finding; `None` switches it off."""
    rounds = [replace(ROUND, cpu=0.97, dropped=10) for _ in range(5)]
    hit = findings(Guard(), rounds, 0.05)
    assert [(found.guard, found.limit) for found in hit] == [
        ("loop_lag_p99", 0.010),
        ("cpu", 0.9),
        ("dropped_ratio", 0.001),
    ]
    assert "97% of a core" in hit[1].message
    assert findings(Guard(None, None, None), rounds, 0.05) == ()
    assert findings(Guard(), [ROUND] * 5, 0.001) == ()
    assert findings(Guard(), [ROUND] * 5, None) == ()
    assert findings(Guard(), [], None) == ()

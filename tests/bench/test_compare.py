from __future__ import annotations

from dataclasses import replace

import pytest

from crawler.bench import BenchResult, Target
from crawler.bench.compare import Change, compare, obstacles
from tests.bench.examples import arm, result, rounds


def of_rate(rate: float, p50: float = 0.05, number: int = 5, **more: object) -> BenchResult:
    """A result with one arm of that speed."""
    return result(arm("a", rate, p50, rounds=rounds(rate, p50, number), **more))


def change(changes: list[Change], metric: str) -> Change:
    (found,) = (change for change in changes if change.metric == metric)
    return found


def test_slower_and_faster() -> None:
    """Ratios are of speeds: half the rate and twice the time are both half the speed."""
    changes = compare([of_rate(100, 0.05), of_rate(50, 0.10)])
    for metric in ("rate", "response_time.p50"):
        found = change(changes, metric)
        assert found.verdict == "slower"
        assert found.ratio == pytest.approx(0.5, rel=0.02)
        assert found.low is not None
        assert found.high is not None
        assert found.low <= 0.5 <= found.high
    back = compare([of_rate(50, 0.10), of_rate(100, 0.05)])
    assert change(back, "rate").verdict == change(back, "response_time.p50").verdict == "faster"


def test_the_same_is_no_difference() -> None:
    """A result against itself differs in nothing; nor does one that is within the smallest effect."""
    assert {found.verdict for found in compare([of_rate(100), of_rate(100)])} == {"no difference"}
    near = compare([of_rate(100, 0.05), of_rate(103.5, 0.05)])
    assert change(near, "rate").verdict == "no difference"


def test_each_is_compared_with_the_first() -> None:
    """With three results there are two comparisons, and their tests are corrected together."""
    changes = compare([of_rate(100), of_rate(50), of_rate(200)])
    assert [(found.result, found.verdict) for found in changes if found.metric == "rate"] == [
        (1, "slower"),
        (2, "faster"),
    ]
    alone = compare([of_rate(100), of_rate(50)])
    assert (change(alone, "rate").p_value or 0) < (changes[0].p_value or 0)


@pytest.mark.parametrize(
    ("after", "reason"),
    [
        (of_rate(50, number=4), "fewer than 5 rounds"),
        (of_rate(50, vus=7), "vus is 6 and 7"),
        (of_rate(50, http_version="2"), "http_version is 1.1 and 2"),
        (of_rate(200, client_limited=True), "the client was the limit, and cannot win so"),
        (result(arm("b", 50, 0.1)), "only the first result has this arm"),
    ],
)
def test_what_cannot_be_compared(after: BenchResult, reason: str) -> None:
    """There is no verdict, and it is said why."""
    found = compare([of_rate(100), after])[0]
    assert (found.verdict, found.reason) == ("not comparable", reason)


def test_too_few_rounds_for_so_many_arms() -> None:
    """What the correction for twenty arms leaves nothing of after five rounds is no verdict, and six would do."""
    before = result(*(arm(f"a{number}", 100, 0.05, rounds=rounds(100, 0.05)) for number in range(20)))
    after = result(*(arm(f"a{number}", 50, 0.05, rounds=rounds(50, 0.10)) for number in range(20)))
    found = compare([before, after])[0]
    assert (found.verdict, found.reason) == (
        "not comparable",
        "too few rounds for 20 comparisons; 6 each would do",
    )


def test_a_limited_client_can_still_be_slower() -> None:
    """The guard keeps an arm from winning, not from losing."""
    assert change(compare([of_rate(100), of_rate(50, client_limited=True)]), "rate").verdict == "slower"


def test_a_new_arm_is_told() -> None:
    """An arm that only a later result has is in the list."""
    changes = compare([result(arm("a", 10, 0.1)), result(arm("a", 10, 0.1), arm("new", 10, 0.1))])
    assert (changes[-1].arm, changes[-1].reason) == ("new", "the first result does not have this arm")


def test_another_library_may_be_compared() -> None:
    """The library and its version may differ: that is what one wants to know."""
    assert change(compare([of_rate(100), of_rate(50, client="httpx")]), "rate").verdict == "slower"


def test_under_open_load_the_rate_says_nothing() -> None:
    """It is given by the timetable."""
    opened = [
        replace(found, executor={"kind": "constant_rate", "rate": 9.0}) for found in (of_rate(9), of_rate(9, 0.1))
    ]
    changes = compare(opened)
    assert "rate" not in {found.metric for found in changes}
    assert change(changes, "response_time.p50").verdict == "slower"


def test_obstacles() -> None:
    """Another machine, target or load must not be compared; another port of this machine may."""
    base = result()
    assert obstacles(base, base) == []
    here = result(target=Target(("http://127.0.0.1:9999/delay/50ms",)))
    assert obstacles(base, here) == []
    assert obstacles(base, result(target=Target(("http://127.0.0.1:8008/other",)))) == [
        "different targets: GET http://127.0.0.1:8008/delay/50ms and GET http://127.0.0.1:8008/other"
    ]
    assert obstacles(base, result(target=Target(base.target.urls, "HEAD"))) != []
    elsewhere = replace(base, environment=replace(base.environment, cpu="B CPU", cores=4))
    assert obstacles(base, elsewhere) == [
        "different machines: cpu A CPU and B CPU",
        "different machines: cores 2 and 4",
    ]
    newer = replace(base, environment=replace(base.environment, crawler="9", python="3.14.0"))
    assert obstacles(base, newer) == []
    assert obstacles(base, result(executor={"kind": "constant_rate", "rate": 5.0})) == [
        "different loads: kind closed and constant_rate",
        "different loads: rate None and 5.0",
    ]
    first = result(executor={"kind": "ramping_rate", "stages": ({"rate": 1.0, "duration": 2.0},)})
    assert obstacles(first, BenchResult.from_json(first.to_json())) == []

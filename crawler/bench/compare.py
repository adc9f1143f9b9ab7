"""Two results, arm by arm and metric by metric: what became faster, what slower, and what cannot be said.

    A.json ─┐  same target, same machine, same load?    ┌─▶ obstacles
    B.json ─┴──────────────────────────────────────────▶┤
                                                        └─▶ Change per arm and metric: ratio, interval, verdict

The runs lay apart, so nothing is paired: each run's rounds are resampled by themselves. The tests of one metric, over
all arms and results, are corrected together; each metric is a question of its own, and most move together anyway.
A ratio is of speeds: above 1 the second result is faster, whatever the metric.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final, Literal
from urllib.parse import urlsplit

from crawler.bench.plan import MIN_ROUNDS
from crawler.bench.result import ArmResult, BenchResult, RoundResult
from crawler.bench.statistics import Estimate, holm, least_p, mann_whitney, rounds_needed, unpaired_ratio
from crawler.bench.verdict import decide, seed_of

Verdict = Literal["faster", "slower", "no difference", "not comparable"]

_LOOPBACK: Final = re.compile(r"localhost|127(?:\.\d+){3}|::1")


@dataclass(frozen=True, slots=True)
class Metric:
    """A number that each round has.

    Attributes:
        name: As `thresholds` write it.
        of: Gives it; `None` where it was not measured.
        more_is_faster: Rates grow with speed, times shrink.
    """

    name: str
    of: Callable[[RoundResult], float | None]
    more_is_faster: bool = False


METRICS: Final = (
    Metric("rate", lambda round_: round_.rate, more_is_faster=True),
    Metric("response_time.p50", lambda round_: round_.response_time.get("p50")),
    Metric("response_time.p99", lambda round_: round_.response_time.get("p99")),
    Metric("cpu_per_request", lambda round_: round_.cpu_per_request),
)


@dataclass(frozen=True, slots=True)
class Change:
    """One metric of one arm, before and after.

    Attributes:
        result: Number of the second result among those given, from 1.
        arm, metric: Whose, and what.
        before, after: Medians of the rounds; `None` where not measured.
        ratio, low, high: How many times as fast, with interval; `None` if not comparable.
        p_value: Of the Mann–Whitney U test, corrected.
        verdict: See the module.
        reason: Why it is not comparable; else empty.
        rounds: How many it rests on, before and after.
    """

    result: int
    arm: str
    metric: str
    before: float | None = None
    after: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None
    verdict: Verdict = "not comparable"
    reason: str = ""
    rounds: tuple[int, int] = (0, 0)


def obstacles(before: BenchResult, after: BenchResult) -> list[str]:
    """Say why two results must not be compared: another machine, target or load. Empty if they may be.

    The port of a loopback address does not matter: a test server has another one each time it starts.
    """
    found = []
    for name in ("cpu", "cores", "platform"):
        ours, theirs = getattr(before.environment, name), getattr(after.environment, name)
        if ours != theirs:
            found.append(f"different machines: {name} {ours} and {theirs}")
    if _urls(before) != _urls(after) or before.target.method != after.target.method:
        found.append(f"different targets: {_shown(before)} and {_shown(after)}")
    for name in ("kind", "rate", "stages"):
        ours, theirs = (_plain(result.executor.get(name)) for result in (before, after))
        if ours != theirs:
            found.append(f"different loads: {name} {ours} and {theirs}")
    return found


def compare(results: Sequence[BenchResult]) -> list[Change]:
    """Compare each result with the first.

    The smallest effect and the confidence are the first result's. Whether the results may be compared at all is
    `obstacles`' to say.
    """
    base = results[0]
    raw = [found for number, after in enumerate(results[1:], 1) for found in _changes(base, after, number)]
    changes = [change for change, _ in raw]
    for metric in METRICS:
        family = [
            place for place, found in enumerate(changes) if found.metric == metric.name and found.p_value is not None
        ]
        corrected = holm([p for place in family if (p := changes[place].p_value) is not None])
        reachable = holm([least_p(*changes[place].rounds) for place in family])
        for place, p_value, least in zip(family, corrected, reachable, strict=True):
            change, is_limited = replace(changes[place], p_value=p_value), raw[place][1]
            if p_value > 1 - base.confidence < least:
                needed = max(rounds_needed(len(family), base.confidence), min(change.rounds) + 1)
                reason = f"too few rounds for {len(family)} comparisons; {needed} each would do"
                changes[place] = replace(change, reason=reason)
            else:
                changes[place] = _judge(change, base, is_limited)
    return changes


def _judge(change: Change, base: BenchResult, is_limited: bool) -> Change:
    assert change.ratio is not None
    assert change.low is not None
    assert change.high is not None
    assert change.p_value is not None
    estimate = Estimate(change.ratio, change.low, change.high)
    found = decide(estimate, change.p_value, base.min_effect, base.confidence, is_limited)
    if found == "client_limited":
        return replace(change, verdict="not comparable", reason="the client was the limit, and cannot win so")
    assert found in ("faster", "slower", "no difference")
    return replace(change, verdict=found)


def _changes(before: BenchResult, after: BenchResult, number: int) -> Iterator[tuple[Change, bool]]:
    """The changes of all arms that either has, without verdicts; and whether the client limited the second."""
    theirs = {arm.name: arm for arm in after.arms}
    metrics = [metric for metric in METRICS if metric.name != "rate" or before.executor.get("kind") == "closed"]
    for arm in before.arms:
        other = theirs.pop(arm.name, None)
        if other is None:
            yield Change(number, arm.name, "", reason="only the first result has this arm"), False
            continue
        difference = _difference(arm, other)
        if difference:
            yield Change(number, arm.name, "", reason=difference), False
            continue
        for metric in metrics:
            limited = other.client_limited and metric.name != "cpu_per_request"
            yield _change(arm, other, metric, before, number), limited
    for name in theirs:
        yield Change(number, name, "", reason="the first result does not have this arm"), False


def _difference(ours: ArmResult, theirs: ArmResult) -> str:
    """Why two arms of one name are not the same experiment; the library and its version may differ."""
    for name in ("engine", "http_version", "vus", "streams_per_connection", "reuse"):
        first, second = getattr(ours, name), getattr(theirs, name)
        if first != second:
            return f"{name} is {first} and {second}"
    return ""


def _change(ours: ArmResult, theirs: ArmResult, metric: Metric, base: BenchResult, number: int) -> Change:
    first, second = (
        [value for round_ in arm.rounds if (value := metric.of(round_)) is not None and value > 0]
        for arm in (ours, theirs)
    )
    sizes = (len(first), len(second))
    change = Change(number, ours.name, metric.name, _median(first), _median(second), rounds=sizes)
    if not first or not second:
        return replace(change, reason="not measured")
    if min(sizes) < MIN_ROUNDS:
        return replace(change, reason=f"fewer than {MIN_ROUNDS} rounds")
    speeds = (second, first) if metric.more_is_faster else (first, second)
    estimate = unpaired_ratio(*speeds, base.confidence, seed_of(base.seed, f"{ours.name}/{metric.name}"))
    return replace(
        change, ratio=estimate.value, low=estimate.low, high=estimate.high, p_value=mann_whitney(first, second)
    )


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _urls(result: BenchResult) -> list[str]:
    return [_without_port(url) for url in result.target.urls]


def _without_port(url: str) -> str:
    parts = urlsplit(url)
    host = parts.hostname or ""
    return parts._replace(netloc=host).geturl() if _LOOPBACK.fullmatch(host) else url


def _shown(result: BenchResult) -> str:
    first = result.target.urls[0] if result.target.urls else "nothing"
    more = f" and {len(result.target.urls) - 1} more" if len(result.target.urls) > 1 else ""
    return f"{result.target.method} {first}{more}"


def _plain(value: object) -> object:
    """A value of the executor with tuples as lists: one came from a file, the other may not have."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value

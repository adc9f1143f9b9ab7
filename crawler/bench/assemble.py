"""From the samples of all rounds to the result: merge, summarise, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from statistics import median

from crawler.bench.break_even import break_even
from crawler.bench.histogram import Histogram
from crawler.bench.plan import Arm, BenchPlan
from crawler.bench.report_hlog import lines_of
from crawler.bench.result import (
    PHASES,
    ArmResult,
    BenchResult,
    Distribution,
    Dropped,
    Environment,
    Errors,
    Finding,
    HistogramLine,
    Interval,
    RoundResult,
    Second,
    Speedup,
    Target,
)
from crawler.bench.sample import Sample
from crawler.bench.statistics import median_interval
from crawler.bench.verdict import findings, seed_of, speedups

BUCKETS = 256
"""Points of a curve in the file: enough for any drawing."""

MIN_TICKS = 500
"""Timers that must have been set (five seconds of measuring) before their lateness condemns an arm: with fewer the 99th
percentile is one bad moment of the machine."""

MIN_GROWTH = 1000
"""Requests of a round from which on the memory it took is told per 1,000: what a client takes for its first requests
does not grow with their number, and multiplied it would frighten."""


class Assembly:
    """Takes samples as they come and keeps what the result needs of them: memory does not grow with requests.

    Args:
        plan: What is run.
    """

    def __init__(self, plan: BenchPlan) -> None:
        self._plan = plan
        self._totals = {arm.name: Sample() for arm in plan.arms}
        self._rounds: dict[str, list[RoundResult]] = {arm.name: [] for arm in plan.arms}
        self._timelines: dict[str, list[Second]] = {arm.name: [] for arm in plan.arms}
        self._lines: list[HistogramLine] = []  # encoded at once: a few kilobytes each instead of a hundred

    @property
    def rounds(self) -> int:
        """Rounds that every arm has finished."""
        return min(len(rounds) for rounds in self._rounds.values())

    def add(self, arm: Arm, number: int, sample: Sample) -> RoundResult:
        """Take the sample of an arm's round."""
        merge(self._totals[arm.name], sample)
        summary = summarise(number, sample)
        self._rounds[arm.name].append(summary)
        self._timelines[arm.name].extend(_seconds(number, sample))
        self._lines += lines_of(arm.name, sample)
        return summary

    def result(self, environment: Environment, started_at: str, finished_at: str) -> BenchResult:
        """Make the result of what was taken so far."""
        plan = self._plan
        found = {arm.name: self._findings(arm) for arm in plan.arms}
        compared = speedups(plan, self._rounds, frozenset(name for name, hits in found.items() if hits))
        arms = tuple(self._arm(arm, compared[arm.name], found[arm.name]) for arm in plan.arms)
        return BenchResult(
            name=plan.name,
            baseline=plan.baseline,
            environment=environment,
            target=_target(plan),
            executor={name: value for name, value in asdict(plan.executor).items() if value not in (None, ())},
            rounds=self.rounds,
            seed=plan.seed,
            min_effect=plan.min_effect,
            confidence=plan.confidence,
            started_at=started_at,
            finished_at=finished_at,
            arms=arms,
            break_even=break_even(arms),
            histograms=tuple(self._lines),
        )

    def _findings(self, arm: Arm) -> tuple[Finding, ...]:
        lag = self._totals[arm.name].lag
        return findings(
            self._plan.guard, self._rounds[arm.name], lag.percentile(99) if lag.count >= MIN_TICKS else None
        )

    def _arm(self, arm: Arm, speedup: Speedup, hits: tuple[Finding, ...]) -> ArmResult:
        plan, total, rounds = self._plan, self._totals[arm.name], self._rounds[arm.name]
        response = total.response
        return ArmResult(
            name=arm.name,
            engine=arm.engine,
            client=arm.client,
            http_version=arm.http_version,
            vus=plan.executor.max_vus if plan.executor.is_open and arm.engine != "sync" else arm.vus,
            requests=total.requests,
            errors=Errors(total.failed, total.failed / max(1, total.requests), dict(sorted(total.errors.items()))),
            rate=_interval([round_.rate for round_ in rounds], plan, arm),
            response_time=distribution(response, plan.percentiles),
            cpu_per_request=total.cpu_s / total.requests if total.requests else None,
            rss_max=total.rss_max,
            speedup=speedup,
            bytes=total.bytes,
            dropped=Dropped(total.dropped, total.dropped / max(1, total.dropped + total.requests)),
            service_time=distribution(total.service if plan.executor.is_open else response, plan.percentiles),
            send_delay=distribution(total.delay, plan.percentiles),
            phases={
                name: distribution(total.phases[name], plan.percentiles) for name in PHASES if name in total.phases
            },
            cpu=median(round_.cpu for round_ in rounds) if rounds else None,
            cpu_per_1000=1000 * total.cpu_s / total.requests if total.requests else None,
            rss_per_1000=_growth(rounds),
            rss_start=total.rss_start,
            loop_lag_p99=total.lag.percentile(99),
            client_limited=bool(hits),
            findings=hits,
            rounds=tuple(rounds),
            timeline=tuple(self._timelines[arm.name]),
            streams_per_connection=arm.streams_per_connection,
            reuse=arm.reuse,
            group=arm.group,
            matrix=dict(arm.matrix),
            versions=total.versions,
        )


def merge(total: Sample, sample: Sample) -> None:
    """Add a round's sample to the total of its arm; the timeline stays behind."""
    for name in ("duration", "requests", "dropped", "bytes", "cpu_s"):
        setattr(total, name, getattr(total, name) + getattr(sample, name))
    total.rss_max, total.rss_start = max(total.rss_max, sample.rss_max), max(total.rss_start, sample.rss_start)
    for kind, count in sample.errors.items():
        total.errors[kind] = total.errors.get(kind, 0) + count
    total.response.merge(sample.response)
    total.service.merge(sample.service)
    total.delay.merge(sample.delay)
    total.lag.merge(sample.lag)
    for name, histogram in sample.phases.items():
        total.phases.setdefault(name, Histogram()).merge(histogram)
    total.versions = sample.versions


def summarise(number: int, sample: Sample) -> RoundResult:
    """Reduce a sample to the numbers of its round."""
    seconds = sample.duration or float("inf")
    p50, *others = sample.response.percentiles((50,)) + sample.response.reliable_percentiles((90, 95, 99))
    times = dict(zip(("p50", "p90", "p95", "p99"), (p50, *others), strict=True))
    return RoundResult(
        round=number,
        duration=sample.duration,
        requests=sample.requests,
        errors=sample.failed,
        dropped=sample.dropped,
        bytes=sample.bytes,
        rate=sample.succeeded / seconds,
        response_time={"mean": sample.response.mean, **times},
        cpu=sample.cpu_s / seconds,
        cpu_per_request=sample.cpu_s / sample.requests if sample.requests else None,
        rss_max=sample.rss_max,
        rss_start=sample.rss_start,
        loop_lag_p99=sample.lag.percentile(99),
    )


def distribution(histogram: Histogram, percentiles: Sequence[float]) -> Distribution:
    """Reduce a histogram to what a report shows."""
    values = histogram.reliable_percentiles(percentiles)
    return Distribution(
        count=histogram.count,
        mean=histogram.mean,
        max=histogram.max if histogram.count else None,
        percentiles={f"p{q:g}": value for q, value in zip(percentiles, values, strict=True)},
        buckets=tuple(histogram.coarse(BUCKETS)),
    )


def _interval(rates: Sequence[float], plan: BenchPlan, arm: Arm) -> Interval:
    if not any(rates):
        return Interval()
    return Interval(*median_interval(rates, plan.confidence, seed_of(plan.seed, arm.name)))


def _growth(rounds: Sequence[RoundResult]) -> float | None:
    """Memory that 1,000 requests took: what a round had at most above what it began with, over its requests."""
    long = [row for row in rounds if row.requests >= MIN_GROWTH]
    grown = [1000 * max(0, row.rss_max - row.rss_start) / row.requests for row in long]
    return median(grown) if grown else None


def _seconds(number: int, sample: Sample) -> list[Second]:
    rows = []
    for second, (requests, errors, total, longest) in enumerate(sample.timeline):
        good = requests - errors
        rows.append(
            Second(
                number,
                second,
                int(requests),
                int(errors),
                total / good if good else None,
                longest if good else None,
            )
        )
    return rows


def _target(plan: BenchPlan) -> Target:
    """What was asked, without passwords and tokens."""
    from crawler.jobs.masking import mask_text  # late: the job room brings YAML and a schema library with it

    urls = dict.fromkeys(mask_text(url) for arm in plan.arms for url in plan.urls_of(arm))
    return Target(tuple(urls), plan.request.method)

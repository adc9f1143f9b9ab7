"""What a benchmark found: `BenchResult`, and its file form `crawler.bench/1`.

`to_json()` gives what `bench_json` writes and `crawler compare` reads again with `from_json()`. Everything that a
report shows or a comparison resamples stands in here; no report measures anything. Times are seconds, rates are
successful requests per second, memory is bytes.

    BenchResult
      environment, target, executor …
      arms: ArmResult
        rate, response_time, phases, cpu_per_request, speedup …    over all rounds
        rounds: RoundResult                                        each round by itself: what a bootstrap resamples
        timeline: Second                                           what a chart over time shows
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA: Final = "crawler.bench/1"

PHASES: Final = ("queue", "dns", "connect", "tls", "send", "ttfb", "receive")
"""Parts of a request, in their order; they do not overlap."""

Verdict = Literal["baseline", "faster", "slower", "no difference", "client_limited", "too_few_rounds", "no_data"]


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution of durations.

    Attributes:
        count: Samples.
        mean, max: Seconds, exact; `None` without samples.
        percentiles: `"p50"`, `"p99.9"`, … → seconds, within 0.1 %; `None` where fewer than ten samples lie above, as
            then the value is chance.
        buckets: `(upper edge in seconds, samples up to it and above the one before)`, ascending and without empty
            ones; at most 256, for drawing.
    """

    count: int = 0
    mean: float | None = None
    max: float | None = None
    percentiles: dict[str, float | None] = field(default_factory=dict)
    buckets: tuple[tuple[float, int], ...] = ()

    def cdf(self) -> list[tuple[float, float]]:
        """Give the points of the cumulative curve: (seconds, share of samples up to there)."""
        total, points = 0, []
        for edge, count in self.buckets:
            total += count
            points.append((edge, total / self.count))
        return points


@dataclass(frozen=True, slots=True)
class Interval:
    """A median over rounds with its bootstrap confidence interval; `None` without a round that succeeded."""

    median: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Errors:
    """Failed requests: how many, their share of all, and how many of each kind (`crawler.fanout.kinds`)."""

    count: int = 0
    ratio: float = 0.0
    kinds: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Starts of the timetable that found no free virtual user, and their share of all starts."""

    count: int = 0
    ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Speedup:
    """An arm against its baseline, round by round.

    Attributes:
        ratio, low, high: How many times as fast, with confidence interval; above 1 is faster. `None` without data.
        verdict: `faster` and `slower` only if the interval excludes 1, the rank test agrees after Holm's correction
            and the difference is at least the plan's `min_effect`. `client_limited` is an arm that would be faster
            but ran into its own limits. `too_few_rounds`: fewer than five, or fewer than the correction for so many
            arms leaves anything significant with.
        p_value: Of the Mann–Whitney U test, corrected; `None` for the baseline or without data.
        metric: What was compared: `rate` for closed load; under open load the rate is given, so `response_time.p50`
            (its inverse).
        baseline: Name of the arm compared with.
        rounds_needed: With `too_few_rounds`: how many would do.
    """

    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    verdict: Verdict = "no_data"
    p_value: float | None = None
    metric: str = "rate"
    baseline: str = ""
    rounds_needed: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A guard that was hit.

    Attributes:
        guard: `loop_lag_p99`, `cpu` or `dropped_ratio`.
        value, limit: What was measured, and what was allowed.
        message: One sentence for people.
    """

    guard: str
    value: float
    limit: float
    message: str


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From how many requests at once an arm beats its baseline, where it was measured with several `vus`.

    Attributes:
        group: The arm's name without the matrix. matrix: The cells' other coordinates.
        baseline: Arm or group compared with.
        vus: The smallest number measured from which on it is faster; `None` if it is not at the highest.
        below: The highest measured that is not enough; `None` if the lowest is.
        measured: All numbers measured, ascending.
    """

    group: str
    matrix: dict[str, int | str]
    baseline: str
    vus: int | None
    below: int | None
    measured: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a threshold for one arm.

    Attributes:
        threshold: As the job says, `"async.speedup: > 2"`.
        arm: Whose number it is.
        metric: Which, as `response_time.p99`.
        operator, bound: How the number must stand to what, in the metric's unit.
        value: What was measured; `None` if it was not.
        holds: Whether it is as wanted. What was not measured is not.
    """

    threshold: str
    arm: str
    metric: str
    operator: str
    bound: float
    value: float | None
    holds: bool


@dataclass(frozen=True, slots=True)
class HistogramLine:
    """One histogram of one arm and round, as a line of a log of HdrHistogram; see `report_hlog`.

    Attributes:
        tag: `ARM/response_time`, `ARM/phase/ttfb` and so on.
        begun: Of the round: seconds since the epoch. duration: Seconds it took.
        longest: The longest sample in seconds.
        encoded: The histogram of nanoseconds, compressed, in base64.
    """

    tag: str
    begun: float
    duration: float
    longest: float
    encoded: str


@dataclass(frozen=True, slots=True)
class RoundResult:
    """One arm in one round.

    Attributes:
        round: Counted from 0; the rounds of two arms with the same number belong together.
        duration: Measured seconds.
        requests, errors, dropped, bytes: Requests that ended, failures among them, starts not made, body bytes.
        rate: Successful requests per second.
        response_time: Percentiles and `mean`, in seconds.
        cpu: CPU seconds per second. cpu_per_request: CPU seconds per request; `None` without requests.
        rss_max: Peak resident memory of the process. rss_start: The same before the client was loaded.
        loop_lag_p99: Seconds; `None` for `sync`, which waits for nothing else.
    """

    round: int
    duration: float
    requests: int
    errors: int
    dropped: int
    bytes: int
    rate: float
    response_time: dict[str, float | None]
    cpu: float
    cpu_per_request: float | None
    rss_max: int
    rss_start: int
    loop_lag_p99: float | None


@dataclass(frozen=True, slots=True)
class Second:
    """One second of one round; `mean` and `max` are response times of the successes that ended in it."""

    round: int
    second: int
    requests: int
    errors: int
    mean: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm over all rounds.

    Attributes:
        name … group: As planned; see `Arm`.
        requests, bytes: Measured ones, failures included.
        errors, dropped, rate, speedup: See their classes.
        response_time: From the intended start to the last byte, of successes. Under closed load the intended start is
            the real one, so a stalled server is asked less often while it stalls: coordinated omission.
        service_time: From the real start. send_delay: From the intended to the real start.
        phases: Phase → distribution, for clients that tell them (`crawler`); a phase that never took time is absent.
        cpu_per_request: CPU seconds of the client. cpu: CPU seconds per second.
        cpu_per_1000: CPU seconds of the client per 1,000 requests.
        rss_per_1000: Peak resident bytes above `rss_start` per 1,000 requests of a round: the median of the rounds;
            `None` if none had as many.
        rss_max: Peak resident bytes of any round.
        rss_start: Before the client was loaded: what the measuring itself takes.
        loop_lag_p99: Lateness of the client's timers over all rounds, seconds; `None` for `sync`.
        client_limited: A guard was hit, see `findings`: the client was measured rather than the server.
        versions: Of the client library, and what else it runs on.
    """

    name: str
    engine: str
    client: str
    http_version: str
    vus: int
    requests: int
    errors: Errors
    rate: Interval
    response_time: Distribution
    cpu_per_request: float | None
    rss_max: int
    speedup: Speedup
    bytes: int = 0
    dropped: Dropped = field(default_factory=Dropped)
    service_time: Distribution = field(default_factory=Distribution)
    send_delay: Distribution = field(default_factory=Distribution)
    phases: dict[str, Distribution] = field(default_factory=dict)
    cpu: float | None = None
    cpu_per_1000: float | None = None
    rss_per_1000: float | None = None
    rss_start: int = 0
    loop_lag_p99: float | None = None
    client_limited: bool = False
    findings: tuple[Finding, ...] = ()
    rounds: tuple[RoundResult, ...] = ()
    timeline: tuple[Second, ...] = ()
    streams_per_connection: int | None = None
    reuse: bool = True
    group: str = ""
    matrix: dict[str, int | str] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Environment:
    """Where it was measured; results of two machines are not comparable.

    Attributes:
        load_average: Of the last minute, before the first round; `None` where the system has none.
        nofile: Limit of open files; `None` where the system has none.
    """

    crawler: str
    python: str
    implementation: str
    platform: str
    kernel: str
    cpu: str
    cores: int
    event_loop: str
    openssl: str
    load_average: float | None = None
    nofile: int | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """What was asked: URLs without credentials, and the method."""

    urls: tuple[str, ...]
    method: str = "GET"


@dataclass(frozen=True, slots=True)
class BenchResult:
    """A finished benchmark.

    Attributes:
        baseline: As planned: name of an arm or a group.
        executor: The executor's settings by name.
        rounds: Those that every arm has finished.
        started_at, finished_at: RFC 3339, UTC.
        planned_rounds: More than `rounds` if the run was ended early; `None` if it was not.
        break_even: Of the arms that were measured with several `vus`.
        thresholds: What came of each threshold of the job, for each arm that it means.
        histograms: Every histogram of every round in full; for `report_hlog` alone, not in the document.
    """

    name: str
    baseline: str
    environment: Environment
    target: Target
    executor: dict[str, Any]
    rounds: int
    seed: int
    min_effect: float
    confidence: float
    started_at: str
    finished_at: str
    arms: tuple[ArmResult, ...]
    planned_rounds: int | None = None
    break_even: tuple[BreakEven, ...] = ()
    thresholds: tuple[Outcome, ...] = ()
    histograms: tuple[HistogramLine, ...] = ()

    @property
    def breaches(self) -> tuple[Outcome, ...]:
        """Thresholds that do not hold."""
        return tuple(outcome for outcome in self.thresholds if not outcome.holds)

    @property
    def is_partial(self) -> bool:
        """Whether it was ended early."""
        return self.planned_rounds is not None and self.planned_rounds > self.rounds

    def to_json(self) -> dict[str, Any]:
        """Give the document of schema `crawler.bench/1`, ready for any JSON writer."""
        document = asdict(replace(self, histograms=()))
        del document["histograms"]
        for arm in document["arms"]:
            for key, value in _distributions(arm):
                key_of, name = key
                key_of[name] = {**value.pop("percentiles"), **value}
        return {"schema": SCHEMA, **document}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> BenchResult:
        """Read what `to_json` gave; keys of later versions are passed over.

        Raises:
            ValueError: It is no such document, or one of another schema.
        """
        if document.get("schema") != SCHEMA:
            raise ValueError(f"This is no result of a benchmark: schema {document.get('schema')!r}, not {SCHEMA!r}.")
        arms = []
        for row in document.get("arms", ()):
            arm = {**row, "phases": dict(row.get("phases", {}))}
            for (key_of, name), value in _distributions(arm):
                percentiles = {key: number for key, number in value.items() if key[:1] == "p" and key[1:2].isdigit()}
                key_of[name] = {**value, "percentiles": percentiles}
            arms.append(arm)
        return _adapter().validate_python({**document, "arms": arms})

    def arm(self, name: str) -> ArmResult:
        """Give an arm by its name; `KeyError` without one."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise KeyError(name)


def _distributions(arm: dict[str, Any]) -> list[tuple[tuple[dict[str, Any], str], dict[str, Any]]]:
    """Find the distributions of an arm's document: where each stands, and what stands there."""
    places = [(arm, name) for name in ("response_time", "service_time", "send_delay") if name in arm]
    places += [(arm["phases"], name) for name in arm["phases"]]
    return [((holder, name), holder[name]) for holder, name in places]


@cache
def _adapter() -> TypeAdapter[BenchResult]:
    from pydantic import TypeAdapter  # late: a worker never reads results, and pydantic is 10 MiB of its memory

    return TypeAdapter(BenchResult)


ARM_FIELDS: Final = tuple(item.name for item in fields(ArmResult))
"""Names of what an arm has, in the order of the file."""

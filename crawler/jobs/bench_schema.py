"""The keys of `bench` in a job of `kind: bench`, as pydantic models.

What can be told of one value stands here; what needs several stands in `bench_rules`; whether a library can be driven
the way an arm wants is known by the room `bench` alone.
"""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, Field

from crawler.jobs import units
from crawler.jobs.fields import (
    Bool,
    Duration,
    Limit,
    LimitOrNull,
    OneOrMany,
    Rate,
    RateOrNull,
    Ratio,
    RatioOrNull,
    Reader,
    Text,
    choice,
    loosen,
    number,
    show,
    text,
    whole,
)
from crawler.jobs.section import SECTION

ARM_PATTERN: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}"

EngineName = Literal["sync", "threads", "async", "engine"]
ClientName = Literal["crawler", "httpx", "httpx2", "aiohttp", "requests", "pyreqwest", "niquests", "curl_cffi"]
VersionName = Literal["1.1", "2"]


def _parse_warmup(value: object) -> int | float:
    """A whole number is a number of requests, a duration with its unit is a time."""
    got = loosen(value)
    if isinstance(got, int) and not isinstance(got, bool):
        if got < 0:
            raise ValueError(f"must be at least 0, not {got}")
        return got
    if not isinstance(got, str):
        raise ValueError(f"expected a number of requests like 200 or a duration like 5s, not {show(got)}")
    return float(units.parse_duration(got))


def _parse_percentile(value: object) -> float:
    got = loosen(value)
    if isinstance(got, bool) or not isinstance(got, int | float) or not 0 < got < 100:
        raise ValueError(f"expected a number between 0 and 100 like 99.9, not {show(got)}")
    return float(got)


def _check_confidence(ratio: float) -> float:
    if not 0.5 <= ratio < 1:
        raise ValueError(f"must be at least 0.5 and below 1, not {ratio:g}")
    return ratio


_Version = choice("1.1", "2")
_Vus = whole(1, 10_000)
_Streams = whole(1, 10_000)


class Section(BaseModel):
    """Any mapping below `bench`: unknown keys are refused."""

    model_config = SECTION


class BenchArm(Section):
    """One way of sending the requests."""

    name: Annotated[str, text(63, ARM_PATTERN, "an arm's name is made of A-Z a-z 0-9 . _ -")]
    """Unique; stands in the report and in `thresholds`."""
    engine: Annotated[EngineName, choice("sync", "threads", "async", "engine")] = "async"
    """One after the other, a pool of threads, tasks of one event loop, or crawler's own fan-out engine."""
    client: Annotated[
        ClientName,
        choice("crawler", "httpx", "httpx2", "aiohttp", "requests", "pyreqwest", "niquests", "curl_cffi"),
    ] = "crawler"
    """Whose client sends them; all but `crawler` come with the extra `peers`."""
    http_version: Annotated[VersionName | None, _Version] = None
    """The only one offered, in quotes; default `"1.1"`."""
    vus: Annotated[int | None, _Vus] = None
    """Virtual users: requests in flight at most; default of `bench.matrix`, or 64. `sync` has one."""
    streams_per_connection: Annotated[int | None, _Streams] = None
    """Most requests at once on an HTTP/2 connection."""
    reuse: Bool = True
    """false: a new client and connection for each request, as a loop of `get()` has."""
    url: Text | None = None
    """Sent to instead of the job's URLs."""


class BenchMatrix(Section):
    """Values that every arm without an own one is measured with; several keys are multiplied."""

    vus: Annotated[list[Annotated[int, _Vus]], OneOrMany()] = []
    """Virtual users."""
    http_version: Annotated[list[Annotated[VersionName, _Version]], OneOrMany()] = []
    """In quotes."""
    streams_per_connection: Annotated[list[Annotated[int, _Streams]], OneOrMany()] = []
    """For arms of HTTP/2."""


class BenchStage(Section):
    """One leg of a ramp."""

    rate: Rate
    """The rate at its end, like 100/s; the ramp begins at zero."""
    for_: Annotated[Limit, Field(alias="for")]
    """How long it takes."""


class BenchGuard(Section):
    """Beyond these the client was measured and not the server; null switches one off."""

    loop_lag_p99: LimitOrNull = 0.010
    """How late a timer of the client's event loop was."""
    cpu: Annotated[float | None, number(0.01).or_null()] = 0.9
    """CPU seconds of the client per second."""
    dropped_ratio: RatioOrNull = 0.001
    """Starts that found no free virtual user."""


class Bench(Section):
    """What a benchmark measures, and how."""

    executor: Annotated[
        Literal["closed", "constant_rate", "ramping_rate"], choice("closed", "constant_rate", "ramping_rate")
    ] = "closed"
    """`closed`: the next request when the last is answered; the others start by a timetable, whatever the answers."""
    arms: Annotated[list[BenchArm], Field(min_length=1)] | None = None
    """What is compared; default: sync, threads and async over HTTP/1.1."""
    matrix: BenchMatrix = BenchMatrix()
    requests: Annotated[int | None, whole(1).or_null()] = None
    """Measured requests per arm and round; this or `duration`."""
    duration: LimitOrNull = None
    """Measured time per arm and round; default 30s unless `requests` is given."""
    warmup: Annotated[
        int | float | None,
        Reader(
            _parse_warmup,
            {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": units.DURATION_PATTERN}]},
        ),
    ] = None
    """Before each round, not counted: a number of requests, or a time with its unit. Default 5s; with `requests` a
    tenth of them."""
    rounds: Annotated[int, whole(1, 1000)] = 10
    """Each arm runs once per round; below 5 there is no verdict."""
    order: Annotated[Literal["shuffled", "listed"], choice("shuffled", "listed")] = "shuffled"
    """Order of the arms within a round."""
    seed: Annotated[int | None, whole(0, 2**63 - 1)] = None
    """Of the shuffling and the statistics; default random, and recorded."""
    cooldown: Duration = 2.0
    """Silence between two arms."""
    baseline: Annotated[str | None, text(200)] = None
    """Arm that the others are compared with; default the first."""
    rate: RateOrNull = None
    """Of `constant_rate`: starts per second, like 500/s."""
    stages: list[BenchStage] = []
    """Of `ramping_rate`: the legs."""
    max_vus: Annotated[int, whole(1, 10_000)] = 1000
    """Of the open executors: requests in flight at most; starts above are dropped and counted."""
    min_effect: Ratio = 0.05
    """Smaller differences are no difference."""
    confidence: Annotated[Ratio, AfterValidator(_check_confidence)] = 0.95
    """Of all intervals."""
    percentiles: Annotated[
        list[
            Annotated[
                float, Reader(_parse_percentile, {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 100})
            ]
        ],
        OneOrMany(),
        Field(min_length=1, max_length=20),
    ] = [50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99]
    """Those reported."""
    guard: BenchGuard = BenchGuard()

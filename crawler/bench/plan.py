"""What a benchmark is told: arms, load, rounds, guards. Values only.

    BenchPlan ─▶ BenchRun(plan).execute() ─▶ BenchResult

Whoever reads a job file or a command line makes one of these; the run reads it and hands each worker process its part
as JSON (`to_json`, `from_json`). Durations are seconds, rates are requests per second, `None` means "no limit". What
cannot be run is refused here, when the plan is made, and not after ten minutes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

Engine = Literal["sync", "threads", "async", "engine"]
Client = Literal["crawler", "httpx", "httpx2", "aiohttp", "requests", "pyreqwest", "niquests", "curl_cffi"]
HTTPVersion = Literal["1.1", "2"]
Order = Literal["shuffled", "listed"]

_BLOCKING: Final = frozenset({"sync", "threads"})
_ASYNC: Final = frozenset({"async"})
_H1: Final = frozenset({"1.1"})
_H1_H2: Final = frozenset({"1.1", "2"})

SUPPORT: Final[dict[str, tuple[frozenset[str], frozenset[str]]]] = {
    "crawler": (_BLOCKING | _ASYNC | {"engine"}, _H1_H2),
    "httpx": (_BLOCKING | _ASYNC, _H1_H2),
    "httpx2": (_BLOCKING | _ASYNC, _H1_H2),
    "aiohttp": (_ASYNC, _H1),
    "requests": (_BLOCKING, _H1),
    "pyreqwest": (_BLOCKING | _ASYNC, _H1_H2),
    "niquests": (_BLOCKING | _ASYNC, _H1_H2),
    "curl_cffi": (_BLOCKING | _ASYNC, _H1_H2),
}
"""Client → the engines it can be driven by and the HTTP versions it speaks."""

PERCENTILES: Final = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)
"""Those of every report, unless the plan says otherwise."""

MIN_ROUNDS: Final = 5
"""Fewer rounds than this give no verdict."""

MAX_ARMS: Final = 64
"""A plan with more cells than this would run for hours and compare noise."""


class PlanError(ValueError):
    """The plan cannot be run as it is; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of sending the requests.

    Attributes:
        name: Unique in the plan; a cell of a matrix has it in brackets: `async_h1[vus=64]`.
        engine: `sync` sends one after the other, `threads` from a pool of threads, `async` from tasks of one event
            loop, `engine` through `crawler.as_completed`.
        client: Whose client sends them; all but `crawler` come with the extra `peers`.
        http_version: The only one offered; a response in another one ends the benchmark.
        vus: Virtual users: how many requests are in flight at most, under the closed executor. `sync` has one.
        streams_per_connection: Most requests at once on an HTTP/2 connection; `None` leaves it to the client.
        reuse: Keep connections; if false, each request has a client and a connection of its own, as a loop of
            `get()` does.
        url: Sent to instead of the plan's `urls`.
        group: Name without the brackets; empty means `name`.
        matrix: The cell's coordinates, such as `(("vus", 64),)`.
    """

    name: str
    engine: Engine = "async"
    client: Client = "crawler"
    http_version: HTTPVersion = "1.1"
    vus: int = 1
    streams_per_connection: int | None = None
    reuse: bool = True
    url: str | None = None
    group: str = ""
    matrix: tuple[tuple[str, int | str], ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            raise PlanError("An arm needs a name.")
        if not self.group:
            object.__setattr__(self, "group", self.name)
        if self.client not in SUPPORT:
            raise PlanError(f"Arm {self.name!r}: unknown client {self.client!r}; there are {', '.join(SUPPORT)}.")
        engines, versions = SUPPORT[self.client]
        if self.engine not in engines:
            raise PlanError(f"Arm {self.name!r}: {self.client} runs with engine {' or '.join(sorted(engines))}.")
        if self.http_version not in versions:
            raise PlanError(f"Arm {self.name!r}: {self.client} speaks HTTP/{' and HTTP/'.join(sorted(versions))} only.")
        if self.vus < 1 or (self.engine == "sync" and self.vus != 1):
            raise PlanError(f"Arm {self.name!r}: vus must be {'1' if self.engine == 'sync' else 'at least 1'}.")
        self._check_options()

    def _check_options(self) -> None:
        if self.engine == "engine" and not self.reuse:
            raise PlanError(f"Arm {self.name!r}: the engine always keeps connections; leave `reuse` out.")
        if self.streams_per_connection is None:
            return
        if self.http_version != "2" or self.engine == "engine" or self.streams_per_connection < 1:
            raise PlanError(f"Arm {self.name!r}: `streams_per_connection` is a number above 0, for HTTP/2 clients.")


@dataclass(frozen=True, slots=True)
class Stage:
    """One leg of a ramp: the rate goes evenly from where it was to `rate` within `duration` seconds."""

    rate: float
    duration: float


@dataclass(frozen=True, slots=True)
class Executor:
    """How requests are started in each round.

    Attributes:
        kind: `closed`: each virtual user sends its next request when the last one is answered. `constant_rate`,
            `ramping_rate`: requests start at instants computed up front, whatever the answers do.
        requests: Closed: measured requests per round, over all users. Either this or `duration`.
        duration: Closed and constant rate: measured seconds per round.
        rate: Constant rate: starts per second.
        stages: Ramping rate: the legs, beginning at a rate of zero.
        max_vus: Open executors: requests in flight at most; a start that finds all busy is dropped and counted.
    """

    kind: Literal["closed", "constant_rate", "ramping_rate"] = "closed"
    requests: int | None = None
    duration: float | None = None
    rate: float | None = None
    stages: tuple[Stage, ...] = ()
    max_vus: int = 1000

    def __post_init__(self) -> None:
        wanted = {"closed": "", "constant_rate": "rate", "ramping_rate": "stages"}[self.kind]
        if self.kind == "closed" and (self.requests is None) == (self.duration is None):
            raise PlanError("A closed executor needs either `requests` or `duration`.")
        if self.kind != "closed" and self.requests is not None:
            raise PlanError(f"`requests` is for the closed executor, not for {self.kind}.")
        if (self.kind == "constant_rate") != (self.rate is not None) or (self.kind == "ramping_rate") != bool(
            self.stages
        ):
            raise PlanError(
                f"The executor {self.kind} takes {f'`{wanted}`' if wanted else 'neither `rate` nor `stages`'}."
            )
        if self.kind == "constant_rate" and self.duration is None:
            raise PlanError("The executor constant_rate needs a `duration`.")
        if self.kind == "ramping_rate" and self.duration is not None:
            raise PlanError("The stages of a ramp have their own durations; leave `duration` out.")
        amounts = (self.requests, self.duration, self.rate, self.max_vus)
        if any(amount is not None and amount <= 0 for amount in amounts):
            raise PlanError("Requests, durations, rates and max_vus must be above 0.")
        if any(stage.duration <= 0 or stage.rate < 0 for stage in self.stages):
            raise PlanError("A stage needs a duration above 0 and a rate that is not negative.")

    @property
    def is_open(self) -> bool:
        """Whether starts follow a timetable instead of the answers."""
        return self.kind != "closed"

    @property
    def seconds(self) -> float | None:
        """Measured seconds per round, where that is known up front."""
        return sum(stage.duration for stage in self.stages) if self.stages else self.duration

    @property
    def peak_rate(self) -> float | None:
        """The highest rate it asks for; `None` for a closed one, which goes as fast as it can."""
        return max(stage.rate for stage in self.stages) if self.stages else self.rate


@dataclass(frozen=True, slots=True)
class Guard:
    """Limits beyond which the client, not the server, was measured; `None` switches one off.

    Attributes:
        loop_lag_p99: Seconds by which a timer of the client's event loop (or threads) was late, 99th percentile.
        cpu: CPU seconds of the client per second, in one process; 1.0 is one core.
        dropped_ratio: Share of the timetable's starts that found no free virtual user.
    """

    loop_lag_p99: float | None = 0.010
    cpu: float | None = 0.9
    dropped_ratio: float | None = 0.001


@dataclass(frozen=True, slots=True)
class RequestSpec:
    """The request that every arm sends, and what a good answer is.

    Attributes:
        method, headers, body: As sent; `headers` in order.
        timeout: Seconds until a request counts as failed.
        status: Statuses that count as success; empty means all below 400. Redirects are not followed.
        size_bytes: Length a good body has after decoding; `None` takes any.
    """

    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    timeout: float = 30.0
    status: tuple[int, ...] = ()
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class TLS:
    """Trust: check certificates or not, and a PEM file of authorities instead of the system's."""

    verify: bool = True
    ca_file: str | None = None


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """A whole benchmark.

    Attributes:
        urls: Requested in turn, by every arm in the same order.
        arms: What is compared; a matrix is already multiplied out.
        executor: How requests are started.
        name: Of the job; titles the report.
        warmup_requests, warmup_s: Sent before each round and thrown away; at most one of the two.
        rounds: Each arm runs once per round, in a new process; at least `MIN_ROUNDS` for a verdict.
        order: Of the arms within a round.
        seed: Shuffles the rounds and resamples; recorded, so that a run can be repeated.
        cooldown: Seconds of silence between two arms.
        baseline: Name of the arm that the others are compared with; with a matrix also a group, then each cell is
            compared with that group's cell at the same coordinates. Empty means the first arm.
        min_effect: Smaller differences than this share are no difference.
        confidence: Of all intervals.
        percentiles: Reported ones.
        guard: See `Guard`.
        request: See `RequestSpec`.
        tls: See `TLS`.
        is_owned: The operator says that the hosts are theirs to load; see `crawler.bench.targets`.
    """

    urls: tuple[str, ...]
    arms: tuple[Arm, ...]
    executor: Executor
    name: str = "bench"
    warmup_requests: int = 0
    warmup_s: float = 0.0
    rounds: int = 10
    order: Order = "shuffled"
    seed: int = 0
    cooldown: float = 0.0
    baseline: str = ""
    min_effect: float = 0.05
    confidence: float = 0.95
    percentiles: tuple[float, ...] = PERCENTILES
    guard: Guard = field(default_factory=Guard)
    request: RequestSpec = field(default_factory=RequestSpec)
    tls: TLS = field(default_factory=TLS)
    is_owned: bool = False

    def __post_init__(self) -> None:
        if not self.arms or len(self.arms) > MAX_ARMS:
            raise PlanError(f"A benchmark has 1 to {MAX_ARMS} arms (cells of the matrix), not {len(self.arms)}.")
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise PlanError(f"Each arm needs a name of its own: {', '.join(names)}.")
        if not self.urls and not all(arm.url for arm in self.arms):
            raise PlanError("A benchmark needs at least one URL.")
        if self.warmup_requests and self.warmup_s:
            raise PlanError("A warm-up is a number of requests or a time, not both.")
        if self.warmup_requests < 0 or self.warmup_s < 0 or self.cooldown < 0 or self.rounds < 1:
            raise PlanError("`rounds` must be at least 1; warm-up and cooldown must not be negative.")
        if not 0 < self.confidence < 1 or self.min_effect < 0:
            raise PlanError("`confidence` lies between 0 and 1; `min_effect` is not negative.")
        if self.executor.is_open and any(arm.engine == "engine" for arm in self.arms):
            raise PlanError("The engine paces itself: measure it with the closed executor.")
        if not self.baseline:
            object.__setattr__(self, "baseline", self.arms[0].name)
        for arm in self.arms:
            self.baseline_of(arm)

    def baseline_of(self, arm: Arm) -> Arm:
        """Give the arm that `arm` is compared with; possibly itself.

        Raises:
            PlanError: The baseline names no arm, or a group without a cell at these coordinates.
        """
        for other in self.arms:
            if other.name == self.baseline:
                return other
        for other in self.arms:
            if other.group == self.baseline and other.matrix == arm.matrix:
                return other
        raise PlanError(f"The baseline {self.baseline!r} has no arm to compare {arm.name!r} with.")

    def urls_of(self, arm: Arm) -> tuple[str, ...]:
        """Give the URLs that an arm requests in turn."""
        return (arm.url,) if arm.url else self.urls

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON-ready values, body as latin-1 text; `from_json` reads them."""
        document = asdict(self)
        body = self.request.body
        document["request"]["body"] = None if body is None else body.decode("latin-1")
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> BenchPlan:
        """Make the plan that `to_json` gave. By hand: a worker must not pay for a schema library in its memory."""
        executor, request, body = document["executor"], document["request"], document["request"]["body"]
        stages = tuple(Stage(**stage) for stage in executor["stages"])
        return cls(
            **{
                **document,
                "urls": tuple(document["urls"]),
                "percentiles": tuple(document["percentiles"]),
                "arms": tuple(Arm(**{**arm, "matrix": _pairs(arm["matrix"])}) for arm in document["arms"]),
                "executor": Executor(**{**executor, "stages": stages}),
                "guard": Guard(**document["guard"]),
                "tls": TLS(**document["tls"]),
                "request": RequestSpec(
                    **{
                        **request,
                        "headers": _pairs(request["headers"]),
                        "status": tuple(request["status"]),
                        "body": None if body is None else body.encode("latin-1"),
                    }
                ),
            }
        )


def _pairs(rows: Iterable[Iterable[Any]]) -> tuple[Any, ...]:
    return tuple(tuple(row) for row in rows)

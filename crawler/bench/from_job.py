"""A job of `kind: bench` as the plan of a benchmark.

The room `jobs` reads the file and knows nothing of benchmarks but their keys; what can be run is judged by `BenchPlan`.
"""

from __future__ import annotations

import math

from crawler.bench.plan import TLS, Arm, BenchPlan, Executor, Guard, RequestSpec, Stage
from crawler.jobs.bench_cells import Cell
from crawler.jobs.bench_job import BenchJob
from crawler.jobs.bench_schema import Bench

DEFAULT_DURATION_S = 30.0
DEFAULT_WARMUP_S = 5.0


def plan_from_job(job: BenchJob, *, is_owned: bool = False) -> BenchPlan:
    """Make the plan.

    Args:
        job: As the job file says.
        is_owned: The operator says that the hosts are theirs to load.

    Raises:
        PlanError: It cannot be run as it is, for example because a client does not speak HTTP/2.
    """
    settings = job.settings
    requests, seconds = _warmup(settings)
    return BenchPlan(
        urls=job.urls,
        arms=tuple(_arm(cell) for cell in job.cells),
        executor=_executor(settings),
        name=job.name,
        warmup_requests=requests,
        warmup_s=seconds,
        rounds=settings.rounds,
        order=settings.order,
        seed=job.seed,
        cooldown=settings.cooldown,
        baseline=settings.baseline or "",
        min_effect=settings.min_effect,
        confidence=settings.confidence,
        percentiles=tuple(sorted(set(settings.percentiles))),
        guard=Guard(
            loop_lag_p99=settings.guard.loop_lag_p99,
            cpu=settings.guard.cpu,
            dropped_ratio=settings.guard.dropped_ratio,
        ),
        request=RequestSpec(method=job.method, headers=job.headers, body=job.body, timeout=job.timeout_s),
        tls=TLS(verify=job.verify, ca_file=str(job.ca_file.resolve()) if job.ca_file is not None else None),
        is_owned=is_owned,
    )


def _arm(cell: Cell) -> Arm:
    return Arm(
        name=cell.name,
        engine=cell.engine,
        client=cell.client,
        http_version=cell.http_version,
        vus=cell.vus,
        streams_per_connection=cell.streams_per_connection,
        reuse=cell.reuse,
        url=cell.url,
        group=cell.group,
        matrix=cell.coordinates,
    )


def _executor(settings: Bench) -> Executor:
    duration = settings.duration
    if settings.requests is None and duration is None and settings.executor != "ramping_rate":
        duration = DEFAULT_DURATION_S
    return Executor(
        kind=settings.executor,
        requests=settings.requests,
        duration=duration,
        rate=settings.rate,
        stages=tuple(Stage(stage.rate, stage.for_) for stage in settings.stages),
        max_vus=settings.max_vus,
    )


def _warmup(settings: Bench) -> tuple[int, float]:
    """The warm-up as a number of requests and as seconds; one of them is 0."""
    if settings.warmup is None:
        return (math.ceil(settings.requests / 10), 0.0) if settings.requests is not None else (0, DEFAULT_WARMUP_S)
    if isinstance(settings.warmup, int):
        return settings.warmup, 0.0
    return 0, settings.warmup

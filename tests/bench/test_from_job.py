from __future__ import annotations

from pathlib import Path

import pytest

from crawler.bench import Guard, PlanError, Stage
from crawler.bench.from_job import plan_from_job
from crawler.bench.plan import BenchPlan
from crawler.jobs import load_job


def plan_of(folder: Path, text: str) -> BenchPlan:
    """The plan of a job's text."""
    (folder / "job.yaml").write_text("kind: bench\nurls: [http://127.0.0.1:1/]\n" + text)
    return plan_from_job(load_job(folder / "job.yaml").bench_job())


def test_defaults(tmp_path: Path) -> None:
    """A job of URLs alone has the format's defaults."""
    plan = plan_of(tmp_path, "")
    assert [(arm.name, arm.engine, arm.vus) for arm in plan.arms] == [
        ("sync", "sync", 1),
        ("threads", "threads", 64),
        ("async", "async", 64),
    ]
    assert (plan.executor.kind, plan.executor.duration) == ("closed", 30)
    assert plan.executor.requests is None
    assert (plan.warmup_requests, plan.warmup_s, plan.rounds, plan.cooldown) == (0, 5.0, 10, 2.0)
    assert (plan.order, plan.baseline, plan.min_effect, plan.confidence) == ("shuffled", "sync", 0.05, 0.95)
    assert plan.guard == Guard()
    assert list(plan.percentiles) == [50, 75, 90, 95, 99, 99.9, 99.99]
    assert plan.is_owned is False


def test_every_key_reaches_the_plan(tmp_path: Path) -> None:
    """Closed load with a matrix, and everything else changed from its default."""
    (tmp_path / "ca.pem").touch()
    plan = plan_of(
        tmp_path,
        """
name: all
request: {method: POST, body: x, headers: {X-A: b}, user_agent: me}
timeout: {total: 3s}
tls: {ca_file: ca.pem}
bench:
  arms:
    - {name: s, engine: sync, client: requests, reuse: false}
    - {name: a, http_version: "2", streams_per_connection: 7, url: "https://127.0.0.1/"}
  matrix: {vus: [2, 4]}
  requests: 50
  rounds: 3
  order: listed
  seed: 9
  cooldown: 0s
  baseline: a[vus=2]
  min_effect: 1%
  confidence: 0.9
  percentiles: [99, 50, 99]
  guard: {cpu: null, loop_lag_p99: 1s, dropped_ratio: 5%}
""",
    )
    assert [(arm.name, arm.group, arm.vus, arm.matrix) for arm in plan.arms] == [
        ("s", "s", 1, ()),
        ("a[vus=2]", "a", 2, (("vus", 2),)),
        ("a[vus=4]", "a", 4, (("vus", 4),)),
    ]
    first, second, _ = plan.arms
    assert (first.client, first.reuse) == ("requests", False)
    assert (second.http_version, second.streams_per_connection, second.url) == ("2", 7, "https://127.0.0.1/")
    assert (plan.executor.requests, plan.executor.duration, plan.warmup_requests, plan.warmup_s) == (50, None, 5, 0)
    assert (plan.name, plan.rounds, plan.order, plan.seed, plan.cooldown) == ("all", 3, "listed", 9, 0)
    assert (plan.baseline, plan.min_effect, plan.confidence, plan.percentiles) == ("a[vus=2]", 0.01, 0.9, (50, 99))
    assert (plan.guard.cpu, plan.guard.loop_lag_p99, plan.guard.dropped_ratio) == (None, 1, 0.05)
    assert (plan.request.method, plan.request.body, plan.request.timeout) == ("POST", b"x", 3)
    assert ("X-A", "b") in plan.request.headers
    assert ("User-Agent", "me") in plan.request.headers
    assert plan.tls.ca_file == str((tmp_path / "ca.pem").resolve())


def test_open_load(tmp_path: Path) -> None:
    """Rates are per second whatever their unit was; a ramp has its own durations."""
    constant = plan_of(tmp_path, "bench: {executor: constant_rate, rate: 30/m, duration: 4s, warmup: 2s, max_vus: 9}")
    assert (constant.executor.rate, constant.executor.duration, constant.executor.max_vus) == (0.5, 4, 9)
    assert (constant.warmup_requests, constant.warmup_s) == (0, 2)
    ramp = plan_of(tmp_path, "bench: {executor: ramping_rate, stages: [{rate: 9/s, for: 1m}], warmup: 3}")
    assert ramp.executor.stages == (Stage(9, 60),)
    assert (ramp.warmup_requests, ramp.warmup_s) == (3, 0)


def test_what_cannot_be_run_is_refused(tmp_path: Path) -> None:
    """Whether a library can be driven so is known by the plan."""
    with pytest.raises(PlanError, match=r"aiohttp speaks HTTP/1\.1 only"):
        plan_of(tmp_path, 'bench: {arms: [{name: a, client: aiohttp, http_version: "2"}]}')

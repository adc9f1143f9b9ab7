"""Short real benchmarks against the testbed; nothing here looks at how long anything took."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crawler.bench import (
    TLS,
    Arm,
    BenchError,
    BenchPlan,
    BenchResult,
    BenchRun,
    Executor,
    LiveStats,
    RequestSpec,
    Stage,
)
from crawler.bench.process import run_round
from crawler.testbed import Testbed

FEW = Executor(requests=12)


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    with Testbed(tls=True) as bed:
        yield bed


@pytest.fixture
def tls(bed: Testbed, tmp_path: Path) -> TLS:
    path = tmp_path / "ca.pem"
    path.write_text(bed.ca_pem)
    return TLS(ca_file=str(path))


def run(urls: tuple[str, ...], arms: tuple[Arm, ...], executor: Executor = FEW, **more: Any) -> BenchResult:
    return BenchRun(BenchPlan(urls, arms, executor, **{"rounds": 1, **more})).execute()


def test_every_engine_makes_the_requests_it_is_told(bed: Testbed, tls: TLS) -> None:
    """Sync, threads, async over HTTP/1.1 and HTTP/2, the engine; and without reuse of connections."""
    arms = (
        Arm("sync", engine="sync"),
        Arm("fresh", engine="sync", reuse=False),
        Arm("threads", engine="threads", vus=3),
        Arm("async", vus=3),
        Arm("h2", vus=4, http_version="2", streams_per_connection=2),
        Arm("h2 threads", engine="threads", vus=2, http_version="2"),
        Arm("engine", engine="engine", vus=3),
    )
    result = run((bed.tls_url + "/bytes/100", bed.tls_url + "/bytes/200"), arms, tls=tls, warmup_requests=2)
    for arm in result.arms:
        assert (arm.requests, arm.errors.kinds, arm.bytes) == (12, {}, 1800), arm.name
        assert arm.response_time.count == 12
        assert arm.rate.median
        assert arm.rss_max > 2**20
        assert arm.phases["ttfb"].count == 12
        assert "crawler" in arm.versions
    assert result.arm("fresh").phases["connect"].count == 12
    assert result.arm("engine").phases["queue"].count == 12
    assert "connect" not in result.arm("sync").phases
    assert result.arm("sync").loop_lag_p99 is None


@pytest.mark.parametrize(
    ("client", "engine", "http_version"),
    [
        ("httpx", "async", "2"),
        ("httpx", "sync", "1.1"),
        ("httpx2", "async", "1.1"),
        ("aiohttp", "async", "1.1"),
        ("requests", "threads", "1.1"),
        ("pyreqwest", "async", "2"),
        ("pyreqwest", "threads", "1.1"),
        ("curl_cffi", "async", "2"),
        ("curl_cffi", "threads", "1.1"),
    ],
)
def test_every_peer_sends_the_same_request(bed: Testbed, tls: TLS, client: Any, engine: Any, http_version: Any) -> None:
    """With method, header and body, in the version asked for, to a server it trusts by the plan's authority."""
    pytest.importorskip("pyreqwest.client" if client == "pyreqwest" else client)
    spec = RequestSpec("POST", (("X-Marked", "yes"),), b"payload", status=(200,))
    arm = Arm(client, engine=engine, client=client, http_version=http_version, vus=1 if engine == "sync" else 2)
    found = run((bed.tls_url + "/anything",), (arm,), Executor(requests=4), tls=tls, request=spec).arms[0]
    assert (found.requests, found.errors.kinds) == (4, {})
    assert found.bytes > 100


def test_an_open_load_starts_what_the_timetable_says(bed: Testbed) -> None:
    """With room for all, every start is made, by tasks and by threads, and each has its three times."""
    arms = (Arm("tasks"), Arm("threads", engine="threads"))
    executor = Executor("constant_rate", rate=40, duration=0.5, max_vus=20)
    for arm in run((bed.url + "/get",), arms, executor, warmup_requests=2).arms:
        assert (arm.requests, arm.dropped.count, arm.errors.count) == (20, 0, 0)
        assert arm.vus == 20
        assert arm.service_time.count == arm.send_delay.count == arm.response_time.count == 20


def test_starts_that_find_all_users_busy_are_dropped(bed: Testbed) -> None:
    """One user, answers that take longer than all starts: the first is made, the others are counted."""
    arms = (Arm("tasks"), Arm("threads", engine="threads"), Arm("sync", engine="sync"))
    executor = Executor("ramping_rate", stages=(Stage(200, 0.1), Stage(200, 0.05)), max_vus=1)
    for arm in run((bed.url + "/delay/1",), arms, executor).arms:
        assert (arm.requests, arm.dropped.count, arm.errors.count) == (1, 19, 0), arm.name
        assert arm.dropped.ratio == 0.95
        assert [found.guard for found in arm.findings] == ["dropped_ratio"]
        assert arm.client_limited


def test_a_closed_load_ends_by_time(bed: Testbed) -> None:
    """Every user finishes what it began."""
    (arm,) = run((bed.url + "/get",), (Arm("a", vus=2),), Executor(duration=0.2), warmup_s=0.05).arms
    assert arm.requests == arm.response_time.count > 0


def test_failures_are_counted_and_are_no_successes(bed: Testbed) -> None:
    """An arm whose requests all fail has errors by kind, no rate, and no verdict."""
    arms = (Arm("good"), Arm("bad", url=bed.url + "/status/503"), Arm("gone", url="http://127.0.0.1:9/"))
    result = run((bed.url + "/get",), arms, Executor(requests=3))
    assert result.arm("bad").errors.kinds == {"http_5xx": 3}
    assert result.arm("gone").errors.kinds == {"connect_refused": 3}
    assert result.arm("bad").rate.median is None
    assert result.arm("bad").speedup.verdict == "no_data"
    assert result.arm("bad").errors.ratio == 1.0


def test_order_is_shuffled_by_the_seed(bed: Testbed) -> None:
    """The same seed gives the same order of arms, every round has each arm once, and progress says where it is."""
    arms = tuple(Arm(name, engine="sync") for name in "abc")

    def order(seed: int) -> list[tuple[int, str]]:
        seen: list[LiveStats] = []
        plan = BenchPlan((bed.url + "/get",), arms, Executor(requests=1), rounds=2, seed=seed)
        BenchRun(plan, seen.append).execute()
        assert [stats.step for stats in seen if stats.phase == "done"] == [1, 2, 3, 4, 5, 6]
        return [(stats.round, stats.arm) for stats in seen if stats.phase == "start"]

    first = order(1)
    assert first == order(1)
    assert sorted(first) == [(number, name) for number in (0, 1) for name in "abc"]


def test_a_stopped_run_gives_whole_rounds(bed: Testbed) -> None:
    """Stopped in the second round, the first is the result; stopped in the first, there is none."""
    plan = BenchPlan((bed.url + "/get",), (Arm("a"), Arm("b")), FEW, rounds=3, order="listed")

    def until(step: int) -> BenchRun:
        running = BenchRun(plan, lambda stats: running.stop() if stats.step == step else None)
        return running

    assert until(2).execute().rounds == 1
    with pytest.raises(BenchError, match="stopped before"):
        until(1).execute()


def test_a_worker_that_dies_is_told_about(bed: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its status, and the last it said."""
    monkeypatch.setattr("sys.executable", "/bin/false")
    plan = BenchPlan((bed.url + "/get",), (Arm("a"),), FEW)
    with pytest.raises(BenchError, match="'a' ended") as caught:
        run_round(plan, 0, lambda message: None, lambda: False, is_live=False)
    assert caught.value.exit_code == 7


def test_a_public_host_is_not_put_under_load() -> None:
    """Refused before anything is sent; an address needs no look-up."""
    with pytest.raises(BenchError, match=r"too many for 8\.8\.8\.8"):
        run(("http://8.8.8.8/",), (Arm("a"),), Executor("constant_rate", rate=1000, duration=1))

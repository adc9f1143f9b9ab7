"""What all ways of driving a client share."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from crawler.bench import Arm, BenchError, BenchPlan, Executor, Stage
from crawler.bench.load import Round, Watch, looker
from crawler.bench.recorder import Recorder


def watch_of(plan: BenchPlan) -> Watch:
    return Watch(Recorder(plan, lambda response, times: None))


def round_of(executor: Executor, requests: int = 0, seconds: float = 0.0) -> Round:
    plan = BenchPlan(("http://127.0.0.1/",), (Arm("a"),), executor, warmup_requests=requests, warmup_s=seconds)
    return Round(plan.arms[0], plan, watch_of(plan), lambda recorder: None, lambda: None)


def test_another_http_version_ends_the_benchmark() -> None:
    """An arm for HTTP/2 must not silently measure HTTP/1.1; the message names both."""
    plan = BenchPlan(("http://127.0.0.1/",), (Arm("a", http_version="2"),), Executor(requests=1))
    look = looker(plan.arms[0], watch_of(plan), lambda response: "1.1", lambda response: None)
    with pytest.raises(BenchError, match=r"HTTP/2, but the server answered in HTTP/1\.1"):
        look(None, 1)


def test_phases_of_an_open_connection_have_no_zeros() -> None:
    """A reused connection has no connect phase; a new plain one has no tls phase."""
    plan = BenchPlan(("http://127.0.0.1/",), (Arm("a"),), Executor(requests=1))
    watch = watch_of(plan)
    look = looker(plan.arms[0], watch, lambda response: "1.1", lambda response: response)
    times = {"dns": 0.0, "connect": 0.1, "tls": 0.0, "send": 0.2, "ttfb": 0.3, "receive": 0.4}
    look(SimpleNamespace(conn_reused=True, **times), 1)
    assert set(watch.recorder.sample.phases) == {"send", "ttfb", "receive"}
    look(SimpleNamespace(conn_reused=False, **times), 16)
    assert set(watch.recorder.sample.phases) == {"connect", "send", "ttfb", "receive"}
    assert watch.recorder.sample.phases["connect"].count == 16


def test_warm_up_goes_by_the_executor() -> None:
    """Closed load is warmed up closed; open load at the rate that it begins with."""
    assert round_of(Executor(requests=9)).warmup() is None
    closed = round_of(Executor(requests=9), requests=3).warmup()
    assert closed is not None
    assert list(closed.numbers()) == [0, 1, 2]
    ramp = round_of(Executor("ramping_rate", stages=(Stage(10, 1), Stage(99, 1))), seconds=0.5).warmup()
    assert ramp is not None
    assert ramp.timetable is not None
    assert len(list(ramp.timetable())) == 5
    few = round_of(Executor("constant_rate", rate=10, duration=9), requests=4).warmup()
    assert few is not None
    assert few.timetable is not None
    assert len(list(few.timetable())) == 4

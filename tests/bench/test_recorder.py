"""The notebook of a round."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crawler.bench import Arm, BenchPlan, Executor, RequestSpec
from crawler.bench.recorder import EVERY, FIRST, Recorder
from crawler.bench.sample import Sample

CLOSED = Executor(requests=1)
OPEN = Executor("constant_rate", rate=1, duration=1)


def recorder_of(executor: Executor = CLOSED, **request: Any) -> tuple[Recorder, list[tuple[object, int]]]:
    looked: list[tuple[object, int]] = []
    plan = BenchPlan(("http://127.0.0.1/",), (Arm("a"),), executor, request=RequestSpec(**request))
    recorder = Recorder(plan, lambda response, times: looked.append((response, times)))
    recorder.begun = 100.0
    return recorder, looked


def test_latency_counts_from_the_intended_start() -> None:
    """A request sent late has waited: response time, service time and send delay differ."""
    recorder, _ = recorder_of(OPEN)
    recorder.answer(101.0, 101.5, 102.0, (200, 7, None))
    sample = recorder.sample
    assert sample.response.max == 1.0
    assert sample.service.max == 0.5
    assert sample.delay.max == 0.5
    assert (sample.requests, sample.bytes, sample.succeeded) == (1, 7, 1)


def test_closed_load_has_one_time_only() -> None:
    """Its intended start is the real one, so nothing is kept twice."""
    recorder, _ = recorder_of()
    recorder.answer(101.0, 101.0, 102.0, (200, 7, None))
    assert recorder.sample.service.count == recorder.sample.delay.count == 0


@pytest.mark.parametrize(
    ("request_options", "answer", "kind"),
    [
        ({}, (404, 0, None), "http_4xx"),
        ({}, (503, 0, None), "http_5xx"),
        ({}, (302, 0, None), None),
        ({"status": (200,)}, (302, 0, None), "check_failed"),
        ({"status": (404,)}, (404, 0, None), None),
        ({"size_bytes": 5}, (200, 4, None), "size_mismatch"),
        ({"size_bytes": 5}, (200, 5, None), None),
    ],
)
def test_bad_answers_are_failures(request_options: dict[str, Any], answer: tuple[int, int, None], kind: str) -> None:
    """A fast error page is no fast answer: it counts as an error, and its time does not count."""
    recorder, _ = recorder_of(**request_options)
    recorder.answer(100.0, 100.0, 100.5, answer)
    assert recorder.sample.errors == ({} if kind is None else {kind: 1})
    assert recorder.sample.response.count == (kind is None)
    assert recorder.sample.requests == 1


def test_the_timeline_has_a_row_per_second() -> None:
    """Seconds without an answer are there too."""
    recorder, _ = recorder_of()
    recorder.answer(100.0, 100.0, 100.5, (200, 0, None))
    recorder.answer(102.0, 102.0, 102.25, (200, 0, None))
    recorder.error(102.5, ConnectionResetError())
    assert recorder.sample.timeline == [[1, 0, 0.5, 0.5], [0, 0, 0.0, 0.0], [2, 1, 0.25, 0.25]]


def test_the_timeline_is_bounded() -> None:
    """A request that ends after hours does not make a million rows."""
    recorder, _ = recorder_of()
    recorder.error(1e9, TimeoutError())
    assert len(recorder.sample.timeline) == 3600
    assert recorder.sample.timeline[-1][0] == 1


def test_after_the_first_answers_only_some_are_looked_at() -> None:
    """And each of those stands for the ones passed over, so that weights add up."""
    recorder, looked = recorder_of()
    total = FIRST + 3 * EVERY
    for number in range(total):
        recorder.answer(100.0, 100.0, 100.1, (200, 0, number))
    assert len(looked) == FIRST + 3
    assert sum(times for _, times in looked) == total


def test_a_pile_lies_within_a_second() -> None:
    """Answers that are taken down together still stand in the second that each ended in, none is left behind."""
    recorder, looked = recorder_of(OPEN)
    for number in range(FIRST):
        recorder.answer(100.0, 100.0, 100.1, (200, 1, number))
    for number in range(50):
        recorder.answer(100.8 + number / 100, 100.9 + number / 100, 101 + number / 100 - 1e-9, (200, 1, number))
    recorder.answer(101.0, 101.0, 103.5, (200, 1, None))
    recorder.settle()
    recorder.settle()
    sample = recorder.sample
    assert [row[0] for row in sample.timeline] == [FIRST + 1, 49, 0, 1]
    assert sample.timeline[1][3] == pytest.approx(0.2)
    assert sample.requests == sample.bytes == sample.response.count == FIRST + 51
    assert sample.service.count == sample.delay.count == sum(times for _, times in looked) == FIRST + 51


def test_a_sample_survives_json() -> None:
    """What the parent reads is what the worker took down."""
    recorder, _ = recorder_of(OPEN)
    recorder.answer(100.0, 100.1, 100.3, (200, 9, None))
    recorder.error(100.4, TimeoutError())
    recorder.phase("ttfb", 0.1, 16)
    read = Sample.from_json(json.loads(json.dumps(recorder.sample.to_json())))
    assert read.to_json() == json.loads(json.dumps(recorder.sample.to_json())) | {
        name: getattr(read, name).to_json() for name in ("response", "service", "delay", "lag")
    } | {"phases": {"ttfb": read.phases["ttfb"].to_json()}}
    assert read.phases["ttfb"].count == 16
    assert (read.requests, read.failed, read.succeeded) == (2, 1, 1)

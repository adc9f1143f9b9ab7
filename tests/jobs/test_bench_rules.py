from __future__ import annotations

from pathlib import Path

import pytest

from crawler.jobs import JobError, load_job

BENCH = "kind: bench\nurls: [http://a/]\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def findings_of(text: str) -> list[str]:
    """The findings of a job, without the file's name."""
    Path("job.yaml").write_text(text)
    try:
        load_job("job.yaml")
    except JobError as error:
        return [line.removeprefix("job.yaml:") for line in str(error).splitlines()]
    return []


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("urls: [http://a/]\nbench: {rounds: 5}", "2:1: bench: has no effect without `kind: bench`"),
        ("urls: [http://a/]\nthresholds: {rate: '> 1/s'}", "2:1: thresholds: has no effect without `kind: bench`"),
        (
            "urls: [http://a/]\noutput: {format: html}",
            "2:18: output.format: a job of this kind writes jsonl, csv, parquet, warc, sha256sums, not html",
        ),
        (
            BENCH + "output: {format: jsonl}",
            "3:18: output.format: a job of this kind writes bench_json, html, markdown, csv, hlog, not jsonl",
        ),
        (BENCH + "output: {format: csv, records: requests}", "3:23: output.records: a benchmark has no records"),
        (
            BENCH + "retry: {attempts: 2}",
            "3:1: retry: has no effect with `kind: bench`; a benchmark sends each request once",
        ),
        (
            BENCH + "timeout: {read: 2s}",
            "3:11: timeout.read: has no effect with `kind: bench`; a benchmark has `timeout.total` alone, "
            "which every client understands",
        ),
        (
            "kind: bench\nurls: [{url: http://a/, priority: 1}]",
            "2:25: urls[].priority: has no effect with `kind: bench`",
        ),
        (
            BENCH + "bench: {requests: 5, duration: 5s}",
            "3:22: bench.duration: a round ends by `requests` or by `duration`, not by both",
        ),
        (
            BENCH + "bench: {max_vus: 5}",
            "3:9: bench.max_vus: has no effect with `executor: closed`; it belongs to constant_rate and ramping_rate",
        ),
        (
            BENCH + "bench: {executor: constant_rate}",
            "3:19: bench.executor: constant_rate needs `bench.rate`",
        ),
        (BENCH + "bench: {executor: ramping_rate, stages: []}", "3:41: bench.stages: the list is empty"),
        (
            BENCH + "bench: {arms: [{name: a}, {name: a}]}",
            "3:34: bench.arms[1].name: arm 0 has this name already",
        ),
        (
            BENCH + "bench: {arms: [{name: a, engine: sync, vus: 2}]}",
            "3:45: bench.arms[0].vus: the engine `sync` has one user; for more, take `threads` or `async`",
        ),
        (
            BENCH + "bench: {arms: [{name: a, streams_per_connection: 2}]}",
            '3:50: bench.arms[0].streams_per_connection: has no effect without `http_version: "2"`',
        ),
        (
            BENCH + "bench: {arms: [{name: a, url: /get}]}",
            "3:31: bench.arms[0].url: '/get' has no scheme and host; only a job with `testbed: true` takes such URLs",
        ),
        (
            BENCH + f"bench: {{matrix: {{vus: {list(range(1, 33))}}}}}",
            "3:9: bench.matrix: with the arms it makes 65 cells, and 64 are allowed; leave out values",
        ),
        (
            BENCH + "bench: {baseline: asink}",
            "3:19: bench.baseline: there is no arm of this name; there are 'sync', 'threads', 'async'",
        ),
        (
            BENCH + 'thresholds: {asink.rate: "> 1/s"}',
            "3:14: thresholds.asink.rate: there is no arm 'asink'; there are 'sync', 'threads', 'async'",
        ),
    ],
)
def test_each_rule(text: str, finding: str) -> None:
    """Each breach is said at its place, with what to do."""
    assert findings_of(text) == [finding]


def test_null_is_absent() -> None:
    """`duration: null` makes room for `requests`, so that an option of the command line can replace it."""
    assert findings_of(BENCH + "bench: {requests: 5, duration: null}") == []


def test_rules_pass_over_what_they_do_not_understand() -> None:
    """Wrong types are the schema's business."""
    assert findings_of(BENCH + "bench: 5\noutput: 7\nthresholds: []\n") != []

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from crawler.jobs.check import check_schema, known_keys
from crawler.jobs.document import parse_document
from crawler.jobs.interpolate import Interpolation
from crawler.jobs.nodes import Map
from crawler.jobs.pending import PENDING
from crawler.jobs.schema import JobFile, json_schema

CLIENTS = (
    "1:34: bench.arms[0].client: expected crawler or httpx or httpx2 or aiohttp or requests or pyreqwest or niquests or"
    " curl_cffi, not 'requets'; did you mean 'requests'?"
)


def check(text: str, **environment: str) -> tuple[JobFile | None, list[str]]:
    """The model of a job's text and the findings as printed."""
    tree, findings = parse_document(text, "job.yaml")
    assert tree is not None
    assert findings == []
    filled = Interpolation(environment, Path()).fill(tree)
    assert isinstance(filled, Map)
    model, problems = check_schema(filled)
    return model, [str(problem) for problem in sorted(problems)]


@pytest.mark.parametrize(
    ("line", "finding"),
    [
        ("nam: x", "1:1: nam: unknown key; did you mean 'name'?"),
        ("attempts: 3", "1:1: attempts: unknown key here; did you mean 'retry.attempts'?"),
        ("zzz: 3", "1:1: zzz: unknown key"),
        ("retry: {atempts: 3}", "1:9: retry.atempts: unknown key; did you mean 'attempts'?"),
        ("retry: {backoff: {bse: 1s}}", "1:19: retry.backoff.bse: unknown key; did you mean 'base'?"),
        ("output: [{pth: x}]", "1:11: output[0].pth: unknown key; did you mean 'path'?"),
        ("urls: [{url: x, metod: GET}]", "1:17: urls[0].metod: unknown key; did you mean 'method'?"),
        (
            "stop: {q: 1}",
            "1:8: stop.q: unknown key; known here: after, bytes, consecutive_failures, disk_free, failure_ratio,"
            " failure_ratio_window, failures, grace, memory, requests",
        ),
        ("per_host: {rate: 5}", "1:18: per_host.rate: 5 is no rate; write a rate like 20/s, 30/m or 1/5s"),
        (
            "state: {durability: none}",
            "1:21: state.durability: 'none' is known, but this version does not do it yet (it does batch or full)",
        ),
        (
            "hosts: {match: x, retry: []}",
            "1:19: hosts[0].retry: this key is known, but this version does not do it yet; take it out",
        ),
        ("kind: fech", "1:7: kind: expected fetch or download or crawl or bench, not 'fech'; did you mean 'fetch'?"),
        ("http: {version: 1.1}", '1:17: http.version: expected auto or 1.1 or 2, not 1.1; put it in quotes: "1.1"'),
        ("concurrency: 0", "1:14: concurrency: must be between 1 and 10000, not 0"),
        ("concurrency: null", "1:14: concurrency: expected a whole number, not null"),
        ("concurrency: 1.5", "1:14: concurrency: expected a whole number, not 1.5"),
        ("concurrency: true", "1:14: concurrency: expected a whole number, not true"),
        ("concurrency: '5'", "1:14: concurrency: expected a whole number, not '5'"),
        ("concurrency: 010", "1:14: concurrency: expected a whole number, not '010'; a leading zero is ambiguous"),
        ("retry: {backoff: {factor: .nan}}", "1:27: retry.backoff.factor: expected a number, not nan"),
        ("retry: {backoff: {factor: 0.5}}", "1:27: retry.backoff.factor: must be at least 1, not 0.5"),
        ("timeout: {read: 0}", "1:17: timeout.read: 0 is no limit one can keep; write null for no limit"),
        ("body: {max_size: 0}", "1:18: body.max_size: 0 is no limit one can keep; write null for no limit"),
        ("tls: {verify: no}", "1:15: tls.verify: expected true or false, not 'no'"),
        (
            "name: A b",
            "1:7: name: 'A b' does not fit: a name is made of a-z 0-9 . _ - and begins with a letter or digit",
        ),
        ("name: 5", "1:7: name: expected text, not 5; put it in quotes"),
        ("description: " + "x" * 501, "1:14: description: longer than 500 characters"),
        (
            "version: 2",
            "1:10: version: this version of crawler reads job files of version 1, not 2; a newer one may read it",
        ),
        ("retry: 3", "1:8: retry: expected a mapping (`key: value`), not 3"),
        ("retry:", "1:7: retry: expected a mapping (`key: value`), not null"),
        ("tags: " + str(list("abcdefghijklmnopqrstu")), "1:7: tags: at most 20 are allowed"),
        ("urls: [{method: GET}]", "1:8: urls[0].url: is missing"),
        ("urls: [5]", "1:8: urls[0].url: expected text, not 5; put it in quotes"),
        ("urls: null", "1:7: urls: expected one value or a list, not null"),
        ("retry: {status: [200]}", "1:18: retry.status[0]: expected a status between 400 and 599, or 5xx, not 200"),
        (
            "retry: {kinds: tiemout_read}",
            "1:16: retry.kinds[0]: 'tiemout_read' matches no error kind; did you mean 'timeout_read'?",
        ),
        ("requests: 3", "1:1: requests: unknown key here; did you mean 'bench.requests' or 'stop.requests'?"),
        (
            "bench: {guard: {lop: 1}}",
            "1:17: bench.guard.lop: unknown key; known here: cpu, dropped_ratio, loop_lag_p99",
        ),
        ("bench: {arms: []}", "1:15: bench.arms: expected at least 1"),
        ("bench: {arms: [{}]}", "1:16: bench.arms[0].name: is missing"),
        (
            "bench: {arms: [{name: 'a b'}]}",
            "1:23: bench.arms[0].name: 'a b' does not fit: an arm's name is made of A-Z a-z 0-9 . _ -",
        ),
        (
            "bench: {arms: [{name: a, http_version: 2}]}",
            '1:40: bench.arms[0].http_version: expected 1.1 or 2, not 2; put it in quotes: "2"',
        ),
        ("bench: {arms: [{name: a, client: requets}]}", CLIENTS),
        ("bench: {matrix: {vus: [1, 0]}}", "1:27: bench.matrix.vus[1]: must be between 1 and 10000, not 0"),
        (
            "bench: {warmup: 1.5}",
            "1:17: bench.warmup: expected a number of requests like 200 or a duration like 5s, not 1.5",
        ),
        ("bench: {rate: 5}", "1:15: bench.rate: 5 is no rate; write a rate like 20/s, 30/m or 1/5s"),
        ("bench: {confidence: 1}", "1:21: bench.confidence: must be at least 0.5 and below 1, not 1"),
        (
            "bench: {percentiles: [100]}",
            "1:23: bench.percentiles[0]: expected a number between 0 and 100 like 99.9, not 100",
        ),
        ("bench: {stages: [{rate: 1/s}]}", "1:18: bench.stages[0].for: is missing"),
        ("thresholds: 5", "1:13: thresholds: expected a mapping (`key: value`), not 5"),
        (
            'thresholds: {respons_time.p99: "< 1s"}',
            "1:32: thresholds.respons_time.p99: names no metric; did you mean 'response_time.p99'?",
        ),
        (
            'thresholds: {"a[vus=1].rat": "> 1/s"}',
            "1:30: thresholds.a[vus=1].rat: names no metric; did you mean 'rate'?",
        ),
        (
            'thresholds: {response_time.p99: "250ms"}',
            "1:33: thresholds.response_time.p99: expected a comparison in quotes like \"< 250ms\", not '250ms'",
        ),
        (
            'thresholds: {response_time.p99: "< 250"}',
            "1:33: thresholds.response_time.p99: '250' has no unit; write a duration like 250ms",
        ),
        ('thresholds: {speedup: "> 2s"}', "1:23: thresholds.speedup: '2s' is no plain number, and speedup is one"),
        (
            "hosts: {match: x, windows: [1-2]}",
            "1:29: hosts[0].windows[0]: expected hours like 22:00-06:00 or 22:00-06:00 Europe/Berlin, not '1-2'",
        ),
        ("body: {hash: md5}", "1:14: body.hash: expected sha256 or false, not 'md5'"),
        ("request: {params: {a: {b: 1}}}", "1:23: request.params.a[0]: expected text, not a mapping"),
        (
            "request: {headers: {X: 1.10}}",
            "1:24: request.headers.X: expected text, not 1.1; put it in quotes, a number may lose its last zeros",
        ),
        ("request: {url: '{'}", "1:16: request.url: a lone '{' in '{'; write '{{' for a brace"),
        ("request: {json: [.inf]}", "1:17: request.json: inf has no form in JSON"),
        (
            "request: {json: 99999999999999999999}",
            "1:17: request.json: a whole number beyond 64 bits; put it in quotes",
        ),
    ],
)
def test_each_mistake_has_its_sentence_and_place(line: str, finding: str) -> None:
    """Line and column, the path of the key, what was expected, and the nearest known name."""
    assert check(line)[1] == [f"job.yaml:{finding}"]


def test_everything_at_once() -> None:
    """One run reports every finding of the file, in its order."""
    _, findings = check("concurrency: x\nnam: y\nretry: {attempts: 0, budget: 2}\ntimeout: {read: -1s}\n")
    assert [finding.split(":")[1] for finding in findings] == ["1", "2", "3", "3", "4"]


def test_a_job_of_every_key() -> None:
    """Values are read as their types."""
    model, findings = check(
        """
version: 1
name: a.b-c_1
kind: fetch
tags: one
x-anything: {a: [1]}
urls: [http://a/, {url: http://b/, meta: {n: 1.10, z: 010}, json: {a: [1]}}]
concurrency: 5
timeout: {connect: 1m30s, read: null, total: 5}
retry: {attempts: 2, status: [429, 5xx], kinds: timeout_*, backoff: {base: 0s, jitter: none}}
http: {version: "1.1"}
body: {keep: inline, max_size: null, memory_limit: 64KiB, hash: false}
output: {format: jsonl, path: "out/{run_id}.jsonl"}
progress: {mode: lines, interval: 500ms}
request: {params: {a: [1, "{url}"], b: true}, headers: {X-N: 5}, idempotent: true}
"""
    )
    assert findings == []
    assert model is not None
    assert model.urls is not None
    assert [entry.url for entry in model.urls] == ["http://a/", "http://b/"]
    assert model.urls[1].meta == {"n": 1.1, "z": "010"}
    assert model.urls[1].json_ == {"a": [1]}
    assert (model.timeout.connect, model.timeout.read, model.timeout.total) == (90.0, None, 5.0)
    assert model.tags == ["one"]
    assert model.retry.status == [429, "5xx"]
    assert model.retry.kinds == ["timeout_*"]
    assert model.retry.backoff.base == 0
    assert (model.body.max_size, model.body.memory_limit, model.body.hash) == (None, 65536, False)
    assert len(model.output) == 1
    assert [value.text for value in model.request.params["a"]] == ["1", "{url}"]
    assert model.request.params["b"][0].text == "true"
    assert model.request.headers["X-N"].text == "5"


def test_a_benchmark_of_every_key() -> None:
    """The keys of a benchmark are read as their types."""
    model, findings = check(
        """
kind: bench
urls: [http://a/]
bench:
  executor: ramping_rate
  arms:
    - {name: a, engine: threads, client: httpx, vus: 3, reuse: false, url: http://b/}
    - {name: b, http_version: "2", streams_per_connection: 100}
  matrix: {vus: [1, 16], http_version: "1.1"}
  requests: null
  duration: 1m
  warmup: 200
  rounds: 3
  order: listed
  seed: 20261121
  cooldown: 0
  baseline: b
  rate: 30/m
  stages: [{rate: 100/s, for: 30s}, {rate: 0.5/s, for: 1}]
  max_vus: 20
  min_effect: 5%
  confidence: 0.9
  percentiles: [50, 99.9]
  guard: {loop_lag_p99: null, cpu: 0.5, dropped_ratio: 1%}
thresholds:
  "a[vus=16,http_version=1.1].speedup": ">= 10"
  "*.errors.ratio": "< 0.1%"
  rate: "> 100/s"
  b.rss_max: "<= 100MB"
output: [{format: html, path: r.html}, {format: bench_json}, {format: markdown}, {format: csv}]
"""
    )
    assert findings == []
    assert model is not None
    bench = model.bench
    assert bench.arms is not None
    first, second = bench.arms
    assert (first.engine, first.client, first.vus, first.reuse, first.url) == (
        "threads",
        "httpx",
        3,
        False,
        "http://b/",
    )
    assert (second.engine, second.http_version, second.streams_per_connection) == ("async", "2", 100)
    assert (bench.matrix.vus, bench.matrix.http_version) == ([1, 16], ["1.1"])
    assert (bench.requests, bench.duration, bench.warmup, type(bench.warmup)) == (None, 60, 200, int)
    assert (bench.rate, [(stage.rate, stage.for_) for stage in bench.stages]) == (0.5, [(100, 30), (0.5, 1)])
    assert (bench.min_effect, bench.confidence, bench.percentiles) == (0.05, 0.9, [50, 99.9])
    assert (bench.guard.loop_lag_p99, bench.guard.cpu, bench.guard.dropped_ratio) == (None, 0.5, 0.01)
    assert [(limit.arm, limit.metric, limit.operator, limit.bound) for limit in model.thresholds.values()] == [
        ("a[vus=16,http_version=1.1]", "speedup", ">=", 10),
        ("*", "errors.ratio", "<", 0.001),
        ("*", "rate", ">", 100),
        ("b", "rss_max", "<=", 100_000_000),
    ]


def test_defaults_are_those_of_the_format() -> None:
    """A list of URLs is a whole job."""
    model, _ = check("urls: http://a/")
    assert model is not None
    assert (model.kind, model.concurrency, model.retry.attempts, model.body.keep) == ("fetch", 64, 4, "none")
    assert (model.timeout.connect, model.timeout.read, model.timeout.total) == (10, 30, 120)
    assert (model.redirects.follow, model.redirects.max, model.stop.grace) == (True, 10, 10)


def test_lone_references_take_the_wanted_type() -> None:
    """`${N}` is a number where one is wanted and text where text is."""
    model, findings = check(
        "concurrency: ${N}\nname: ${N}\ntls: {verify: '${T}'}\ntimeout: {total: '${NULL}', read: '${N}'}\n"
        "request: {json: {n: '${N}'}}\n",
        N="64",
        T="false",
        NULL="null",
    )
    assert findings == []
    assert model is not None
    assert (model.concurrency, model.name, model.tls.verify) == (64, "64", False)
    assert (model.timeout.total, model.timeout.read) == (None, 64)
    assert model.request.json_ == {"n": "64"}
    assert type(model.request.json_["n"]) is str


def test_a_reference_of_the_wrong_type_is_refused() -> None:
    """What came from the environment is checked like everything else."""
    assert check("concurrency: ${N}", N="many")[1] == [
        "job.yaml:1:14: concurrency: expected a whole number, not 'many'"
    ]
    assert check("concurrency: ${N}", N="010")[1][0].endswith("a leading zero is ambiguous")


def test_pending_keys_are_not_working_ones() -> None:
    """A key is in one of the two lists, and every section of the pending list exists."""
    levels = known_keys()
    assert set(PENDING) <= set(levels)
    for section, names in PENDING.items():
        assert not names & levels[section], section


def _walk(schema: Any, path: str = "") -> list[tuple[str, Any]]:
    found = [(path, schema)]
    for key, part in (
        schema.items() if isinstance(schema, dict) else enumerate(schema if isinstance(schema, list) else ())
    ):
        found += _walk(part, f"{path}/{key}")
    return found


def test_json_schema_helps_an_editor() -> None:
    """Every key has a description, enumerations are enumerated, and unknown keys are marked."""
    schema = json_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(schema["properties"]) == known_keys()[""]
    assert schema["additionalProperties"] is False
    assert "^x-" in schema["patternProperties"]
    for path, part in _walk(schema):
        if path.endswith("/properties"):
            for name, value in part.items():
                assert "description" in value or "$ref" in value or name == "input", f"{path}/{name}"
    assert schema["properties"]["kind"]["enum"] == ["fetch", "download", "crawl", "bench"]
    assert schema["$defs"]["Backoff"]["properties"]["jitter"]["enum"] == ["full", "equal", "none"]
    assert set(schema["$defs"]["Request"]["properties"]) == known_keys()["request"]


def test_the_manual_knows_every_key() -> None:
    """`docs/jobs.md`, or a page it links to, names each working key, and its first example is a job."""
    docs = Path(__file__).parents[2] / "docs"
    page = (docs / "jobs.md").read_text(encoding="utf-8")
    linked = dict.fromkeys(re.findall(r"\]\(([a-z-]+\.md)\b", page))
    manual = page + "".join((docs / name).read_text(encoding="utf-8") for name in linked)
    for section, names in known_keys().items():
        for name in names:
            assert re.search(rf"(?<![a-z_]){re.escape(name)}(?![a-z_])", manual), f"{section}.{name}"
    example = manual.partition("```yaml\n")[2].partition("```")[0]
    model, findings = check(example)
    assert findings == []
    assert model is not None

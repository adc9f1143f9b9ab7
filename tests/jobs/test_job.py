from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from crawler.fanout import Plan
from crawler.jobs import JobError, job_from_urls, load_job
from crawler.jobs.job import Job

URLS = "urls: [http://a/]\n"
CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(folder: Path, text: str, *overrides: str, **environment: str) -> Job:
    (folder / "job.yaml").write_text(text)
    return load_job("job.yaml", overrides, environment)


def errors(folder: Path, text: str, *overrides: str, **environment: str) -> list[str]:
    with pytest.raises(JobError) as caught:
        load(folder, text, *overrides, **environment)
    return str(caught.value).splitlines()


def test_plan_of_defaults(folder: Path) -> None:
    """A list of URLs gives the plan of the format's defaults."""
    plan = load(folder, "urls: [http://a/]\n").plan()
    default = Plan("job")
    assert plan.name == "job"
    assert [(str(output.path), output.format) for output in plan.outputs] == [
        (f"out{os.sep}job{os.sep}results.jsonl", "jsonl")
    ]
    assert plan.state_dir == Path("out/job/state")
    assert (plan.timeout.connect, plan.timeout.read, plan.timeout.pool, plan.timeout.total) == (10, 30, None, 120)
    assert plan.timeout == default.timeout
    assert plan.retry == default.retry
    assert plan.body == default.body
    for field in ("concurrency", "follow_redirects", "max_redirects", "durability", "grace"):
        assert getattr(plan, field) == getattr(default, field)


def test_plan_of_every_key(folder: Path) -> None:
    """Each key reaches the engine."""
    (folder / "ca.pem").touch()
    plan = load(
        folder,
        """
name: all
urls: [http://a/]
concurrency: 3
timeout: {connect: 1s, read: 2s, total: null}
retry:
  {attempts: 2, rate_limit_attempts: 3, status: [5xx, 429], kinds: [dns_*], retry_after: cap, max_wait: 9s,
   backoff: {base: 1s, factor: 3, max: 5s, jitter: equal}}
redirects: {max: 4, cross_host: false, downgrade: true}
http: {keepalive: 3s}
tls: {ca_file: ca.pem}
body: {keep: file, memory_limit: 1KiB, max_size: null, decode: false, hash: false}
download: {dir: files/here, fsync: false}
output: [{path: "a/{run_id}.jsonl"}, {path: b.jsonl}]
state: {dir: st, durability: full}
stop: {grace: 3s}
progress: {mode: lines, interval: 2s}
""",
    ).plan()
    assert (plan.name, plan.concurrency, plan.max_redirects, plan.durability, plan.grace) == ("all", 3, 4, "full", 3)
    assert (plan.cross_host_redirects, plan.downgrade_redirects) == (False, True)
    assert (plan.timeout.connect, plan.timeout.read, plan.timeout.total) == (1, 2, None)
    assert plan.retry.status == {429, *range(500, 600)}
    assert (plan.retry.attempts, plan.retry.rate_limit_attempts, plan.retry.kinds) == (2, 3, ("dns_*",))
    assert (plan.retry.base, plan.retry.factor, plan.retry.max_backoff, plan.retry.jitter) == (1, 3, 5, "equal")
    assert (plan.retry.retry_after, plan.retry.max_wait) == ("cap", 9)
    assert plan.client.keepalive_expiry == 3
    assert plan.client.ca_file == Path("ca.pem")
    assert (plan.body.keep, plan.body.directory, plan.body.fsync) == ("file", Path("files/here"), False)
    assert (plan.body.memory_limit, plan.body.max_size, plan.body.decode, plan.body.hash) == (1024, None, False, False)
    assert [output.path for output in plan.outputs] == [Path(f"a/{plan.run_id}.jsonl"), Path("b.jsonl")]
    assert plan.state_dir == Path("st")


def test_out_moves_everything(folder: Path) -> None:
    """With `--out`, records, bodies and state go below that folder."""
    text = "urls: [http://a/]\nbody: {keep: file}\ndownload: {dir: d}\noutput: {path: a/b.jsonl}\nstate: {dir: s}\n"
    plan = load(folder, text).plan(out="elsewhere")
    assert [output.path for output in plan.outputs] == [Path("elsewhere/b.jsonl")]
    assert plan.body.directory == Path("elsewhere/files")
    assert plan.state_dir == Path("elsewhere/state")
    assert load(folder, URLS + "output: {path: '-'}\n").plan(out="elsewhere").outputs[0].path == Path("-")


def test_items_of_a_list(folder: Path) -> None:
    """A list file beside the job file, with the rows that cannot be used as failing items."""
    (folder / "list.txt").write_text("http://a/\nnot a url\n# note\nhttp://b/\n")
    items = list(load(folder, "input: {path: list.txt}\n").items())
    assert [item.key for item in items] == ["1", "2", "3"]
    assert items[1].url == "not a url"
    reason = "list.txt:2: 'not a url' has no scheme; write https://not a url"
    assert items[1].meta == {"url": "not a url", "bad_row": reason}
    assert items[2].url == "http://b/"


@pytest.mark.parametrize(("option", "count"), [("record", 3), ("skip", 2)])
def test_bad_rows(folder: Path, option: str, count: int) -> None:
    """A bad row is recorded or passed over."""
    (folder / "list.txt").write_text("http://a/\nx\nhttp://b/\n")
    assert len(list(load(folder, f"input: {{path: list.txt, on_bad_row: {option}}}\n").items())) == count


def test_bad_row_that_ends_the_run(folder: Path) -> None:
    """`fail` stops at the row, after the good ones before it."""
    (folder / "list.txt").write_text("http://a/\nx\nhttp://b/\n")
    items = load(folder, "input: {path: list.txt, on_bad_row: fail}\n").items()
    assert next(items).url == "http://a/"
    with pytest.raises(JobError, match=r"^list\.txt:2: bad row: 'x' has no scheme"):
        next(items)


def test_offset_and_limit(folder: Path) -> None:
    """A part of the input, with the numbers of the whole."""
    (folder / "list.txt").write_text("".join(f"http://h/{n}\n" for n in range(1, 9)))
    items = load(folder, "input: {path: list.txt, offset: 2, limit: 3}\n").items()
    assert [(item.key, item.url) for item in items] == [(str(n), f"http://h/{n}") for n in (3, 4, 5)]


def test_duplicate_keys(folder: Path) -> None:
    """A key is used once; the second row that has it is bad."""
    (folder / "list.csv").write_text("id,url\n1,http://a/\n1,http://b/\n2,http://c/\n")
    items = list(load(folder, "input: {path: list.csv, key: '{id}'}\n").items())
    assert [item.key for item in items] == ["1", "list.csv:3", "2"]
    assert items[1].url == "bad row list.csv:3: the key '1' was used by an earlier row"


def test_input_id_changes_with_the_input(folder: Path) -> None:
    """The engine can tell whether a list is the one it knows."""
    (folder / "list.txt").write_text("http://a/\n")
    text = "input: {path: list.txt}\n"
    first = load(folder, text).plan().input_id
    assert first == load(folder, text + "concurrency: 3\n").plan().input_id
    assert first != load(folder, text + "request: {params: {a: b}}\n").plan().input_id
    (folder / "list.txt").write_text("http://a/\nhttp://b/\n")
    assert first != load(folder, text).plan().input_id
    assert load(folder, "input: {path: '-'}\n").plan().input_id is None


def test_input_that_breaks_while_running(folder: Path) -> None:
    """A file that vanished after the start is an error of the job."""
    (folder / "list.txt").write_text("http://a/\n")
    job = load(folder, "input: {path: list.txt}\n")
    (folder / "list.txt").unlink()
    with pytest.raises(JobError, match="cannot read the file"):
        list(job.items())


def test_merged_shows_no_secret(folder: Path) -> None:
    """`crawler config`: filled in, typed, with secrets by the name of their variable."""
    (folder / "secret").write_text("from-file\n")
    (folder / "secret").chmod(0o600)
    job = load(
        folder,
        """
concurrency: ${N}
vars: {base: "${BASE:-http://user:pw@h}", api_key: plain-secret}
urls: ["${vars.base}/?a=1&token=abcd"]
request:
  headers: {Authorization: "Bearer ${API_TOKEN:-fallback}", Cookie: a=b, X-Key: "${file:secret}", Accept: "${ACC:-*/*}"}
x-note: {a: "${LEFT_ALONE}"}
""",
        N="5",
        API_TOKEN="sesame-open",
    )
    shown = job.merged()
    assert shown["concurrency"] == 5
    assert shown["vars"] == {"base": "http://***@h", "api_key": "***"}
    assert shown["urls"] == ["http://***@h/?a=1&token=***"]
    assert shown["request"] == {
        "headers": {"Authorization": "Bearer ${API_TOKEN}", "Cookie": "***", "X-Key": "${file:secret}", "Accept": "*/*"}
    }
    assert shown["name"] == "job"
    text = json.dumps(shown)
    for secret in ("sesame-open", "from-file", "plain-secret", "a=b", "fallback", "user:pw"):
        assert secret not in text
    assert job.mask("x sesame-open y from-file http://u:p@h/?sig=1") == "x *** y *** http://***@h/?sig=***"
    assert job.plan().client.headers[0] == ("Authorization", "Bearer sesame-open")


def test_secret_urls_stay_out_of_findings(folder: Path) -> None:
    """A value that is a secret is not quoted in an error."""
    (finding,) = errors(folder, "urls: ['${URL_SECRET}']\n", URL_SECRET="no-scheme-hunter2")
    assert finding == "job.yaml:1:8: urls: not a URL (not shown: it holds a secret)"


def test_secrets_in_the_wrong_place_are_not_quoted(folder: Path) -> None:
    """A token where a number should be is masked in the message."""
    (finding,) = errors(folder, "urls: [http://a/]\nconcurrency: ${MY_TOKEN}\n", MY_TOKEN="hunter2")
    assert finding == "job.yaml:2:14: concurrency: expected a whole number, not '***'"


def test_all_findings_of_all_steps(folder: Path) -> None:
    """Duplicate keys, missing variables, unknown keys, wrong types and rules: one run."""
    findings = errors(
        folder,
        "urls: [example.org]\nname: ${A}\nnmae: x\nconcurrency: ${B}\ntimeout: {read: '${C:?why}'}\n"
        "retry: {attempts: 0}\nretry: {}\n",
    )
    assert findings == [
        "job.yaml:1:8: urls: 'example.org' has no scheme; write https://example.org",
        "job.yaml:2:7: the environment variable A is not set: set it, or give a default: ${A:-…}",
        "job.yaml:3:1: nmae: unknown key; did you mean 'name'?",
        "job.yaml:4:14: the environment variable B is not set: set it, or give a default: ${B:-…}",
        "job.yaml:5:17: the environment variable C is not set: why",
        "job.yaml:6:19: retry.attempts: must be between 1 and 20, not 0",
        "job.yaml:7:1: duplicate key 'retry' (first in line 6)",
    ]


def test_overrides_have_the_last_word(folder: Path) -> None:
    """`--set` wins over the file, and its mistakes name the option."""
    assert load(folder, "urls: [http://a/]\n", "concurrency=7").plan().concurrency == 7
    assert errors(folder, "urls: [http://a/]\n", "concurrency=0", "retry.atempts=1") == [
        "--set concurrency=0: concurrency: must be between 1 and 10000, not 0",
        "--set retry.atempts=1: retry.atempts: unknown key; did you mean 'attempts'?",
    ]


def test_env_file(folder: Path) -> None:
    """Variables of a file, below those of the environment."""
    (folder / "vars.env").write_text("A=file\nB=file\n")
    job = load(folder, "env_file: ${D:-vars}.env\nurls: ['http://${A}/${B}']\n", A="real")
    assert [item.url for item in job.items()] == ["http://real/file"]
    assert errors(folder, "env_file: none.env\nurls: [http://a/]\n") == [
        "job.yaml:1:11: env_file none.env: cannot read the file: No such file or directory"
    ]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("input: {path: none.txt}", "1:15: input.path[0]: there is no file none.txt"),
        ("input: {path: ['-', '-']}", "1:15: input.path: standard input (`-`) can be read once only"),
        ("input: {path: list.csv, key: '{nr}'}", "1:15: input.path: a template needs 'nr'; list.csv has 'id', 'url'"),
        (
            "input: {path: list.csv, columns: {url: URL}}",
            "1:40: input.columns.url: list.csv has no column 'URL'; it has 'id', 'url'",
        ),
        (
            "input: {path: list.csv, columns: {ulr: url}}",
            "1:40: input.columns.ulr: expected url, method, path, priority, sha256, size or meta.NAME",
        ),
        (
            "input: {path: list.csv, columns: {sha256: id}}",
            "1:35: input.columns.sha256: has no effect without `kind: download`",
        ),
        (URLS + "request: {params: {a: '{id}'}}", "1:8: urls[0]: a template needs 'id', which `meta` does not have"),
        (
            URLS + "request: {method: POST, json: ['{']}",
            "2:31: request.json: a lone '{' in '{'; write '{{' for a brace",
        ),
        (
            URLS + "output: {path: '{sek}.jsonl'}",
            "2:16: output[0].path: {sek}: a path knows {run_id}, {run_date}, {name} and {seq}; did you mean {seq}?",
        ),
        (URLS + "output: [{path: a}, {path: a}]", "2:28: output[1].path: output[0] writes to the same path"),
        (URLS + "output: [{}, {}]", "2:14: output[1].path: output[0] writes to the same path"),
        (
            URLS + "output: {path: ../a}",
            "2:16: output[0].path: ../a lies outside the working directory; write below it",
        ),
        (URLS + "tls: {ca_file: none.pem}", "2:16: tls.ca_file: there is no file none.pem"),
    ],
)
def test_what_needs_a_look_at_the_disk(folder: Path, text: str, finding: str) -> None:
    """Missing files, missing columns, templates nobody fills, outputs that collide: said before anything is sent."""
    (folder / "list.csv").write_text("id,url\n1,http://a/\n")
    assert errors(folder, text) == [f"job.yaml:{finding}"]


def test_outside_outputs_can_be_allowed(folder: Path) -> None:
    """Only a caller that says so may write elsewhere."""
    (folder / "job.yaml").write_text("urls: [http://a/]\noutput: {path: ../a.jsonl}\n")
    assert load_job("job.yaml", allow_outside=True).plan().outputs[0].path == Path("../a.jsonl")


@pytest.mark.parametrize(
    ("name", "job"), [("a.yaml", "a"), ("My Job (2).yaml", "my-job-2"), ("….yaml", "job"), ("x" * 80, "x" * 63)]
)
def test_name_by_the_file(folder: Path, name: str, job: str) -> None:
    """A job without a name has its file's, as far as a path can hold it."""
    (folder / name).write_text("urls: [http://a/]\n")
    assert load_job(folder / name).name == job


def test_missing_and_empty(folder: Path) -> None:
    """No file, no findings lost; no path, no job."""
    with pytest.raises(JobError, match=r"^none\.yaml: cannot read the job file"):
        load_job("none.yaml")
    with pytest.raises(JobError, match="no job file given"):
        load_job([])
    assert errors(folder, "") == ["job.yaml:1:1: the file is empty; a job needs `urls` or `input`"]


def test_job_from_urls(folder: Path) -> None:
    """URLs of the command line are taken as typed; the same ones have the same name."""
    job = job_from_urls(["http://a/${HOME}$$", "http://b/{x}"], ["concurrency=2"], {})
    assert [item.url for item in job.items()] == ["http://a/${HOME}$$", "http://b/{x}"]
    assert job.plan().concurrency == 2
    assert job.name == job_from_urls(["http://a/${HOME}$$", "http://b/{x}"]).name
    assert job.name != job_from_urls(["http://a/"]).name
    with pytest.raises(
        JobError, match=r"^command line: urls: 'example\.org' has no scheme; write https://example\.org$"
    ):
        job_from_urls(["example.org"])
    with pytest.raises(JobError, match="the list is empty"):
        job_from_urls([])


def test_job_from_standard_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads the list, and stands alone."""
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"http://a/\n\nhttp://b/\n")))
    job = job_from_urls(["-"])
    assert job.name == "stdin"
    assert [item.url for item in job.items()] == ["http://a/", "http://b/"]
    with pytest.raises(JobError, match="give no URL beside it"):
        job_from_urls(["-", "http://a/"])


EXAMPLES = [path for path in sorted(CONFIGS.rglob("*.yaml")) if not path.stem.startswith(("compose", "kubernetes"))]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_good_jobs(path: Path) -> None:
    """Every file under configs/ can be run as it stands."""
    job = load_job(path, environment={})
    assert job.plan().name == job.name
    items = list(job.items(testbed_url="http://127.0.0.1:1"))
    assert items
    assert all(item.url.startswith(("http://", "https://")) for item in items)
    assert len({(item.url, item.method, item.body) for item in items}) == len(items)


def test_quick_start_shows_what_it_promises() -> None:
    """Latency, redirects, a flaky URL, a 404, a slow one and 20 MB, in about 300 URLs."""
    job = load_job(CONFIGS / "quickstart.yaml", environment={})
    urls = [item.url for item in job.items()]
    assert job.testbed
    assert 250 <= len(urls) <= 350
    for part in ("/delay/100ms", "/redirect/", "/flaky?fail=2", "/status/404", "/delay/10s", "/bytes/20000000?seed=1"):
        assert any(url.startswith(part) for url in urls), part
    assert job.plan().body.keep == "file"


def test_a_benchmark_as_plain_values(folder: Path) -> None:
    """Requests, arms, thresholds and reports reach the room that measures."""
    job = load(
        folder,
        """
kind: bench
name: b
testbed: true
urls: [/get, http://a/]
request: {headers: {X-A: b}, user_agent: me}
timeout: {total: 3s}
bench: {arms: [{name: a, url: /bytes/5}, {name: h2, http_version: "2"}], seed: 7, requests: 5}
thresholds: {"a.rate": "> 5/s"}
output: [{format: html, path: "r/{run_date}.html"}, {format: markdown}]
""",
    )
    assert (job.kind, job.needs_tls) == ("bench", True)
    bench = job.bench_job(testbed_url="http://bed", testbed_ca=Path("ca.pem"))
    assert bench.urls == ("http://bed/get", "http://a/")
    assert (bench.method, bench.headers, bench.body) == ("GET", (("X-A", "b"), ("User-Agent", "me")), None)
    assert (bench.timeout_s, bench.verify, bench.ca_file, bench.seed) == (3, True, Path("ca.pem"), 7)
    assert [(cell.name, cell.url) for cell in bench.cells] == [("a", "http://bed/bytes/5"), ("h2", None)]
    assert [threshold.text for threshold in bench.thresholds] == ["a.rate: > 5/s"]
    assert [report.format for report in bench.reports] == ["html", "markdown"]
    assert [report.path.parent for report in bench.reports] == [Path("r"), Path("out/b")]
    moved = job.bench_job(out="elsewhere")
    assert [report.path.parent for report in moved.reports] == [Path("elsewhere")] * 2


def test_defaults_of_a_benchmark(folder: Path) -> None:
    """The result for programs and the report for people; a time limit that every client has; a seed made up."""
    job = load(folder, "kind: bench\nurls: [http://a/]\n")
    first, second = job.bench_job(), job.bench_job()
    assert [(report.format, report.path) for report in first.reports] == [
        ("bench_json", Path("out/job/result.json")),
        ("html", Path("out/job/report.html")),
        ("hlog", Path("out/job/result.hlog")),
    ]
    assert (first.timeout_s, job.needs_tls) == (30, False)
    assert first.seed != second.seed


def test_a_benchmark_sends_one_request(folder: Path) -> None:
    """URLs whose requests differ in more cannot be compared over arms; a list from a file is fine."""
    different = load(folder, "kind: bench\nurls: [http://a/, {url: http://b/, method: HEAD}]\n")
    with pytest.raises(JobError, match="that of http://b/ differs"):
        different.bench_job()
    (folder / "urls.txt").write_text("http://a/\nhttp://b/\n")
    listed = load(folder, "kind: bench\ninput: {path: urls.txt}\n")
    assert listed.bench_job().urls == ("http://a/", "http://b/")
    (folder / "urls.txt").write_text("nonsense\n")
    with pytest.raises(JobError, match="bad row"):
        load(folder, "kind: bench\ninput: {path: urls.txt}\n").bench_job()
    (folder / "urls.txt").write_text("")
    with pytest.raises(JobError, match="holds no URL"):
        load(folder, "kind: bench\ninput: {path: urls.txt}\n").bench_job()

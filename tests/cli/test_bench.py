"""`crawler bench` as a user runs it: as a process, on the testbed, in seconds."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.testbed import Testbed

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]

CONFIGS = Path(__file__).parents[2] / "configs"
QUICK = ("--requests", "4", "--warmup", "0", "--rounds", "1", "--set", "bench.cooldown=0")

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def _job(folder: Path, text: str) -> None:
    (folder / "job.yaml").write_text(text, encoding="utf-8")


def _arms(document: dict[str, Any]) -> list[tuple[str, str, str, int]]:
    return [(arm["name"], arm["engine"], arm["client"], arm["vus"]) for arm in document["arms"]]


def test_urls_are_measured_and_reported(bed: Testbed, crawler: Run, tmp_path: Path) -> None:
    """The shortest use: a URL. The table and the files are there, and the result is what `--json` prints."""
    result = crawler("bench", f"{bed.url}/get", "--arms", "sync,async", "--vus", "2", *QUICK, "--out", "found")

    assert result.returncode == 0, result.stderr
    assert "async: no verdict against sync" in result.stdout
    assert "coordinated omission" in result.stdout
    assert "report: found" in result.stdout
    document = json.loads((tmp_path / "found/result.json").read_text(encoding="utf-8"))
    assert document["schema"] == "crawler.bench/1"
    assert _arms(document) == [("sync", "sync", "crawler", 1), ("async", "async", "crawler", 2)]
    assert [arm["requests"] for arm in document["arms"]] == [4, 4]
    assert (tmp_path / "found/report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_progress_is_json_lines_off_a_terminal(bed: Testbed, crawler: Run) -> None:
    """Each line is JSON; with `--json` stdout is one value, and nothing else is there."""
    result = crawler("bench", f"{bed.url}/get", "--arms", "async", *QUICK, "--json")

    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["arms"][0]["errors"]["count"] == 0
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert {line["event"] for line in lines} == {"bench"}
    assert (lines[-1]["step"], lines[-1]["steps"], lines[-1]["phase"]) == (1, 1, "done")


def test_quiet_says_nothing(bed: Testbed, crawler: Run) -> None:
    """With `--quiet` there are the files alone."""
    result = crawler("bench", f"{bed.url}/get", "--arms", "sync", *QUICK, "--quiet")

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_the_classic_experiment(crawler: Run, tmp_path: Path) -> None:
    """The example job runs as it stands, but for a single round, and keeps its thresholds: also by `crawler run`."""
    job = str(CONFIGS / "bench-sync-vs-async.yaml")
    small = ("--set", "bench.rounds=1", "--set", "bench.requests=12", "--set", "bench.warmup=0")
    result = crawler("run", job, *small)

    assert result.returncode == 0, result.stderr
    reports = {path.name for path in (tmp_path / "out/bench-sync-vs-async").iterdir()}
    assert reports == {"result.json", "report.html", "report.md", "result.csv"}


def test_http2_on_the_testbed(crawler: Run, tmp_path: Path) -> None:
    """One arm with HTTP/2 puts all on TLS; each answers in its own version, or the run would have ended."""
    _job(
        tmp_path, 'kind: bench\ntestbed: true\nurls: [/get]\nbench: {arms: [{name: h1}, {name: h2, http_version: "2"}]}'
    )
    result = crawler("bench", "job.yaml", *QUICK, "--json")

    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    assert [(arm["http_version"], arm["errors"]["count"]) for arm in document["arms"]] == [("1.1", 0), ("2", 0)]
    assert document["target"]["urls"][0].startswith("https://")


def test_a_broken_threshold_is_exit_code_5(bed: Testbed, crawler: Run, tmp_path: Path) -> None:
    """The reports are written, and the line says what was measured and what was wanted."""
    _job(
        tmp_path,
        f"kind: bench\nurls: ['{bed.url}/status/500']\nbench: {{arms: [{{name: a}}, {{name: b}}]}}\n"
        "thresholds: {'a.errors.ratio': '< 1%'}\noutput: {format: markdown, path: '-'}\n",
    )
    result = crawler("bench", "job.yaml", *QUICK)

    assert result.returncode == 5, result.stderr
    assert "BROKEN: a: errors.ratio is 100 %; wanted a.errors.ratio: < 1%" in result.stderr
    assert result.stdout.startswith("# job\n")
    assert "http\\_5xx" in result.stdout


def test_no_success_is_exit_code_1(bed: Testbed, crawler: Run) -> None:
    """An arm that never succeeded is a result, but not a good one."""
    result = crawler("bench", f"{bed.url}/status/500", "--arms", "async", *QUICK)

    assert result.returncode == 1, result.stderr
    assert "4 (100 %)" in result.stdout


@posix
def test_ctrl_c_keeps_whole_rounds(bed: Testbed, start_crawler: Start, tmp_path: Path) -> None:
    """The round under way is left out; the result says that it ended early; the code is that of an interrupt."""
    options = ("--requests", "2", "--warmup", "0", "--rounds", "900", "--set", "bench.cooldown=0")
    lines = ("--set", "progress.interval=100ms")
    process = start_crawler("bench", f"{bed.url}/get", "--arms", "sync", *options, *lines, "--out", "found")
    assert process.stderr is not None
    while json.loads(process.stderr.readline())["step"] < 2:
        pass

    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=30)

    assert process.returncode == 130, stderr
    assert "Stopping" in stderr
    assert "ended early" in stdout
    document = json.loads((tmp_path / "found/result.json").read_text(encoding="utf-8"))
    assert 2 <= document["rounds"] < document["planned_rounds"] == 900
    assert len(document["arms"][0]["rounds"]) == document["rounds"]


@posix
def test_ctrl_c_before_the_first_round_is_whole(bed: Testbed, start_crawler: Start) -> None:
    """There is nothing to show, and that is said."""
    process = start_crawler("bench", f"{bed.url}/delay/20s", "--arms", "sync", *QUICK)
    assert process.stderr is not None
    process.stderr.readline()

    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)

    assert process.returncode == 130
    assert "nothing to compare" in stderr
    assert "Traceback" not in stderr


# -- what is refused --------------------------------------------------------------------------------------------------


def _complains(result: subprocess.CompletedProcess[str], code: int, *texts: str) -> None:
    assert result.returncode == code, result.stderr
    for text in texts:
        assert text in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_public_hosts_are_spared(crawler: Run) -> None:
    """Many users or a high rate on a host that is not ours is refused before anything is sent, with the way out."""
    # A name that never resolves (RFC 6761 §6.4): nobody can say that it is private, and nothing can be sent to it.
    url = "http://bench.invalid/"
    _complains(crawler("bench", url, "--vus", "65", *QUICK), 2, "bench.invalid", "--i-own-this-host")
    _complains(crawler("bench", url, "--rate", "101/s", "--rounds", "1"), 2, "--i-own-this-host")


def test_crawler_run_asks_for_the_owner_too(bed: Testbed, crawler: Run, tmp_path: Path) -> None:
    """A job of kind bench may be run either way; the same flag lifts the same limits, and means nothing to a fetch."""
    _job(tmp_path, "kind: bench\nurls: ['http://bench.invalid/']\nbench: {requests: 1, warmup: 0, rounds: 1}")
    keys = ("--set", 'bench.arms=[{"name": "a", "vus": 65}]')
    _complains(crawler("run", "job.yaml", *keys), 2, "bench.invalid", "--i-own-this-host")
    owned = crawler("run", "job.yaml", *keys, "--i-own-this-host")
    assert owned.returncode == 1, owned.stderr  # it began, and no name of `.invalid` is ever found
    _complains(crawler("run", f"{bed.url}/get", "--i-own-this-host"), 2, "kind bench")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--arms", "asink"), "there is no arm 'asink'"),
        (("--arms", "httpx/fast"), "there is no arm 'httpx/fast'"),
        (("--arms", "sync,sync"), "has this name already"),
        (("--arms", "aiohttp/sync"), "aiohttp runs with engine async"),
        (("--vus", "many"), "--vus takes whole numbers"),
        (("--requests", "0"), "must be at least 1"),
        (("--duration", "2 fortnights"), "is no duration"),
        (("--requests", "5", "--duration", "5s"), "not by both"),
        (("--rate", "9/s", "--requests", "5"), "it belongs to closed"),
        (("--vus", ",".join(str(number) for number in range(1, 40))), "64 are allowed"),
        (("--set", "retry.attempts=2"), "retry: has no effect with `kind: bench`"),
    ],
)
def test_wrong_options(crawler: Run, options: tuple[str, ...], text: str) -> None:
    """Options are checked by the rules of the job file, before anything is sent."""
    _complains(crawler("bench", "http://127.0.0.1:1/", *options), 2, text)


def test_a_job_that_fetches_is_no_benchmark(crawler: Run, tmp_path: Path) -> None:
    """The message says which command it is for."""
    _job(tmp_path, "urls: [http://127.0.0.1:1/]\n")
    _complains(crawler("bench", "job.yaml"), 2, "crawler run")


def test_validate_knows_what_can_be_run(crawler: Run, tmp_path: Path) -> None:
    """What the plan refuses, `validate` refuses too."""
    _job(tmp_path, "kind: bench\nurls: [http://127.0.0.1:1/]\nbench: {arms: [{name: a, client: requests}]}")
    _complains(crawler("validate", "job.yaml"), 2, "requests runs with engine sync or threads")
    _job(tmp_path, "kind: bench\nurls: [http://127.0.0.1:1/]\n")
    assert crawler("validate", "job.yaml").stdout == "job: valid\n"


def test_a_dry_run_sends_nothing(crawler: Run, tmp_path: Path) -> None:
    """`crawler run --dry-run` says what would be measured; `--fresh` has no meaning here."""
    _job(
        tmp_path, "kind: bench\nurls: [http://127.0.0.1:1/]\nbench: {duration: 3s, warmup: 1s, rounds: 5, cooldown: 0}"
    )
    result = crawler("run", "job.yaml", "--dry-run")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(
        "job: 3 arms, 5 rounds, 1 URL, about 60 s\n  sync: crawler, sync, HTTP/1.1, 1 at once\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["job.yaml"]
    _complains(crawler("run", "job.yaml", "--fresh"), 2, "--fresh")


def test_reports_must_be_writable_before_the_start(crawler: Run, tmp_path: Path) -> None:
    """A benchmark of an hour must not end with a folder that is a file."""
    (tmp_path / "taken").write_text("")
    _complains(crawler("bench", "http://127.0.0.1:1/", *QUICK, "--out", "taken/here"), 4, "taken")
    _job(tmp_path, "kind: bench\nurls: [http://127.0.0.1:1/]\noutput: {format: csv, path: '-'}")
    _complains(crawler("bench", "job.yaml", *QUICK, "--json"), 2, "--json")

"""`crawler retry` as a user runs it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crawler.testbed import Testbed

Run = Callable[..., subprocess.CompletedProcess[str]]


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _job(bed: Testbed, folder: Path) -> None:
    urls = [f"{bed.url}/get", f"{bed.url}/status/404", f"{bed.url}/flaky?fail=1&retry_after=&key={folder.name}"]
    text = f"urls: {json.dumps(urls)}\nretry: {{attempts: 1}}\n"
    (folder / "job.yaml").write_text(text, encoding="utf-8")


def test_a_failure_is_tried_again_by_the_name_of_the_job(bed: Testbed, crawler: Run, tmp_path: Path) -> None:
    """What is chosen gets a new record, the rest keeps its own; by name, by folder and by file."""
    _job(bed, tmp_path)
    first = crawler("run", "job.yaml")
    assert first.returncode == 1
    assert "retry:        python -m crawler.cli retry job.yaml\n" in first.stdout

    for run in ("job", "out/job", "job.yaml"):
        again = crawler("retry", run, "--status", "5xx")
        assert again.returncode == 1, again.stderr
    records = _records(tmp_path / "out/job/results.jsonl")

    assert sorted(str(record["status"]) for record in records) == ["200", "200", "404"]
    assert len({record["id"] for record in records}) == 3


def test_nothing_failed_of_that_kind(bed: Testbed, crawler: Run, tmp_path: Path) -> None:
    """Then nothing is sent, and the run stays as it was."""
    _job(bed, tmp_path)
    crawler("run", "job.yaml")
    before = (tmp_path / "out/job/results.jsonl").read_bytes()

    result = crawler("retry", "job", "--kind", "dns_*")

    assert "0 URLs that failed are tried again" in result.stderr
    assert (tmp_path / "out/job/results.jsonl").read_bytes() == before


def test_settings_of_the_first_run_are_missed(bed: Testbed, crawler: Run) -> None:
    """Values of `--set` may be secrets and are not kept; that they are missing is told."""
    crawler("run", f"{bed.url}/status/404", "--out", "found", "--set", "retry.attempts=1")

    result = crawler("retry", "found", "--quiet")

    assert result.returncode == 1
    assert "the run had --set for retry.attempts" in result.stderr
    assert "1 URL that failed is tried again" in result.stderr


def test_what_is_no_run(crawler: Run) -> None:
    """Unknown names and words that are no status are told as such."""
    assert "there is no run in nonsense or out/nonsense" in crawler("retry", "nonsense").stderr
    refused = crawler("retry", "http://127.0.0.1:1/", "--status", "50")
    assert "'50' is no status" in refused.stderr


def test_limits_and_tolerance_reach_the_exit_code(bed: Testbed, crawler: Run, tmp_path: Path) -> None:
    """A limit ends with 3 and its name and is resumable; failures within the ratio end with 0."""
    _job(bed, tmp_path)

    limited = crawler("run", "job.yaml", "--set", "concurrency=1", "--set", "stop.requests=2", "--json")
    assert limited.returncode == 3
    assert "stopped by stop.requests: 2" in limited.stderr
    summary = json.loads(limited.stdout)
    assert (summary["state"], summary["limits_hit"], summary["pending"]) == ("stopped", ["stop.requests: 2"], 1)

    tolerant = crawler("run", "job.yaml", "--set", "stop.failure_ratio=70%", "--json")
    assert tolerant.returncode == 0, tolerant.stderr
    assert json.loads(tolerant.stdout)["counts"]["failed"] == 2

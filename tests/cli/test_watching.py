"""The sections `log` and `telemetry` of a job, from the command line."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

from crawler.testbed import Testbed

Crawler = Callable[..., subprocess.CompletedProcess[str]]


def _job(folder: Path, bed: Testbed, *lines: str) -> str:
    urls = f"urls: ['{bed.url}/get', '{bed.url}/status/404?token=hush']"
    (folder / "job.yaml").write_text("\n".join((urls, *lines)), encoding="utf-8")
    return "job.yaml"


def test_a_log_file_has_json_lines(bed: Testbed, crawler: Crawler, tmp_path: Path) -> None:
    """Each failed attempt is a line with its facts, without secrets; a second run appends."""
    job = _job(tmp_path, bed, "log: {file: logs/run.jsonl, level: debug}")
    for number in (1, 2):
        result = crawler("run", job, "--fresh", "--quiet")
        assert result.returncode == 1, result.stderr
        lines = [json.loads(line) for line in (tmp_path / "logs/run.jsonl").read_text(encoding="utf-8").splitlines()]
        assert len(lines) == 2 * number
    levels = {line["level"]: line for line in lines}
    assert levels["warning"]["error"] == "http_4xx"
    assert levels["debug"]["status"] == 200
    assert levels["warning"]["url_id"].startswith("b2:")
    assert "hush" not in (tmp_path / "logs/run.jsonl").read_text(encoding="utf-8")


def test_a_log_on_stderr_in_words(bed: Testbed, crawler: Crawler, tmp_path: Path) -> None:
    """Level info leaves the successes out."""
    result = crawler("run", _job(tmp_path, bed, "log: {format: text}"), "--quiet")

    (line,) = result.stderr.splitlines()
    assert "WARNING http_4xx, attempt 1 of " in line
    assert "hush" not in line


def test_without_the_section_nothing_is_logged(bed: Testbed, crawler: Crawler, tmp_path: Path) -> None:
    """Quiet is quiet."""
    assert crawler("run", _job(tmp_path, bed), "--quiet").stderr == ""


def test_an_unwritable_log_is_refused(bed: Testbed, crawler: Crawler, tmp_path: Path) -> None:
    """Before anything is fetched, with the exit code of outputs."""
    (tmp_path / "logs").write_text("a file", encoding="utf-8")
    result = crawler("run", _job(tmp_path, bed, "log: {file: logs/run.jsonl}"))
    assert result.returncode == 4
    assert "logs/run.jsonl" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_taken_metrics_port_is_said(bed: Testbed, crawler: Crawler, tmp_path: Path) -> None:
    """With the key and the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = crawler("run", _job(tmp_path, bed, f"telemetry: {{prometheus: {{listen: '{address}'}}}}"))
    assert result.returncode == 2
    assert f"telemetry.prometheus.listen: {address}" in result.stderr


def test_metrics_are_served_while_it_runs(bed: Testbed, crawler: Crawler, tmp_path: Path) -> None:
    """The job can scrape itself: the counters are live."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = f"urls: ['http://127.0.0.1:{port}/metrics']\nbody: {{keep: inline}}\n"
    (tmp_path / "job.yaml").write_text(f"{text}telemetry: {{prometheus: {{listen: '127.0.0.1:{port}'}}}}\n")
    result = crawler("run", "job.yaml", "--quiet")

    assert result.returncode == 0, result.stderr
    record = json.loads((tmp_path / "out/job/results.jsonl").read_text(encoding="utf-8"))
    assert 'http_client_active_requests{job="job"} 1.0' in record["body"]


def test_addresses_are_checked(crawler: Crawler, tmp_path: Path) -> None:
    """With the place in the file."""
    (tmp_path / "job.yaml").write_text("urls: [http://h/]\ntelemetry: {prometheus: {listen: 9464}}\n")
    result = crawler("validate", "job.yaml")
    assert result.returncode == 2
    assert "expected HOST:PORT like 127.0.0.1:9464" in result.stderr

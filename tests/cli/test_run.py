"""`crawler run` as a user runs it: as a process, with files, signals and pipes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.testbed import Testbed

Run = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[str]]

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and pipes of POSIX")


def _records(path: Path) -> list[dict[str, Any]]:
    """All records; fails on a line that is not whole."""
    text = path.read_text(encoding="utf-8")
    assert not text or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def _job(folder: Path, *lines: str, name: str = "job.yaml") -> None:
    (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# -- it works ---------------------------------------------------------------------------------------------------------


def test_urls_become_records_and_a_summary(bed: Testbed, crawler: Run, tmp_path: Path) -> None:
    """The shortest use: URLs on the command line; the summary says where the records are."""
    result = crawler("run", f"{bed.url}/get", f"{bed.url}/bytes/1000", "--out", "found")

    assert result.returncode == 0, result.stderr
    assert "2 URLs: 2 ok" in result.stdout
    assert "found/results.jsonl (2 records" in result.stdout
    records = _records(tmp_path / "found/results.jsonl")
    assert sorted(record["url"] for record in records) == [f"{bed.url}/bytes/1000", f"{bed.url}/get"]
    assert (tmp_path / "found/summary.json").is_file()


def test_a_list_comes_from_standard_input(bed: Testbed, crawler: Run, tmp_path: Path) -> None:
    """`-` reads one URL a line."""
    result = crawler("run", "-", "--out", "found", stdin=f"{bed.url}/get?a\n\n{bed.url}/get?b\n")

    assert result.returncode == 0, result.stderr
    assert len(_records(tmp_path / "found/results.jsonl")) == 2


def test_json_is_the_summary_on_stdout(bed: Testbed, crawler: Run, tmp_path: Path) -> None:
    """With `--json` stdout is one JSON value, the same as summary.json."""
    result = crawler("run", f"{bed.url}/get", "--out", "found", "--json")

    assert result.returncode == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary == json.loads((tmp_path / "found/summary.json").read_text())
    assert (summary["schema"], summary["counts"]["ok"]) == ("crawler.summary/1", 1)


def test_progress_is_json_lines_off_a_terminal(bed: Testbed, crawler: Run) -> None:
    """Where stderr is no terminal each report is a line of JSON; the last one is of the end."""
    result = crawler("run", f"{bed.url}/delay/300ms", "--out", "found", "--set", "progress.interval=0.1s")

    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert len(lines) >= 2
    assert {line["event"] for line in lines} == {"progress"}
    assert (lines[-1]["done"], lines[-1]["total"]) == (1, 1)


def test_quiet_says_nothing(bed: Testbed, crawler: Run, tmp_path: Path) -> None:
    """With `--quiet` a good run is silent; its files are there."""
    result = crawler("run", f"{bed.url}/get", "--out", "found", "--quiet")

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert len(_records(tmp_path / "found/results.jsonl")) == 1


def test_a_dry_run_fetches_nothing(bed: Testbed, crawler: Run, tmp_path: Path) -> None:
    """`--dry-run` says what would be fetched and leaves no trace."""
    _job(tmp_path, "urls:", *(f"  - http://127.0.0.1:1/{n}" for n in range(12)))

    result = crawler("run", "job.yaml", "--dry-run")

    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("job: 12 requests, 64 at once")
    assert "GET http://127.0.0.1:1/9\n  … and 2 more\n" in result.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["job.yaml"]


def test_run_again_fetches_nothing_and_fresh_all(bed: Testbed, crawler: Run, tmp_path: Path) -> None:
    """The same command finds its work done; `--fresh` begins anew, and each URL has one record either way."""
    _job(tmp_path, f"urls: ['{bed.url}/get?1', '{bed.url}/get?2']")

    first, again = (json.loads(crawler("run", "job.yaml", "--json").stdout) for _ in range(2))
    assert (first["earlier"], first["counts"]["ok"]) == (0, 2)
    assert (again["earlier"], again["counts"]["ok"]) == (2, 2)

    fresh = json.loads(crawler("run", "job.yaml", "--json", "--fresh").stdout)
    assert (fresh["earlier"], fresh["counts"]["ok"]) == (0, 2)
    records = _records(tmp_path / "out/job/results.jsonl")
    assert [record["run_id"] for record in records] == [fresh["run_id"]] * 2


def test_status_shows_the_last_end(bed: Testbed, crawler: Run) -> None:
    """`crawler status` finds the run by the name of its job or by its folder."""
    assert "no run has ended in" in crawler("status", "job").stderr
    crawler("run", f"{bed.url}/get", "--out", "out/job")

    for run in ("job", "out/job", "out/job/summary.json"):
        result = crawler("status", run)
        assert result.returncode == 0, result.stderr
        assert "1 URL: 1 ok" in result.stdout


@posix
def test_a_slow_list_is_fetched_as_it_comes(bed: Testbed, start_crawler: Start, tmp_path: Path) -> None:
    """What a program writes into the pipe is fetched at once; a signal does not wait for its next line."""
    records = tmp_path / "found/results.jsonl"
    process = start_crawler("run", "-", "--out", "found", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(f"{bed.url}/get\n")
    process.stdin.flush()
    _wait_for(lambda: records.is_file() and records.read_bytes().endswith(b"\n"))

    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)

    assert process.returncode == 130
    assert process.stderr is not None
    assert "Fatal" not in process.stderr.read()


# -- bad input --------------------------------------------------------------------------------------------------------


def _complains(result: subprocess.CompletedProcess[str], code: int, *texts: str) -> None:
    assert result.returncode == code, result.stderr
    for text in texts:
        assert text in result.stderr
    assert result.stderr.startswith("crawler: ")
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_missing_job_file(crawler: Run) -> None:
    """The name that was given is in the message."""
    _complains(crawler("run", "missing.yaml"), 2, "missing.yaml")
    _complains(crawler("validate", "missing.yaml"), 2, "missing.yaml")


def test_a_malformed_job_file(crawler: Run, tmp_path: Path) -> None:
    """What is no YAML is told with its place."""
    _job(tmp_path, "urls:", "  - [")

    _complains(crawler("run", "job.yaml"), 2, "job.yaml:")


def test_unknown_keys_are_told_with_place_and_nearest_name(crawler: Run, tmp_path: Path) -> None:
    """All mistakes at once, each with file, line, column and what may have been meant."""
    _job(tmp_path, "urls: [http://127.0.0.1:1/]", "concurency: 8", "retry:", "  attemps: 2")

    for command in ("run", "validate", "config"):
        _complains(crawler(command, "job.yaml"), 2, "job.yaml:2:1: ", "'concurrency'", "job.yaml:4:3: ", "'attempts'")


@pytest.mark.parametrize("url", ["example.com", "example.com/path", "www.example.com:8080/"])
def test_a_url_without_scheme(crawler: Run, tmp_path: Path, url: str) -> None:
    """The message says what to type, on the command line as in a job file."""
    _complains(crawler("run", url), 2, f"https://{url}")
    _job(tmp_path, f"urls: ['{url}']")
    _complains(crawler("run", "job.yaml"), 2, "job.yaml:1:", f"https://{url}")


def test_lists_are_run_as_they_are(bed: Testbed, crawler: Run, tmp_path: Path) -> None:
    """A text file and a table with a column `url`; the run has the name of the first, and is gone on with by it."""
    (tmp_path / "my urls.txt").write_text(f"{bed.url}/get?n=1\n{bed.url}/get?n=2\n", encoding="utf-8")
    (tmp_path / "more.csv").write_text(f"url,shop\n{bed.url}/get?n=3,north\n", encoding="utf-8")

    assert crawler("run", "my urls.txt", "more.csv").returncode == 0
    lines = (tmp_path / "out/my-urls/results.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert sorted(record["url"][-3:] for record in records) == ["n=1", "n=2", "n=3"]
    assert [record["meta"] for record in records if record["url"].endswith("n=3")] == [{"shop": "north"}]
    assert "earlier runs did it all" in crawler("run", "my urls.txt", "more.csv").stdout


def test_lists_and_urls_do_not_mix(crawler: Run, tmp_path: Path) -> None:
    """Nor does a list that is not there pass for a host."""
    (tmp_path / "urls.txt").write_text("http://127.0.0.1:1/\n")
    _complains(crawler("run", "urls.txt", "http://127.0.0.1:1/"), 2, "put the URLs into a list")
    _complains(crawler("run", "none.txt"), 2, "none.txt")


@pytest.mark.parametrize(("argument", "text"), [("", "empty argument"), (".", "is a folder"), ("ftp://x/", "ftp")])
def test_other_arguments_that_are_no_urls(crawler: Run, argument: str, text: str) -> None:
    """Each is told for what it is."""
    _complains(crawler("run", argument), 2, text)


def test_a_refused_connection(crawler: Run) -> None:
    """It is counted and explained; the run ends with the code for failures."""
    result = crawler("run", "http://127.0.0.1:1/", "--set", "retry.attempts=1")

    assert result.returncode == 1
    assert "1 URL: 0 ok, 1 failed" in result.stdout
    assert "1 × connect_refused, for example http://127.0.0.1:1/" in result.stdout
    assert "nothing listens there" in result.stdout
    assert "Traceback" not in result.stderr


def test_an_output_that_cannot_be_written(bed: Testbed, crawler: Run, tmp_path: Path) -> None:
    """The folder is named, the code is that of the disk, and nothing was fetched."""
    (tmp_path / "file").write_text("in the way")

    _complains(crawler("run", f"{bed.url}/get", "--out", "file/out", "--quiet"), 4, "file")


# -- interruptions ----------------------------------------------------------------------------------------------------


def _slow_job(bed: Testbed, folder: Path, n: int, delay: str) -> Path:
    """A job of `n` slow URLs, two at once."""
    _job(folder, "concurrency: 2", "urls:", *(f"  - {bed.url}/delay/{delay}?n={k}" for k in range(n)))
    return folder / "out/job/results.jsonl"


@posix
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"])
def test_interrupted_it_leaves_whole_records_and_goes_on(
    bed: Testbed, crawler: Run, start_crawler: Start, tmp_path: Path, number: int, code: int
) -> None:
    """A signal in the middle: what is in flight ends, records are whole, and the same command does the rest."""
    records = _slow_job(bed, tmp_path, 40, "100ms")
    process = start_crawler("run", "job.yaml")
    _wait_for(lambda: records.is_file() and records.read_bytes().count(b"\n") >= 4)

    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=30)

    assert process.returncode == code, stderr
    assert "job: interrupted" in stdout
    assert "go on:        python -m crawler.cli run job.yaml\n" in stdout
    assert "Traceback" not in stderr
    before = {record["url"] for record in _records(records)}
    assert 4 <= len(before) < 40

    again = crawler("run", "job.yaml", "--json")
    assert again.returncode == 0, again.stderr
    summary = json.loads(again.stdout)
    assert summary["earlier"] == len(before)
    urls = [record["url"] for record in _records(records)]
    assert len(urls) == len(set(urls)) == 40


@posix
def test_a_second_signal_stops_at_once(bed: Testbed, start_crawler: Start, tmp_path: Path) -> None:
    """Who presses Ctrl-C twice does not wait for what is in flight."""
    _slow_job(bed, tmp_path, 4, "30s")
    process = start_crawler("run", "job.yaml", "--set", "stop.grace=30s", "--set", "progress.interval=0.1s")
    assert process.stderr is not None
    while json.loads(process.stderr.readline()).get("in_flight") != 2:
        pass

    process.send_signal(signal.SIGINT)
    while json.loads(process.stderr.readline())["event"] != "note":
        pass
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=20)

    assert process.returncode == 130
    assert "Stopping at once." in stderr
    assert "Traceback" not in stderr


@posix
def test_two_runs_of_one_job_do_not_mix(bed: Testbed, crawler: Run, start_crawler: Start, tmp_path: Path) -> None:
    """While a run holds the state, another one is refused with the code for that."""
    records = _slow_job(bed, tmp_path, 400, "100ms")
    start_crawler("run", "job.yaml")
    _wait_for(lambda: records.is_file() and records.stat().st_size > 0)

    result = crawler("run", "job.yaml", "--quiet")

    _complains(result, 6)


@posix
def test_a_closed_pipe_does_not_hurt_the_run(bed: Testbed, start_crawler: Start, tmp_path: Path) -> None:
    """`crawler run … | head -0`: nobody reads the summary, the records are there and the code is the run's."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    process = start_crawler("run", f"{bed.url}/get", "--out", "found", stdout=write_end)
    os.close(write_end)
    _, stderr = process.communicate(timeout=30)

    assert process.returncode == 0
    assert "Error" not in stderr
    assert len(_records(tmp_path / "found/results.jsonl")) == 1


@posix
def test_a_peer_that_closes_is_explained(crawler: Run) -> None:
    """A server that accepts and says nothing is an error of the summary, not of the program."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        result = crawler("run", url, "--set", "retry.attempts=1", "--set", "timeout.read=200ms")

    assert result.returncode == 1
    assert "1 × timeout_" in result.stdout


@posix
def test_records_into_a_closed_pipe_end_the_run_quietly(bed: Testbed, start_crawler: Start, tmp_path: Path) -> None:
    """`crawler run … | head -1`: no word about disks, the code of SIGPIPE, and the same command goes on."""
    urls = json.dumps([f"{bed.url}/delay/10ms?n={n}" for n in range(200)])
    _job(
        tmp_path, f"urls: {urls}", "output: {path: '-', fields: [url]}", "concurrency: 4", "per_host: {concurrency: 4}"
    )
    process = start_crawler("run", "job.yaml", "--quiet")
    assert process.stdout is not None
    assert process.stdout.readline().startswith('{"url":')
    process.stdout.close()

    assert process.wait(30) == 141
    assert process.stderr is not None
    assert process.stderr.read() == ""

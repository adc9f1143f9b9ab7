"""`crawler serve` as a process: killed, stopped, started again; nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import crawler
from crawler.cli.main import app
from tests.service.conftest import Sluice

WriteJob = Callable[[str, str], Path]
URLS, QUICK = 40, 20


class Served:
    """A service in a process of its own."""

    def __init__(self, folder: Path, *more: str, **environment: str) -> None:
        command = [sys.executable, "-m", "crawler.cli", "serve", "--port", "0", "--allow-network", "127.0.0.1", *more]
        command += ["--jobs", str(folder / "jobs"), "--state", str(folder / "state")]
        variables = {name: value for name, value in os.environ.items() if not name.startswith("CRAWLER_")}
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**variables, **environment},
            start_new_session=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+(?=;)", line)
        assert found is not None, (line, self.process.communicate())
        self.url = found[0]

    def get(self, path: str) -> Any:
        """GET JSON."""
        return crawler.get(self.url + path, timeout=20).json()

    def post(self, path: str, body: object = None) -> Any:
        """POST JSON."""
        return crawler.post(self.url + path, json={} if body is None else body, timeout=20).json()

    def until(self, run_id: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until something holds of a run; gives it."""
        for _ in range(300):
            run: dict[str, Any] = self.get(f"/v1/runs/{run_id}")
            if condition(run):
                return run
            time.sleep(0.1)
        raise AssertionError(run)

    def end(self, number: int) -> int:
        """Send a signal and wait for the end; gives the exit code."""
        self.process.send_signal(number)
        self.process.communicate(timeout=30)
        return self.process.returncode


Start = Callable[[Path], Served]


@pytest.fixture
def folder(tmp_path: Path, sluice: Sluice) -> Path:
    """A job folder with a job that stops in its middle until the sluice is opened."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "slow.yaml").write_text(sluice.job(QUICK, URLS - QUICK), encoding="utf-8")
    return tmp_path


def _is_held(run: dict[str, Any]) -> bool:
    """Whether a run has come to where the sluice holds it."""
    progress = run["progress"]
    return bool(run["state"] == "running" and progress.get("done") == QUICK and progress["in_flight"])


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts services; none outlives its test."""
    started: list[Served] = []

    def make(folder: Path) -> Served:
        started.append(Served(folder))
        return started[-1]

    yield make
    for served in started:
        if served.process.poll() is None:
            served.end(signal.SIGKILL)


def _records(folder: Path, run_id: str) -> Counter[str]:
    path = folder / "state" / "runs" / "slow" / run_id / "results.jsonl"
    return Counter(json.loads(line)["key"] for line in path.read_text(encoding="utf-8").splitlines())


def test_killed_and_stopped_in_mid_run_it_goes_on_by_itself(folder: Path, start: Start, sluice: Sluice) -> None:
    """After kill -9, and after SIGTERM, which ends it with code 0: the same run goes on, alone, every record once.

    Meanwhile a second service is kept out.
    """
    served = start(folder)
    command = [sys.executable, "-m", "crawler.cli", "serve", "--port", "0", "--jobs", str(folder / "jobs")]
    second = subprocess.run(
        [*command, "--state", str(folder / "state")], capture_output=True, text=True, timeout=30, check=False
    )
    assert second.returncode == 6
    assert "another run holds" in second.stderr
    run_id = served.post("/v1/runs", {"job": "slow"})["id"]
    served.until(run_id, _is_held)
    served.end(signal.SIGKILL)

    served = start(folder)
    served.until(run_id, lambda run: run["resumes"] == 1 and _is_held(run))
    assert served.end(signal.SIGTERM) == 0
    sluice.open()

    served = start(folder)
    run = served.until(run_id, lambda run: run["state"] == "finished")
    assert [run["id"] for run in served.get("/v1/runs")["runs"]] == [run_id]
    assert (run["resumes"], run["losses"], run["exit_code"], run["progress"]["counts"]["ok"]) == (2, 0, 0, URLS)
    assert _records(folder, run_id) == Counter(str(n) for n in range(1, URLS + 1))
    assert served.end(signal.SIGINT) == 0


def test_a_process_that_dies_is_replaced_once(folder: Path, start: Start) -> None:
    """The first loss is made good; a second one fails the run with `worker_lost`."""
    served = start(folder)
    run_id = served.post("/v1/runs", {"job": "slow"})["id"]
    for losses in (0, 1):
        served.until(run_id, lambda run, n=losses: run["losses"] == n and _is_held(run))  # type: ignore[misc]
        _kill_worker(served.process.pid)
        served.until(run_id, lambda run, n=losses: run["losses"] == n + 1 or run["state"] == "failed")  # type: ignore[misc]
    run = served.until(run_id, lambda run: run["state"] == "failed")

    assert (run["exit_code"], run["message"].split(":")[0]) == (7, "worker_lost")
    assert served.end(signal.SIGTERM) == 0


def _kill_worker(parent: int) -> None:
    """Kill the one process of a run: below the nursery, or below the service; waits until there is one."""
    for _ in range(100):
        for child in _children(parent):
            is_nursery = b"crawler.service.nursery" in Path(f"/proc/{child}/cmdline").read_bytes()
            for worker in _children(child) if is_nursery else [child]:
                os.kill(worker, signal.SIGKILL)
                return
        time.sleep(0.05)
    raise AssertionError("there is no worker")


def _children(pid: int) -> list[int]:
    return [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["--host", "0.0.0.0"], {}, "set CRAWLER_TOKEN"),
        ([], {"CRAWLER_TOKEN": "short"}, "16 printable"),
        ([], {"CRAWLER_READ_TOKEN": "r" * 32}, "set both"),
        (["--allow-network", "intranet"], {}, "--allow-network intranet"),
        (["--jobs", "nowhere"], {}, "no such folder"),
    ],
)
def test_what_it_does_not_start_with(
    tmp_path: Path,
    arguments: list[str],
    environment: dict[str, str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2 and one sentence; nothing listens."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit) as left:
        app(["serve", "--jobs", str(tmp_path), "--state", str(tmp_path / "s"), "--port", "0", *arguments])

    assert left.value.code == 2
    assert message in capsys.readouterr().err

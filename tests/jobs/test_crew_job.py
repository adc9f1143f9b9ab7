"""Jobs with several workers: the same records as with one, whoever is killed and when."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socketserver
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

from crawler.fanout import HostLimits, Item, Outcome, Output, Plan, Politeness, Run
from crawler.fanout.crew_run import CrewRun
from crawler.jobs import JobError, load_job
from crawler.jobs.crew_job import run_of
from crawler.testbed import Testbed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs sockets that are handed over")

Records = list[dict[str, Any]]
VOLATILE = {
    "run_id",
    "conn_id",
    "conn_reused",
    "started_at",
    "fetched_at",
    "timing",
    "elapsed",
    "host_wait",
    "worker",
    "redirects",
    "remote_port",
    "headers",
}


@pytest.fixture(scope="module")
def beds() -> Iterator[list[Testbed]]:
    """Four hosts, as far as politeness goes."""
    beds = [Testbed() for _ in range(4)]
    for bed in beds:
        bed.start()
    yield beds
    for bed in beds:
        bed.stop()


def write_job(folder: Path, **tree: object) -> Path:
    """A job file of JSON, which is YAML."""
    path = folder / "job.yaml"
    path.write_text(json.dumps({"version": 1, "name": "crew", "progress": {"mode": "none"}, **tree}))
    return path


def make_run(path: Path, out: Path, *sets: str) -> Run:
    """The run of a job."""
    job = load_job([path], sets)
    plan = job.plan(out=out)
    return run_of(job, plan, job.staff(plan))


def execute(run: Run, beside: Callable[[Run], Any] | None = None) -> Outcome:
    """Execute a run, and something beside it."""

    async def both() -> Outcome:
        helper = None if beside is None else asyncio.create_task(beside(run))
        try:
            return await run.execute()
        finally:
            if helper is not None:
                helper.cancel()

    return asyncio.run(both())


def records(out: Path) -> Records:
    """All whole records."""
    path = out / "results.jsonl"
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def known(record: dict[str, Any]) -> dict[str, Any]:
    """What of a record must not depend on who fetched it."""
    return {name: value for name, value in record.items() if name not in VOLATILE}


def various(beds: list[Testbed], n: int) -> list[dict[str, Any]]:
    """URLs of all kinds on all hosts."""
    paths = ("/bytes/{n}?i={n}", "/status/404?i={n}", "/gzip?i={n}", "/redirect/2?i={n}", "/html?i={n}", "/get?i={n}")
    return [
        {"url": beds[number % len(beds)].url + paths[number % len(paths)].format(n=number), "meta": {"n": number}}
        for number in range(n)
    ]


def check_homes(found: Records) -> None:
    """Each host was asked by one process."""
    homes: dict[str, set[str]] = defaultdict(set)
    for record in found:
        homes[record["url"].split("/")[2]].add(record["worker"])
    assert all(len(workers) == 1 for workers in homes.values()), homes


def test_several_processes_give_the_records_of_one(tmp_path: Path, beds: list[Testbed]) -> None:
    """Records, bodies, counts and exit code are the same; each host is asked by one process."""
    path = write_job(
        tmp_path, urls=various(beds, 120), body={"keep": "file"}, checks=[{"not_contains": "no such text"}]
    )
    one = execute(make_run(path, tmp_path / "one"))
    crew = make_run(path, tmp_path / "crew", "workers=3")
    assert isinstance(crew, CrewRun)
    many = execute(crew)
    assert (many.state, many.exit_code) == (one.state, one.exit_code) == ("finished", 1)
    expected = {record["id"]: known(record) for record in records(tmp_path / "one")}
    found = {record["id"]: known(record) for record in records(tmp_path / "crew")}
    assert found == expected
    assert len(records(tmp_path / "crew")) == 120
    check_homes(records(tmp_path / "crew"))
    names = [sorted(p.name for p in (tmp_path / out / "files").rglob("*")) for out in ("one", "crew")]
    assert names[0] == names[1]
    for name in ("counts", "submitted", "pending", "duplicates", "status", "bytes", "retries"):
        assert many.summary[name] == one.summary[name], name
    for mine, other in zip(many.summary["hosts"], one.summary["hosts"], strict=True):  # type: ignore[call-overload]
        assert (mine["host"], mine["n"], mine["ok"]) == (other["host"], other["n"], other["ok"])
    assert many.summary["timing"]["total"]["n"] == one.summary["timing"]["total"]["n"]  # type: ignore[index]
    assert crew.stats.in_flight == crew.stats.waiting == 0


@pytest.mark.parametrize("seed", range(2))
def test_processes_killed_at_any_moment(tmp_path: Path, beds: list[Testbed], seed: int) -> None:
    """What a killed process had is done by the next one there: every URL has exactly one record."""
    rng = random.Random(seed)
    urls = [f"{beds[n % 4].url}/delay/0.02?i={n}" for n in range(200)]
    path = write_job(tmp_path, urls=urls, workers=2, concurrency=8, per_host={"concurrency": 8})
    killed = 0

    async def kill(run: Run) -> None:
        nonlocal killed
        assert isinstance(run, CrewRun)
        while killed < 3:
            await asyncio.sleep(rng.uniform(0.05, 0.3))
            alive = [place.process for place in run.crew.places if place.process is not None]
            if alive:
                rng.choice(alive).send_signal(signal.SIGKILL)
                killed += 1

    outcome = execute(make_run(path, tmp_path / "out"), kill)
    found = records(tmp_path / "out")
    assert Counter(record["url"] for record in found) == Counter(urls)
    assert outcome.state == "finished"
    lost = [record for record in found if record["outcome"] != "ok"]
    assert len(lost) <= killed
    assert {record["error"]["kind"] for record in lost} <= {"worker_lost"}
    assert killed
    counts = outcome.summary["counts"]
    assert isinstance(counts, dict)
    assert sum(counts.values()) == outcome.summary["submitted"] == 200


_POISON = """
import os, signal
from crawler.fanout.crew_setup import Hands
from crawler.fanout.pages import Findings

class Killer:
    async def process(self, page):
        if "poison" in page.url:
            os.kill(os.getpid(), signal.SIGKILL)
        return Findings()

def team(plan):
    return Hands(plan, Killer())

def broken(plan):
    raise RuntimeError("this one cannot begin")

def dying(plan):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def poison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module that other processes can import, too."""
    import importlib

    (tmp_path / "poison_team.py").write_text(_POISON)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("poison_team")
    yield module
    sys.modules.pop("poison_team")


def small_plan(folder: Path, **options: Any) -> Plan:
    """A plan that needs no job."""
    from crawler.fanout import BodyPolicy

    return Plan(
        "crew",
        outputs=(Output(folder / "results.jsonl"),),
        state_dir=folder / "state",
        concurrency=8,
        body=BodyPolicy(hold=100_000),
        input_id="list",
        **options,
    )


def test_what_kills_two_processes_is_recorded(tmp_path: Path, beds: list[Testbed], poison: Any) -> None:
    """The request that did it is `worker_lost`, and no other is, though they were under way beside it."""
    urls = [f"{beds[0].url}/bytes/50?{'poison' if n == 30 else 'i'}={n}" for n in range(60)]
    run = CrewRun(small_plan(tmp_path), [Item(url) for url in urls], 2, poison.team, may_grow=True)
    outcome = execute(run)
    found = records(tmp_path)
    assert Counter(record["url"] for record in found) == Counter(urls)
    (lost,) = [record for record in found if record["outcome"] != "ok"]
    assert "poison" in lost["url"]
    assert lost["error"]["kind"] == "worker_lost"
    assert lost["error"]["family"] == "flow"
    assert (outcome.state, outcome.exit_code) == ("finished", 1)


@pytest.mark.parametrize("name", ["broken", "dying"])
def test_processes_that_never_work_end_the_run(
    tmp_path: Path, beds: list[Testbed], poison: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not started again and again for ever; the state stays valid, so another run does it."""
    from crawler.fanout.crew_setup import WorkersLost

    monkeypatch.setattr("crawler.fanout.crew.MAX_DEATHS", 2)
    items = [Item(f"{beds[0].url}/bytes/50?i={n}") for n in range(5)]
    with pytest.raises(WorkersLost) as caught:
        execute(CrewRun(small_plan(tmp_path), items, 2, getattr(poison, name)))
    assert caught.value.exit_code == 7
    assert execute(CrewRun(small_plan(tmp_path), items, 2)).exit_code == 0
    assert len(records(tmp_path)) == 5


def test_a_plan_that_cannot_be_told_is_refused(tmp_path: Path, beds: list[Testbed]) -> None:
    """Without a team, a plan that holds functions is an error, not a hang."""
    from crawler.fanout import ClientOptions

    plan = small_plan(tmp_path, client=ClientOptions(guard=lambda address: True))
    with pytest.raises(ValueError, match="cannot be told to another process"):
        execute(CrewRun(plan, [Item(f"{beds[0].url}/bytes/1")], 2))


def crawler_run(path: Path, out: Path, *sets: str) -> subprocess.Popen[bytes]:
    """`crawler run`."""
    options = [part for value in sets for part in ("--set", value)]
    command = [sys.executable, "-m", "crawler.cli", "run", str(path), "--out", str(out), "--quiet", *options]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def wait_for_records(out: Path, n: int) -> None:
    """Wait until a run has written some."""
    deadline = time.monotonic() + 30
    while len(records(out)) < n and time.monotonic() < deadline:
        time.sleep(0.02)


def test_killed_as_a_whole_it_goes_on_with_another_number(tmp_path: Path, beds: list[Testbed]) -> None:
    """Kill the process that keeps the books, and the others end; other numbers of processes finish the list."""
    urls = [f"{beds[n % 4].url}/delay/0.03?i={n}" for n in range(160)]
    path = write_job(tmp_path, urls=urls, concurrency=4, per_host={"concurrency": 4})
    out = tmp_path / "out"
    for number, workers in enumerate((2, 3), 1):
        with crawler_run(path, out, f"workers={workers}") as process:
            wait_for_records(out, 40 * number)
            process.kill()
    with crawler_run(path, out, "workers=1") as process:
        assert process.wait(60) == 0
    assert Counter(record["url"] for record in records(out)) == Counter(urls)


def test_stopped_once_what_is_in_flight_may_end(tmp_path: Path, beds: list[Testbed]) -> None:
    """SIGTERM: requests under way are recorded, the others stay pending, and the next run does them."""
    urls = [f"{beds[n % 4].url}/delay/0.1?i={n}" for n in range(100)]
    path = write_job(tmp_path, urls=urls, concurrency=4, workers=2)
    out = tmp_path / "out"
    with crawler_run(path, out) as process:
        wait_for_records(out, 10)
        process.terminate()
        assert process.wait(30) == 143
    before = records(out)
    assert 10 <= len(before) < 100
    assert {record["outcome"] for record in before} == {"ok"}
    with crawler_run(path, out) as process:
        assert process.wait(60) == 0
    assert Counter(record["url"] for record in records(out)) == Counter(urls)


def test_stopped_twice_it_ends_at_once(tmp_path: Path, beds: list[Testbed]) -> None:
    """A second signal cancels what hangs; what was done stands, what was not is pending."""
    urls = [f"{beds[0].url}/bytes/10", *(f"{bed.url}/delay/9?i={n}" for bed in beds for n in range(2))]
    path = write_job(tmp_path, urls=urls, workers=2, stop={"grace": "60s"})

    async def stop(run: Run) -> None:
        while run.stats.done < 1 or run.stats.in_flight < 8:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        run.stop()
        await asyncio.sleep(0.1)
        assert run.stats.in_flight
        run.abort()

    outcome = execute(make_run(path, tmp_path / "out"), stop)
    assert (outcome.state, outcome.exit_code) == ("interrupted", 130)
    assert [record["url"] for record in records(tmp_path / "out")] == urls[:1]
    assert outcome.summary["pending"] == 8


def test_limits_hold_for_the_run_as_a_whole(tmp_path: Path, beds: list[Testbed]) -> None:
    """`stop.requests` counts what all processes begin."""
    urls = [f"{beds[n % 4].url}/bytes/10?i={n}" for n in range(200)]
    path = write_job(tmp_path, urls=urls, workers=3, stop={"requests": 50})
    outcome = execute(make_run(path, tmp_path / "out"))
    assert (outcome.state, outcome.exit_code) == ("stopped", 3)
    assert len(records(tmp_path / "out")) == 50
    assert outcome.summary["limits_hit"] == ["stop.requests: 50"]
    failing = [f"{beds[n % 4].url}/status/404?i={n}" for n in range(200)]
    path = write_job(tmp_path, urls=failing, workers=3, stop={"failures": 5}, concurrency=4)
    outcome = execute(make_run(path, tmp_path / "failing"))
    assert outcome.summary["limits_hit"] == ["stop.failures: 5"]
    assert 5 <= len(records(tmp_path / "failing")) <= 200


def test_a_crawl_with_several_processes_finds_what_one_finds(tmp_path: Path, beds: list[Testbed]) -> None:
    """Links are followed from any process to any other; budgets hold for all together."""
    seeds = [f"{bed.url}/site/" for bed in beds[:2]]
    polite = {"concurrency": 8, "rate": None}
    path = write_job(
        tmp_path, kind="crawl", urls=seeds, contact="a@b.example", per_host=polite, crawl={"depth": 2, "max_pages": 60}
    )
    found = {}
    for workers in (1, 3):
        out = tmp_path / str(workers)
        assert execute(make_run(path, out, f"workers={workers}")).state == "finished"
        found[workers] = records(out)
    assert len(found[1]) == len(found[3]) > 4
    assert {record["depth"] for record in found[1]} == {record["depth"] for record in found[3]}
    check_homes(found[3])
    assert Counter(record["url"] for record in found[3]).most_common(1)[0][1] == 1


class Clocked(socketserver.BaseRequestHandler):
    """Answers each connection once, and notes when."""

    times: ClassVar[dict[int, list[float]]] = defaultdict(list)

    def handle(self) -> None:
        """Answer."""
        self.request.recv(65536)
        self.times[self.server.server_address[1]].append(time.monotonic())  # type: ignore[index]
        self.request.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")


def test_hosts_keep_their_intervals_also_when_they_move(tmp_path: Path) -> None:
    """Starts at a host keep their distance, though its process is killed: the next one waits for one interval."""
    servers = [socketserver.ThreadingTCPServer(("127.0.0.1", 0), Clocked) for _ in range(3)]
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    ports = [server.server_address[1] for server in servers]
    plan = Plan(
        "polite",
        outputs=(Output(tmp_path / "results.jsonl"),),
        politeness=Politeness(limits=HostLimits(rate=4.0, jitter=0.0)),
    )
    items = [Item(f"http://127.0.0.1:{port}/{n}") for n in range(6) for port in ports]

    async def kill(run: Run) -> None:
        assert isinstance(run, CrewRun)
        while run.stats.done < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        for place in run.crew.places:
            if place.process is not None:
                place.process.kill()

    outcome = execute(CrewRun(plan, items, 2), kill)
    for server in servers:
        server.shutdown()
        server.server_close()
    assert outcome.state == "finished"
    for port in ports:
        times = Clocked.times[port]
        assert len(times) >= 6
        assert min(later - earlier for earlier, later in pairwise(times)) > 0.15  # of 0.25


def test_attempts_are_told_and_counted(tmp_path: Path, beds: list[Testbed]) -> None:
    """Whoever watches the run hears of every attempt, with what a log and monitoring look at."""
    from crawler.fanout.result import Result

    heard: list[tuple[str, str | None, int, float]] = []

    class Watch:
        def attempt(self, result: Result, host: str) -> None:
            assert result.ended >= result.begun
            assert len(result.target.fp) == 16
            assert result.request is not None
            assert result.request.method == "GET"
            heard.append((host, result.error_kind, result.attempts, result.total))

    path = write_job(tmp_path, urls=various(beds, 24), workers=2)
    run = make_run(path, tmp_path / "out")
    run.observers.append(Watch())
    execute(run)
    assert len(heard) == 24
    assert {kind for _, kind, _, _ in heard} == {None, "http_4xx"}


@pytest.mark.parametrize(
    ("tree", "finding"),
    [
        ({"workers": 0}, "workers: expected a whole number between 1 and 256, or auto"),
        ({"workers": "all"}, "or auto, not"),
        ({"workers": 2, "kind": "download", "download": {"pack": "tar"}}, "download.pack: needs `workers: 1`, not 2"),
        ({"workers": "auto", "request": {"cookies": True}}, "request.cookies: needs `workers: 1`, not auto"),
        ({"workers": 2, "telemetry": {"propagate": True}}, "telemetry.propagate: needs `workers: 1`, not 2"),
        ({"workers": 2, "kind": "bench"}, "workers: has no effect with `kind: bench`"),
    ],
)
def test_what_several_processes_cannot_do_is_refused(tmp_path: Path, tree: dict[str, object], finding: str) -> None:
    """Each with the reason, at the key that needs one process."""
    path = write_job(tmp_path, urls=["http://127.0.0.1/"], **tree)
    with pytest.raises(JobError, match=finding.replace(".", r"\.")):
        load_job([path])


def test_auto_is_one_process_per_core(tmp_path: Path) -> None:
    """As many as this process may use."""
    path = write_job(tmp_path, urls=["http://127.0.0.1/"], workers="auto")
    assert load_job([path]).workers == len(os.sched_getaffinity(0))

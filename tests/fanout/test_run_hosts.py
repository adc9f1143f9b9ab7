"""A whole run against many hosts: politeness as a server sees it, and as records tell it."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
from trio.testing import MockClock

from crawler.fanout import (
    BodyPolicy,
    CircuitPolicy,
    Findings,
    Gate,
    HostLimits,
    HostRule,
    Item,
    Outcome,
    Output,
    Page,
    Plan,
    Politeness,
    Processor,
    RetryPolicy,
    Run,
    StopLimits,
)
from crawler.fanout import ledger as ledger_module
from crawler.fanout import run as run_module
from crawler.models import Request, Response
from crawler.testbed import Testbed
from tests.peers.clients import ScriptedClient


class Hosts(ScriptedClient):
    """A scripted client that notes when each host was asked, on trio's clock, and how many at once."""

    def __init__(self, script: Any = None, took: float = 0.05) -> None:
        super().__init__(script)
        self.took = took
        self.starts: dict[str, list[float]] = defaultdict(list)
        self.ends: dict[str, list[float]] = defaultdict(list)
        self.now: dict[str, int] = defaultdict(int)
        self.peak: dict[str, int] = defaultdict(int)

    async def send(
        self, request: Request, *, stream: bool = False, follow_redirects: bool = False, auth: None = None
    ) -> Response:
        host = request.url.host
        self.starts[host].append(trio.current_time())
        self.now[host] += 1
        self.peak[host] = max(self.peak[host], self.now[host])
        try:
            await trio.sleep(self.took)
            return await super().send(request, stream=stream, follow_redirects=follow_redirects)
        finally:
            self.now[host] -= 1
            self.ends[host].append(trio.current_time())


def play(
    folder: Path,
    client: Hosts,
    items: list[Item],
    monkeypatch: pytest.MonkeyPatch,
    gate: Gate | None = None,
    processor: Processor | None = None,
    **plan: Any,
) -> Outcome:
    """Run in memory, without threads, on a clock that jumps."""

    async def inline(function: Any, *args: Any, **_: Any) -> Any:
        await anyio.lowlevel.checkpoint()
        return function(*args)

    for module in (ledger_module, run_module):
        monkeypatch.setattr(module.anyio.to_thread, "run_sync", inline)
    settings: dict[str, Any] = {"outputs": (Output(folder / "out.jsonl"),), **plan}
    run = Run(Plan("polite", **settings), items, processor, gate, client=client)
    return trio.run(run.execute, clock=MockClock(autojump_threshold=0))


def records(folder: Path) -> list[dict[str, Any]]:
    """All records."""
    return [json.loads(line) for line in (folder / "out.jsonl").read_bytes().splitlines()]


def items(hosts: int, each: int, *, is_mixed: bool = True) -> list[Item]:
    """Items of many hosts, in turn or one host after the other."""
    pairs = [(host, n) for n in range(each) for host in range(hosts)]
    return [Item(f"http://h{host}.example/{n}") for host, n in (pairs if is_mixed else sorted(pairs))]


@pytest.mark.parametrize("is_mixed", [True, False])
def test_rates_are_kept_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_mixed: bool) -> None:
    """A hundred hosts at 2/s: no interval is too short, and all are through in the time the rate allows."""
    client = Hosts()

    outcome = play(
        tmp_path,
        client,
        items(100, 20, is_mixed=is_mixed),
        monkeypatch,
        politeness=Politeness(limits=HostLimits(rate=2.0)),
    )

    assert outcome.exit_code == 0
    assert len(records(tmp_path)) == 2000
    for times in client.starts.values():
        assert len(times) == 20
        assert all(later - earlier >= 0.4 - 1e-9 for earlier, later in pairwise(times))
    spent = max(times[-1] for times in client.starts.values()) - min(times[0] for times in client.starts.values())
    assert spent <= 19 * 0.5 * 1.25


def test_concurrency_is_kept_by_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each host gets its own number at once, and rules their own."""
    client = Hosts()
    politeness = Politeness(limits=HostLimits(concurrency=2), rules=(HostRule("h0.*", HostLimits(concurrency=5)),))

    play(tmp_path, client, items(10, 30), monkeypatch, politeness=politeness)

    assert client.peak == {"h0.example": 5, **{f"h{n}.example": 2 for n in range(1, 10)}}


def test_one_slow_host_at_the_head_of_the_list_starves_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of URLs of a host that may be asked once a minute stand first; the others are done long before."""
    client = Hosts()
    slow = [Item(f"http://slow.example/{n}") for n in range(6000)]
    politeness = Politeness(
        limits=HostLimits(concurrency=8), rules=(HostRule("slow.example", HostLimits(rate=1 / 60)),)
    )

    play(tmp_path, client, [*slow, *items(50, 20)], monkeypatch, politeness=politeness, stop=StopLimits(after=300.0))

    others = [end for host, ends in client.ends.items() if host != "slow.example" for end in ends]
    assert len(others) == 1000
    assert max(others) < 5
    assert 4 <= len(client.starts["slow.example"]) <= 8


@pytest.mark.parametrize("value", [b"30", b"Fri, 21 Nov 2099 00:00:00 GMT", b"-5", b"0", b"9" * 50])
def test_retry_after_of_one_host_holds_that_host_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: bytes
) -> None:
    """It is obeyed, capped, or not heeded, as the policy says; another host goes on, and no request is lost."""

    def script(url: str, number: int) -> Any:
        if "h0" in url and number == 1 and len(client.tries) < 30:
            return Response.from_wire(429, [(b"Retry-After", value)], b"", {}, Request("GET", url))
        return 200

    client = Hosts(script)
    outcome = play(
        tmp_path,
        client,
        items(2, 40),
        monkeypatch,
        politeness=Politeness(limits=HostLimits(concurrency=4)),
        retry=RetryPolicy(retry_after="cap", max_wait=30.0),
    )

    assert outcome.exit_code == 0
    assert outcome.summary["counts"]["ok"] == 80  # type: ignore[index]  # a JSON object
    assert max(client.ends["h1.example"]) < 2
    first_round = client.starts["h0.example"][4]
    if value not in (b"-5", b"0"):
        assert first_round >= 30
    row = next(row for row in outcome.summary["hosts"] if row["host"] == "h0.example")  # type: ignore[attr-defined]
    assert row["suspended"] > 0
    assert max(record["host_wait"] for record in records(tmp_path)) > 0


def test_a_host_that_wants_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its other URLs are skipped with `host_suspended`, without being sent; the run ends."""

    def script(url: str, number: int) -> Any:
        if "h0" in url:
            return Response.from_wire(503, [(b"Retry-After", b"86400")], b"", {}, Request("GET", url))
        return 200

    client = Hosts(script)
    outcome = play(tmp_path, client, items(2, 50), monkeypatch, politeness=Politeness(limits=HostLimits(concurrency=2)))

    counts = outcome.summary["counts"]
    assert counts == {"ok": 50, "failed": 2, "skipped": 48, "unchanged": 0, "cancelled": 0}
    skipped = [record for record in records(tmp_path) if record["outcome"] == "skipped"]
    assert {record["error"]["kind"] for record in skipped} == {"host_suspended"}
    assert {record["attempts"] for record in skipped} == {0}
    assert len(client.starts["h0.example"]) == 2


def test_a_dead_host_costs_little_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its circuit opens, each pause is probed once, then it is given up: a few dozen tries for a thousand URLs."""
    import crawler

    client = Hosts(lambda url, number: crawler.ConnectError("refused") if "h0" in url else 200)
    outcome = play(
        tmp_path,
        client,
        items(5, 1000),
        monkeypatch,
        politeness=Politeness(limits=HostLimits(concurrency=8), circuit=CircuitPolicy(5, 60.0, 240.0)),
    )

    counts = outcome.summary["counts"]
    assert counts["ok"] == 4000  # type: ignore[index]
    assert sum(counts.values()) == 5000  # type: ignore[attr-defined]
    assert len(client.starts["h0.example"]) < 60
    assert max(end for host, ends in client.ends.items() if host != "h0.example" for end in ends) < 12


def test_retries_stay_within_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything fails: with a budget of a tenth there are hardly more requests than URLs."""
    client = Hosts(lambda url, number: 500)
    play(
        tmp_path,
        client,
        items(1, 1000),
        monkeypatch,
        politeness=Politeness(limits=HostLimits(concurrency=8), circuit=CircuitPolicy(failures=None)),
    )

    assert 1000 < client.begun <= 1100 + 18


def test_the_whole_run_has_a_rate_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Starts of all hosts together are no closer than it says."""
    client = Hosts()
    play(tmp_path, client, items(7, 10), monkeypatch, politeness=Politeness(rate=10.0))

    starts = sorted(start for times in client.starts.values() for start in times)
    assert all(later - earlier >= 0.1 - 1e-9 for earlier, later in pairwise(starts))
    assert starts[-1] - starts[0] < 69 * 0.1 + 0.5


@pytest.mark.parametrize("order", ["bfs", "dfs"])
def test_priorities_order_a_crawl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    """Depth as priority goes wide or deep: links found late go before others of their host that wait already."""

    class Tree:
        async def process(self, page: Page) -> Findings:
            await trio.lowlevel.checkpoint()
            depth = (page.item.depth or 0) + 1
            links = range(3) if depth <= 4 else ()
            priority = -depth if order == "bfs" else depth
            return Findings(found=[Item(f"{page.item.url}{n}", depth=depth, priority=priority) for n in links])

    client = Hosts()
    play(
        tmp_path,
        client,
        [Item("http://h.example/s")],
        monkeypatch,
        processor=Tree(),
        body=BodyPolicy(hold=100),
        politeness=Politeness(limits=HostLimits(rate=1.0)),
        concurrency=4,
    )

    depths = [len(url.rpartition("/")[2]) - 1 for url in client.tries]
    assert len(depths) == 1 + 3 + 9 + 27 + 81
    if order == "bfs":
        assert depths == sorted(depths)
    else:
        assert all(later == earlier + 1 for earlier, later in pairwise(depths) if earlier < 4)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_fifty_real_hosts(tmp_path: Path) -> None:
    """Over loopback with the real client and a durable state: caps kept, one record each, phases add up."""
    with Testbed(host="0.0.0.0") as bed:
        port = bed.url.rpartition(":")[2]
        urls = [f"http://127.0.0.{host}:{port}/get?n={n}" for n in range(6) for host in range(1, 51)]
        plan = Plan(
            "real",
            outputs=(Output(tmp_path / "out.jsonl"),),
            state_dir=tmp_path / "state",
            politeness=Politeness(limits=HostLimits(concurrency=1, rate=20.0)),
        )
        outcome = await Run(plan, [Item(url) for url in urls]).execute()

    assert outcome.exit_code == 0
    found = records(tmp_path)
    assert sorted(record["url"] for record in found) == sorted(urls)
    for record in found:
        timing = record["timing"]
        phases = sum(timing[phase] for phase in ("dns", "connect", "tls", "send", "ttfb", "receive"))
        assert abs(phases - timing["total"]) <= 0.001
        assert 0 <= record["host_wait"] <= timing["queue"] + 1e-6

"""Gates: what they forbid is recorded and never sent, what they have to know takes a turn of its host first."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import anyio.lowlevel
import pytest

from crawler.fanout import (
    UNKNOWN,
    BodyPolicy,
    Findings,
    HostLimits,
    HTTPClient,
    Item,
    Outcome,
    Output,
    Page,
    Plan,
    Politeness,
    Run,
    Unknown,
)
from crawler.models import URL
from tests.fanout.test_run_hosts import Hosts, play
from tests.peers.clients import ScriptedClient


class Denied(Exception):
    """The rules of the host say no."""

    kind = "robots_denied"


class Rules:
    """A gate with a file of rules per host: it forbids paths with `private`, once it has fetched the rules."""

    def __init__(self, delay: float | None = None) -> None:
        self.known: set[str] = set()
        self.delay = delay
        self.under_way: Counter[str] = Counter()
        self.most = 0

    def admit(self, item: Item) -> Exception | Unknown | None:
        host = URL(item.url).host
        if host not in self.known:
            return UNKNOWN
        return Denied(f"{host} forbids it") if "private" in item.url else None

    async def prepare(self, item: Item, client: HTTPClient) -> None:
        host = URL(item.url).host
        self.under_way[host] += 1
        self.most = max(self.most, self.under_way[host])
        try:
            await client.send(client.build_request("GET", f"http://{host}/robots.txt"))
        finally:
            self.under_way[host] -= 1
        self.known.add(host)

    def interval(self, host: str) -> float | None:
        return self.delay if host.rpartition("/")[2] in self.known else None

    def fields(self, item: Item) -> Mapping[str, object]:
        return {"robots": "denied" if "private" in item.url else "allowed"}


def records(folder: Path) -> list[dict[str, Any]]:
    """All records."""
    return [json.loads(line) for line in (folder / "out.jsonl").read_bytes().splitlines()]


def plan_of(folder: Path, **changes: Any) -> Plan:
    """A plan below a folder, with changes."""
    settings: dict[str, Any] = {"outputs": (Output(folder / "out.jsonl"),), "state_dir": folder / "state"}
    return Plan("gated", **{**settings, **changes})


@pytest.mark.anyio
@pytest.mark.parametrize("concurrency", [1, 20])
@pytest.mark.parametrize("per_host", [1, 8, None])
async def test_rules_come_first_and_are_kept(tmp_path: Path, concurrency: int, per_host: int | None) -> None:
    """Per host one file of rules is fetched, before anything else; what it forbids is a skipped record, never sent."""
    gate, client = Rules(), ScriptedClient()
    names = [f"private/{n}" if n % 3 else f"open/{n}" for n in range(60)]
    items = [Item(f"http://h{n % 4}.example/{name}") for n, name in enumerate(names)]
    plan = plan_of(tmp_path, concurrency=concurrency, politeness=Politeness(limits=HostLimits(concurrency=per_host)))

    outcome = await Run(plan, items, gate=gate, client=client).execute()

    assert outcome.exit_code == 0
    assert {url: n for url, n in client.tries.items() if "robots" in url} == {
        f"http://h{n}.example/robots.txt": 1 for n in range(4)
    }
    assert gate.most == 1
    assert not any("private" in url for url in client.tries)
    by_url = {record["url"]: record for record in records(tmp_path)}
    assert len(by_url) == len(records(tmp_path)) == 60
    for url, record in by_url.items():
        if "private" in url:
            assert (record["outcome"], record["error"]["kind"], record["attempts"]) == ("skipped", "robots_denied", 0)
        else:
            assert (record["outcome"], record["attempts"]) == ("ok", 1)
        assert record["robots"] == ("denied" if "private" in url else "allowed")
    hosts: Any = outcome.summary["hosts"]
    assert {row["host"] for row in hosts} == {f"h{n}.example" for n in range(4)}


@pytest.mark.anyio
@pytest.mark.parametrize("is_durable", [True, False])
async def test_refused_items_are_records_at_once(tmp_path: Path, is_durable: bool) -> None:
    """They need no gate, no slot and no turn of their host; the family of their kind makes the outcome."""
    client = ScriptedClient(lambda url, number: 200)
    refused = [
        Item("http://h.example/far", refused=("out_of_scope", "it is elsewhere"), depth=2),
        Item("bad row 7", refused=("bad_row", "no URL in it")),
    ]
    politeness = Politeness(limits=HostLimits(rate=0.001))
    plan = plan_of(tmp_path, state_dir=tmp_path / "state" if is_durable else None, politeness=politeness)

    with anyio.fail_after(20):
        outcome = await Run(plan, [Item("http://h.example/first"), *refused], client=client).execute()

    assert outcome.exit_code == 1
    by_url = {record["url"]: record for record in records(tmp_path)}
    assert client.begun == 1
    far, bad = by_url["http://h.example/far"], by_url["bad row 7"]
    assert (far["outcome"], far["error"]["kind"], far["error"]["message"]) == (
        "skipped",
        "out_of_scope",
        "it is elsewhere",
    )
    assert (far["depth"], far["attempts"]) == (2, 0)
    assert (bad["outcome"], bad["error"]["kind"]) == ("failed", "bad_row")


@pytest.mark.anyio
async def test_thousands_that_are_forbidden_end(tmp_path: Path) -> None:
    """A host of which nearly all is forbidden is gone through at once, however many lie in the frontier."""
    client = ScriptedClient()
    items = [Item(f"http://h.example/private/{n}") for n in range(3000)]
    plan = plan_of(tmp_path, politeness=Politeness(limits=HostLimits(concurrency=1, rate=1000.0)))

    outcome = await Run(plan, [*items, Item("http://h.example/open")], gate=Rules(), client=client).execute()

    counts = outcome.summary["counts"]
    assert counts == {"ok": 1, "failed": 0, "skipped": 3000, "unchanged": 0, "cancelled": 0}
    assert client.begun == 2


@pytest.mark.anyio
@pytest.mark.parametrize("error", [Denied("no rules to be had"), ZeroDivisionError("a bug"), None])
async def test_what_cannot_be_prepared_does_not_hang(tmp_path: Path, error: Exception | None) -> None:
    """A gate that fails, or still does not know, ends its requests one by one; other hosts go on."""

    class Broken(Rules):
        def admit(self, item: Item) -> Exception | Unknown | None:
            return UNKNOWN if "bad" in item.url else super().admit(item)

        async def prepare(self, item: Item, client: HTTPClient) -> None:
            await super().prepare(item, client)
            if error is not None and "bad" in item.url:
                raise error

    items = [Item(f"http://{host}.example/{n}") for n in range(10) for host in ("bad", "good")]
    outcome = await Run(plan_of(tmp_path), items, gate=Broken(), client=ScriptedClient()).execute()

    kinds = Counter(record["error"] and record["error"]["kind"] for record in records(tmp_path))
    assert kinds == {None: 10, "robots_denied" if isinstance(error, Denied) else "internal": 10}
    assert outcome.state == "finished"


@pytest.mark.anyio
async def test_found_requests_pass_the_gate(tmp_path: Path) -> None:
    """What a processor finds is asked for as well, also on hosts nobody named before."""

    class Finder:
        async def process(self, page: Page) -> Findings:
            await anyio.lowlevel.checkpoint()
            return Findings(found=[Item(f"http://h{n}.example/{name}") for n in range(3) for name in ("a", "private")])

    client = ScriptedClient()
    plan = plan_of(tmp_path, body=BodyPolicy(hold=100))
    outcome = await Run(plan, [Item("http://h0.example/")], Finder(), Rules(), client=client).execute()

    assert outcome.summary["counts"]["ok"] == 4  # type: ignore[index]  # a JSON object
    assert outcome.summary["counts"]["skipped"] == 3  # type: ignore[index]
    assert client.begun == 4 + 3


@pytest.mark.anyio
async def test_a_stop_while_preparing_leaves_all_pending(tmp_path: Path) -> None:
    """Aborted in the middle of it, nothing is recorded, and the next run begins with the rules."""
    client = ScriptedClient(lambda url, number: 3600.0 if "robots" in url and number == 1 else 200)
    items = [Item(f"http://h.example/{n}") for n in range(5)]
    run = Run(plan_of(tmp_path), items, gate=Rules(), client=client)

    async with anyio.create_task_group() as group:

        async def abort_soon() -> None:
            while not client.in_flight:  # noqa: ASYNC110 -- nobody sets an event for it
                await anyio.sleep(0.001)
            run.abort()

        group.start_soon(abort_soon)
        first = await run.execute()
    second = await Run(plan_of(tmp_path), items, gate=Rules(), client=client).execute()

    assert (first.exit_code, second.exit_code) == (130, 0)
    assert len(records(tmp_path)) == 5


def run_slowly(folder: Path, monkeypatch: pytest.MonkeyPatch, gate: Rules, limits: HostLimits) -> tuple[Hosts, Outcome]:
    """Ten requests to each of three hosts on a clock that jumps."""
    client = Hosts()
    items = [Item(f"http://h{host}.example/{n}") for n in range(10) for host in range(3)]
    outcome = play(folder, client, items, monkeypatch, gate=gate, politeness=Politeness(limits=limits))
    return client, outcome


@pytest.mark.parametrize("limits", [HostLimits(), HostLimits(concurrency=4), HostLimits(rate=1.0)])
def test_the_interval_of_a_gate_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limits: HostLimits) -> None:
    """From start to start, the fetch of the rules included, though the job itself would go faster."""
    client, outcome = run_slowly(tmp_path, monkeypatch, Rules(delay=5.0), limits)

    assert outcome.exit_code == 0
    for times in client.starts.values():
        assert len(times) == 11
        assert all(later - earlier >= 5.0 - 1e-9 for earlier, later in pairwise(times))
        assert times[-1] - times[0] < 60


def test_preparing_is_a_start_of_its_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a rate the rules and what follows are as far apart as any two requests."""
    client, _ = run_slowly(tmp_path, monkeypatch, Rules(), HostLimits(rate=0.1, jitter=0.0))

    for times in client.starts.values():
        assert all(later - earlier >= 10.0 - 1e-9 for earlier, later in pairwise(times))
        assert len(times) == 11

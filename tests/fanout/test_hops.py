"""Redirects of a run: each hop is a request of the host it leads to, and what it sends is as the client would."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import crawler
from crawler.fanout import (
    BodyPolicy,
    HostLimits,
    HostRule,
    Item,
    Output,
    Plan,
    Politeness,
    RetryPolicy,
    Run,
)
from crawler.models import Request, Response
from crawler.testbed import Testbed
from tests.fanout.test_gates import Rules
from tests.fanout.test_run_hosts import Hosts, play
from tests.peers.clients import ScriptedClient


def records(folder: Path) -> list[dict[str, Any]]:
    """All records."""
    return [json.loads(line) for line in (folder / "out.jsonl").read_bytes().splitlines()]


def to(url: str, location: str, status: int = 302) -> Response:
    """A redirect."""
    return Response.from_wire(status, [(b"Location", location.encode())], b"moved", {}, Request("GET", url))


def script_of(moves: dict[str, str]) -> Callable[[str, int], Any]:
    """Redirect by a table; everything else is fine."""
    return lambda url, number: to(url, moves[url]) if url in moves else 200


def plan_of(folder: Path, **changes: Any) -> Plan:
    """A plan below a folder, with changes."""
    settings: dict[str, Any] = {"outputs": (Output(folder / "out.jsonl"),), "state_dir": folder / "state"}
    return Plan("hops", **{**settings, **changes})


@pytest.mark.anyio
@pytest.mark.parametrize("rate", [None, 1000.0])
async def test_chains_are_followed_across_hosts(tmp_path: Path, rate: float | None) -> None:
    """To the end, each URL asked once, with all hops in the record and one attempt."""
    moves = {
        "http://a.example/1": "http://b.example/2",
        "http://b.example/2": "/3",
        "http://b.example/3": "http://a.example/4",
    }
    client = ScriptedClient(script_of(moves))
    plan = plan_of(tmp_path, politeness=Politeness(limits=HostLimits(concurrency=1, rate=rate)), concurrency=1)
    run = Run(plan, [Item("http://a.example/1")], client=client)

    outcome = await run.execute()

    assert outcome.exit_code == 0
    assert client.tries == dict.fromkeys([*moves, "http://a.example/4"], 1)
    (record,) = records(tmp_path)
    assert (record["url"], record["final_url"]) == ("http://a.example/1", "http://a.example/4")
    assert [(hop["status"], hop["url"], hop["location"]) for hop in record["redirects"]] == [
        (302, url, location) for url, location in moves.items()
    ]
    assert (record["status"], record["attempts"], record["bytes"]) == (200, 1, 4)
    assert record["bytes_wire"] == 3 * len(b"moved") + 4
    assert (run.stats.attempts, run.stats.in_flight, run.stats.waiting) == (1, 0, 0)


@pytest.mark.parametrize("is_same", [True, False])
def test_each_hop_is_a_start_of_its_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_same: bool) -> None:
    """Whatever leads to a host, its starts are as far apart as its rate says; the waits are no time of the attempt."""
    target = "a" if is_same else "slow"
    client = Hosts(lambda url, number: to(url, f"http://{target}.example/x{url[17:]}") if "x" not in url[16:] else 200)
    items = [Item(f"http://a.example/{n}") for n in range(20)]
    rules = (HostRule("a.example" if is_same else "slow.example", HostLimits(rate=0.5, jitter=0.0)),)

    outcome = play(tmp_path, client, items, monkeypatch, politeness=Politeness(rules=rules))

    assert outcome.exit_code == 0
    times = client.starts[f"{target}.example"]
    assert len(times) == (40 if is_same else 20)
    assert all(later - earlier >= 2.0 - 1e-9 for earlier, later in pairwise(times))
    assert times[-1] - times[0] < 2.0 * len(times) + 1
    if not is_same:
        assert max(client.starts["a.example"]) < 1  # nobody who waits elsewhere keeps a slot
    for record in records(tmp_path):
        assert record["attempts"] == 1
        assert record["timing"]["total"] < 0.2
        assert record["host_wait"] <= record["timing"]["queue"] + 1e-6
    assert max(record["host_wait"] for record in records(tmp_path)) > 30


def test_a_waiting_hop_holds_no_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one slot in all, others go on while a redirect waits for a host that may be asked once a minute."""
    client = Hosts(lambda url, number: to(url, "http://slow.example/") if url.endswith("move") else 200)
    items = [Item(f"http://slow.example/{n}") for n in range(3)]
    items += [Item("http://a.example/move"), *(Item(f"http://a.example/{n}") for n in range(50))]
    rules = (HostRule("slow.example", HostLimits(rate=1 / 60, jitter=0.0)),)

    play(tmp_path, client, items, monkeypatch, politeness=Politeness(rules=rules), concurrency=1)

    assert max(client.ends["a.example"]) < 10
    assert len(client.starts["slow.example"]) == 4


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("moves", "changes", "kind", "asked"),
    [
        ({"1": "http://b.example/"}, {"cross_host_redirects": False}, "redirect_blocked", 1),
        ({"1": "/2", "2": "https://b.example/"}, {"cross_host_redirects": False}, "redirect_blocked", 2),
        ({"1": "http://a.example/"}, {}, "redirect_blocked", 1),
        ({"1": "/1"}, {}, "redirect_loop", 1),
        ({"1": "/2", "2": "https://b.example/3", "3": "https://a.example/1"}, {}, "redirect_loop", 3),
        ({"1": "/2", "2": "/3", "3": "/4"}, {"max_redirects": 2}, "redirect_limit", 3),
        ({"1": "ftp://a.example/"}, {}, "unsupported_scheme", 1),
        ({"1": "http://[oops/"}, {}, "protocol_error", 1),
    ],
)
async def test_what_is_not_followed(
    tmp_path: Path, moves: dict[str, str], changes: dict[str, Any], kind: str, asked: int
) -> None:
    """Limits and rules end a chain with their kind, without a further try, and the record shows how far it came."""
    client = ScriptedClient(lambda url, number: to(url, moves[url[-1]]) if url[-1] in moves else 200)
    plan = plan_of(tmp_path, retry=RetryPolicy(kinds=("connect_*",)), **changes)

    outcome = await Run(plan, [Item("https://a.example/1")], client=client).execute()

    (record,) = records(tmp_path)
    assert (record["outcome"], record["error"]["kind"], record["attempts"]) == ("failed", kind, 1)
    assert client.begun == asked
    assert record["status"] == 302
    assert len(record["redirects"]) == asked - 1
    assert outcome.exit_code == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("start", "location", "changes"),
    [
        ("http://a.example/1", "https://a.example/", {"cross_host_redirects": False}),
        ("http://a.example:81/1", "http://a.example:82/", {"cross_host_redirects": False}),
        ("https://a.example/1", "http://b.example/", {"downgrade_redirects": True}),
    ],
)
async def test_what_is_allowed(tmp_path: Path, start: str, location: str, changes: dict[str, Any]) -> None:
    """Another port or scheme is the same host; a step down to http is allowed by its own key only."""
    client = ScriptedClient(script_of({start: location}))
    outcome = await Run(plan_of(tmp_path, **changes), [Item(start)], client=client).execute()

    assert outcome.exit_code == 0
    assert records(tmp_path)[0]["final_url"] == location


@pytest.mark.anyio
async def test_a_failed_hop_begins_anew(tmp_path: Path) -> None:
    """A try that fails behind a redirect is made again from the start, at the host of the item."""

    def script(url: str, number: int) -> Any:
        if "a.example" in url:
            return to(url, "http://b.example/")
        return crawler.ConnectError("refused", kind="connect_refused") if number < 3 else 200

    client = ScriptedClient(script)
    plan = plan_of(tmp_path, retry=RetryPolicy(base=0.001))
    run = Run(plan, [Item("http://a.example/")], client=client)
    await run.execute()

    (record,) = records(tmp_path)
    assert (record["outcome"], record["attempts"]) == ("ok", 3)
    assert record["attempt_errors"] == ["connect_refused"] * 2
    assert client.tries == {"http://a.example/": 3, "http://b.example/": 3}
    assert (run.stats.attempts, run.stats.in_flight, run.stats.waiting) == (3, 0, 0)
    assert set(run.stats.hosts) == {"a.example"}


@pytest.mark.anyio
async def test_hops_pass_the_gate(tmp_path: Path) -> None:
    """A redirect to a host whose rules are not known waits for them; one they forbid is skipped and never sent."""
    moves = {
        "http://a.example/1": "http://b.example/fine",
        "http://a.example/2": "http://b.example/private",
        "http://a.example/3": "/private",
    }
    client = ScriptedClient(script_of(moves))
    run = Run(plan_of(tmp_path), [Item(url) for url in moves], gate=Rules(), client=client)
    await run.execute()

    by_url = {record["url"][-1]: record for record in records(tmp_path)}
    assert (by_url["1"]["outcome"], by_url["1"]["final_url"]) == ("ok", "http://b.example/fine")
    for number in "23":
        assert (by_url[number]["outcome"], by_url[number]["error"]["kind"]) == ("skipped", "robots_denied")
    assert not any("private" in url for url in client.tries)
    assert {url: n for url, n in client.tries.items() if "robots" in url} == {
        "http://a.example/robots.txt": 1,
        "http://b.example/robots.txt": 1,
    }
    assert (run.stats.in_flight, run.stats.waiting, run.stats.pending) == (0, 0, 0)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_credentials_stay_at_home(tmp_path: Path) -> None:
    """Client's and item's credentials go along within the origin, and to nobody else; cookies come from the jar."""
    seen: list[tuple[str, str | None, str | None]] = []

    def answer(request: crawler.Request) -> crawler.Response:
        seen.append((str(request.url), request.headers.get("authorization"), request.headers.get("cookie")))
        moves = {"/1": "/2", "/2": "http://b.example/3", "/3": "/4", "/4": "http://a.example/5"}
        headers = {"location": moves[request.url.path], "set-cookie": "c=1"} if request.url.path in moves else {}
        return crawler.Response(302 if headers else 200, headers=headers)

    transport = crawler.MockTransport(answer)
    async with crawler.AsyncClient(transport=transport, auth=("me", "secret")) as client:
        await Run(plan_of(tmp_path), [Item("http://a.example/1")], client=client).execute()

    basic = "Basic bWU6c2VjcmV0"
    assert seen == [
        ("http://a.example/1", basic, None),
        ("http://a.example/2", basic, "c=1"),
        ("http://b.example/3", None, None),
        ("http://b.example/4", None, "c=1"),
        ("http://a.example/5", None, "c=1"),
    ]


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_methods_and_bodies_change_as_they_must(tmp_path: Path) -> None:
    """303 makes a GET without a body of a POST, 307 sends it again as it was."""
    seen: list[tuple[str, str, bytes]] = []

    def answer(request: crawler.Request) -> crawler.Response:
        seen.append((request.method, request.url.path, request.content))
        moves = {"/1": (307, "http://b.example/2"), "/2": (303, "http://c.example/3")}
        status, location = moves.get(request.url.path, (200, ""))
        return crawler.Response(status, headers={"location": location} if location else {})

    async with crawler.AsyncClient(transport=crawler.MockTransport(answer)) as client:
        item = Item("http://a.example/1", method="POST", body=b"data")
        await Run(plan_of(tmp_path), [item], client=client).execute()

    assert seen == [("POST", "/1", b"data"), ("POST", "/2", b"data"), ("GET", "/3", b"")]


def test_the_time_of_an_attempt_does_not_grow_by_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`timeout.total` is what all exchanges of an attempt get together; waiting for a host takes nothing of it."""
    totals: list[float] = []

    class Timed(Hosts):
        async def send(self, request: Request, **options: Any) -> Response:
            totals.append(request.extensions["timeout"]["total"])
            return await super().send(request, **options)

        def build_request(self, *args: Any, **options: Any) -> Request:
            request = super().build_request(*args, **options)
            request.extensions["timeout"] = {"connect": 1.0, "total": 60.0}
            return request

    chain = {"http://a.example/1": "http://b.example/", "http://b.example/": "/2", "http://b.example/2": "/3"}
    client = Timed(script_of(chain), took=10.0)
    politeness = Politeness(limits=HostLimits(rate=0.01, jitter=0.0))

    play(tmp_path, client, [Item("http://a.example/1")], monkeypatch, politeness=politeness)

    assert totals == pytest.approx([60.0, 50.0, 40.0, 30.0])


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("keep", ["none", "file"])
async def test_over_real_sockets_phases_add_up(tmp_path: Path, keep: Any) -> None:
    """With the real client, across two hosts with rates: one record each, phases without the waits, whole files."""
    with Testbed(host="0.0.0.0") as bed:
        port = bed.url.rpartition(":")[2]
        there = f"http://127.0.0.2:{port}/bytes/2000"
        urls = [f"http://127.0.0.1:{port}/redirect-to?url={there}?n={n}" for n in range(8)]
        plan = plan_of(
            tmp_path,
            body=BodyPolicy(keep=keep, directory=tmp_path / "files", memory_limit=1000),
            politeness=Politeness(limits=HostLimits(rate=20.0)),
        )
        outcome = await Run(plan, [Item(url) for url in urls]).execute()

    assert outcome.exit_code == 0
    assert len(records(tmp_path)) == 8
    for record in records(tmp_path):
        assert record["final_url"].startswith(there)
        assert (record["status"], record["bytes"], len(record["redirects"])) == (200, 2000, 1)
        timing = record["timing"]
        phases = sum(timing[phase] for phase in ("dns", "connect", "tls", "send", "ttfb", "receive"))
        assert abs(phases - timing["total"]) <= 0.001
        assert record["host_wait"] <= timing["queue"] + 1e-6
        if keep == "file":
            assert (tmp_path / "files" / record["path"]).stat().st_size == 2000

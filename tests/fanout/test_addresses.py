"""Hosts by their address: names are looked up once, before their requests go out, and share what their address may."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import anyio
import pytest

from crawler.fanout import ClientOptions, HostLimits, HostRule, Item, Output, Plan, Politeness, Run
from crawler.fanout import run as run_module
from crawler.fanout.addresses import PENDING, Addresses, Resolve, system_addresses
from crawler.net import Names
from crawler.testbed import Testbed
from tests.fanout.test_hops import to
from tests.fanout.test_run_hosts import Hosts, play, records
from tests.peers.clients import Answer

BOOK = {"a.example": "192.0.2.1", "b.example": "192.0.2.1", "c.example": "192.0.2.2"}


class Resolver:
    """Looks names up in a book, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, name: str) -> str | None:
        self.asked.append(name)
        await anyio.lowlevel.checkpoint()
        return BOOK.get(name)


def scripted(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have runs look names up in the book."""

    def make(names: object) -> Resolve:
        return resolver

    monkeypatch.setattr(run_module, "system_addresses", make)


def test_a_name_is_pending_until_it_was_looked_up() -> None:
    """Literal addresses are known by themselves; a name that has none is a host of its own for a while."""
    now = 0.0
    resolver = Resolver()
    addresses = Addresses(resolver, lambda: now)

    async def main() -> None:
        nonlocal now
        assert addresses.key_of("http://127.0.0.1:81/x") == "127.0.0.1"
        assert addresses.key_of("http://[::1]/") == "::1"
        assert addresses.key_of("nonsense") == ""
        assert addresses.key_of("http://A.example/") == f"{PENDING}a.example"
        assert await addresses.find("https://a.example:444/y") == "192.0.2.1"
        assert addresses.key_of("http://a.example/") == "192.0.2.1"
        assert await addresses.find("http://nobody.example/") == "nobody.example"
        assert addresses.key_of("http://nobody.example/") == "nobody.example"
        now = 31.0
        assert addresses.key_of("http://nobody.example/") == f"{PENDING}nobody.example"

    anyio.run(main)
    assert resolver.asked == ["a.example", "nobody.example"]


def test_the_longest_interval_that_a_name_wants_is_the_address_s() -> None:
    """A gate speaks of names; the clock of an address obeys all of its names."""
    addresses = Addresses(Resolver())

    async def main() -> None:
        for name in BOOK:
            await addresses.find(f"http://{name}/")

    anyio.run(main)
    wanted = {"a.example": 2.0, "b.example": 5.0}
    interval = addresses.widest(wanted.get)

    assert interval("192.0.2.1") == 5.0
    assert interval("192.0.2.2") is None
    assert interval("192.0.2.3") is None


def test_names_of_one_address_share_its_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two names of one machine are asked in turn; each name is looked up once, whatever the number of its URLs."""
    resolver = Resolver()
    scripted(resolver, monkeypatch)
    client = Hosts(took=0.01)
    politeness = Politeness(
        by="ip", limits=HostLimits(rate=2.0, jitter=0.0), rules=(HostRule("192.0.2.2/32", HostLimits(rate=20.0)),)
    )
    items = [Item(f"http://{name}/{n}") for n in range(30) for name in BOOK]

    outcome = play(tmp_path, client, items, monkeypatch, politeness=politeness)

    assert outcome.exit_code == 0
    assert len(records(tmp_path)) == 90
    shared = sorted(client.starts["a.example"] + client.starts["b.example"])
    assert all(later - earlier >= 0.5 - 1e-9 for earlier, later in pairwise(shared))
    own = client.starts["c.example"]
    assert own[-1] - own[0] == pytest.approx(29 * 0.05, abs=0.2)
    assert sorted(resolver.asked) == sorted(BOOK)


def test_a_redirect_goes_to_the_clock_of_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hop to a name that nobody named before is looked up and waits for its address."""
    scripted(Resolver(), monkeypatch)

    def script(url: str, attempt: int) -> Answer:
        return to(url, url.replace("c.example", "b.example")) if "c.example" in url else 200

    client = Hosts(script, took=0.01)
    politeness = Politeness(by="ip", limits=HostLimits(rate=1.0, jitter=0.0))
    items = [Item(f"http://{name}/{n}") for n in range(3) for name in ("a.example", "c.example")]

    outcome = play(tmp_path, client, items, monkeypatch, politeness=politeness)

    assert outcome.exit_code == 0
    shared = sorted(client.starts["a.example"] + client.starts["b.example"])
    assert len(shared) == 6
    assert all(later - earlier >= 1.0 - 1e-9 for earlier, later in pairwise(shared))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_with_the_real_resolver(tmp_path: Path, backend: str) -> None:
    """A name and an address of this machine are one host; a name that does not exist fails as it always does."""
    with Testbed() as bed:
        port = bed.url.rpartition(":")[2]
        urls = [f"http://{host}:{port}/bytes/9" for host in ("localhost", "127.0.0.1")]
        plan = Plan(
            "addresses",
            outputs=(Output(tmp_path / "out.jsonl"),),
            politeness=Politeness(by="ip", limits=HostLimits(concurrency=1)),
            client=ClientOptions(trust_env=False, names=Names(family="ipv4")),
        )
        run = Run(plan, [*map(Item, urls), Item("http://name.invalid/")])
        outcome = anyio.run(run.execute, backend=backend)

    assert {record["url"]: record["outcome"] for record in records(tmp_path)} == {
        urls[0]: "ok",
        urls[1]: "ok",
        "http://name.invalid/": "failed",
    }
    assert outcome.exit_code == 1
    assert {host.key for host in run.stats.hosts.values()} == {"127.0.0.1", "name.invalid"}


def test_families_that_are_not_wanted_do_not_count() -> None:
    """The look-up obeys `dns.family`."""

    async def main() -> None:
        assert await system_addresses(Names(family="ipv4"))("localhost") == "127.0.0.1"
        assert await system_addresses(None)("name.invalid") is None

    anyio.run(main)

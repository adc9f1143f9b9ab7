"""From the keys of connections to options of the client."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from crawler.fanout import Item, Run
from crawler.jobs import Job, JobError, load_job
from crawler.models import Timeout
from crawler.net import Names, Streams
from crawler.testbed import Testbed
from tests.peers.names import NameServer


@pytest.fixture
def job(tmp_path: Path) -> Callable[[str], Job]:
    """Makes a job of one URL with the keys in a text."""

    def make(text: str) -> Job:
        path = tmp_path / "job.yaml"
        path.write_text(f"urls: [https://a.example/]\n{text}\n")
        return load_job(path)

    return make


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Timeout(30.0, connect=10.0, pool=None, total=120.0, dns=5.0, tls=10.0, ttfb=30.0)),
        (
            "timeout: {dns: null, tls: null, read: 5s, total: null}",
            Timeout(5.0, connect=10.0, pool=None, ttfb=5.0),
        ),
        (
            "timeout: {dns: 1s, connect: 2s, tls: 3s, ttfb: 1m, read: 5s, total: 2m}",
            Timeout(5.0, connect=2.0, pool=None, total=120.0, dns=1.0, tls=3.0, ttfb=60.0),
        ),
    ],
)
def test_timeouts(job: Callable[[str], Job], text: str, expected: Timeout) -> None:
    """Each phase has its own; the first byte is like the others unless the job says otherwise."""
    assert job(text).plan().timeout == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Streams(100, 1 << 20)),
        ('http: {version: "1.1"}', None),
        ("http: {streams_per_connection: 7}", Streams(7, 1 << 20)),
        ("http: {window: 4MiB}", Streams(100, 4 << 20)),
    ],
)
def test_streams(job: Callable[[str], Job], text: str, expected: Streams | None) -> None:
    """A hundred on a connection unless the job says otherwise."""
    assert job(text).plan().client.streams == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("dns: {family: ipv4}", Names(family="ipv4")),
        ("dns: {cache_ttl: 0s, negative_ttl: 1m, concurrency: 7}", Names(0.0, 60.0, concurrency=7)),
        (
            "dns: {servers: [192.0.2.53, '[::1]:5353'], cache_ttl: null}",
            Names(servers=("192.0.2.53", "[::1]:5353")),
        ),
        ("dns: {servers: 192.0.2.53}", Names(servers=("192.0.2.53",))),
    ],
)
def test_names(job: Callable[[str], Job], text: str, expected: Names | None) -> None:
    """Of the system, or of given servers, with and without a port."""
    assert job(text).plan().client.names == expected


@pytest.mark.parametrize("server", ["dns.example", "192.0.2", "1", "''"])
def test_servers_are_addresses(job: Callable[[str], Job], server: str) -> None:
    """Who would look up their names?"""
    with pytest.raises(JobError, match=r"dns\.servers.*address of a name server"):
        job(f"dns: {{servers: [{server}]}}")


def test_name_servers_need_a_package(job: Callable[[str], Job], monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before the run."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(JobError, match=r"crawler\[dns\]"):
        job("dns: {servers: 192.0.2.53}")


def test_a_run_asks_them(tmp_path: Path, job: Callable[[str], Job]) -> None:
    """Each name once."""
    with NameServer({"a.test": ["60 IN A 127.0.0.1"]}) as names, Testbed() as bed:
        port = bed.url.rpartition(":")[2]
        urls = [f"http://a.test:{port}/get?n={number}" for number in range(5)]
        plan = job(f"dns: {{servers: '{names.address}', family: ipv4}}").plan(out=tmp_path / "out")
        outcome = anyio.run(Run(plan, [Item(url) for url in urls]).execute)

    counts = outcome.summary["counts"]
    assert isinstance(counts, dict)
    assert (outcome.exit_code, counts["ok"]) == (0, 5)
    assert set(names.asked) == {"A a.test"}


@pytest.mark.parametrize("window", ["1KiB", "4GiB", "much", "0"])
def test_impossible_windows(job: Callable[[str], Job], window: str) -> None:
    """Are refused at their place."""
    with pytest.raises(JobError, match=r"http\.window"):
        job(f"http: {{window: {window}}}")

"""Which transport a request goes through: mounts, a proxy, the environment; and how long they live."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import crawler
from crawler.testbed import Testbed
from tests.peers.proxies import HTTPProxy
from tests.peers.worlds import Face


def named(name: str) -> crawler.MockTransport:
    """A transport that answers with its name."""
    return crawler.MockTransport(lambda request: crawler.Response(200, text=name))


MOUNTS = {
    "all://": "all",
    "http://": "http",
    "https://": "https",
    "all://*.example.com": "subdomains",
    "all://*example.org": "domain",
    "https://www.example.com": "host",
    "all://www.example.com:8443": "port",
    "all://10.0.0.0/8": "network",
}


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h/", "http"),
        ("https://h/", "https"),
        ("https://example.com/", "https"),
        ("https://a.example.com/", "subdomains"),
        ("http://www.example.com/", "subdomains"),
        ("https://www.example.com/", "host"),
        ("https://www.example.com:8443/", "port"),
        ("http://example.org/", "domain"),
        ("http://www.example.org/", "domain"),
        ("http://10.1.2.3/", "network"),
    ],
)
async def test_the_most_specific_mount_wins(face: Face, url: str, name: str) -> None:
    """Whatever their order in the dict."""
    for patterns in (MOUNTS, dict(reversed(MOUNTS.items()))):
        async with face.client(mounts={pattern: named(mount) for pattern, mount in patterns.items()}) as client:
            assert (await client.get(url)).text == name


async def test_none_means_the_default_transport(face: Face) -> None:
    """To take a host out of a wider mount."""
    mounts = {"all://": named("mounted"), "all://direct": None}
    async with face.client(transport=named("default"), mounts=mounts) as client:
        assert (await client.get("http://h/")).text == "mounted"
        assert (await client.get("http://direct/")).text == "default"


async def test_a_redirect_may_lead_into_another_mount(face: Face) -> None:
    """The transport is chosen for each hop."""
    redirect = crawler.MockTransport(lambda request: crawler.Response(302, headers={"Location": "http://b/"}))
    async with face.client(mounts={"all://a": redirect, "all://b": named("b")}) as client:
        assert (await client.get("http://a/", follow_redirects=True)).text == "b"


def test_a_pattern_needs_its_slashes() -> None:
    """`"http"` is mostly meant as `"http://"`; the error says so."""
    with pytest.raises(ValueError, match='use "http://"'):
        crawler.Client(mounts={"http": named("http")})


class Counted(crawler.MockTransport):
    """Counts its entering and closing."""

    def __init__(self) -> None:
        super().__init__(lambda request: crawler.Response(200))
        self.counts = [0, 0]

    def __enter__(self) -> Any:
        self.counts[0] += 1
        return self

    async def __aenter__(self) -> Any:
        self.counts[0] += 1
        return self

    def close(self) -> None:
        self.counts[1] += 1

    async def aclose(self) -> None:
        self.counts[1] += 1


async def test_every_transport_is_entered_and_closed_once(face: Face) -> None:
    """Also one that is mounted in several places."""
    default, shared = Counted(), Counted()
    mounts = {"http://": shared, "https://": shared, "all://x": default, "all://y": None}
    async with face.client(transport=default, mounts=mounts) as client:
        await client.get("http://h/")

    assert (default.counts, shared.counts) == ([1, 1], [1, 1])


async def test_closing_twice_closes_once(face: Face) -> None:
    """And without a block nothing is entered."""
    transport = Counted()
    client = face.client(transport=transport)
    await client.close()
    await client.close()

    assert transport.counts == [0, 1]


@pytest.fixture
def proxy() -> Iterator[HTTPProxy]:
    """A forwarding proxy."""
    with HTTPProxy() as proxy:
        yield proxy


@pytest.fixture
def clean(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names no proxy."""
    import os

    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    return monkeypatch


async def test_the_environment_names_a_proxy(
    face: Face, bed: Testbed, proxy: HTTPProxy, clean: pytest.MonkeyPatch
) -> None:
    """With `trust_env`, which is the default, and not without."""
    clean.setenv("HTTP_PROXY", proxy.url)

    async with face.client(trust_env=True) as client:
        assert (await client.get(f"{bed.url}/get")).status_code == 200
    assert [seen.target for seen in proxy.seen] == [f"{bed.url}/get"]

    async with face.client(trust_env=False) as client:
        assert (await client.get(f"{bed.url}/get")).status_code == 200
    assert len(proxy.seen) == 1


@pytest.mark.parametrize("no_proxy", ["*", "127.0.0.1", "x.example,127.0.0.0/8"])
async def test_the_environment_names_exceptions(
    face: Face, bed: Testbed, proxy: HTTPProxy, clean: pytest.MonkeyPatch, no_proxy: str
) -> None:
    """`NO_PROXY`, with networks, too."""
    clean.setenv("ALL_PROXY", proxy.url)
    clean.setenv("NO_PROXY", no_proxy)

    async with face.client(trust_env=True) as client:
        assert (await client.get(f"{bed.url}/get")).status_code == 200

    assert proxy.seen == []


async def test_a_transport_of_one_s_own_overrules_the_environment(
    face: Face, proxy: HTTPProxy, clean: pytest.MonkeyPatch
) -> None:
    """As a test with a mock must not go through the tester's proxy."""
    clean.setenv("ALL_PROXY", proxy.url)

    async with face.client(trust_env=True, transport=named("own")) as client:
        assert (await client.get("http://127.0.0.1:1/")).text == "own"


async def test_a_proxy_overrules_the_environment_and_a_mount_the_proxy(
    face: Face, bed: Testbed, proxy: HTTPProxy, clean: pytest.MonkeyPatch
) -> None:
    """The nearer word counts."""
    clean.setenv("ALL_PROXY", "http://127.0.0.1:1")

    async with face.client(trust_env=True, proxy=proxy.url, mounts={"all://h": named("mounted")}) as client:
        assert (await client.get(f"{bed.url}/get")).status_code == 200
        assert (await client.get("http://h/")).text == "mounted"

    assert len(proxy.seen) == 1


async def test_a_mount_overrules_the_same_pattern_of_the_environment(face: Face, clean: pytest.MonkeyPatch) -> None:
    """Equal patterns: the program's own."""
    clean.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    async with face.client(trust_env=True, mounts={"http://": named("own")}) as client:
        assert (await client.get("http://h/")).text == "own"

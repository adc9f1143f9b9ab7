"""Credentials from a netrc file: by host, and only when asked for."""

from __future__ import annotations

import netrc
from pathlib import Path

import pytest

import crawler
from tests.peers.worlds import Face


def echo(request: crawler.Request) -> crawler.Response:
    """Answer with the request's Authorization."""
    return crawler.Response(200, json=[request.headers.get("Authorization")])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A netrc file with two hosts."""
    path = tmp_path / "netrc"
    path.write_text("machine h login u password p\nmachine xn--mnchen-3ya.de login m password q\n")
    path.chmod(0o600)
    return path


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("https://h/", "Basic dTpw"),
        ("http://h:8080/", "Basic dTpw"),
        ("https://other/", None),
        ("https://sub.h/", None),
        ("https://münchen.de/", "Basic bTpx"),
    ],
)
async def test_the_host_decides(face: Face, file: Path, url: str, header: str | None) -> None:
    """A host without an entry is asked without credentials; names are compared as they go over the wire."""
    async with face.client(transport=crawler.MockTransport(echo), auth=crawler.NetRCAuth(file)) as client:
        assert (await client.get(url)).json()[0] == header


async def test_redirects_are_looked_up_anew(face: Face, tmp_path: Path) -> None:
    """Each host gets its own, or nothing; nothing goes from https to http, be it to the same host."""
    file = tmp_path / "netrc"
    file.write_text("machine a login u password p\nmachine b login m password q\n")
    file.chmod(0o600)
    hops = {
        "https://a/": "https://a/same",
        "https://a/same": "https://b/",
        "https://b/": "https://c/",
        "https://c/": "https://b/again",
        "https://b/again": "http://b/plain",
    }

    def lead_on(request: crawler.Request) -> crawler.Response:
        target = hops.get(str(request.url))
        return echo(request) if target is None else crawler.Response(302, headers={"Location": target})

    async with face.client(
        transport=crawler.MockTransport(lead_on), auth=crawler.NetRCAuth(file), follow_redirects=True
    ) as client:
        response = await client.get("https://a/")

    requests = [hop.request for hop in [*response.history, response]]
    seen = [request.headers.get("Authorization") for request in requests]
    assert seen == ["Basic dTpw", "Basic dTpw", "Basic bTpx", None, "Basic bTpx", None]


def test_text_is_a_path_too(file: Path) -> None:
    """As in HTTPX."""
    with crawler.Client(transport=crawler.MockTransport(echo), auth=crawler.NetRCAuth(str(file))) as client:
        assert client.get("https://h/").json()[0] == "Basic dTpw"


def test_a_default_entry_serves_all_others(tmp_path: Path) -> None:
    """netrc's own rule; an entry without password is none."""
    file = tmp_path / "netrc"
    file.write_text("machine h login u\ndefault login d password p\n")
    file.chmod(0o600)
    with crawler.Client(transport=crawler.MockTransport(echo), auth=crawler.NetRCAuth(file)) as client:
        assert client.get("https://other/").json()[0] == "Basic ZDpw"
        assert client.get("https://h/").json()[0] is None


def test_it_is_never_used_unasked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the file of the user nor that of the environment."""
    monkeypatch.setenv("NETRC", str(file))
    monkeypatch.setenv("HOME", str(file.parent))
    (file.parent / ".netrc").symlink_to(file)
    with crawler.Client(transport=crawler.MockTransport(echo)) as client:
        assert client.get("https://h/").json()[0] is None


def test_without_a_path_it_is_the_user_s(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~/.netrc`."""
    monkeypatch.setenv("HOME", str(file.parent))
    (file.parent / ".netrc").symlink_to(file)
    with crawler.Client(transport=crawler.MockTransport(echo), auth=crawler.NetRCAuth()) as client:
        assert client.get("https://h/").json()[0] == "Basic dTpw"


def test_a_file_that_is_missing_or_broken_says_so(tmp_path: Path) -> None:
    """When the object is made, not at the first request."""
    with pytest.raises(FileNotFoundError):
        crawler.NetRCAuth(tmp_path / "missing")
    (tmp_path / "broken").write_text("machine")
    with pytest.raises(netrc.NetrcParseError):
        crawler.NetRCAuth(tmp_path / "broken")

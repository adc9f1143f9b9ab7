"""Credentials go to the hosts they are for, and nowhere else."""

from __future__ import annotations

import pytest

import crawler
from crawler.client.host_auth import HostAuth
from crawler.client.key_auth import HeaderAuth, QueryAuth
from tests.peers.worlds import Face


class Servers:
    """Any host; `/to?TARGET` redirects there. It notes what each was sent."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str | None]] = []

    def __call__(self, request: crawler.Request) -> crawler.Response:
        headers = request.headers
        self.seen.append((request.url.host, headers.get("X-Api-Key") or headers.get("Authorization")))
        if request.url.path == "/to":
            return crawler.Response(302, headers={"Location": request.url.query.decode()})
        return crawler.Response(200, text=str(request.url))


KEYED = HostAuth(HeaderAuth("X-Api-Key", "k"), ["api.example", "*.api.example"])


async def test_only_matching_hosts_get_the_key(face: Face) -> None:
    """A host of the same client that does not match is asked without it."""
    servers = Servers()
    async with face.client(transport=crawler.MockTransport(servers), auth=KEYED) as client:
        for host in ("api.example", "eu.api.example", "other.example"):
            await client.get(f"https://{host}/")

    assert servers.seen == [("api.example", "k"), ("eu.api.example", "k"), ("other.example", None)]


async def test_the_key_does_not_cross_a_redirect(face: Face) -> None:
    """A header of any name is dropped where the origin changes, as `Authorization` is."""
    servers = Servers()
    async with face.client(transport=crawler.MockTransport(servers), auth=KEYED, follow_redirects=True) as client:
        await client.get("https://api.example/to?https://other.example/")
        await client.get("https://api.example/to?/here")

    assert servers.seen == [("api.example", "k"), ("other.example", None), ("api.example", "k"), ("api.example", "k")]


async def test_credentials_of_a_url_hold_elsewhere(face: Face) -> None:
    """A URL with a user name brings its own, where those of the job do not apply."""
    servers = Servers()
    async with face.client(transport=crawler.MockTransport(servers), auth=KEYED) as client:
        await client.get("https://u:p@other.example/")

    assert servers.seen == [("other.example", "Basic dTpw")]


async def test_a_key_in_the_query_is_put_once(face: Face) -> None:
    """Also if the request is sent again, and in place of one that stands there."""
    servers = Servers()
    auth = HostAuth(QueryAuth("key", "a&b"), ["api.example"])
    async with face.client(transport=crawler.MockTransport(servers), auth=auth) as client:
        request = client.build_request("GET", "https://api.example/?a=1&key=0")
        await client.send(request)
        response = await client.send(request)

    assert response.text == "https://api.example/?a=1&key=a%26b"


@pytest.mark.parametrize(
    ("pattern", "url", "permits"),
    [
        ("api.example", "http://api.example:8080/", True),
        ("API.example", "https://api.example/", True),
        ("api.example:8080", "http://api.example:8080/", True),
        ("api.example:8080", "http://api.example/", False),
        ("https://api.example:443", "https://api.example/", True),
        ("https://api.example:443", "http://api.example/", False),
        ("*.example", "https://example/", False),
        ("*", "https://[::1]:8/", True),
        ("[::1]:8", "https://[::1]:8/", True),
        ("api.example", "https://api.example.evil.example/", False),
    ],
)
def test_patterns(pattern: str, url: str, permits: bool) -> None:
    """A pattern is for the name, for name and port, or for the whole origin."""
    assert HostAuth(crawler.BasicAuth("u", "p"), [pattern]).permits(crawler.URL(url)) is permits

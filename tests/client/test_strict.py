"""Clients that raise for statuses, and clients that stay with https."""

from __future__ import annotations

import pytest

import crawler
from crawler.testbed import Testbed
from tests.peers.worlds import Face


async def test_a_client_may_raise_for_every_status(face: Face, bed: Testbed) -> None:
    """For final responses only: redirects and challenges go on; the error has the response, read."""
    async with face.client(raise_for_status=True, follow_redirects=True) as client:
        assert (await client.get(f"{bed.url}/redirect/1")).status_code == 200
        assert (await client.get(f"{bed.url}/digest-auth/auth/u/p", auth=crawler.DigestAuth("u", "p"))).is_success
        with pytest.raises(crawler.HTTPStatusError) as caught:
            await client.get(f"{bed.url}/status/404")

    assert caught.value.response.status_code == 404
    assert "404" in caught.value.response.text


async def test_a_stream_that_is_refused_is_closed(face: Face, bed: Testbed) -> None:
    """The block is not entered, and the connection is not lost."""
    async with face.client(raise_for_status=True) as client:
        with pytest.raises(crawler.HTTPStatusError) as caught:
            async with client.stream("GET", f"{bed.url}/status/500"):
                raise AssertionError
        client.check_pool()

    assert caught.value.response.is_closed


async def test_a_client_may_stay_with_https(face: Face) -> None:
    """Whatever asks for plain http: the program, a redirect, an auth flow."""
    asked: list[str] = []

    def handler(request: crawler.Request) -> crawler.Response:
        asked.append(str(request.url))
        return crawler.Response(302, headers={"Location": "http://h/plain"})

    async with face.client(transport=crawler.MockTransport(handler), https_only=True, follow_redirects=True) as client:
        with pytest.raises(crawler.UnsupportedProtocol, match="https_only"):
            await client.get("http://h/")
        with pytest.raises(crawler.UnsupportedProtocol, match="http://h/plain"):
            await client.get("https://h/")
        with pytest.raises(crawler.UnsupportedProtocol, match="http://token/"):
            await client.get("https://h/", auth=crawler.OAuth2ClientCredentials("http://token/", "id", "secret"))

    assert asked == ["https://h/"]

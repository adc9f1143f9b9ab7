"""A function in place of the network."""

from __future__ import annotations

from typing import Any

import pytest

import crawler
from tests.peers.worlds import Face


def hello(request: crawler.Request) -> crawler.Response:
    """Say what was asked."""
    return crawler.Response(
        200, json={"method": request.method, "url": str(request.url), "body": request.content.decode()}
    )


async def test_a_plain_function_serves_both_clients(face: Face) -> None:
    """The response is an ordinary one: timed, with its request, read."""
    async with face.client(transport=crawler.MockTransport(hello)) as client:
        response = await client.post("https://h/a?b", json=[1])

    assert response.json() == {"method": "POST", "url": "https://h/a?b", "body": "[1]"}
    assert response.request.url == "https://h/a?b"
    assert response.elapsed.total_seconds() >= 0
    assert response.is_closed


async def test_the_handler_finds_the_body_read(face: Face) -> None:
    """Streamed bodies, too."""
    async with face.client(transport=crawler.MockTransport(hello)) as client:
        assert (await client.post("https://h/", content=face.chunks([b"a", b"b"]))).json()["body"] == "ab"


async def test_an_async_handler_serves_the_async_client(face: Face) -> None:
    """To the blocking one it is a mistake, told as such."""

    async def handler(request: crawler.Request) -> crawler.Response:
        return hello(request)

    async with face.client(transport=crawler.MockTransport(handler)) as client:
        if face.is_async:
            assert (await client.get("https://h/")).status_code == 200
        else:
            with pytest.raises(TypeError, match="plain function"):
                await client.get("https://h/")


async def test_a_handler_that_gives_no_response_is_told(face: Face) -> None:
    """Forgetting `return` is the usual way there."""
    handler: Any = lambda request: None  # noqa: E731  # the shortest way to say it
    async with face.client(transport=crawler.MockTransport(handler)) as client:
        with pytest.raises(TypeError, match="handler"):
            await client.get("https://h/")


async def test_errors_of_the_handler_pass_through(face: Face) -> None:
    """Ours get the request they lack; others come as they are."""

    def handler(request: crawler.Request) -> crawler.Response:
        if request.url.path == "/ours":
            raise crawler.ReadTimeout("slow")
        raise ZeroDivisionError

    async with face.client(transport=crawler.MockTransport(handler)) as client:
        with pytest.raises(crawler.ReadTimeout) as caught:
            await client.get("https://h/ours")
        with pytest.raises(ZeroDivisionError):
            await client.get("https://h/")

    assert caught.value.request.url == "https://h/ours"


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("/path", crawler.UnsupportedProtocol, "lacks a scheme"),
        ("example.com", crawler.UnsupportedProtocol, "lacks a scheme"),
        ("//host/x", crawler.UnsupportedProtocol, "lacks a scheme"),
        ("http://", crawler.UnsupportedProtocol, "lacks a host"),
        ("http:///x", crawler.UnsupportedProtocol, "lacks a host"),
        ("http://exam%20ple.com/", crawler.InvalidURL, "cannot be looked up"),
        ("http://h:port/", crawler.InvalidURL, "port"),
    ],
)
async def test_urls_that_the_network_refuses_are_refused(
    face: Face, url: str, error: type[Exception], message: str
) -> None:
    """A test with a mock must not pass where the program would fail; mounts and the network say the same."""

    def unasked(request: crawler.Request) -> crawler.Response:
        raise AssertionError

    for options in ({"transport": crawler.MockTransport(unasked)}, {"proxy": "http://127.0.0.1:1"}, {}):
        async with face.client(**options) as client:
            with pytest.raises(error, match=message):
                await client.get(url)


async def test_streamed_responses_stay_streams(face: Face) -> None:
    """A response made of pieces is read like one off the network."""
    pieces = [b"a", b"b"]

    def handler(request: crawler.Request) -> crawler.Response:
        return crawler.Response(200, content=face.chunks(pieces))

    async with face.client(transport=crawler.MockTransport(handler)) as client:
        async with client.stream("GET", "https://h/") as response:
            assert [piece async for piece in face.pieces(response)] == pieces
        assert (await client.get("https://h/")).content == b"ab"


async def test_cookies_and_redirects_work_as_on_the_network(face: Face) -> None:
    """All of the client but its transport is in play."""

    def handler(request: crawler.Request) -> crawler.Response:
        if request.url.path == "/":
            return crawler.Response(303, headers={"Location": "/next", "Set-Cookie": "a=b"})
        return crawler.Response(200, text=request.headers.get("Cookie", ""))

    async with face.client(transport=crawler.MockTransport(handler), follow_redirects=True) as client:
        response = await client.post("https://www.example.org/")

    assert (response.request.method, response.text) == ("GET", "a=b")

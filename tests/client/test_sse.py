"""`client.sse()` against the testbed: events as they come, and what stands in for them when they do not."""

from __future__ import annotations

from typing import Any

import pytest

import crawler
from crawler.testbed import Testbed
from tests.peers.worlds import Face, FaceClient


async def events_of(face: Face, client: FaceClient, url: str, **options: Any) -> list[crawler.ServerSentEvent]:
    """All events at `url`."""
    if isinstance(client.client, crawler.Client):
        with client.client.sse(url, **options) as source:
            return list(source)
    async with client.client.sse(url, **options) as source:
        return [event async for event in source]


async def test_events_of_a_server(face: Face, bed: Testbed) -> None:
    """Ids, types, several lines of data, and the retry that stands alone."""
    async with face.client() as client:
        events = await events_of(face, client, f"{bed.url}/sse", params={"n": 3})

    assert events == [
        crawler.ServerSentEvent(retry=100),
        crawler.ServerSentEvent(data='{"n": 1}', id="1"),
        crawler.ServerSentEvent(data='{"n": 2}', id="2"),
        crawler.ServerSentEvent(event="done", data='{"n": 3}\nsecond line', id="3"),
    ]
    assert events[1].json() == {"n": 1}


async def test_a_stream_can_be_taken_up_again(face: Face, bed: Testbed) -> None:
    """By the id of the last event that was seen."""
    async with face.client() as client:
        events = await events_of(face, client, f"{bed.url}/sse?n=3", headers={"Last-Event-ID": "2"})

    assert [event.id for event in events if event.data] == ["3"]


async def test_the_request_says_what_it_wants(face: Face) -> None:
    """Both headers can be replaced; everything else is passed on."""
    seen: list[crawler.Request] = []

    def handler(request: crawler.Request) -> crawler.Response:
        seen.append(request)
        return crawler.Response(200, headers={"Content-Type": "text/event-stream"})

    async with face.client(transport=crawler.MockTransport(handler)) as client:
        await events_of(face, client, "https://h/")
        await events_of(face, client, "https://h/", method="POST", json={"a": 1}, headers={"accept": "x/y"})

    assert (seen[0].method, seen[0].headers["Accept"]) == ("GET", "text/event-stream")
    assert seen[0].headers["Cache-Control"] == "no-store"
    assert (seen[1].method, seen[1].content) == ("POST", b'{"a":1}')
    assert seen[1].headers.get_list("Accept") == ["x/y"]


async def test_another_response_is_no_event_stream(face: Face, bed: Testbed) -> None:
    """It can be looked at before; iterating it is the error."""
    async with face.client() as client:
        with pytest.raises(crawler.SSEError, match="text/plain"):
            await events_of(face, client, f"{bed.url}/status/404")


async def test_an_event_over_the_limit_ends_the_stream(face: Face, bed: Testbed) -> None:
    """With an error of ours that knows the request; the connection is not kept."""
    async with face.client() as client:
        with pytest.raises(crawler.SSEError, match="max_event_size, 10 bytes") as caught:
            await events_of(face, client, f"{bed.url}/sse?n=3", max_event_size=10)
        client.check_pool()

    assert isinstance(caught.value, crawler.TransportError)
    assert caught.value.request.url == f"{bed.url}/sse?n=3"


async def test_a_stream_may_be_left_at_any_event(face: Face, bed: Testbed) -> None:
    """The block gives the connection back; nothing waits for the rest."""
    async with face.client() as client:
        url = f"{bed.url}/sse?n=1000000"
        if isinstance(client.client, crawler.Client):
            with client.client.sse(url) as source:
                first = next(iter(source))
        else:
            async with client.client.sse(url) as source:
                async for event in source:
                    first = event
                    break
        assert source.response.is_closed
        client.check_pool()

    assert first.retry == 100


async def test_iterating_in_the_wrong_world_says_so(face: Face, bed: Testbed) -> None:
    """`for` over an async stream, `async for` over a blocking one."""
    async with face.client() as client, client.stream("GET", f"{bed.url}/sse") as response:
        source = crawler.EventSource(response)
        with pytest.raises(RuntimeError, match=r"This response has an? (async|blocking) body"):
            list(source) if face.is_async else [event async for event in source]

"""HTTP/2 servers that send too much, too little or nothing: bounded time and memory, and silence is asked about.

Numbers F-n are those of the fault table.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest

import crawler
from crawler.net import asyncio_http2, pull_http2
from tests.peers.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_STREAM,
    HEADERS,
    PING,
    RST_STREAM,
    FramePeer,
    FrameServer,
    answer,
    block,
    data,
    frame,
    goaway,
    head,
    read_out,
    setting,
    word,
)
from tests.peers.worlds import Face, FaceClient, resolved

OK = block((b":status", b"200"))
FLOW_CONTROL, REFUSED, CANCEL = 3, 7, 8

STALLS: dict[str, bytes] = {
    "F-7 silence within a head": frame(HEADERS, 0, 1, OK) + frame(CONTINUATION, 0, 1, b""),
    "F-14 silence within a frame": head(1) + b"\0\x40\0\0\0\0\0\0\1begun",
    "silence within a frame header": head(1) + b"\0\0",
}


def client(face: Face, **options: Any) -> FaceClient:
    """A client that speaks HTTP/2 over plain TCP."""
    return face.client(http1=False, http2=True, **options)


async def read_all(face: Face, http: FaceClient, url: str, **options: Any) -> bytes:
    """Stream a response, raw."""
    async with http.stream("GET", url, **options) as response:
        return b"".join([piece async for piece in face.pieces(response, "raw")])


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("stall", STALLS)
async def test_stalls(face: Face, stall: str, is_streamed: bool) -> None:
    """What was begun and never ends is a read timeout; PING gets no answer within it, so the next request goes away."""

    def script(peer: FramePeer) -> None:
        peer.next_request()
        peer.answers_pings = False
        peer.send(STALLS[stall])
        peer.hold()

    with FrameServer(script, FramePeer.serve) as server:
        async with client(face, timeout=crawler.Timeout(5, read=0.1)) as http:
            with pytest.raises(crawler.ReadTimeout) as caught:
                await (read_all(face, http, server.url) if is_streamed else http.get(server.url))
            assert (await http.get(f"{server.url}/next")).text == "/next"

    assert caught.value.request.url == server.url
    assert len(server.connections) == 2


async def test_a_flood_from_a_peer_that_reads_nothing(face: Face) -> None:
    """F-16: the answers wait, few of them, and then the connection is left."""

    def flood(peer: FramePeer) -> None:
        peer.next_request()
        for _ in range(10_000):
            peer.send(frame(PING, 0, 0, bytes(8)) * 100)

    with FrameServer(flood, FramePeer.serve) as server:
        async with client(face) as http:
            with pytest.raises((crawler.RemoteProtocolError, crawler.NetworkError)):
                await http.get(server.url)
            assert (await http.get(f"{server.url}/next")).text == "/next"


async def test_more_than_the_window(face: Face) -> None:
    """F-18: a peer that sends more than it was allowed, to a reader who does not read, breaks the protocol."""

    def script(peer: FramePeer) -> None:
        first = peer.next_request()
        peer.send(head(first))
        peer.next_request()
        peer.send(data(first, bytes(1 << 20)) + frame(DATA, 0, first, b"x"))
        read_out(peer)

    with FrameServer(script, FramePeer.serve) as server:
        async with client(face) as http:
            async with http.stream("GET", server.url) as response:
                with pytest.raises(crawler.RemoteProtocolError) as caught:
                    await http.get(f"{server.url}/other")
                with pytest.raises(crawler.RemoteProtocolError):
                    await face.read(response)
            assert (await http.get(f"{server.url}/next")).text == "/next"

    assert caught.value.kind == "h2_flow"
    assert caught.value.request.url.path == "/other"
    assert server.last_words()[0] == FLOW_CONTROL


async def test_the_window_is_all_that_lies_unread(face: Face) -> None:
    """F-27: of a response that nobody reads no more than its window comes, and what was read is given back."""
    full = threading.Event()

    def script(peer: FramePeer) -> None:
        stream_id = peer.next_request()
        peer.send(head(stream_id) + data(stream_id, bytes(1 << 20)))
        other = peer.next_request()
        assert peer.seen.credit.get(stream_id, 0) == 0
        peer.respond(other)
        full.set()
        peer.until(lambda seen: seen.credit.get(stream_id, 0) >= 1 << 19)
        peer.send(data(stream_id, bytes(1 << 19), end=True))
        peer.hold()

    with FrameServer(script) as server:
        async with client(face) as http, http.stream("GET", server.url) as response:
            assert (await http.get(f"{server.url}/other")).text == "/other"
            await face.wait(full)
            assert len(await face.read(response)) == 3 << 19


async def test_streams_left_early_give_the_window_of_the_connection_back(face: Face) -> None:
    """F-28: a hundred responses left unread do not eat up what the connection may carry."""

    def script(peer: FramePeer) -> None:
        for _ in range(100):
            stream_id = peer.next_request()
            peer.send(head(stream_id) + data(stream_id, bytes(200_000)))
            peer.until(lambda seen: len(seen.resets) == len(seen.paths))
        assert peer.seen.credit[0] >= 20_000_000 - (1 << 24)
        peer.serve()

    with FrameServer(script) as server:
        async with client(face) as http:
            for _ in range(100):
                async with http.stream("GET", server.url) as response:
                    await anext(face.pieces(response, "raw"))
            assert (await http.get(f"{server.url}/next")).text == "/next"

        assert set(server.peers[0].seen.resets.values()) == {CANCEL}
        assert len(server.connections) == 1


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("end", [False, True])
async def test_the_body_of_a_redirect_is_not_awaited(face: Face, is_streamed: bool, end: bool) -> None:
    """R-7: beyond 64 KiB it is dropped, and the redirect followed on the same connection."""

    def script(peer: FramePeer) -> None:
        stream_id = peer.next_request()
        peer.send(head(stream_id, (b"location", b"/there"), status=b"302") + data(stream_id, bytes(200_000), end=end))
        peer.serve()

    with FrameServer(script) as server:
        async with client(face, follow_redirects=True) as http:
            if is_streamed:
                assert await read_all(face, http, server.url) == b"/there"
            else:
                assert (await http.get(server.url)).text == "/there"

    assert len(server.connections) == 1


async def test_fast_resets_stay_within_the_peers_limit(face: Face) -> None:
    """F-29: streams that were given up count until the peer is known to have heard it."""
    limit = 10
    excess = 0
    taken = 0

    def script(peer: FramePeer) -> None:
        peer.answers_pings = False
        seen = peer.seen
        streams: set[int] = set()
        requests = 0
        while True:
            pings = seen.pings
            peer.read_frame()
            if len(seen.paths) > requests:
                requests += 1
                begin(peer, streams, 2 * requests - 1)
            if seen.pings > pings:  # only from its answer on the client knows that its resets were heard
                streams -= set(seen.resets)
                peer.send(frame(PING, ACK, 0, b"resets??"))

    def begin(peer: FramePeer, streams: set[int], stream_id: int) -> None:
        nonlocal excess, taken
        if len(streams) < limit:
            taken += 1
            streams.add(stream_id)
            peer.send(head(stream_id))
            return
        excess += peer.seen.is_settled  # before that, the client cannot know
        peer.send(frame(RST_STREAM, 0, stream_id, word(REFUSED)))

    async def leave(http: FaceClient, url: str) -> None:
        for _ in range(50):
            async with http.stream("GET", url):
                pass

    with FrameServer(script, hello=setting(3, limit)) as server:
        async with client(face, limits=crawler.Limits(max_connections=1), timeout=20) as http:
            outcomes = await face.gather(*[leave(http, server.url) for _ in range(20)])

    assert outcomes == [None] * 20
    assert taken >= 1000
    assert excess == 0


async def test_a_peer_that_never_takes_a_request(face: Face) -> None:
    """F-20: it is waited for as a full pool is, by the pool's time limit, in a bounded number of attempts."""

    def script(peer: FramePeer) -> None:
        while True:
            peer.send(frame(RST_STREAM, 0, peer.next_request(), word(REFUSED)))

    with FrameServer(script, hello=setting(3, 0)) as server:
        async with client(face, timeout=crawler.Timeout(5, pool=0.1)) as http:
            with pytest.raises(crawler.PoolTimeout) as caught:
                await http.get(server.url)
        async with client(face, timeout=crawler.Timeout(5, total=0.1)) as http:
            with pytest.raises(crawler.TotalTimeout):
                await http.get(server.url)

    assert caught.value.request.url == server.url
    assert len(server.connections) <= 20


async def test_a_server_that_always_goes_away(face: Face) -> None:
    """F-5: each connection says good-bye to the request it is asked; that, too, is borne a bounded number of times."""

    def script(peer: FramePeer) -> None:
        peer.next_request()
        peer.send(goaway(0))
        peer.hold()

    with FrameServer(script) as server:
        async with client(face, timeout=crawler.Timeout(5, pool=0.1)) as http:
            with pytest.raises((crawler.PoolTimeout, crawler.RemoteProtocolError), match="going away") as caught:
                await http.post(server.url, content=b"not done")

    assert caught.value.request.url == server.url
    assert 1 < len(server.connections) <= 20


# --- silence ---


def ask_soon(monkeypatch: pytest.MonkeyPatch, timeout_s: float) -> None:
    """Have silence asked about after a twentieth of a second."""
    for module in (asyncio_http2, pull_http2):
        monkeypatch.setattr(module, "PING_AFTER_S", 0.05)
        monkeypatch.setattr(module, "PING_TIMEOUT_S", timeout_s)


async def test_silence_is_asked_about(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that answers PING may let requests wait as long as they like to, any number of times."""
    ask_soon(monkeypatch, 0.5)

    def script(peer: FramePeer) -> None:
        streams = peer.requests(2)
        peer.send(head(streams["/streamed"]) + data(streams["/streamed"], b"begun, "))
        peer.until(lambda seen: seen.pings >= 2)
        peer.send(answer(streams["/whole"], b"whole") + data(streams["/streamed"], b"done", end=True))
        peer.serve()

    with FrameServer(script) as server:
        async with client(face, timeout=None) as http:
            whole, streamed = await face.gather(
                resolved(http.get(f"{server.url}/whole")), resolved(read_all(face, http, f"{server.url}/streamed"))
            )
            assert (await http.get(f"{server.url}/next")).text == "/next"

    assert isinstance(whole, crawler.Response)
    assert whole.text == "whole"
    assert streamed == b"begun, done"
    assert len(server.connections) == 1


async def test_silence_without_an_answer_ends_the_connection(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer to PING: every stream fails with a ReadError, whatever its own time limits."""
    ask_soon(monkeypatch, 0.1)

    def script(peer: FramePeer) -> None:
        peer.answers_pings = False
        streams = peer.requests(3)
        peer.send(head(streams["/streamed"]) + data(streams["/streamed"], b"begun"))
        peer.hold()

    with FrameServer(script, FramePeer.serve) as server:
        async with client(face, timeout=None) as http:
            outcomes = await face.gather(
                resolved(http.get(f"{server.url}/whole")),
                resolved(read_all(face, http, f"{server.url}/streamed")),
                resolved(http.post(f"{server.url}/upload", content=face.chunks([bytes(50_000)] * 5))),
            )
            assert (await http.get(f"{server.url}/next")).text == "/next"

    for path, outcome in zip(("/whole", "/streamed", "/upload"), outcomes, strict=True):
        assert isinstance(outcome, crawler.ReadError)
        assert outcome.kind == "timeout_read"
        assert outcome.request.url.path == path
    assert server.peers[0].seen.pings >= 1


async def test_an_answer_may_be_queued_behind_a_body(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """While bytes keep coming, the missing answer to a PING harms nobody."""
    ask_soon(monkeypatch, 0.3)

    def script(peer: FramePeer) -> None:
        peer.answers_pings = False
        stream_id = peer.next_request()
        peer.until(lambda seen: seen.pings)
        peer.send(head(stream_id))
        for _ in range(8):
            peer.send(data(stream_id, b"x"))
            peer.connection.wait(0.05)
        peer.send(frame(DATA, END_STREAM, stream_id))
        peer.hold()

    with FrameServer(script) as server:
        async with client(face, timeout=None) as http:
            assert (await http.get(server.url)).text == "x" * 8


async def test_idle_connections_are_not_asked(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits, nobody asks; after long idleness the time counts anew."""
    ask_soon(monkeypatch, 0.1)

    def script(peer: FramePeer) -> None:
        peer.respond(peer.next_request())
        peer.respond(peer.next_request())
        peer.hold()

    with FrameServer(script) as server:
        async with client(face, timeout=None) as http:
            await http.get(server.url)
            waited = threading.Event()
            threading.Timer(0.15, waited.set).start()
            await face.wait(waited)
            await http.get(server.url)

    assert server.peers[0].seen.pings == 0
    assert len(server.connections) == 1


# --- uploads that nobody takes ---


async def blocked_upload(face: Face, http: FaceClient, url: str, is_streamed: bool) -> None:
    """An upload larger than any window."""
    content = face.chunks([bytes(100_000)] * 3)
    if not is_streamed:
        await http.post(url, content=content)
        return
    async with http.stream("POST", url, content=content) as response:
        await face.read(response)


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("has_answer_begun", [False, True])
@pytest.mark.parametrize("end", ["reset", "closed", "client closed", "no answer to PING"])
async def test_the_end_of_a_blocked_upload(
    face: Face, end: str, has_answer_begun: bool, is_streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An upload that waits for a window ends with its stream or its connection, whatever ends that."""
    if end == "no answer to PING":
        ask_soon(monkeypatch, 0.05)
    is_blocked = threading.Event()

    def script(peer: FramePeer) -> None:
        peer.answers_pings = False
        stream_id = peer.next_request()
        if has_answer_begun:
            peer.send(head(stream_id) + data(stream_id, b"begun"))
        peer.until(lambda seen: len(seen.bodies[stream_id]) == 65_535)
        is_blocked.set()
        if end == "reset":
            peer.send(frame(RST_STREAM, 0, stream_id, word(2)))
        if end != "closed":
            peer.hold()

    async def close_when_blocked(http: FaceClient) -> None:
        await face.wait(is_blocked)
        if end == "client closed":
            await http.close()

    with FrameServer(script) as server:
        async with client(face, timeout=None) as http:
            outcome, _ = await face.gather(
                resolved(blocked_upload(face, http, server.url, is_streamed)), close_when_blocked(http)
            )

    assert isinstance(outcome, crawler.TransportError)
    assert outcome.request.method == "POST"

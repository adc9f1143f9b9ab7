"""HTTP/2 against a server that does as a script says: refusals, resets, good-byes, uploads, silence, cancellation."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Generator, Sequence
from typing import Any

import pytest
import trio
from h2.events import PingAckReceived, StreamReset
from h2.settings import SettingCodes

import crawler
from crawler.net import asyncio_http2, http2_request, pull_http2
from crawler.net.readiness import BlockingReadiness
from tests.peers.http2 import Http2Peer, frames, http2_server
from tests.peers.worlds import PATIENCE_S, Face, FaceClient, resolved

CANCEL = 8
REFUSED = 7
ASYNC = pytest.mark.parametrize("face", ["asyncio", "uvloop", "trio"], indirect=True)
BLOCKING = pytest.mark.parametrize("face", ["blocking"], indirect=True)


def client(face: Face, **options: Any) -> FaceClient:
    """A client that speaks HTTP/2 over plain TCP."""
    return face.client(http1=False, http2=True, **options)


def connection_of(response: crawler.Response) -> int:
    """The number of the connection that a response came over."""
    number: int = response.extensions["crawler.timing"].conn_id
    return number


def texts(answers: Sequence[crawler.Response | Exception | None]) -> list[str]:
    """The bodies of responses, the class names of all else."""
    return [answer.text if isinstance(answer, crawler.Response) else type(answer).__name__ for answer in answers]


# --- refused, reset, gone away ---


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_refused_request_is_sent_again(face: Face, method: str) -> None:
    """F-3: whatever its method, since the server did nothing for it."""

    def script(peer: Http2Peer) -> None:
        peer.reset(peer.next_request(), REFUSED)
        peer.serve()

    with http2_server(script) as server:
        async with client(face) as http:
            response = await http.request(method, f"{server.url}/again")

    assert response.text == "/again"


async def test_refusals_are_endured_a_bounded_number_of_times(face: Face) -> None:
    """F-3: at most twenty attempts, and no longer than the pool timeout."""
    attempts: list[int] = []

    def script(peer: Http2Peer) -> None:
        while True:
            stream_id = peer.next_request()
            attempts.append(stream_id)
            peer.reset(stream_id, REFUSED)

    with http2_server(script) as server:
        async with client(face, timeout=crawler.Timeout(5, pool=0.2)) as http:
            with pytest.raises((crawler.RemoteProtocolError, crawler.PoolTimeout), match="REFUSED_STREAM"):
                await http.get(server.url)

    assert 1 < len(attempts) <= 20


async def test_a_refused_body_that_is_gone_is_not_sent_again(face: Face) -> None:
    """A body that can be read only once fails with the refusal."""

    def script(peer: Http2Peer) -> None:
        peer.reset(peer.next_request(ended=True), REFUSED)
        peer.serve()

    with http2_server(script) as server:
        async with client(face) as http:
            with pytest.raises(crawler.RemoteProtocolError):
                await http.post(server.url, content=face.chunks([b"once"]))
            response = await http.get(f"{server.url}/after")

    assert response.text == "/after"


async def test_a_request_beyond_goaway_goes_elsewhere(face: Face) -> None:
    """F-5: what the server did not take up is sent on a new connection; F-4: what it did ends normally."""

    def leaving(peer: Http2Peer) -> None:
        first = peer.next_request()
        second = peer.next_request()
        peer.go_away(first)
        peer.respond(first, peer.heads[first][b":path"])
        assert second > first
        peer.hold()

    with http2_server(leaving, Http2Peer.serve) as server:
        async with client(face) as http:
            answers = await face.gather(http.get(f"{server.url}/1"), http.get(f"{server.url}/2"))
            after = await http.get(f"{server.url}/3")

        assert sorted(texts(answers)) == ["/1", "/2"]
        numbers = {connection_of(answer) for answer in answers if isinstance(answer, crawler.Response)}
        assert len(numbers) == 2
        assert connection_of(after) == max(numbers)
        assert len(server.connections) == 2


async def test_a_goaway_on_an_idle_connection_is_heeded(face: Face) -> None:
    """The next request goes to a new connection, also one whose body can be read only once."""
    said = threading.Event()

    def leaving(peer: Http2Peer) -> None:
        first = peer.next_request()
        peer.respond(first)
        peer.go_away(first)
        said.set()
        peer.hold()

    with http2_server(leaving, Http2Peer.serve) as server:
        async with client(face) as http:
            first = await http.get(server.url)
            await face.wait(said)
            second = await http.post(f"{server.url}/second", content=face.chunks([b"once"]))

    assert second.text == "/second"
    assert connection_of(first) != connection_of(second)


@pytest.mark.parametrize("code", [0, CANCEL, 2])
async def test_a_reset_within_the_body_ends_one_response(face: Face, code: int) -> None:
    """F-1: any code before the end means truncated, and for that stream only."""

    def script(peer: Http2Peer) -> None:
        streams = [peer.next_request(ended=True) for _ in range(3)]
        for stream_id in streams:
            peer.head(stream_id)
            peer.data(stream_id, b"half")
        for stream_id in streams:
            if peer.heads[stream_id][b":path"] == b"/1":
                peer.reset(stream_id, code)
            else:
                peer.data(stream_id, b" whole", end=True)
        peer.hold()

    with http2_server(script) as server:
        async with client(face) as http:
            answers = await face.gather(*[http.get(f"{server.url}/{n}") for n in range(3)])

    assert texts(answers) == ["half whole", "RemoteProtocolError", "half whole"]


async def test_a_connection_cut_fails_all_its_streams(face: Face) -> None:
    """F-6: every stream gets an error of its own, and what came before stays."""

    def script(peer: Http2Peer) -> None:
        streams = [peer.next_request(ended=True) for _ in range(3)]
        for stream_id in streams:
            peer.head(stream_id)
            peer.data(stream_id, b"half")

    async def read(http: FaceClient, url: str) -> list[Any]:
        got: list[Any] = []
        async with http.stream("GET", url) as response:
            try:
                got.append(await anext(pieces := face.pieces(response)))
                await anext(pieces)
            except crawler.RemoteProtocolError as exc:
                got += [exc.kind, exc.request.url.path]
        return got

    with http2_server(script) as server:
        async with client(face) as http:
            answers = await face.gather(*[read(http, f"{server.url}/{n}") for n in range(3)])

    assert answers == [[b"half", "body_incomplete", f"/{n}"] for n in range(3)]


async def test_a_reset_connection_is_a_network_error(face: Face) -> None:
    """An RST from the peer is no end."""

    def script(peer: Http2Peer) -> None:
        peer.next_request(ended=True)
        peer.connection.reset()

    with http2_server(script) as server:
        async with client(face) as http:
            with pytest.raises((crawler.NetworkError, crawler.RemoteProtocolError)):
                await http.post(server.url)


async def test_bad_frames_end_the_connection(face: Face) -> None:
    """F-13, F-24: all its streams fail, and the next request gets another."""

    def bad(peer: Http2Peer) -> None:
        peer.next_request(ended=True)
        peer.next_request(ended=True)
        peer.connection.send(frames((8, 0, 0, b"\0")))
        peer.hold()

    with http2_server(bad, Http2Peer.serve) as server:
        async with client(face) as http:
            answers = await face.gather(http.get(server.url), http.get(server.url))
            after = await http.get(f"{server.url}/after")

    assert texts(answers) == ["RemoteProtocolError"] * 2
    assert after.text == "/after"


async def test_two_bad_streams_of_a_hundred_harm_no_other(face: Face) -> None:
    """F-26: one malformed, one reset, the other 98 right."""

    def script(peer: Http2Peer) -> None:
        streams = [peer.next_request(ended=True) for _ in range(100)]
        for stream_id in streams:
            path = peer.heads[stream_id][b":path"]
            if path == b"/13":
                peer.connection.send(frames((1, 5, stream_id, b"\x88\x00\x01A\x01b")))  # an upper-case name
            elif path == b"/77":
                peer.reset(stream_id, 2)
            else:
                peer.respond(stream_id, path * 100)
        peer.hold()

    with http2_server(script) as server:
        async with client(face) as http:
            answers = await face.gather(*[http.get(f"{server.url}/{n}") for n in range(100)])

    expected = [f"/{n}" * 100 for n in range(100)]
    expected[13] = expected[77] = "RemoteProtocolError"
    assert texts(answers) == expected


async def test_what_speaks_no_http2_is_refused(face: Face) -> None:
    """F-30: the first bytes are no SETTINGS."""
    from crawler.testbed.raw import RawServer

    def script(connection: Any) -> None:
        connection.read()
        connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.hold()

    with RawServer(script) as server:
        async with client(face) as http:
            with pytest.raises(crawler.RemoteProtocolError):
                await http.get(server.url)


# --- idle connections ---


async def test_a_connection_that_was_closed_idle_is_replaced(face: Face) -> None:
    """The end of an idle connection is noticed before it is used again."""

    def once(peer: Http2Peer) -> None:
        peer.respond(peer.next_request())

    with http2_server(once, Http2Peer.serve) as server:
        async with client(face) as http:
            await http.get(server.url)
            closed = server.connections[0]
            while closed.sock.fileno() >= 0:
                await pause(face)
            response = await http.get(f"{server.url}/new")

    assert response.text == "/new"


async def pause(face: Face) -> None:
    """Let another thread run."""
    await face.wait(SET)


SET = threading.Event()
SET.set()


async def test_a_connection_closed_at_the_moment_of_its_reuse_is_replaced(face: Face) -> None:
    """Where no byte of an answer came a GET is sent once more; a POST is not, as it may have been done."""

    def twice(peer: Http2Peer) -> None:
        peer.respond(peer.next_request())
        peer.next_request()

    with http2_server(twice, twice, Http2Peer.serve) as server:
        async with client(face) as http:
            await http.get(server.url)
            with pytest.raises((crawler.RemoteProtocolError, crawler.NetworkError)):
                await http.post(f"{server.url}/post")
            await http.get(server.url)
            response = await http.get(f"{server.url}/again")

    assert response.text == "/again"


async def test_frames_that_came_while_idle_are_answered(face: Face) -> None:
    """A PING and new SETTINGS on an idle connection cost nothing but an answer with the next request."""
    pinged = threading.Event()

    def script(peer: Http2Peer) -> None:
        peer.respond(peer.next_request())
        peer.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: 5})
        peer.h2.ping(b"are you?")
        peer.flush()
        pinged.set()
        peer.expect(PingAckReceived)
        peer.serve()

    with http2_server(script) as server:
        async with client(face) as http:
            first = await http.get(server.url)
            await face.wait(pinged)
            second = await http.get(f"{server.url}/second")

    assert second.text == "/second"
    assert connection_of(first) == connection_of(second)


# --- limits of the peer ---


async def test_the_stream_limit_of_the_peer_holds(face: Face) -> None:
    """No more requests at once than the server allows, and not a connection more than the pool does."""
    most: list[int] = []

    def script(peer: Http2Peer) -> None:
        peer.respond(peer.next_request(ended=True))
        for _ in range(6):
            pair = [peer.next_request(ended=True) for _ in range(2)]
            most.append(peer.most)
            for stream_id in pair:
                peer.respond(stream_id, peer.heads[stream_id][b":path"])
        peer.hold()

    with http2_server(script, settings={SettingCodes.MAX_CONCURRENT_STREAMS: 2}) as server:
        async with client(face, limits=crawler.Limits(max_connections=1)) as http:
            await http.get(server.url)
            answers = await face.gather(*[http.get(f"{server.url}/{n}") for n in range(12)])

        assert sorted(texts(answers)) == sorted(f"/{n}" for n in range(12))
        assert len(server.connections) == 1
    assert max(most) == 2


async def test_a_limit_of_zero_ends_in_an_error(face: Face) -> None:
    """F-20: a server that never allows a stream is not waited for without end."""

    def script(peer: Http2Peer) -> None:
        peer.connection.send(frames((4, 0, 0, b"\0\3\0\0\0\0")))  # by hand, as h2 would enforce it too early
        while True:
            peer.reset(peer.next_request(), REFUSED)

    with http2_server(script) as server:
        async with client(face, timeout=crawler.Timeout(5, pool=0.05)) as http:
            with pytest.raises((crawler.RemoteProtocolError, crawler.PoolTimeout)):
                await http.get(server.url)


# --- uploads ---


async def test_an_upload_waits_for_the_windows(face: Face) -> None:
    """Body bytes leave as the server opens its windows, and only then."""
    sizes: list[int] = []

    def script(peer: Http2Peer) -> None:
        stream_id = peer.next_request()
        while stream_id not in peer.ended:
            while len(peer.bodies[stream_id]) < min(200_000, 65_535 + 10_000 * len(sizes)):
                peer.read()
            sizes.append(len(peer.bodies[stream_id]))
            if sizes[-1] == 200_000:
                break
            peer.h2.increment_flow_control_window(10_000, stream_id)
            peer.h2.increment_flow_control_window(10_000)
            peer.flush()
        peer.respond(stream_id, str(len(peer.bodies[stream_id])).encode())
        peer.hold()

    with http2_server(script, gives_credit=False) as server:
        async with client(face) as http:
            response = await http.post(server.url, content=b"x" * 200_000)

    assert response.text == "200000"
    assert sizes[0] == 65_535


async def test_waiting_for_a_window_costs_nothing(face: Face) -> None:
    """F-21: who waits for a window sleeps; the time that counts is the processor's, of this thread."""
    spent: list[float] = []

    async def upload() -> crawler.Response:
        began = time.thread_time()
        try:
            return await http.post(server.url, content=b"x" * 100_000, timeout=crawler.Timeout(5, write=0.4))
        finally:
            spent.append(time.thread_time() - began)

    with http2_server(lambda peer: peer.serve(), gives_credit=False) as server:
        async with client(face) as http:
            with pytest.raises(crawler.WriteTimeout):
                await upload()

    assert spent[0] < 0.2  # a few milliseconds, or 0.4 s if it was busy


async def test_a_window_that_never_opens_is_a_write_timeout(face: Face) -> None:
    """F-21: and others on the connection go on meanwhile."""
    stuck = threading.Event()

    def script(peer: Http2Peer) -> None:
        first = peer.next_request()
        while len(peer.bodies[first]) < 65_535:
            peer.read()
        stuck.set()
        second = peer.next_request()
        peer.respond(second, b"other")
        peer.expect(StreamReset)
        assert peer.resets == {first: CANCEL}
        peer.serve()

    async def second() -> None:
        await face.wait(stuck)
        assert (await http.get(server.url)).text == "other"

    with http2_server(script, Http2Peer.serve, gives_credit=False) as server:
        async with client(face) as http:
            answers = await face.gather(
                http.post(server.url, content=b"x" * 100_000, timeout=crawler.Timeout(5, write=0.5)), second()
            )
            after = await http.get(f"{server.url}/after")

    assert texts(answers[:1]) == ["WriteTimeout"]
    assert answers[1] is None
    assert after.text == "/after"


async def test_an_early_answer_ends_the_upload(face: Face) -> None:
    """A server that has said all need not read the rest; the connection goes on."""

    def script(peer: Http2Peer) -> None:
        peer.respond(peer.next_request(), b"too large", status=413)
        peer.serve()

    with http2_server(script, gives_credit=False) as server:
        async with client(face) as http:
            response = await http.post(server.url, content=face.chunks([b"x" * 50_000] * 100))
            after = await http.get(f"{server.url}/after")

    assert (response.status_code, response.text) == (413, "too large")
    assert after.text == "/after"
    assert connection_of(after) == connection_of(response)


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_early_head_does_not_end_the_upload(face: Face, streamed: bool) -> None:
    """A server may begin its answer while it still reads: all of the body is sent."""

    def script(peer: Http2Peer) -> None:
        stream_id = peer.next_request()
        peer.head(stream_id)
        peer.data(stream_id, b"so far; ")
        while stream_id not in peer.ended:
            peer.read()
        peer.data(stream_id, str(len(peer.bodies[stream_id])).encode(), end=True)
        peer.hold()

    with http2_server(script) as server:
        async with client(face) as http:
            content = face.chunks([b"x" * 50_000] * 20)
            if streamed:
                async with http.stream("POST", server.url, content=content) as response:
                    await face.read(response)
            else:
                response = await http.post(server.url, content=content)

    assert response.text == "so far; 1000000"


# --- time ---


async def test_a_silent_stream_times_out_and_the_next_request_succeeds(face: Face) -> None:
    """F-31: after a time-out a connection must show that it is there, or another takes its place."""

    def script(peer: Http2Peer) -> None:
        if peer.connection.number == 0:
            peer.next_request()
        peer.serve()

    with http2_server(script) as server:
        async with client(face) as http:
            with pytest.raises(crawler.ReadTimeout):
                await http.get(server.url, timeout=crawler.Timeout(5, read=0.1))
            response = await http.get(f"{server.url}/after")

    assert response.text == "/after"


async def test_a_time_out_leaves_others_on_the_connection_alone(face: Face) -> None:
    """The stream is reset, a PING asks for the peer, the others go on."""

    def script(peer: Http2Peer) -> None:
        streams: dict[bytes, int] = {}
        while len(streams) < 2:
            stream_id = peer.next_request(ended=True)
            streams[peer.heads[stream_id][b":path"]] = stream_id
        while not peer.resets:
            peer.read()
        assert peer.resets == {streams[b"/late"]: CANCEL}
        peer.respond(streams[b"/other"], b"other")
        peer.hold()

    with http2_server(script) as server:
        async with client(face) as http:
            answers = await face.gather(
                http.get(f"{server.url}/late", timeout=crawler.Timeout(5, read=0.2)), http.get(f"{server.url}/other")
            )

    assert texts(answers) == ["ReadTimeout", "other"]


async def test_frames_of_no_progress_do_not_put_off_the_read_timeout(face: Face) -> None:
    """F-25: PINGs come and are answered, the response does not."""

    def script(peer: Http2Peer) -> None:
        peer.next_request()
        while not peer.resets:
            peer.h2.ping(b"12345678")
            peer.flush()
            peer.expect(PingAckReceived)
        peer.serve()

    with http2_server(script) as server:
        async with client(face) as http:
            with pytest.raises(crawler.ReadTimeout):
                await http.get(server.url, timeout=crawler.Timeout(5, read=0.2))


async def test_each_piece_has_the_read_timeout_anew(face: Face) -> None:
    """A response that keeps coming may take longer than the read timeout in all."""

    def script(peer: Http2Peer) -> None:
        stream_id = peer.next_request()
        peer.head(stream_id)
        for _ in range(6):
            peer.connection.wait(0.1)
            peer.data(stream_id, b"x")
        peer.data(stream_id, b"", end=True)
        peer.hold()

    with http2_server(script) as server:
        async with client(face, timeout=crawler.Timeout(5, read=0.4)) as http:
            response = await http.get(server.url)

    assert response.text == "xxxxxx"


async def test_the_total_time_ends_what_keeps_coming(face: Face) -> None:
    """`Timeout(total=)` holds over all pieces, streamed or not."""

    def script(peer: Http2Peer) -> None:
        stream_id = peer.next_request()
        peer.head(stream_id)
        while not peer.resets:
            peer.data(stream_id, b"x")
            peer.connection.wait(0.02)
            peer.h2.ping(b"12345678")
            peer.flush()
            peer.expect(PingAckReceived)

    with http2_server(script) as server:
        async with client(face, timeout=crawler.Timeout(5, total=0.3)) as http:
            with pytest.raises(crawler.TotalTimeout):
                await http.get(server.url)


async def test_a_streamed_body_that_stalls_times_out(face: Face) -> None:
    """The time limit counts while the user waits for a piece."""

    def script(peer: Http2Peer) -> None:
        stream_id = peer.next_request()
        peer.head(stream_id)
        peer.data(stream_id, b"first")
        peer.hold()

    with http2_server(script) as server:
        async with (
            client(face, timeout=crawler.Timeout(5, read=0.2)) as http,
            http.stream("GET", server.url) as response,
        ):
            pieces = face.pieces(response)
            assert await anext(pieces) == b"first"
            with pytest.raises(crawler.ReadTimeout) as caught:
                await anext(pieces)

    assert caught.value.request.url == server.url


async def test_a_peer_that_answers_no_ping_is_left(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """F-31: where a stream timed out and no PONG comes, the connection ends, with all that still hoped for it."""
    for module in (asyncio_http2, http2_request, pull_http2):
        monkeypatch.setattr(module, "PING_TIMEOUT_S", 0.1, raising=False)

    def silent(peer: Http2Peer) -> None:
        peer.next_request()
        peer.next_request()
        peer.connection.hold()

    with http2_server(silent, Http2Peer.serve) as server:
        async with client(face) as http:
            answers = await face.gather(
                http.get(server.url, timeout=crawler.Timeout(20, read=0.1)), http.get(server.url, timeout=20)
            )
            after = await http.get(f"{server.url}/after")

    assert texts(answers) == ["ReadTimeout", "ReadError"]
    assert after.text == "/after"


# --- the end on this side ---


async def test_closing_the_client_ends_what_goes_on(face: Face) -> None:
    """Requests under way fail at once when another thread or task closes the client."""
    asked = threading.Event()

    def script(peer: Http2Peer) -> None:
        peer.next_request()
        peer.next_request()
        asked.set()
        peer.hold()

    async def close() -> None:
        await face.wait(asked)
        await http.close()

    with http2_server(script) as server:
        async with client(face) as http:
            answers = await face.gather(http.get(server.url), http.get(server.url), close())

    assert texts(answers[:2]) == ["ReadError"] * 2


async def test_leaving_a_response_resets_its_stream(face: Face) -> None:
    """F-28: the server hears CANCEL with or before the next request."""

    def script(peer: Http2Peer) -> None:
        stream_id = peer.next_request()
        peer.head(stream_id)
        peer.data(stream_id, b"first")
        peer.expect(StreamReset)
        assert peer.resets == {stream_id: CANCEL}
        peer.serve()

    with http2_server(script) as server:
        async with client(face) as http:
            async with http.stream("GET", server.url) as response:
                assert await anext(face.pieces(response)) == b"first"
            after = await http.get(f"{server.url}/after")

    assert after.text == "/after"
    assert connection_of(after) == connection_of(response)


@ASYNC
async def test_cancelling_one_leaves_the_others(face: Face) -> None:
    """The cancelled stream is reset; the others get their answers over the same connection."""
    asked = threading.Event()

    def script(peer: Http2Peer) -> None:
        streams: dict[bytes, int] = {}
        while len(streams) < 10:
            stream_id = peer.next_request(ended=True)
            streams[peer.heads[stream_id][b":path"]] = stream_id
        asked.set()
        while not peer.resets:
            peer.read()
        assert peer.resets == {streams.pop(b"/0"): CANCEL}
        for path, stream_id in streams.items():
            peer.respond(stream_id, path)
        peer.hold()

    with http2_server(script) as server:
        async with client(face) as http:
            cancelled = cancelled_when(face, asked, http.get(f"{server.url}/0"))
            answers = await face.gather(cancelled, *[http.get(f"{server.url}/{n}") for n in range(1, 10)])

    assert answers[0] is None
    assert texts(answers[1:]) == [f"/{n}" for n in range(1, 10)]


async def cancelled_when(face: Face, event: threading.Event, work: Coroutine[Any, Any, Any]) -> None:
    """Begin `work` and cancel it when `event` is set."""
    if face.world == "trio":
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: work)
            await face.wait(event)
            nursery.cancel_scope.cancel()
        return
    task = asyncio.ensure_future(work)
    await face.wait(event)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class CancelledAt:
    """Does `work`, and has it cancelled when it suspends for the n-th time.

    Attributes:
        suspensions: How often it did.
    """

    def __init__(self, work: Coroutine[Any, Any, Any], n: int, cancel: Callable[[], object]) -> None:
        self._work = work
        self._n = n
        self._cancel = cancel
        self.suspensions = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        send, value = self._work.send, None
        while True:
            try:
                trap = send(value)
            except StopIteration as stop:
                return stop.value
            self.suspensions += 1
            if self.suspensions == self._n:
                self._cancel()
            try:
                value, send = (yield trap), self._work.send
            except BaseException as exc:
                value, send = exc, self._work.throw


async def cancelled_at(face: Face, work: Coroutine[Any, Any, Any], n: int) -> bool:
    """Cancel `work` at its n-th suspension; False if it ended before."""
    if face.world == "trio":
        with trio.CancelScope() as scope:
            await CancelledAt(work, n, scope.cancel)
        return scope.cancelled_caught
    task = asyncio.current_task()
    assert task is not None
    try:
        await CancelledAt(work, n, task.cancel)
    except asyncio.CancelledError:
        task.uncancel()
        return True
    return False


@ASYNC
@pytest.mark.parametrize("size", [0, 300_000])
async def test_cancelled_at_each_await(face: Face, size: int) -> None:
    """Wherever a request is cancelled, the pool stays whole and the next request succeeds."""

    def script(peer: Http2Peer) -> None:
        while True:
            stream_id = peer.next_request()
            while stream_id not in peer.ended | set(peer.resets):
                peer.read()
            if stream_id not in peer.resets:
                peer.respond(stream_id, str(len(peer.bodies[stream_id])).encode())

    def work(http: FaceClient, url: str) -> Coroutine[Any, Any, crawler.Response]:
        return http.post(url, content=face.chunks([b"x" * 100_000] * (size // 100_000)) if size else b"")

    with http2_server(script) as server:
        n = 1
        while True:
            async with client(face) as http:
                was_cancelled = await cancelled_at(face, work(http, server.url), n)
                http.check_pool()
                again = await cancelled_at(face, work(http, server.url), n)
                http.check_pool()
                response = await work(http, server.url)
            assert response.text == str(size)
            if not (was_cancelled or again):
                break
            n += 1
    assert n > 1


async def test_given_up_while_the_socket_is_full(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload may be cancelled or interrupted within a frame: the rest of it leaves first, then what comes next."""
    go_on = threading.Event()

    def script(peer: Http2Peer) -> None:
        peer.h2.increment_flow_control_window(2**30)
        peer.respond(peer.next_request())
        go_on.wait(PATIENCE_S)  # not reading; whatever came in the end, h2 says whether it is frames
        upload = peer.next_request()
        after = peer.next_request()
        assert peer.resets == {upload: CANCEL}
        peer.respond(after, b"after")
        peer.hold()

    def interrupted(self: BlockingReadiness, write: bool, deadline: float) -> Any:
        assert write
        raise KeyboardInterrupt

    with http2_server(script, settings={SettingCodes.INITIAL_WINDOW_SIZE: 2**30}) as server:
        async with client(face) as http:
            first = await http.get(server.url)
            body = face.chunks([bytes(60_000)] * 200)
            if face.is_async:
                assert await cancelled_at(face, http.post(server.url, content=body), 1)
            else:
                with monkeypatch.context() as patch:
                    patch.setattr(BlockingReadiness, "wait", interrupted)
                    with pytest.raises(KeyboardInterrupt):
                        await http.post(server.url, content=body)
            go_on.set()
            response = await http.get(server.url)

    assert response.text == "after"
    assert connection_of(response) == connection_of(first)


@BLOCKING
@pytest.mark.parametrize("streamed", [False, True])
async def test_ctrl_c_while_waiting(face: Face, monkeypatch: pytest.MonkeyPatch, streamed: bool) -> None:
    """An interrupt while a thread waits for the socket ends its request; the connection goes on."""
    wait = BlockingReadiness.wait
    is_armed = not streamed

    def interrupted(self: BlockingReadiness, write: bool, deadline: float) -> Any:
        nonlocal is_armed
        if is_armed:
            is_armed = False
            raise KeyboardInterrupt
        return wait(self, write, deadline)

    def script(peer: Http2Peer) -> None:
        stream_id = peer.next_request()
        if streamed:
            peer.head(stream_id)
        peer.serve()

    monkeypatch.setattr(BlockingReadiness, "wait", interrupted)
    with http2_server(script) as server:
        async with client(face) as http:
            if streamed:
                async with http.stream("GET", server.url) as response:
                    is_armed = True
                    with pytest.raises(KeyboardInterrupt):
                        await face.read(response)
            else:
                with pytest.raises(KeyboardInterrupt):
                    await http.get(server.url)
            http.check_pool()
            response = await http.get(f"{server.url}/after")

    assert response.text == "/after"
    assert response.extensions["crawler.timing"].conn_reused


@BLOCKING
async def test_ctrl_c_while_the_codec_works(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an interrupt in the middle of its books a connection is not used again; others on it fail at once."""
    asked = threading.Event()

    def script(peer: Http2Peer) -> None:
        peer.next_request()
        asked.set()
        peer.hold()

    def interrupted(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    async def second() -> str:
        await face.wait(asked)
        with monkeypatch.context() as patch:
            patch.setattr(pull_http2, "begin_stream", interrupted)
            with pytest.raises(KeyboardInterrupt):
                await http.get(server.url)
        return "interrupted"

    with http2_server(script, Http2Peer.serve) as server:
        async with client(face) as http:
            answers = await face.gather(resolved(http.get(server.url)), second())
            http.check_pool()
            response = await http.get(f"{server.url}/after")

    assert isinstance(answers[0], crawler.ReadError)
    assert answers[1] == "interrupted"
    assert response.text == "/after"

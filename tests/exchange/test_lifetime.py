"""Closing, other event loops, other threads, other processes, and Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import trio

import crawler
from crawler.net.blocking import BlockingEvent
from crawler.testbed import Testbed
from crawler.testbed.raw import RawConnection, RawServer
from tests.exchange.test_limits import Gate
from tests.peers.worlds import Face

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_closing_ends_what_is_in_flight(face: Face) -> None:
    """Requests that wait for an answer, for a body and for a connection all get an error of the tree."""
    is_inside, is_streaming = threading.Event(), threading.Event()

    def serve(connection: RawConnection) -> None:
        if b"/stream" in connection.read_request():
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            is_streaming.set()
        else:
            is_inside.set()
        connection.hold()

    with RawServer(serve) as server:
        client = face.client(limits=crawler.Limits(max_connections=2), timeout=10.0)

        async def streamed() -> Any:
            async with client.stream("GET", f"{server.url}/stream") as response:
                return await face.read(response)

        async def queued() -> Any:
            await face.wait(is_inside)
            await face.wait(is_streaming)
            return await client.get(server.url)

        async def closing() -> None:
            await face.wait(is_inside)
            await face.wait(is_streaming)
            await client.close()

        answers = await face.gather(client.get(server.url), streamed(), queued(), closing())

        assert all(isinstance(answer, (crawler.TransportError, RuntimeError)) for answer in answers[:3])
        assert isinstance(answers[0], crawler.TransportError)
        assert answers[3] is None
        assert len(server.connections) <= 3


async def test_closing_ends_a_request_that_had_reused_its_connection(face: Face) -> None:
    """It looks like a stale connection, and must not be tried again on a closed client."""
    is_inside = threading.Event()

    def serve(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(OK)
        connection.read_request()
        is_inside.set()
        connection.hold()

    with RawServer(serve) as server:
        client = face.client()
        await client.get(server.url)

        async def closing() -> None:
            await face.wait(is_inside)
            await client.close()

        answers = await face.gather(client.get(server.url), closing())

        assert isinstance(answers[0], crawler.TransportError)
        assert len(server.connections) == 1


async def test_a_closed_client_sends_nothing(face: Face, bed: Testbed) -> None:
    """RuntimeError, also for entering it; closing twice does nothing."""
    client = face.client()
    async with client:
        await client.get(f"{bed.url}/get")
    await client.close()

    assert client.client.is_closed
    with pytest.raises(RuntimeError, match="closed"):
        await client.get(f"{bed.url}/get")
    with pytest.raises(RuntimeError, match="closed"):
        await client.__aenter__()


async def test_a_client_is_entered_once(face: Face, bed: Testbed) -> None:
    """A second `with` is a mistake, even before the first ended."""
    async with face.client() as client:
        with pytest.raises(RuntimeError, match="more than once"):
            await client.__aenter__()


async def test_a_transport_may_serve_one_client_after_the_other(face: Face, bed: Testbed) -> None:
    """Closing the first closes its connections; the second opens its own."""
    transport = face.transport()
    for _ in range(2):
        async with face.client(transport=transport) as client:
            assert (await client.get(f"{bed.url}/get")).status_code == 200


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors as Linux shows them")
async def test_fifty_clients_leave_nothing_behind(face: Face) -> None:
    """No descriptor, no thread, no task."""

    async def fifty() -> None:
        gate = Gate()
        gate.is_open.set()
        with RawServer(gate) as server:
            for _ in range(50):
                async with face.client() as client:
                    await client.get(server.url)

    await fifty()
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    await fifty()

    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_second_event_loop_after_the_first(bed: Testbed) -> None:
    """`asyncio.run` twice with one client: it starts anew. The sockets of the first are the collector's to close."""
    client = crawler.AsyncClient(trust_env=False)

    async def get() -> int:
        return (await client.get(f"{bed.url}/get")).status_code

    async def end() -> None:
        await client.aclose()

    first = asyncio.run(get())
    second = asyncio.run(get())
    under_trio = trio.run(get)
    trio.run(end)
    gc.collect()

    assert (first, second, under_trio) == (200, 200, 200)


def test_two_event_loops_at_once(bed: Testbed) -> None:
    """A clear error in the second, no hang."""
    client = crawler.AsyncClient(trust_env=False)
    errors: list[BaseException] = []

    async def get() -> None:
        await client.get(f"{bed.url}/get")

    def other() -> None:
        try:
            asyncio.run(get())
        except RuntimeError as exc:
            errors.append(exc)

    async def main() -> None:
        await get()
        await asyncio.to_thread(other)
        await get()
        await client.aclose()

    asyncio.run(main())

    assert "another event loop" in str(errors[0])


def test_without_an_event_loop() -> None:
    """RuntimeError from Python itself; the client can be made without one."""
    work = crawler.AsyncClient(trust_env=False).get("http://127.0.0.1:1/")

    with pytest.raises(RuntimeError):
        work.send(None)


EXITS = {
    "blocking": """
client = crawler.Client()
client.get(url)
stream = client.send(client.build_request("GET", url), stream=True)
""",
    "thread": """
import threading
client = crawler.Client()
threading.Thread(target=client.get, args=(url + "delay/20",), kwargs={"timeout": 30}, daemon=True).start()
""",
    "asyncio": """
import asyncio
async def main():
    client = crawler.AsyncClient()
    await client.get(url)
    asyncio.get_running_loop().create_task(client.get(url + "delay/20"))
    await asyncio.sleep(0.01)
asyncio.run(main())
""",
    "stopped loop": """
import asyncio
async def main():
    await client.get(url)
client = crawler.AsyncClient()
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
""",
    "trio": """
import trio
async def main():
    client = crawler.AsyncClient()
    await client.get(url)
    await client.send(client.build_request("GET", url), stream=True)
trio.run(main)
""",
    "silent resolver": """
import socket, time
socket.getaddrinfo = lambda *args, **options: time.sleep(20)
try:
    crawler.get("http://silent.test/", timeout=0.05)
except crawler.ConnectTimeout:
    pass
""",
}


@pytest.mark.parametrize("way", EXITS)
def test_a_program_that_ends_without_closing(bed: Testbed, way: str) -> None:
    """It ends at once and well; a `ResourceWarning` at most is heard of it."""
    program = f"import crawler\nurl = {bed.url + '/'!r}\n{EXITS[way]}"
    environment = {**os.environ, "NO_PROXY": "*", "PYTHONPATH": str(Path(crawler.__file__).parents[1])}

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=15, env=environment, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork(bed: Testbed) -> None:
    """The child opens its own connections; the parent's go on."""
    with crawler.Client(trust_env=False) as client:
        first = client.get(f"{bed.url}/get").extensions["crawler.timing"]
        pid = os.fork()
        if not pid:
            status = 1
            with contextlib.suppress(BaseException):
                timing = client.get(f"{bed.url}/get").extensions["crawler.timing"]
                status = 0 if timing.conn_id != first.conn_id and not timing.conn_reused else 2
            os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        again = client.get(f"{bed.url}/get").extensions["crawler.timing"]

    assert again.conn_id == first.conn_id


def test_one_client_in_fifty_threads(bed: Testbed) -> None:
    """Right answers, and the limits hold."""
    wrong: list[object] = []
    with crawler.Client(trust_env=False, limits=crawler.Limits(max_connections=8)) as client:

        def work(number: int) -> None:
            for turn in range(4):
                try:
                    echo = client.post(f"{bed.url}/anything/{number}/{turn}", json=[number, turn]).json()
                    if echo["json"] != [number, turn]:
                        wrong.append(echo)
                except Exception as exc:
                    wrong.append(exc)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        pool: Any = client._settings.transport
        ledger = pool._network.pool.ledger

        assert wrong == []
        assert ledger.count == ledger.idle <= 8


class Interrupt(KeyboardInterrupt):
    """Ctrl-C, told apart from a real one."""


@pytest.mark.parametrize("place", ["waiting for the answer", "waiting for a connection", "connecting", "reading"])
def test_ctrl_c_in_the_blocking_client(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised at once, wherever it strikes; the client is still of use and its pool whole."""
    import crawler.net.blocking_stream as streams

    def interrupt(*args: object, **kwargs: object) -> Any:
        raise Interrupt

    gate = Gate()
    gate.is_open.set()
    with (
        RawServer(gate) as server,
        crawler.Client(trust_env=False, limits=crawler.Limits(max_connections=1)) as client,
    ):
        if place == "waiting for the answer":
            monkeypatch.setattr(streams.BlockingStream, "read", interrupt)
        elif place == "connecting":
            monkeypatch.setattr(streams.BlockingDialer, "_await_one", interrupt)
        elif place == "waiting for a connection":
            monkeypatch.setattr(BlockingEvent, "wait", interrupt)
        with contextlib.ExitStack() as stack:
            if place == "waiting for a connection":
                stack.enter_context(client.stream("GET", server.url))
            if place == "reading":
                with pytest.raises(Interrupt), client.stream("GET", server.url):
                    raise Interrupt
            else:
                with pytest.raises(Interrupt):
                    client.get(server.url)
        monkeypatch.undo()
        response = client.get(server.url)
        transport: Any = client._settings.transport
        ledger = transport._network.pool.ledger

        assert response.text == "ok"
        assert ledger.count == ledger.idle == 1


async def test_the_loop_can_be_blocked_for_longer_than_a_timeout(face: Face) -> None:
    """What came while the program was busy with something else is read before it is called late."""
    import time

    gate = Gate()
    gate.is_open.set()
    with RawServer(gate) as server:
        async with face.client(timeout=0.15) as client:

            async def busy() -> None:
                await face.wait(gate.is_reached)
                time.sleep(0.4)  # noqa: ASYNC251  # blocking the loop is the point

            answers = await face.gather(client.get(server.url), busy())

    assert isinstance(answers[0], crawler.Response)


async def test_mixing_worlds(face: Face, bed: Testbed) -> None:
    """The transport of the other kind is refused with words, not with an AttributeError from deep within."""
    other: Any = crawler.HTTPTransport() if face.is_async else crawler.AsyncHTTPTransport()

    with pytest.raises(TypeError, match="transport"):
        face.client(transport=other)

"""Cancelling a request at each of its suspensions: nothing is left in use, and the next request works."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest
import trio

import crawler
from crawler.testbed.raw import RawConnection, RawServer
from tests.exchange.test_limits import Gate
from tests.peers.worlds import Face, FaceClient

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def slowly(connection: RawConnection) -> None:
    """Answer every request in four pieces."""
    while True:
        connection.read_request()
        for piece in (b"HTTP/1.1 200 OK\r\nConte", b"nt-Length: 4\r\n\r\no", b"k", b"ok"):
            connection.send(piece)
            connection.wait(0.002)


Work = Callable[[FaceClient, str], Coroutine[Any, Any, None]]


class Counted:
    """Awaits something and counts its suspensions; calls `at` at number `n`, before it is awaited."""

    def __init__(self, work: Coroutine[Any, Any, None], n: int, at: Callable[[], None]) -> None:
        self._work = work
        self._n = n
        self._at = at
        self.count = 0

    def __await__(self) -> Generator[Any, Any, None]:
        step: Any = None
        error: BaseException | None = None
        while True:
            try:
                asked = self._work.send(step) if error is None else self._work.throw(error)
            except StopIteration:
                return
            self.count += 1
            if self.count == self._n:
                self._at()
            error = None
            try:
                step = yield asked
            except BaseException as exc:
                error = exc


async def cancelled_at(face: Face, n: int, work: Coroutine[Any, Any, None]) -> bool:
    """Cancel `work` at its n-th suspension; whether it got that far."""
    if face.world == "trio":
        with trio.CancelScope() as scope:
            counted = Counted(work, n, scope.cancel)
            await counted
        return counted.count >= n
    task: asyncio.Task[None] | None = None

    def cancel() -> None:
        assert task is not None
        asyncio.get_running_loop().call_soon(task.cancel)

    counted = Counted(work, n, cancel)

    async def run() -> None:
        await counted

    task = asyncio.create_task(run())
    try:
        await task
    except asyncio.CancelledError:
        return True
    return counted.count >= n


async def get(client: FaceClient, url: str) -> None:
    """A whole response."""
    assert (await client.get(url)).content == b"okok"


async def post(client: FaceClient, url: str) -> None:
    """An upload in pieces."""

    async def pieces() -> Any:
        for _ in range(3):
            await asyncio.sleep(0) if not trio_runs() else await trio.lowlevel.checkpoint()
            yield bytes(200_000)

    assert (await client.post(url, content=pieces())).content == b"okok"


async def stream(client: FaceClient, url: str) -> None:
    """A body that streams."""
    async with client.stream("GET", url) as response:
        assert b"".join([piece async for piece in response.aiter_raw()]) == b"okok"


def trio_runs() -> bool:
    """Whether this is trio."""
    try:
        trio.lowlevel.current_task()
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize("work", [get, post, stream])
@pytest.mark.parametrize("kind", ["plain", "tls"])
async def test_cancelling_at_every_suspension(face: Face, work: Work, kind: str, authority: Any) -> None:
    """n = 1, 2, … until the request ends before; after each the pool is whole and one more request works."""
    if not face.is_async:
        pytest.skip("a blocking call has no suspensions")
    with RawServer(slowly, tls=kind == "tls") as server:
        import ssl

        context = ssl.create_default_context(cadata=server.ca_pem) if server.ca_pem else True
        for n in range(1, 200):
            async with face.client(verify=context, limits=crawler.Limits(max_connections=1)) as client:
                if not await cancelled_at(face, n, work(client, server.url)):
                    break
                client.check_pool()
                await get(client, server.url)
        else:
            raise AssertionError("the request never ends")

        assert n > 2


async def test_cancelling_one_in_the_queue(face: Face) -> None:
    """It frees its place; the one behind it is served."""
    if not face.is_async:
        pytest.skip("a blocking call has no suspensions")
    gate = Gate()
    is_cancelled = threading.Event()
    with RawServer(gate) as server:
        async with face.client(limits=crawler.Limits(max_connections=1)) as client:

            async def first() -> None:
                assert (await client.get(f"{server.url}/first")).text == "ok"

            async def second() -> None:
                await face.wait(gate.is_reached)
                assert await cancelled_at(face, 1, ask("/second"))
                is_cancelled.set()

            async def third() -> None:
                await face.wait(is_cancelled)
                gate.is_open.set()
                assert (await client.get(f"{server.url}/third")).text == "ok"

            async def ask(path: str) -> None:
                await client.get(f"{server.url}{path}")

            assert await face.gather(first(), second(), third()) == [None, None, None]

    assert gate.order == [b"/first", b"/third"]


async def test_cancelling_many_at_once(face: Face) -> None:
    """Half of a hundred requests over five connections are cancelled, the others are answered."""
    if not face.is_async:
        pytest.skip("a blocking call has no suspensions")
    gate = Gate()
    gate.is_open.set()
    with RawServer(gate) as server:
        async with face.client(limits=crawler.Limits(max_connections=5)) as client:

            async def one(n: int) -> bool:
                async def ask() -> None:
                    assert (await client.get(f"{server.url}/{n}")).text == "ok"

                return await cancelled_at(face, 1 + n % 4 if n % 2 else -1, ask())

            answers = await face.gather(*(one(n) for n in range(100)))
            assert not [answer for answer in answers if isinstance(answer, Exception)]
            client.check_pool()


async def test_a_future_that_failed_as_its_task_was_cancelled(face: Face) -> None:
    """The error came in the same turn of the loop as the cancellation: nobody complains of an unseen exception."""
    if face.world not in ("asyncio", "uvloop"):
        pytest.skip("about futures")
    is_read, may_reset = threading.Event(), threading.Event()

    def serve(connection: RawConnection) -> None:
        connection.read_request()
        is_read.set()
        may_reset.wait(10)
        connection.reset()

    with RawServer(serve) as server:
        async with face.client() as client:
            task = asyncio.create_task(client.get(server.url))
            await face.wait(is_read)
            assert client.pool is not None
            (connection,) = client.pool.connections
            connection.connection_lost(ConnectionResetError("reset"))  # type: ignore[attr-defined]
            task.cancel()
            may_reset.set()
            with pytest.raises(asyncio.CancelledError):
                await task
            del connection, task

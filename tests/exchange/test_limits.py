"""Many requests at once over few connections."""

from __future__ import annotations

import threading
from typing import Any

import pytest

import crawler
from crawler.testbed import Testbed
from crawler.testbed.raw import RawConnection, RawServer
from tests.peers.worlds import Face

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Gate:
    """A server whose answers wait until the test lets them go; it knows how many requests are inside."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.is_reached = threading.Event()
        self._lock = threading.Lock()
        self.inside = 0
        self.most = 0
        self.order: list[bytes] = []

    def __call__(self, connection: RawConnection) -> None:
        """Serve one connection."""
        while True:
            line = connection.read_request().partition(b"\r\n")[0]
            with self._lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
                self.order.append(line.split()[1])
            self.is_reached.set()
            self.is_open.wait(10)
            with self._lock:
                self.inside -= 1
            connection.send(OK)


@pytest.mark.parametrize("cap", [1, 5])
async def test_never_more_connections_than_allowed(face: Face, cap: int) -> None:
    """Forty requests at once; all are answered."""
    gate = Gate()
    gate.is_open.set()
    with RawServer(gate) as server:
        async with face.client(limits=crawler.Limits(max_connections=cap)) as client:
            answers = await face.gather(*(client.get(f"{server.url}/{n}") for n in range(40)))

        assert [answer.text for answer in answers if isinstance(answer, crawler.Response)] == ["ok"] * 40
        assert gate.most <= cap
        assert len(server.connections) <= cap


async def test_first_come_first_served(face: Face) -> None:
    """Over one connection the order of asking is the order of being served."""
    if not face.is_async:
        pytest.skip("threads start in no particular order; see tests/net/test_ledger.py")
    gate = Gate()
    gate.is_open.set()
    with RawServer(gate) as server:
        async with face.client(limits=crawler.Limits(max_connections=1)) as client:
            asked: list[bytes] = []

            async def ask(path: str) -> None:
                asked.append(path.encode())  # trio starts tasks in a random order
                await client.get(f"{server.url}{path}")

            await face.gather(*(ask(f"/{n}") for n in range(20)))

    assert gate.order == asked


async def test_a_full_pool_times_out(face: Face) -> None:
    """PoolTimeout for those who wait too long; their place is free, and the one inside ends well."""
    gate = Gate()
    timeout = crawler.Timeout(5.0, pool=0.05)
    with RawServer(gate) as server:
        async with face.client(limits=crawler.Limits(max_connections=1), timeout=timeout) as client:

            async def holder() -> str:
                return (await client.get(server.url)).text

            async def late() -> str:
                await face.wait(gate.is_reached)
                try:
                    await client.get(server.url)
                except crawler.PoolTimeout as exc:
                    return f"late to {exc.request.method}"
                finally:
                    gate.is_open.set()
                return "early"

            assert await face.gather(holder(), late()) == ["ok", "late to GET"]
            assert (await client.get(server.url)).text == "ok"


async def test_no_pool_timeout_waits_as_long_as_it_takes(face: Face) -> None:
    """None: the queue is as patient as its requests."""
    gate = Gate()
    gate.is_open.set()
    timeout = crawler.Timeout(5.0, pool=None)
    with RawServer(gate) as server:
        async with face.client(limits=crawler.Limits(max_connections=1), timeout=timeout) as client:
            answers = await face.gather(*(client.get(server.url) for _ in range(10)))

    assert all(isinstance(answer, crawler.Response) for answer in answers)


async def test_idle_connections_of_other_origins_make_room(face: Face) -> None:
    """The cap is over all origins."""
    gate = Gate()
    gate.is_open.set()
    with RawServer(gate) as one, RawServer(gate) as other:
        async with face.client(limits=crawler.Limits(max_connections=1)) as client:
            for _ in range(2):
                assert (await client.get(one.url)).text == "ok"
                assert (await client.get(other.url)).text == "ok"
            assert client.pool is not None
            assert len(client.pool.connections) == 1

        assert len(one.connections) == len(other.connections) == 2


async def test_failures_give_their_place_back(face: Face) -> None:
    """Thirty requests to a server that breaks off, through one place; then one that works."""
    scripts: list[Any] = [b""] * 30
    with RawServer(*scripts, OK) as server:
        async with face.client(limits=crawler.Limits(max_connections=1)) as client:
            answers = await face.gather(*(client.get(server.url) for _ in range(30)))
            last = await client.get(server.url)

    assert {type(answer) for answer in answers} == {crawler.RemoteProtocolError}
    assert last.text == "ok"


async def test_every_answer_goes_to_its_own_request(face: Face, bed: Testbed) -> None:
    """Two hundred at once over few connections, each with a body of its own."""
    async with face.client(limits=crawler.Limits(max_connections=7)) as client:

        async def one(n: int) -> bool:
            response = await client.post(f"{bed.url}/anything/{n}", content=b"%d" % n)
            echo = response.json()
            return bool(echo["data"] == str(n) and echo["url"].endswith(f"/{n}"))

        count = 50 if face.world == "blocking" else 200
        assert await face.gather(*(one(n) for n in range(count))) == [True] * count

"""From a host name to a connection, over sockets: silent resolvers, dead and forbidden addresses, no descriptors."""

from __future__ import annotations

import asyncio
import itertools
import resource
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

import crawler
from crawler.testbed import RawServer
from tests.peers.worlds import PATIENCE_S, Face

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


_numbers = itertools.count()


class Names:
    """What names resolve to; a list of addresses each, or None for a resolver that says nothing.

    Attributes:
        known: By name.
        asked: Every question, in order.
    """

    def __init__(self) -> None:
        self.known: dict[str, list[str] | None] = {}
        self.asked: list[str] = []
        self.is_over = threading.Event()

    def silent(self) -> str:
        """A new name that the resolver says nothing about."""
        host = f"silent-{next(_numbers)}.test"
        self.known[host] = None
        return host

    def getaddrinfo(self, host: str, port: int, **options: Any) -> list[Any]:
        """As `socket.getaddrinfo`."""
        self.asked.append(host)
        addresses = self.known[host]
        if addresses is None:
            self.is_over.wait(PATIENCE_S)
            raise socket.gaierror(socket.EAI_AGAIN, "too late")
        return [self._row(address, port) for address in addresses]

    @staticmethod
    def _row(address: str, port: int) -> Any:
        if ":" in address:
            return socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, port, 0, 0)
        return socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    """In place of the system's resolver."""
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.getaddrinfo)
    yield names
    names.is_over.set()


def called(server: RawServer, host: str) -> str:
    """The server's URL under another name."""
    return server.url.replace("127.0.0.1", host)


async def test_a_resolver_that_says_nothing(face: Face, names: Names) -> None:
    """ConnectTimeout of the kind `dns_timeout`."""
    host = names.silent()
    async with face.client(timeout=crawler.Timeout(5.0, connect=0.05)) as client:
        with pytest.raises(crawler.ConnectTimeout) as caught:
            await client.get(f"http://{host}/")

    assert caught.value.kind == "dns_timeout"
    assert caught.value.request.url.host == host


async def test_silent_names_do_not_hold_up_others(face: Face, names: Names) -> None:
    """More of them at once than an event loop lends threads; a name that is known to the resolver is answered."""
    silent = [names.silent() for _ in range(40)]
    names.known["good.test"] = ["127.0.0.1"]
    with RawServer(OK) as server:
        async with face.client(timeout=crawler.Timeout(15.0, connect=2.0)) as client:

            async def good() -> str:
                while len(names.asked) < 20:  # the silent ones go first
                    await face.wait_a_moment()
                return (await client.get(called(server, "good.test"))).text

            async def hopeless(host: str) -> str:
                response = await client.get(f"http://{host}/", timeout=crawler.Timeout(15.0, connect=0.3))
                return response.text

            *failures, answer = await face.gather(*map(hopeless, silent), good())

    assert answer == "ok"
    assert {getattr(failure, "kind", None) for failure in failures} == {"dns_timeout"}


async def test_requests_at_once_ask_once(face: Face, names: Names) -> None:
    """The resolver is asked for a name by one thread at a time, whoever wants to know."""
    host = names.silent()
    async with face.client(timeout=crawler.Timeout(5.0, connect=0.2)) as client:
        failures = await face.gather(*(client.get(f"http://{host}/") for _ in range(5)))

    assert {getattr(failure, "kind", None) for failure in failures} == {"dns_timeout"}
    assert names.asked == [host]


async def test_the_first_address_refuses(face: Face, names: Names) -> None:
    """The second is used, of whichever family."""
    names.known["two.test"] = ["::1", "127.0.0.1"]  # the server listens on the latter
    with RawServer(OK) as server:
        async with face.client() as client:
            response = await client.get(called(server, "two.test"))

    assert response.text == "ok"
    assert response.extensions["crawler.timing"].remote_ip == "127.0.0.1"


async def test_the_first_address_is_silent(face: Face, names: Names) -> None:
    """The second is tried after a head start, well within the connect timeout; and first the next time."""
    names.known["two.test"] = ["127.0.0.2", "127.0.0.1"]
    with RawServer(OK) as server, swallowing("127.0.0.2", server.port):
        async with face.client(timeout=crawler.Timeout(10.0)) as client:
            for _ in range(2):
                response = await client.get(called(server, "two.test"), headers={"Connection": "close"})
                assert response.extensions["crawler.timing"].remote_ip == "127.0.0.1"

    assert names.asked == ["two.test"]


@contextmanager
def swallowing(host: str, port: int) -> Iterator[None]:
    """Let a port swallow every SYN, as its queue is full."""
    with socket.socket() as listener:
        listener.bind((host, port))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex((host, port))
        yield
        for filler in fillers:
            filler.close()


def test_connecting_asks_no_thread_of_the_event_loop() -> None:
    """uvloop's own way to connect asks the resolver even for an IP address, in threads that others may hold up."""

    class Unresolving(uvloop.Loop):
        async def getaddrinfo(self, *args: Any, **options: Any) -> Any:
            await asyncio.get_running_loop().create_future()  # for ever

    async def get(url: str) -> str:
        async with crawler.AsyncClient(timeout=PATIENCE_S) as client:
            return (await client.get(url)).text

    with RawServer(OK) as server, asyncio.Runner(loop_factory=Unresolving) as runner:
        assert runner.run(get(server.url)) == "ok"


async def test_all_addresses_refuse(face: Face, names: Names) -> None:
    """ConnectError of the most telling kind."""
    names.known["none.test"] = ["127.0.0.1", "127.0.0.2"]
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    async with face.client() as client:
        with pytest.raises(crawler.ConnectError) as caught:
            await client.get(f"http://none.test:{port}/")

    assert caught.value.kind == "connect_refused"


async def test_a_forbidden_address(face: Face, names: Names) -> None:
    """Refused before a packet is sent, by name and by number."""
    names.known["inside.test"] = ["127.0.0.1"]
    with RawServer(OK) as server:
        async with face.client(address_guard=crawler.is_public_address) as client:
            for url in (called(server, "inside.test"), server.url):
                with pytest.raises(crawler.ConnectError) as caught:
                    await client.get(url)
                assert caught.value.kind == "blocked_address"

    assert server.connections == []


async def test_what_is_permitted_is_what_is_connected_to(face: Face, names: Names) -> None:
    """Of a name with good and bad addresses only the good ones are tried."""
    names.known["both.test"] = ["127.0.0.2", "127.0.0.1"]
    with RawServer(OK) as server:
        async with face.client(address_guard=lambda address: address == "127.0.0.1") as client:
            response = await client.get(called(server, "both.test"))

    assert response.extensions["crawler.timing"].remote_ip == "127.0.0.1"


async def test_a_redirect_to_a_forbidden_address(face: Face, names: Names) -> None:
    """Every hop is checked where it connects."""
    names.known["outside.test"] = ["127.0.0.1"]
    names.known["inside.test"] = ["127.0.0.2"]
    away = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://inside.test/\r\n\r\n"
    with RawServer(away) as outside:
        async with face.client(address_guard=lambda address: address == "127.0.0.1", follow_redirects=True) as client:
            with pytest.raises(crawler.ConnectError) as caught:
                await client.get(called(outside, "outside.test"))

    assert caught.value.kind == "blocked_address"
    assert caught.value.request.url.host == "inside.test"


async def test_no_descriptors_left(face: Face) -> None:
    """ConnectError of the kind `too_many_files`; when there are some again, the next request succeeds."""
    with RawServer(OK) as server:
        async with face.client() as client:
            closing = {"Connection": "close"}
            assert (await client.get(server.url, headers=closing)).text == "ok"
            with no_descriptors(), pytest.raises(crawler.ConnectError) as caught:
                await client.get(server.url, headers=closing)
            assert (await client.get(server.url, headers=closing)).text == "ok"

    assert caught.value.kind == "too_many_files"


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process open nothing more: every number below the limit is taken, by the standard streams."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

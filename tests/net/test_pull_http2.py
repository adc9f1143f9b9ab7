"""The rules inside an HTTP/2 connection that is read; what users see of it is in `tests/exchange/test_http2*.py`."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from h2.settings import SettingCodes

import crawler
from crawler.net.networks import BlockingNetwork
from crawler.net.pool import Pool
from crawler.net.pull_http2 import PullHttp2
from crawler.net.readiness import BlockingReadiness
from crawler.testbed.raw import RawServer
from tests.peers.http2 import Http2Peer, http2_server

THREADS = 20


def blocking(**options: Any) -> crawler.Client:
    """A client that speaks HTTP/2 over plain TCP."""
    return crawler.Client(http1=False, http2=True, trust_env=False, **options)


def pool_of(client: crawler.Client) -> Pool:
    """The pool of its own transport."""
    transport = client._settings.transport
    assert isinstance(transport, crawler.HTTPTransport)
    network: BlockingNetwork = transport._network
    return network.pool


def only_connection(client: crawler.Client) -> PullHttp2:
    """The one connection of a client."""
    (connection,) = pool_of(client).connections
    assert isinstance(connection, PullHttp2)
    return connection


@pytest.fixture
def server() -> Iterator[RawServer]:
    """Answers with the path."""
    with http2_server(Http2Peer.serve) as server:
        yield server


def test_one_thread_waits_for_all(monkeypatch: pytest.MonkeyPatch, server: RawServer) -> None:
    """Of the threads that wait for answers no two wait for the socket."""
    wait = BlockingReadiness.wait
    lock = threading.Lock()
    collisions = []

    def watched(self: BlockingReadiness, write: bool, deadline: float) -> Any:
        if not lock.acquire(blocking=False):
            collisions.append(threading.current_thread().name)
            return wait(self, write, deadline)
        try:
            return wait(self, write, deadline)
        finally:
            lock.release()

    monkeypatch.setattr(BlockingReadiness, "wait", watched)
    with blocking() as client, ThreadPoolExecutor(THREADS) as threads:
        answers = list(threads.map(lambda n: client.get(f"{server.url}/{n}").text, range(10 * THREADS)))

    assert answers == [f"/{n}" for n in range(10 * THREADS)]
    assert collisions == []


def test_who_leaves_hands_the_socket_on() -> None:
    """A thread that waits for another is woken when that one has its answer, or is out of time."""
    first_waits, second_waits = threading.Event(), threading.Event()

    def script(peer: Http2Peer) -> None:
        peer.next_request()
        first_waits.set()
        second = peer.next_request()
        second_waits.set()
        while not peer.resets:
            peer.read()
        peer.respond(second, b"second")
        peer.hold()

    with http2_server(script) as server, blocking() as client, ThreadPoolExecutor(2) as threads:
        late = threads.submit(client.get, server.url, timeout=crawler.Timeout(5, read=0.3))
        assert first_waits.wait(10)
        answer = threads.submit(client.get, server.url)
        assert second_waits.wait(10)

        assert isinstance(late.exception(10), crawler.ReadTimeout)
        assert answer.result(10).text == "second"


def test_the_pool_is_told_outside_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the pool is told may make it abort other connections, which take their own locks."""
    calls = []

    def watch(name: str) -> None:
        method = getattr(Pool, name)

        def watched(self: Pool, connection: PullHttp2, *args: Any) -> Any:
            calls.append(name)
            assert not connection._lock.locked()
            return method(self, connection, *args)

        monkeypatch.setattr(Pool, name, watched)

    for name in ("release", "resize", "discard"):
        watch(name)
    few: dict[SettingCodes | int, int] = {SettingCodes.MAX_CONCURRENT_STREAMS: 3}
    with http2_server(Http2Peer.serve, settings=few) as server, blocking() as client:
        assert client.get(f"{server.url}/a").text == "/a"
        assert only_connection(client).capacity == 3
        with pytest.raises(crawler.LocalProtocolError):
            client.get(server.url, headers={"bad name": "x"})

    assert set(calls) == {"release", "resize", "discard"}


def test_connections_that_make_room_for_each_other(server: RawServer) -> None:
    """Threads that use two origins in turn, with room for one idle connection, do not lock each other out."""
    with http2_server(Http2Peer.serve) as other:
        urls = [f"{(server, other)[n % 2].url}/{n}" for n in range(200)]
        with blocking(limits=crawler.Limits(max_keepalive_connections=1)) as client, ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda url: client.get(url).text, urls))
            ledger = pool_of(client).ledger

            assert ledger.count == ledger.idle <= 2  # the second has its moment yet
    assert answers == [f"/{n}" for n in range(200)]


def test_it_tells_what_it_does(server: RawServer) -> None:
    """For people who look at a pool in a debugger."""
    with blocking() as client:
        client.get(server.url)
        connection = only_connection(client)
        idle = repr(connection)
        with client.stream("GET", server.url):
            pass
    closed = repr(connection)

    assert idle == f"<HTTP/2 connection {connection.number} to {server.url}, 0 streams>"
    assert closed == f"<HTTP/2 connection {connection.number} to {server.url}, closed>"

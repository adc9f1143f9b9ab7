"""The pool: what it does with the ledger's decisions, over connections that are made up."""

from __future__ import annotations

import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from crawler.errors import ConnectError, PoolTimeout, RemoteProtocolError, TotalTimeout
from crawler.models import Limits, Origin, Request, Response
from crawler.net.blocking import BlockingEvent, Done, run_blocking
from crawler.net.pool import Connection, Pool


class Line:
    """A connection that does nothing."""

    is_shared = False

    def __init__(self, key: Origin) -> None:
        self.key = key
        self.capacity = 1
        self.leased = 0
        self.idle_since = 0.0
        self.is_gone = False
        self.is_dead = False
        self.is_aborted = False

    def exchange(self, request: Request, whole: bool) -> Done[Response]:
        """Never called here."""
        raise AssertionError

    def cancel(self, request: Request) -> None:
        """Do nothing."""

    def is_stale(self, request: Request) -> bool:
        """Never."""
        return False

    def has_died(self) -> bool:
        """As the test says."""
        return self.is_dead

    def abort(self) -> None:
        """Note it."""
        self.is_aborted = True


class Connector:
    """Makes lines; fails or calls a function first if told to."""

    def __init__(self) -> None:
        self.made: list[Line] = []
        self.before: Any = None

    def may_share(self, key: Origin) -> bool:
        """Only HTTP/1.1 here."""
        return False

    def event(self) -> BlockingEvent:
        """An event between threads."""
        return BlockingEvent()

    def trim_later(self, pool: Pool) -> None:
        """No timer."""

    def connect(self, pool: Pool, key: Origin, request: Request) -> Done[Connection]:
        """A new line."""
        line = Line(key)
        if self.before is not None:
            self.before(line)
        self.made.append(line)
        return Done(line)


def request(url: str = "http://a.test/", **extensions: object) -> Request:
    """A request with a pool timeout of 0 unless told otherwise."""
    extensions.setdefault("timeout", {"pool": 0.0})
    return Request("GET", url, extensions=extensions)


def new_pool(max_connections: int = 1) -> tuple[Pool, Connector]:
    """A small pool and its connector."""
    connector = Connector()
    return Pool(Limits(max_connections=max_connections, max_keepalive_connections=None), connector), connector


def lease(pool: Pool, wanted: Request) -> Line:
    """Lease by blocking."""
    work: Coroutine[Any, Any, Any] = pool.lease(wanted.url.origin, wanted)
    line = run_blocking(work)
    assert isinstance(line, Line)
    return line


def test_a_connection_is_opened_used_and_used_again() -> None:
    """What was given back is taken without dialling."""
    pool, connector = new_pool()
    line = lease(pool, request())
    pool.release(line)

    assert pool.take(line.key) is line
    assert connector.made == [line]


def test_a_full_pool_times_out() -> None:
    """PoolTimeout with the request and advice; the waiter is gone from the queue."""
    pool, _ = new_pool()
    lease(pool, request())
    wanted = request()

    with pytest.raises(PoolTimeout, match="max_connections") as caught:
        lease(pool, wanted)
    assert caught.value.request is wanted
    assert pool.ledger.waiting == 0


def test_the_total_deadline_ends_waiting_too() -> None:
    """It says which limit it was."""
    pool, _ = new_pool()
    lease(pool, request())

    with pytest.raises(TotalTimeout):
        lease(pool, request(deadline=0.0, timeout={"pool": 60.0}))


def test_a_dead_idle_connection_is_replaced() -> None:
    """It is closed and another one opened in its place."""
    pool, connector = new_pool()
    line = lease(pool, request())
    pool.release(line)
    line.is_dead = True
    fresh = lease(pool, request())

    assert line.is_aborted
    assert connector.made == [line, fresh]
    assert pool.ledger.count == 1


def test_a_failed_dial_frees_its_room() -> None:
    """The error passes through."""
    pool, connector = new_pool()

    def refuse(line: Line) -> None:
        raise ConnectError("no")

    connector.before = refuse
    with pytest.raises(ConnectError, match="no"):
        lease(pool, request())
    connector.before = None

    assert lease(pool, request()) is connector.made[0]


def test_idle_connections_of_others_are_closed_to_make_room() -> None:
    """What the ledger gives up is really closed."""
    pool, _ = new_pool()
    line = lease(pool, request())
    pool.release(line)
    other = lease(pool, request("http://b.test/"))

    assert line.is_aborted
    assert pool.connections == {other}


def test_a_failed_dial_that_had_made_room_still_closes_what_was_given_up() -> None:
    """The waiter that gets the room of a failed dial displaces an idle connection: that one is closed at once."""
    pool, connector = new_pool(2)
    idle = lease(pool, request("http://b.test/"))
    pool.release(idle)

    def refuse(line: Line) -> None:
        raise ConnectError("no")

    connector.before = refuse
    with pytest.raises(ConnectError):
        lease(pool, request())

    assert pool.ledger.doomed == []
    assert pool.ledger.count == 1


def test_close_closes_everything_for_good() -> None:
    """Busy and idle connections alike; who asks afterwards is refused."""
    pool, _ = new_pool(2)
    busy, idle = lease(pool, request()), lease(pool, request())
    pool.release(idle)
    pool.close()

    assert busy.is_aborted
    assert idle.is_aborted
    assert pool.ledger.count == 0
    with pytest.raises(ConnectError, match="closed"):
        lease(pool, request())


def test_close_ends_those_who_wait() -> None:
    """A request in the queue gets an error instead of a connection of its own."""
    pool, connector = new_pool()
    lease(pool, request())
    errors: list[BaseException] = []
    is_waiting = threading.Event()

    class Announcing(BlockingEvent):
        def wait(self, deadline: float) -> Done[None]:
            is_waiting.set()
            return super().wait(deadline)

    connector.event = Announcing  # type: ignore[method-assign]

    def ask() -> None:
        try:
            lease(pool, request(timeout={"pool": 10.0}))
        except ConnectError as exc:
            errors.append(exc)

    thread = threading.Thread(target=ask)
    thread.start()
    assert is_waiting.wait(10)
    pool.close()
    thread.join(10)

    assert [str(error) for error in errors] == ["The client was closed while this request was under way."]
    assert len(connector.made) == 1
    assert pool.ledger.count == 0


def test_a_connection_that_was_opened_for_a_closed_pool_is_closed() -> None:
    """Closing while a dial is under way."""
    pool, connector = new_pool()
    connector.before = lambda line: pool.close()

    with pytest.raises(ConnectError, match="closed"):
        lease(pool, request())
    assert connector.made[0].is_aborted
    assert pool.connections == set()
    assert pool.ledger.count == 0


def test_a_fresh_connection_on_which_something_came_unasked_is_refused() -> None:
    """Bytes ahead of the request are no answer to it."""
    pool, connector = new_pool()
    connector.before = lambda line: setattr(line, "is_dead", True)

    with pytest.raises(RemoteProtocolError, match="before it was asked"):
        lease(pool, request())
    assert connector.made[0].is_aborted
    assert pool.ledger.count == 0


def test_a_granted_waiter_that_is_interrupted_passes_its_grant_on() -> None:
    """Ctrl-C while waiting, at the moment the connection comes."""
    pool, connector = new_pool()
    line = lease(pool, request())

    class Interrupted(BlockingEvent):
        def wait(self, deadline: float) -> Done[None]:
            pool.release(line)
            raise KeyboardInterrupt

    connector.event = Interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        lease(pool, request())

    assert pool.take(line.key) is line
    assert repr(pool) == "<Pool <Ledger 1 connections, 0 idle, 0 waiting>>"

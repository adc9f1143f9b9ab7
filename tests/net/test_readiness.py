"""Waiting for a socket that others can end, blocking and under trio."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from time import monotonic

import pytest
import trio
import trio.testing

from crawler.net.deadlines import NEVER
from crawler.net.readiness import BlockingReadiness, Readiness
from crawler.net.trio_stream import TrioReadiness


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        yield ours, theirs


@pytest.fixture(params=[BlockingReadiness, TrioReadiness])
def kind(request: pytest.FixtureRequest) -> Callable[[socket.socket], Readiness]:
    """One way of waiting after the other."""
    way: Callable[[socket.socket], Readiness] = request.param
    return way


def test_it_ends_when_there_is_something(
    pair: tuple[socket.socket, socket.socket], kind: Callable[[socket.socket], Readiness]
) -> None:
    """Bytes end a wait; room to write ends one that asks for it; the deadline ends any."""
    ours, theirs = pair

    async def main() -> None:
        readiness = kind(ours)
        await readiness.wait(False, monotonic() + 0.01)
        await readiness.wait(True, NEVER)
        theirs.send(b"x")
        await readiness.wait(False, NEVER)
        await readiness.wait(True, NEVER)
        readiness.close()

    trio.run(main)


def test_another_thread_ends_a_blocking_wait(pair: tuple[socket.socket, socket.socket]) -> None:
    """Also one that begins only afterwards; and each call ends one wait only."""
    readiness = BlockingReadiness(pair[0])
    readiness.wake()
    readiness.wait(False, NEVER)

    waiting = threading.Thread(target=readiness.wait, args=(False, NEVER))
    waiting.start()
    readiness.wake()
    waiting.join(10)

    assert not waiting.is_alive()
    readiness.wait(False, monotonic() + 0.01)
    readiness.close()


def test_a_bell_may_be_rung_any_number_of_times(pair: tuple[socket.socket, socket.socket]) -> None:
    """Ringing never blocks, even while nobody listens."""
    readiness = BlockingReadiness(pair[0])
    for _ in range(2_000):
        readiness.wake()
    readiness.wait(False, NEVER)
    readiness.close()


@pytest.mark.parametrize("write", [False, True])
def test_another_task_ends_a_wait_under_trio(pair: tuple[socket.socket, socket.socket], write: bool) -> None:
    """Only the wait that goes on; and before any it does nothing."""
    ours, _ = pair
    while write:  # until the socket is full
        try:
            ours.send(bytes(1_000_000))
        except BlockingIOError:
            break

    async def main() -> None:
        readiness = TrioReadiness(ours)
        readiness.wake()
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(readiness.wait, write, NEVER)
                await trio.testing.wait_all_tasks_blocked()
                readiness.wake()
        readiness.wake()
        readiness.close()

    trio.run(main)

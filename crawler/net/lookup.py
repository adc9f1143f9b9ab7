"""Name look-ups in threads of their own, for all worlds.

The system's resolver knows no time limit, and a thread that asks it cannot be stopped. In the executors that event
loops lend (6 threads of asyncio's on two cores, 4 of uvloop's) a few names whose servers are silent would hold up
every other look-up, every file that is read in a thread, and the end of the program. Here instead:

    who waits stops waiting at its deadline; the look-up goes on, and its answer is thrown away
    a name that is being asked is not asked twice at the same time: all who want it share the answer
    threads are daemons, so that a silent resolver does not hold up the end of the program

At most `MAX_THREADS` names are asked at once; a thread that has nothing to do ends after `IDLE_S`.
"""

from __future__ import annotations

import os
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from crawler.net.resolve import AddressInfo

if TYPE_CHECKING:
    from crawler.net.route import Names

MAX_THREADS: Final = 100
"""As many names may be asked at once; a crawl of a million hosts must not make a million threads."""

IDLE_S: Final = 5.0

Answer = Sequence[AddressInfo] | Exception
"""The rows of `getaddrinfo`, or what it raised; shared, so it is never raised itself, but named as a cause."""

Ask = Callable[[str, int], Answer]
"""Looks a host and port up, and blocks meanwhile; raises nothing."""

Tell = Callable[[Answer], None]
"""Called once, in a thread of this module; must be quick and not raise."""


_all: WeakSet[Lookups] = WeakSet()  # to begin anew after a fork


class Lookups:
    """Threads that ask the resolver; safe to use from any thread.

    Args:
        max_threads: Names asked at once; further ones wait their turn.
        idle_s: How long a thread without work stays, in seconds.
        look_up: Whom the threads ask; default: the system's resolver.
    """

    def __init__(self, max_threads: int = MAX_THREADS, idle_s: float = IDLE_S, look_up: Ask | None = None) -> None:
        self._max_threads = max_threads
        self._idle_s = idle_s
        self._look_up = look_up or _ask_the_system
        self.start_anew()
        _all.add(self)

    def start_anew(self) -> None:
        """Forget what is under way: after a fork there are no threads."""
        self._has_work = threading.Condition()
        self._waiting: dict[tuple[str, int], list[Tell]] = {}  # by name: who wants to know
        self._queue: deque[tuple[str, int]] = deque()
        self._threads = 0
        self._idle = 0

    def ask(self, host: str, port: int, tell: Tell) -> None:
        """Look `host` up; `tell` hears of it, unless `leave` is called before."""
        key = (host, port)
        with self._has_work:
            askers = self._waiting.get(key)
            if askers is not None:
                askers.append(tell)
                return
            self._waiting[key] = [tell]
            self._queue.append(key)
            if self._idle >= len(self._queue):
                self._has_work.notify()
            elif self._threads < self._max_threads:
                self._threads += 1
                threading.Thread(target=self._work, name="crawler look-up", daemon=True).start()

    def leave(self, host: str, port: int, tell: Tell) -> None:
        """`tell` wants the answer no more; a name that nobody waits for is not asked if its turn has not come."""
        key = (host, port)
        with self._has_work:
            askers = self._waiting.get(key, [])
            if tell in askers:
                askers.remove(tell)
            if not askers and key in self._queue:
                self._queue.remove(key)
                del self._waiting[key]

    def wait(self, host: str, port: int, deadline: float | None) -> Answer | None:
        """Look `host` up and block until the answer is there; None if it is not at `deadline` (monotonic seconds)."""
        is_there = threading.Event()
        answers: list[Answer] = []

        def tell(answer: Answer) -> None:
            answers.append(answer)
            is_there.set()

        self.ask(host, port, tell)
        try:
            is_there.wait(None if deadline is None else max(0.0, deadline - monotonic()))
        finally:
            if not answers:
                self.leave(host, port, tell)
        return answers[0] if answers else None

    def _work(self) -> None:
        """The life of one thread."""
        while True:
            with self._has_work:
                while not self._queue:
                    self._idle += 1
                    has_come = self._has_work.wait(self._idle_s)
                    self._idle -= 1
                    if not has_come and not self._queue:
                        self._threads -= 1
                        return
                key = self._queue.popleft()
            answer = self._look_up(*key)
            with self._has_work:
                askers = self._waiting.pop(key)
            for tell in askers:
                tell(answer)


def _ask_the_system(host: str, port: int) -> Answer:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except Exception as exc:
        return exc


lookups: Final = Lookups()
"""The one of this process for the system's resolver, which is the same for all clients."""


@lru_cache(maxsize=16)
def lookups_for(names: Names) -> Lookups:
    """Who looks names up by these rules; the same for all transports of the same rules.

    Raises:
        ValueError: A name server's address is none.
        ImportError: Name servers need the extra `dns`.
    """
    if not names.servers:
        return lookups if names.concurrency == MAX_THREADS else Lookups(names.concurrency)
    import dns.message  # noqa: F401  # said at once, not at the first look-up

    from crawler.net.name_servers import NameServers

    return Lookups(names.concurrency, look_up=NameServers(names.servers, names.wanted_family))


def _start_all_anew() -> None:
    for each in list(_all):
        each.start_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_all_anew)

"""Look-ups in threads: shared, given up, bounded."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any

import pytest

from crawler.net.lookup import Answer, Lookups

PATIENCE_S = 10.0

ROWS = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]


class Resolver:
    """Takes the place of the system's: a name that begins with "silent" is answered when the test ends."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_over = threading.Event()
        self.is_asked = threading.Condition()

    def getaddrinfo(self, host: str, port: int, **options: Any) -> Any:
        """As `socket.getaddrinfo`."""
        with self.is_asked:
            self.asked.append(host)
            self.is_asked.notify_all()
        if host.startswith("silent"):
            self.is_over.wait(PATIENCE_S)
        if host.startswith("missing"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return ROWS

    def wait_for(self, host: str) -> None:
        """Until somebody asks for `host`."""
        with self.is_asked:
            assert self.is_asked.wait_for(lambda: host in self.asked, PATIENCE_S)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """In place of the system's, for the time of a test."""
    resolver = Resolver()
    monkeypatch.setattr("crawler.net.lookup.socket.getaddrinfo", resolver.getaddrinfo)
    yield resolver
    resolver.is_over.set()


def after(seconds: float) -> float:
    """A deadline."""
    return monotonic() + seconds


def test_an_answer(resolver: Resolver) -> None:
    """The resolver's rows."""
    assert Lookups().wait("good", 80, after(PATIENCE_S)) == ROWS


def test_a_failure_is_an_answer(resolver: Resolver) -> None:
    """What the resolver raised is given, as others may be waiting for the same."""
    assert isinstance(Lookups().wait("missing", 80, after(PATIENCE_S)), socket.gaierror)


def test_no_limit(resolver: Resolver) -> None:
    """None waits for as long as it takes."""
    assert Lookups().wait("good", 80, None) == ROWS


def test_silence_is_given_up(resolver: Resolver) -> None:
    """At the deadline, and other names are answered meanwhile."""
    lookups = Lookups()

    assert lookups.wait("silent", 80, after(0.02)) is None
    assert lookups.wait("good", 80, after(PATIENCE_S)) == ROWS


def test_one_question_for_all_who_ask_the_same(resolver: Resolver) -> None:
    """The answer is shared."""
    lookups = Lookups()
    answers: list[Answer] = []
    is_there = threading.Semaphore(0)

    def tell(answer: Answer) -> None:
        answers.append(answer)
        is_there.release()

    lookups.ask("silent", 80, tell)
    lookups.ask("silent", 80, tell)
    resolver.wait_for("silent")
    resolver.is_over.set()
    for _ in range(2):
        assert is_there.acquire(timeout=PATIENCE_S)

    assert answers == [ROWS, ROWS]
    assert resolver.asked == ["silent"]


def test_names_beyond_the_threads_wait_their_turn(resolver: Resolver) -> None:
    """None is lost; one that was given up before its turn is never asked."""
    lookups = Lookups(max_threads=2)
    for host in ("silent-a", "silent-b"):
        lookups.ask(host, 80, lambda answer: None)
        resolver.wait_for(host)

    assert lookups.wait("given-up", 80, after(0.01)) is None
    resolver.is_over.set()
    assert lookups.wait("good", 80, after(PATIENCE_S)) == ROWS
    assert "given-up" not in resolver.asked


def test_threads_are_used_again_and_end(resolver: Resolver) -> None:
    """One name after the other needs one thread, which does not stay for ever; then a new one serves."""
    lookups = Lookups(idle_s=0.01)
    before = set(threading.enumerate())
    lookups.wait("good", 80, None)
    for thread in set(threading.enumerate()) - before:
        thread.join(PATIENCE_S)
        assert not thread.is_alive()

    assert lookups.wait("good", 81, after(PATIENCE_S)) == ROWS


def test_many_askers_at_once(resolver: Resolver) -> None:
    """Every one of them is told, whatever the order."""
    lookups = Lookups(max_threads=3, idle_s=0.001)
    answers: list[Answer | None] = []

    def ask(number: int) -> None:
        answers.append(lookups.wait(f"host-{number % 7}", 80, after(PATIENCE_S)))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert answers == [ROWS] * 40

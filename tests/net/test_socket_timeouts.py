"""Time limits of blocking sockets: kept, and set no more often than needed."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from time import monotonic

import pytest

from crawler.net import socket_timeouts
from crawler.net.socket_timeouts import SocketTimeouts


class Counting(socket.socket):
    """Counts the calls that set a limit."""

    calls = 0

    def setsockopt(self, *args: object) -> None:
        self.calls += 1
        super().setsockopt(*args)  # type: ignore[call-overload]

    def settimeout(self, value: float | None) -> None:
        self.calls += 1
        super().settimeout(value)


@pytest.fixture
def pair() -> Iterator[tuple[Counting, socket.socket]]:
    """A counting socket and its peer."""
    ours, theirs = socket.socketpair()
    counting = Counting(fileno=ours.detach())
    with counting, theirs:
        yield counting, theirs


@pytest.fixture(params=[True, False], ids=["kernel", "python"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways of keeping a limit."""
    monkeypatch.setattr(socket_timeouts, "_HAS_KERNEL_LIMITS", request.param)
    return bool(request.param)


def test_a_late_read_ends(pair: tuple[Counting, socket.socket], either: bool) -> None:
    """With one of the two errors that say so."""
    ours, _ = pair
    timeouts = SocketTimeouts(ours)
    timeouts.before_read(monotonic() + 0.01)

    with pytest.raises((TimeoutError, BlockingIOError)):
        ours.recv(1)


def test_a_late_write_ends(pair: tuple[Counting, socket.socket], either: bool) -> None:
    """The peer reads nothing."""
    ours, _ = pair
    timeouts = SocketTimeouts(ours)
    timeouts.before_write(monotonic() + 0.01)

    with pytest.raises((TimeoutError, BlockingIOError)):
        ours.sendall(b"x" * 10_000_000)


def test_a_deadline_that_has_passed_is_not_no_limit(pair: tuple[Counting, socket.socket], either: bool) -> None:
    """The least there is, rather than for ever."""
    ours, _ = pair
    SocketTimeouts(ours).before_read(monotonic() - 10)

    with pytest.raises((TimeoutError, BlockingIOError)):
        ours.recv(1)


def test_no_limit_after_a_limit(pair: tuple[Counting, socket.socket], either: bool) -> None:
    """None takes the limit away again."""
    ours, theirs = pair
    timeouts = SocketTimeouts(ours)
    timeouts.before_read(monotonic() + 0.001)
    timeouts.before_read(None)
    theirs.sendall(b"x")

    assert ours.recv(1) == b"x"


def test_the_same_limit_is_set_once(pair: tuple[Counting, socket.socket], either: bool) -> None:
    """A thousand requests with the same timeout cost one system call."""
    ours, _ = pair
    timeouts = SocketTimeouts(ours)
    before = ours.calls
    for _ in range(1000):
        timeouts.before_read(monotonic() + 5.0)

    assert ours.calls - before == 1


def test_within_tls_the_limit_is_pythons() -> None:
    """Its SSL layer would not notice the kernel's."""
    ours, theirs = socket.socketpair()
    context = ssl.create_default_context()
    context.check_hostname = False
    with theirs, context.wrap_socket(ours, do_handshake_on_connect=False) as secure:
        timeouts = SocketTimeouts(secure)
        timeouts.before_read(monotonic() + 5.0)

        assert not timeouts.uses_kernel
        assert secure.gettimeout() == pytest.approx(5.0, rel=0.02)

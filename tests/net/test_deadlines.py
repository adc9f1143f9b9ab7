"""Timeouts as instants, and which error says so."""

from __future__ import annotations

import pytest

from crawler.errors import ConnectTimeout, PoolTimeout, ReadTimeout, TimeoutException, TotalTimeout, WriteTimeout
from crawler.models import Request
from crawler.net import deadlines
from crawler.net.deadlines import NEVER, ConnectClock, Phase, deadline_of, timed_out


def request(**extensions: object) -> Request:
    """A request with these extensions."""
    return Request("GET", "http://a.test/", extensions=extensions)


@pytest.fixture(autouse=True)
def at_100(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands at 100 s."""
    monkeypatch.setattr(deadlines, "monotonic", lambda: 100.0)


@pytest.mark.parametrize(
    ("extensions", "expected"),
    [
        ({}, NEVER),
        ({"timeout": {}}, NEVER),
        ({"timeout": {"read": None}}, NEVER),
        ({"timeout": {"read": 5.0}}, 105.0),
        ({"timeout": {"read": 0.0}}, 100.0),
        ({"timeout": {"write": 5.0}}, NEVER),
        ({"deadline": 103.0}, 103.0),
        ({"timeout": {"read": 5.0}, "deadline": 103.0}, 103.0),
        ({"timeout": {"read": 5.0}, "deadline": 107.0}, 105.0),
        ({"timeout": {"read": None}, "deadline": 99.0}, 99.0),
    ],
)
def test_the_earlier_limit_counts(extensions: dict[str, object], expected: float) -> None:
    """The phase's own, counted from now, or the one over everything."""
    assert deadline_of(request(**extensions), "read") == expected


@pytest.mark.parametrize(
    ("phase", "error"),
    [
        ("connect", ConnectTimeout),
        ("read", ReadTimeout),
        ("write", WriteTimeout),
        ("pool", PoolTimeout),
        ("dns", ConnectTimeout),
        ("tls", ConnectTimeout),
        ("ttfb", ReadTimeout),
    ],
)
def test_each_phase_has_its_error(phase: Phase, error: type[TimeoutException]) -> None:
    """With the limit and what was going on in the message, and the request attached."""
    late = request(timeout={phase: 2.5})
    found = timed_out(late, phase, "waiting for the bus")

    assert type(found) is error
    assert str(found) == f"The {phase} timeout of 2.5 s passed while waiting for the bus."
    assert found.request is late


@pytest.mark.parametrize(("deadline", "error"), [(100.0, TotalTimeout), (100.002, TotalTimeout), (100.1, ReadTimeout)])
def test_the_total_limit_says_so(deadline: float, error: type[TimeoutException]) -> None:
    """If it has passed, it was the one; timers may be a little early."""
    assert type(timed_out(request(deadline=deadline), "read", "waiting")) is error


@pytest.mark.parametrize(
    ("timeouts", "expected", "kind"),
    [
        ({"read": 5.0}, 105.0, "timeout_read"),
        ({"read": 5.0, "ttfb": None}, 105.0, "timeout_read"),
        ({"read": 5.0, "ttfb": 7.0}, 107.0, "timeout_ttfb"),
        ({"read": None, "ttfb": 7.0}, 107.0, "timeout_ttfb"),
        ({}, NEVER, "timeout_read"),
    ],
)
def test_the_first_byte_is_read_like_the_others(timeouts: dict[str, float], expected: float, kind: str) -> None:
    """Unless it has a limit of its own."""
    assert deadline_of(request(timeout=timeouts), "ttfb") == expected
    assert timed_out(request(timeout=timeouts), "ttfb", "waiting").kind == kind


def test_connecting_has_one_clock() -> None:
    """Look-up and TLS count for it."""
    clock = ConnectClock(request(timeout={"connect": 5.0}))

    assert clock.begin("dns") == 105.0
    clock.end("dns", 3.0)
    assert (clock.deadline, clock.begin("tls"), clock.has("tls")) == (105.0, 105.0, False)


def test_steps_with_limits_of_their_own() -> None:
    """They do not count for the others, but for the total."""
    clock = ConnectClock(request(timeout={"connect": 5.0, "dns": 1.0, "tls": 10.0}, deadline=107.0))

    assert (clock.begin("dns"), clock.begin("tls")) == (101.0, 107.0)
    clock.end("dns", 1.0)
    assert clock.deadline == 106.0
    clock.end("tls", 9.0)
    assert clock.deadline == 107.0


def test_connecting_without_a_limit() -> None:
    """What has none of its own has none."""
    clock = ConnectClock(request(timeout={"dns": 1.0}))
    clock.end("dns", 0.5)

    assert (clock.deadline, clock.begin("dns"), clock.begin("tls")) == (None, 101.0, None)

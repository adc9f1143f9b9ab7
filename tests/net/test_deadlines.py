"""Timeouts as instants, and which error says so."""

from __future__ import annotations

import pytest

from crawler.errors import ConnectTimeout, PoolTimeout, ReadTimeout, TimeoutException, TotalTimeout, WriteTimeout
from crawler.models import Request
from crawler.net import deadlines
from crawler.net.deadlines import NEVER, Phase, deadline_of, timed_out


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
    [("connect", ConnectTimeout), ("read", ReadTimeout), ("write", WriteTimeout), ("pool", PoolTimeout)],
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

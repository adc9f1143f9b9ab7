"""The one timer of a pool, on a loop and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from crawler.net import asyncio_sweep
from crawler.net.asyncio_sweep import MIN_INTERVAL_S, STALL_S, Sweeper
from crawler.net.deadlines import NEVER


class Handle:
    """A timer that was set."""

    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at = at
        self.call = call
        self.is_cancelled = False

    def cancel(self) -> None:
        """Not any more."""
        self.is_cancelled = True


class Loop:
    """Timers and a clock, both moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Handle] = []

    def call_later(self, delay: float, call: Callable[[], None]) -> Handle:
        """Set a timer."""
        handle = Handle(self.now + delay, call)
        self.timers.append(handle)
        return handle

    @property
    def due(self) -> list[float]:
        """When the timers that count go off."""
        return [handle.at for handle in self.timers if not handle.is_cancelled]

    def go_to(self, now: float, late: float = 0.0) -> None:
        """Let time pass; timers go off on time, or all of them `late`."""
        while pending := [timer for timer in self.timers if not timer.is_cancelled and timer.at <= now]:
            timer = min(pending, key=lambda handle: handle.at)
            self.timers.remove(timer)
            self.now = max(self.now, timer.at + late)
            timer.call()
        self.now = max(self.now, now)


class Thing:
    """Something with a deadline."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.expired_at: float | None = None
        self.loop: Loop

    def expire(self) -> None:
        """Called when late."""
        assert self.expired_at is None
        self.expired_at = self.loop.now
        self.deadline = NEVER


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> Loop:
    """A loop whose clock is the sweeper's."""
    loop = Loop()
    monkeypatch.setattr(asyncio_sweep, "monotonic", lambda: loop.now)
    return loop


def watching(loop: Any, *deadlines: float) -> tuple[Sweeper, list[Thing]]:
    """A sweeper, woken for each of these deadlines as connections do."""
    things = [Thing(deadline) for deadline in deadlines]
    sweeper = Sweeper(loop, things)
    for thing in things:
        thing.loop = loop
        if thing.deadline < sweeper.wakes_at:
            sweeper.wake_by(thing.deadline)
    return sweeper, things


def test_each_expires_at_its_deadline(loop: Loop) -> None:
    """One timer at a time."""
    _, things = watching(loop, 105.0, 103.0, NEVER)
    assert loop.due == [103.0]
    loop.go_to(110.0)

    assert [thing.expired_at for thing in things] == [105.0, 103.0, None]
    assert loop.due == []


def test_a_deadline_that_moves_on_costs_no_timer(loop: Loop) -> None:
    """The timer goes off in vain once, and is set to where the deadline is then."""
    _, (thing,) = watching(loop, 105.0)
    loop.go_to(104.0)
    thing.deadline = 109.0
    loop.go_to(106.0)

    assert thing.expired_at is None
    assert loop.due == [109.0]


def test_nothing_to_watch_sets_no_timer(loop: Loop) -> None:
    """An idle pool wakes nobody."""
    sweeper, (thing,) = watching(loop, 105.0)
    thing.deadline = NEVER
    loop.go_to(110.0)

    assert loop.due == []
    assert sweeper.wakes_at == NEVER


def test_close_deadlines_share_a_sweep(loop: Loop) -> None:
    """Many different short timeouts are no busy loop: at most one look in `MIN_INTERVAL_S`."""
    _, things = watching(loop, *(101.0 + n * MIN_INTERVAL_S / 10 for n in range(20)))
    sweeps = 0
    while loop.due:
        loop.go_to(loop.due[0])
        sweeps += 1

    assert sweeps <= 4
    assert all(thing.expired_at is not None for thing in things)


def test_after_a_stall_what_has_come_is_read_first(loop: Loop) -> None:
    """A timer far too late looks again after a turn of the loop, in which the deadline may move on."""
    _, (lucky, unlucky) = watching(loop, 105.0, 105.0)
    loop.timers[0].at = 105.0
    loop.go_to(105.0, late=STALL_S * 2)
    assert lucky.expired_at is unlucky.expired_at is None
    lucky.deadline = 115.0
    loop.go_to(106.0)

    assert lucky.expired_at is None
    assert unlucky.expired_at == 105.0 + STALL_S * 2 + MIN_INTERVAL_S


def test_a_loop_that_is_always_late_expires_all_the_same(loop: Loop) -> None:
    """The second look counts."""
    _, (thing,) = watching(loop, 105.0)
    loop.go_to(106.0, late=STALL_S * 2)

    assert thing.expired_at is not None


def test_stop(loop: Loop) -> None:
    """No timer is left."""
    sweeper, _ = watching(loop, 105.0)
    sweeper.stop()
    sweeper.stop()

    assert loop.due == []

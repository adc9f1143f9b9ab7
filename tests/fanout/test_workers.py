"""The engine by itself: waits cost no slot and, on a clock of our own, no time."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import anyio
import anyio.lowlevel
import pytest
import trio
from trio.testing import MockClock

from crawler.errors import ConnectError
from crawler.fanout import workers
from crawler.fanout.result import Result
from crawler.fanout.sources import IterableSource
from crawler.fanout.workers import Engine


class World:
    """An engine over numbered targets: who fails how often, when everything happened."""

    def __init__(
        self, targets: int, concurrency: int, failures: Callable[[int], int], wait: Callable[[], float]
    ) -> None:
        self.clock = trio.current_time
        self.failures = failures
        self.tries: dict[int, list[float]] = {}
        self.done: list[int] = []
        self.busy = self.most = self.most_waiting = 0
        source = IterableSource((f"http://h.example/{n}" for n in range(targets)), self.clock)
        self.engine = Engine(
            source,
            attempt=self.attempt,
            again=lambda result: wait() if result.attempts <= failures(result.index) else None,
            deliver=self.deliver,
            concurrency=concurrency,
            clock=self.clock,
        )

    async def attempt(self, result: Result) -> None:
        self.busy += 1
        self.most = max(self.most, self.busy)
        self.most_waiting = max(self.most_waiting, self.engine.waiting)
        self.tries.setdefault(result.index, []).append(self.clock())
        result.begin(self.clock())
        try:
            await anyio.sleep(0.01)
            if result.attempts <= self.failures(result.index):
                result.fail(ConnectError("refused"))
        finally:
            self.busy -= 1

    def deliver(self, result: Result) -> None:
        assert result.attempts == self.failures(result.index) + 1
        self.done.append(result.index)


def play(world: World) -> float:
    """Run an engine on a clock that jumps; give the virtual seconds it took."""

    async def run() -> float:
        begin = trio.current_time()
        await world.engine.run()
        return trio.current_time() - begin

    return trio.run(run, clock=MockClock(autojump_threshold=0))


@pytest.mark.parametrize("seed", range(5))
def test_every_result_is_delivered_once(seed: int) -> None:
    """Whatever fails, however often and long: each is delivered once, the cap is kept, and no wait is cut short."""
    rng = random.Random(seed)
    failing = {n: rng.randrange(4) for n in range(300)}
    world = World(300, 7, failing.__getitem__, lambda: 3600 * rng.random())

    play(world)

    assert sorted(world.done) == list(range(300))
    assert world.most == 7
    assert all(len(times) == failing[n] + 1 for n, times in world.tries.items())


def test_a_day_of_back_off_takes_no_slot() -> None:
    """Half of all requests wait for a day; the others are through in the time their attempts take."""
    world = World(100, 2, lambda n: n % 2, lambda: 86_400.0)

    seconds = play(world)

    assert world.done[:50] == list(range(0, 100, 2))
    assert 86_400 <= seconds < 86_402
    for number, times in world.tries.items():
        if number % 2:
            assert times[1] - times[0] >= 86_400


def test_an_earlier_newcomer_is_not_kept_waiting() -> None:
    """One that becomes ready before all that wait already is sent when it is ready."""
    waits = itertools.chain([1000.0, 10.0], itertools.repeat(0.0))
    world = World(2, 1, lambda n: 1, waits.__next__)

    play(world)

    assert world.done == [1, 0]
    assert world.tries[1][1] - world.tries[1][0] < 11


def test_the_heap_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """If everything fails, no new request is taken while too many wait; all still come to their end."""
    monkeypatch.setattr(workers, "MAX_WAITING", 20)
    world = World(200, 4, lambda n: 2, lambda: 5.0)

    play(world)

    assert sorted(world.done) == list(range(200))
    assert world.most_waiting <= 20 + 4
    assert world.most == 4


def test_stop_begins_nothing_more() -> None:
    """After `stop` what is under way ends, what waits stays in the heap, and nothing is begun."""
    world = World(100, 5, lambda n: 1, lambda: 100.0)

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.engine.run)
            await trio.sleep(0.055)
            tries = sum(map(len, world.tries.values()))
            world.engine.stop()
            await trio.sleep(1000)
            assert sum(map(len, world.tries.values())) == tries

    trio.run(run, clock=MockClock(autojump_threshold=0))

    assert world.busy == 0
    assert world.done == []
    assert world.engine.waiting > 0


def test_a_bug_in_a_function_ends_the_run() -> None:
    """What `deliver` raises is raised by `run`, in no group, and nothing is left running."""
    world = World(100, 5, lambda n: 0, lambda: 0.0)

    def broken(result: Result) -> None:
        raise ZeroDivisionError("bug")

    world.engine._deliver = broken

    with pytest.raises(ZeroDivisionError, match="bug"):
        play(world)
    assert world.busy == 0


def test_workers_are_started_as_needed() -> None:
    """Three pieces of work do not start ten thousand tasks."""
    world = World(3, 10_000, lambda n: 0, lambda: 0.0)

    play(world)

    assert sorted(world.done) == [0, 1, 2]
    assert world.engine._workers <= 5


def test_concurrency_of_zero_is_refused() -> None:
    """There is no "unlimited by zero"."""
    with pytest.raises(ValueError, match="at least 1"):
        World(1, 0, lambda n: 0, lambda: 0.0)


@pytest.mark.anyio
async def test_attempts_that_never_suspend_do_not_starve_others() -> None:
    """While a thousand attempts end at once, another task of the same loop gets its turns."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async def attempt(result: Result) -> None:
        result.begin(0.0)

    engine = Engine(
        IterableSource(("x" for _ in range(1000)), float),
        attempt=attempt,
        again=lambda result: None,
        deliver=lambda result: None,
        concurrency=1,
        clock=float,
    )
    async with anyio.create_task_group() as group:
        group.start_soon(other)
        await engine.run()
        group.cancel_scope.cancel()

    assert turns > 20

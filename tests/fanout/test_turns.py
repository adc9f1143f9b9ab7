"""Requests and their hosts, through any order of events: intervals and caps kept, nothing lost, nobody starved."""

from __future__ import annotations

import itertools
import random

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from crawler.fanout import turns as turns_module
from crawler.fanout.plan import CircuitPolicy, HostLimits, Politeness, RetryPolicy
from crawler.fanout.result import Result
from crawler.fanout.turns import Turns

KINDS = [None, None, None, "http_4xx", "http_5xx", "connect_refused", "rate_limited"]


def request(host: str, number: int = 0) -> Result:
    """A result that waits for its host."""
    result = Result(f"{host}/{number}", number, None, 0.0)
    result.host = host
    return result


class AnyOrder(RuleBasedStateMachine):
    """New requests, ends, cancellations, retries and time in any order, beside what must hold."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.number = 0
        self.begun: dict[int, tuple[Result, float]] = {}
        self.inside: set[int] = set()
        self.starts: dict[str, list[float]] = {}
        self.not_before: dict[str, float] = {}

    @initialize(
        cap=st.none() | st.integers(1, 3),
        rate=st.none() | st.floats(0.1, 10),
        burst=st.integers(1, 3),
        whole=st.none() | st.floats(1, 50),
    )
    def begin(self, cap: int | None, rate: float | None, burst: int, whole: float | None) -> None:
        self.limits = HostLimits(cap, rate, burst if rate else 1, 0.2)
        politeness = Politeness(limits=self.limits, rate=whole, circuit=CircuitPolicy(3, 20.0, 60.0))
        self.whole = whole
        self.turns = Turns(politeness, RetryPolicy(max_wait=500.0), 8, random.Random(1).random)

    @rule(host=st.sampled_from("abcde"), n=st.integers(1, 5))
    def arrive(self, host: str, n: int) -> None:
        for _ in range(n):
            self.number += 1
            result = request(host, self.number)
            if self.turns.admit(result, self.now):
                self.start(result)
            else:
                self.inside.add(result.index)

    @rule(n=st.integers(1, 9))
    def take(self, n: int) -> None:
        for _ in range(n):
            result = self.turns.take(self.now)
            if result is None:
                at = self.turns.next_time()
                assert at is None or at > self.now
                break
            self.inside.remove(result.index)
            assert result.host_wait >= 0
            self.start(result)

    def start(self, result: Result) -> None:
        host = result.host
        assert result.index not in self.begun
        result.attempts += 1
        if not self.turns.is_given_up(host):
            assert self.now >= self.not_before.get(host, 0.0)
            self.starts.setdefault(host, []).append(self.now)
        self.begun[result.index] = (result, self.now)

    @precondition(lambda self: self.begun)
    @rule(which=st.integers(0, 99), kind=st.sampled_from(KINDS), asked=st.none() | st.floats(0, 300))
    def end(self, which: int, kind: str | None, asked: float | None) -> None:
        number = sorted(self.begun)[which % len(self.begun)]
        result, begun = self.begun.pop(number)
        self.turns.end(result.host, begun, self.now, kind, asked)
        if asked and not self.turns.is_given_up(result.host):
            self.not_before[result.host] = max(self.not_before.get(result.host, 0.0), self.now + asked)
        if kind is not None and result.attempts < 3:
            self.inside.add(number)
            self.turns.put(result, self.now, is_first=result.attempts > 0)

    @precondition(lambda self: self.begun)
    @rule(which=st.integers(0, 99))
    def cancel(self, which: int) -> None:
        number = sorted(self.begun)[which % len(self.begun)]
        result, _ = self.begun.pop(number)
        self.turns.cancel(result.host, self.now)

    @rule(seconds=st.floats(0, 40))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def keeps_its_promises(self) -> None:
        """Caps, intervals and counts hold; what waits waits for time or for one that is under way."""
        if not hasattr(self, "turns"):
            return
        assert self.turns.waiting == len(self.inside)
        for host in "abcde":
            busy = [one for one, _ in self.begun.values() if one.host == host]
            if self.limits.concurrency and not self.turns.is_given_up(host):
                assert len(busy) <= self.limits.concurrency
        if self.inside and not self.begun:
            assert self.turns.next_time() is not None
        self.check_rates()

    def check_rates(self) -> None:
        if self.limits.rate:
            shortest = 0.8 / self.limits.rate
            for starts in self.starts.values():
                for first, second in zip(starts, starts[self.limits.burst :], strict=False):
                    assert second - first >= shortest - 1e-6
        if self.whole:
            every = sorted(start for starts in self.starts.values() for start in starts)
            assert all(b - a >= 1 / self.whole - 1e-6 for a, b in itertools.pairwise(every))

    def teardown(self) -> None:
        """Left alone with its work, it comes to an end: nothing is lost, nobody waits for ever."""
        if not hasattr(self, "turns"):
            return
        for _ in range(10_000):
            for number in list(self.begun):
                result, begun = self.begun.pop(number)
                self.turns.end(result.host, begun, self.now, None, None)
            if not self.inside:
                break
            self.take(9)
            if not self.begun and (at := self.turns.next_time()) is not None:
                self.now = max(self.now, at)
        assert not self.inside


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase


def make(limits: HostLimits | None = None) -> Turns:
    """Turns without chance."""
    return Turns(Politeness(limits=limits or HostLimits(concurrency=1)), RetryPolicy(), 64, lambda: 0.5)


def test_hosts_take_turns() -> None:
    """A host with a thousand requests does not keep the one request of another waiting."""
    turns = make(HostLimits(rate=1.0, jitter=0.0))
    for number in range(1000):
        turns.admit(request("busy", number), 0.0)
    turns.admit(request("small", 0), 0.0)
    turns.admit(request("small", 1), 0.0)

    taken = [turns.take(1.0), turns.take(1.0), turns.take(1.0)]

    assert [result.host for result in taken if result is not None] == ["busy", "small"]


def test_tried_ones_go_before_new_ones() -> None:
    """A retry that is due stands before those of its host that were not tried yet."""
    turns = make()
    first, second, third = (request("h", number) for number in range(3))
    assert turns.admit(first, 0.0)
    turns.admit(second, 0.0)
    third.attempts = 1
    turns.put(third, 0.0, is_first=True)
    turns.end("h", 0.0, 1.0, None, None)

    assert turns.take(1.0) is third


def test_host_wait_is_what_the_host_took() -> None:
    """Not what it waited for a slot after the host was ready."""
    turns = make(HostLimits(rate=0.5, jitter=0.0))
    turns.admit(request("h", 0), 10.0)
    turns.admit(request("h", 1), 10.0)

    result = turns.take(17.0)

    assert result is not None
    assert result.host_wait == 2.0


def test_a_host_that_has_room_asks_for_more_once() -> None:
    """It is told when half of its quota is eaten up, and not again until it is fed."""
    turns = make()
    for number in range(turns_module.FIRST_QUOTA + 1):
        turns.admit(request("h", number), 0.0)
    assert turns.room("h") == 0
    turns.note_more("h", 0.0)
    assert not turns.hungry

    for _ in range(turns_module.FIRST_QUOTA):
        turns.end("h", 0.0, 0.0, None, None)
        assert turns.take(0.0) is not None

    assert len(turns.hungry) == 1
    host = turns.hungry.popleft()
    turns.note_fed(host, is_all=True)
    assert not host.has_more


def test_one_without_limits_has_no_quota() -> None:
    """A host that may have as many as the run has is never held back."""
    assert make(HostLimits(concurrency=64)).room("h") is None
    assert make(HostLimits(concurrency=63)).room("h") == turns_module.FIRST_QUOTA


def test_clocks_are_forgotten() -> None:
    """A hundred thousand hosts, each asked once, leave a bounded number of clocks."""
    turns = make()
    for number in range(100_000):
        host = f"h{number}"
        turns.admit(request(host), float(number))
        turns.end(host, float(number), float(number), None, None)

    assert len(turns._hosts) <= turns_module.MAX_IDLE_HOSTS

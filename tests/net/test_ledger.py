"""The books of the pool: who gets which connection, in which order, and never one too many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from crawler.models import URL, Origin
from crawler.net.ledger import DIAL, WAIT, Ledger, Verdict

A, B, C = (URL(f"http://{name}.test/").origin for name in "abc")


class Line:
    """A connection as the ledger sees it."""

    def __init__(self, key: Origin, capacity: int = 1) -> None:
        self.key = key
        self.capacity = capacity
        self.leased = 0
        self.idle_since = 0.0
        self.is_gone = False

    def __repr__(self) -> str:
        return f"<Line to {self.key.host}, {self.leased} of {self.capacity}>"


class Guest:
    """A waiter that notes what it was given."""

    def __init__(self, key: Origin, may_share: bool = False) -> None:
        self.key = key
        self.may_share = may_share
        self.grant: Line | Verdict | None = None

    def wake(self, grant: Line | Verdict) -> None:
        """Called by the ledger."""
        assert self.grant is None
        self.grant = grant


def books(
    max_connections: int | None = 2, max_idle: int | None = None, keepalive_s: float | None = 5.0
) -> Ledger[Line]:
    """A ledger with small limits."""
    return Ledger(max_connections, max_idle, keepalive_s)


def dialled(ledger: Ledger[Line], key: Origin, capacity: int = 1, *, may_share: bool = False) -> Line:
    """A connection that was opened because there was none."""
    assert ledger.lease(key, 0.0, may_share) is DIAL
    line = Line(key, capacity)
    ledger.opened(line, is_shared=capacity > 1)
    return line


def queued(ledger: Ledger[Line], key: Origin, *, may_share: bool = False) -> Guest:
    """A waiter in the queue."""
    assert ledger.lease(key, 0.0, may_share) is WAIT
    guest = Guest(key, may_share)
    ledger.enqueue(guest)
    return guest


def test_the_last_used_connection_is_taken_first() -> None:
    """So that the others grow old and are closed."""
    ledger = books()
    first, second = dialled(ledger, A), dialled(ledger, A)
    ledger.release(second, 1.0)
    ledger.release(first, 2.0)

    assert ledger.lease(A, 3.0) is first
    assert ledger.lease(A, 3.0) is second
    assert ledger.lease(A, 3.0) is WAIT


def test_an_idle_connection_past_its_time_is_given_up() -> None:
    """It is doomed, and its room is free for a new one."""
    ledger = books(keepalive_s=5.0)
    line = dialled(ledger, A)
    ledger.release(line, 10.0)

    assert ledger.lease(A, 15.0) is DIAL
    assert ledger.doomed == [line]
    assert line.is_gone
    assert ledger.count == 1


def test_a_connection_is_usable_until_its_time() -> None:
    """The limit is the first instant at which it is not handed out."""
    ledger = books(keepalive_s=5.0)
    line = dialled(ledger, A)
    ledger.release(line, 10.0)

    assert ledger.lease(A, 14.999) is line


def test_no_keepalive_limit_means_for_ever() -> None:
    """None is no limit."""
    ledger = books(keepalive_s=None)
    line = dialled(ledger, A)
    ledger.release(line, 0.0)

    assert ledger.lease(A, 1e12) is line


def test_idle_connections_of_others_make_room() -> None:
    """The one that was used longest ago goes."""
    ledger = books(2)
    old, young = dialled(ledger, A), dialled(ledger, B)
    ledger.release(old, 1.0)
    ledger.release(young, 2.0)

    assert ledger.lease(C, 3.0) is DIAL
    assert ledger.doomed == [old]
    assert ledger.count == 2


def test_no_more_idle_connections_than_allowed() -> None:
    """The oldest idle one is given up."""
    ledger = books(None, max_idle=1)
    first, second = dialled(ledger, A), dialled(ledger, B)
    ledger.release(first, 1.0)
    ledger.release(second, 2.0)

    assert ledger.doomed == [first]
    assert ledger.idle == 1


def test_idle_connections_beyond_the_limit_have_a_moment() -> None:
    """Those who ask next in the same turn find them; only what nobody wanted is given up."""
    ledger = books(None, max_idle=1)
    lines = [dialled(ledger, A) for _ in range(3)]
    for line in lines:
        ledger.release(line, 1.0)

    assert ledger.has_excess
    assert [ledger.lease(A, 1.1) for _ in range(3)] == lines[::-1]
    for line in lines:
        ledger.release(line, 1.2)
    ledger.trim(1.5)
    assert ledger.doomed == []
    ledger.trim(2.2)
    assert ledger.doomed == lines[:2]
    assert not ledger.has_excess


def test_max_idle_zero_keeps_none() -> None:
    """Each connection serves once, or whoever waits at that moment."""
    ledger = books(1, max_idle=0)
    line = dialled(ledger, A)
    guest = queued(ledger, A)
    ledger.release(line, 1.0)

    assert guest.grant is line
    ledger.release(line, 2.0)
    assert ledger.doomed == [line]


def test_what_becomes_free_goes_to_the_longest_waiting() -> None:
    """First come, first served over all origins: here by closing the free connection and dialling anew."""
    ledger = books(1)
    line = dialled(ledger, A)
    first, second = queued(ledger, B), queued(ledger, A)
    ledger.release(line, 1.0)

    assert first.grant is DIAL
    assert second.grant is None
    assert ledger.doomed == [line]


def test_a_failed_dial_passes_its_room_on() -> None:
    """The next in the queue may dial."""
    ledger = books(1)
    assert ledger.lease(A, 0.0) is DIAL
    guest = queued(ledger, A)
    ledger.dial_failed(A)

    assert guest.grant is DIAL
    assert ledger.count == 1


def test_a_dead_connection_passes_its_room_on() -> None:
    """Twice discarded counts once."""
    ledger = books(1)
    line = dialled(ledger, A)
    guest = queued(ledger, B)
    ledger.discard(line)
    ledger.discard(line)

    assert guest.grant is DIAL
    assert ledger.count == 1


def test_who_gave_up_is_passed_over() -> None:
    """A waiter that was cancelled frees its place; forgetting twice does nothing."""
    ledger = books(1)
    line = dialled(ledger, A)
    gone, next_one = queued(ledger, A), queued(ledger, A)
    ledger.forget(gone)
    ledger.forget(gone)
    ledger.release(line, 1.0)

    assert gone.grant is None
    assert next_one.grant is line


def test_a_connection_that_died_while_being_opened_is_not_counted_twice() -> None:
    """Discarded before it was announced: its room is free once."""
    ledger = books(1)
    assert ledger.lease(A, 0.0) is DIAL
    line = Line(A)
    ledger.discard(line)
    ledger.opened(line)

    assert ledger.count == 0
    assert ledger.lease(A, 0.0) is DIAL


def test_a_shared_connection_serves_many() -> None:
    """Up to its capacity; then the next waits."""
    ledger = books(1)
    line = dialled(ledger, A, 3, may_share=True)

    assert [ledger.lease(A, 0.0, True) for _ in range(3)] == [line, line, WAIT]
    assert line.leased == 3


def test_requests_that_start_together_wait_for_the_first_connection() -> None:
    """Where a connection may be shared, one is opened and the others join it, in order."""
    ledger = books(10)
    assert ledger.lease(A, 0.0, True) is DIAL
    guests = [queued(ledger, A, may_share=True) for _ in range(3)]
    line = Line(A, 3)
    ledger.opened(line, is_shared=True)

    assert [guest.grant for guest in guests] == [line, line, DIAL]
    assert ledger.count == 2


def test_those_who_waited_for_a_plain_connection_dial() -> None:
    """The origin turned out to speak HTTP/1.1; that is remembered."""
    ledger = books(10)
    assert ledger.lease(A, 0.0, True) is DIAL
    guests = [queued(ledger, A, may_share=True) for _ in range(2)]
    ledger.opened(Line(A))

    assert [guest.grant for guest in guests] == [DIAL, DIAL]
    assert ledger.lease(A, 0.0, True) is DIAL


def test_waiting_for_a_first_connection_blocks_nobody_else() -> None:
    """A request to another origin goes ahead."""
    ledger = books(10)
    assert ledger.lease(A, 0.0, True) is DIAL
    queued(ledger, A, may_share=True)

    assert ledger.lease(B, 0.0, True) is DIAL


def test_a_failed_first_dial_lets_the_next_try() -> None:
    """Alone again: the rest goes on waiting for that one."""
    ledger = books(10)
    assert ledger.lease(A, 0.0, True) is DIAL
    first, second = queued(ledger, A, may_share=True), queued(ledger, A, may_share=True)
    ledger.dial_failed(A)

    assert first.grant is DIAL
    assert second.grant is None
    ledger.opened(Line(A, 5), is_shared=True)
    assert isinstance(second.grant, Line)


def test_more_capacity_lets_waiters_in() -> None:
    """The peer raised its limit of streams."""
    ledger = books(1)
    line = dialled(ledger, A, 2, may_share=True)
    assert ledger.lease(A, 0.0, True) is line
    guests = [queued(ledger, A, may_share=True) for _ in range(3)]
    ledger.resize(line, 4, 1.0)

    assert [guest.grant for guest in guests] == [line, line, None]


def test_less_capacity_keeps_those_who_are_in() -> None:
    """The peer lowered its limit: nobody new until enough have left."""
    ledger = books(1)
    line = dialled(ledger, A, 3, may_share=True)
    assert ledger.lease(A, 0.0, True) is line
    ledger.resize(line, 1, 1.0)
    guest = queued(ledger, A, may_share=True)
    ledger.release(line, 2.0)
    assert guest.grant is None
    ledger.release(line, 3.0)

    assert guest.grant is line


def test_what_a_peer_says_before_its_connection_is_in_the_books() -> None:
    """An HTTP/2 server may tell its limit first of all: nobody is let in before the one who dialled."""
    ledger = books()
    assert ledger.lease(A, 0.0, may_share=True) is DIAL
    guest = Guest(A, may_share=True)
    ledger.enqueue(guest)
    line = Line(A, 100)
    ledger.resize(line, 10, 0.0)
    ledger.opened(line, is_shared=True)

    assert guest.grant is line
    assert line.leased == 2


def test_a_connection_without_capacity_can_make_room() -> None:
    """After GOAWAY the last exchange ends: the connection is of no use, and must not hold its place for ever."""
    ledger = books(1)
    line = dialled(ledger, A, 3, may_share=True)
    ledger.resize(line, 0, 1.0)
    guest = queued(ledger, B)
    ledger.release(line, 2.0)

    assert guest.grant is DIAL
    assert ledger.doomed == [line]


def test_clear_gives_up_what_is_idle() -> None:
    """And leaves what is in use."""
    ledger = books(2)
    idle, busy = dialled(ledger, A), dialled(ledger, A)
    ledger.release(idle, 1.0)
    ledger.clear()

    assert ledger.doomed == [idle]
    assert not busy.is_gone
    assert repr(ledger) == "<Ledger 1 connections, 0 idle, 0 waiting>"


class Books(RuleBasedStateMachine):
    """Any order of lease, open, fail, release, discard, resize, give up: never one too many, none lost, none twice."""

    cap = 3
    keys = st.sampled_from([A, B])
    shares = st.booleans()

    def __init__(self) -> None:
        super().__init__()
        self.ledger = books(self.cap, max_idle=2, keepalive_s=5.0)
        self.now = 0.0
        self.dialling: list[tuple[Origin, bool]] = []
        self.uses: list[Line] = []  # one entry for each exchange under way
        self.waiting: list[Guest] = []
        self.alive: list[Line] = []

    def _took(self, key: Origin, may_share: bool, grant: Any) -> None:
        if grant is DIAL:
            self.dialling.append((key, may_share))
        else:
            assert grant.key == key
            assert not grant.is_gone
            self.uses.append(grant)

    def _settle(self) -> None:
        """See who was woken, and that nobody was overtaken by one who wants the same."""
        for line in self.ledger.doomed:
            assert line not in self.uses
            self.alive.remove(line)
        self.ledger.doomed.clear()
        woken = [guest for guest in self.waiting if guest.grant is not None]
        for guest in woken:
            earlier = self.waiting[: self.waiting.index(guest)]
            assert all(other.key != guest.key or other.may_share != guest.may_share for other in earlier)
            self.waiting.remove(guest)
            self._took(guest.key, guest.may_share, guest.grant)

    @rule(key=keys, may_share=shares)
    def ask(self, key: Origin, may_share: bool) -> None:
        """A request comes."""
        grant = self.ledger.lease(key, self.now, may_share)
        if grant is WAIT:
            guest = Guest(key, may_share)
            self.waiting.append(guest)
            self.ledger.enqueue(guest)
        else:
            self._took(key, may_share, grant)
        self._settle()

    @precondition(lambda self: self.dialling)
    @rule(data=st.data(), capacity=st.integers(1, 3))
    def open(self, data: st.DataObject, capacity: int) -> None:
        """A dial succeeds."""
        key, may_share = self._pick(data, self.dialling)
        self.dialling.remove((key, may_share))
        line = Line(key, capacity if may_share else 1)
        self.alive.append(line)
        self.uses.append(line)
        self.ledger.opened(line, is_shared=line.capacity > 1)
        self._settle()

    @precondition(lambda self: self.dialling)
    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        """A dial fails."""
        key, may_share = self._pick(data, self.dialling)
        self.dialling.remove((key, may_share))
        self.ledger.dial_failed(key)
        self._settle()

    @precondition(lambda self: self.uses)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """An exchange ends well."""
        line = self._pick(data, self.uses)
        self.uses.remove(line)
        self.ledger.release(line, self.now)
        self._settle()

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        """A connection breaks, whatever it carries."""
        line = self._pick(data, self.alive)
        self.alive.remove(line)
        self.uses = [other for other in self.uses if other is not line]
        self.ledger.discard(line)
        self._settle()

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), capacity=st.integers(0, 4))
    def resize(self, data: st.DataObject, capacity: int) -> None:
        """A peer changes its limit."""
        line = self._pick(data, self.alive)
        self.ledger.resize(line, capacity, self.now)
        self._settle()

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        """A waiter is cancelled."""
        guest = self._pick(data, self.waiting)
        self.waiting.remove(guest)
        self.ledger.forget(guest)
        self._settle()

    @rule(seconds=st.sampled_from([0.1, 1.0, 6.0]))
    def pass_time(self, seconds: float) -> None:
        """Time passes; the pool sees to idle connections now and then."""
        self.now += seconds
        self.ledger.trim(self.now)
        self._settle()
        idle = [line for line in self.alive if line not in self.uses]
        assert len(idle) <= 2 or any(self.now - line.idle_since < 1.0 for line in idle)

    @staticmethod
    def _pick(data: st.DataObject, things: list[Any]) -> Any:
        return data.draw(st.sampled_from(things))

    @invariant()
    def the_books_are_right(self) -> None:
        """Counts agree with what the users hold, within the limits."""
        assert self.ledger.count == len(self.alive) + len(self.dialling) <= self.cap
        assert self.ledger.waiting == len(self.waiting)
        idle = [line for line in self.alive if line not in self.uses]
        assert self.ledger.idle == len(idle)
        for line in self.alive:
            assert line.leased == sum(use is line for use in self.uses)

    @invariant()
    def nobody_waits_in_vain(self) -> None:
        """With room or an idle connection, whoever waits does so for a first connection that is being opened."""
        if self.ledger.count < self.cap or self.ledger.idle:
            opening = {key for key, may_share in self.dialling if may_share}
            assert all(guest.may_share and guest.key in opening for guest in self.waiting)


def _quick(machine: type[RuleBasedStateMachine]) -> Callable[[], None]:
    case = machine.TestCase
    case.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)

    def test() -> None:
        """See `Books`."""
        case("runTest").debug()

    return test


test_books = _quick(Books)

"""Which process has which host, and how much of it."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from crawler.fanout.frontier import Lease
from crawler.fanout.plan import HostLimits, Item, Politeness
from crawler.fanout.result import Result
from crawler.fanout.shares import MAX_AHEAD, Shares, rendezvous

HOSTS = [f"http://h{number}.example" for number in range(400)]


@given(st.text(), st.integers(1, 9))
def test_a_host_always_belongs_to_the_same_process(key: str, n: int) -> None:
    """The same key gives the same process, one of those there are."""
    assert rendezvous(key, n) == rendezvous(key, n) in range(n)


def test_hosts_are_shared_out_evenly_and_few_move() -> None:
    """With one process more, hosts move to it alone, about one of every n."""
    before = [rendezvous(host, 4) for host in HOSTS]
    after = [rendezvous(host, 5) for host in HOSTS]
    assert min(Counter(before).values()) > 60
    moved = [new for old, new in zip(before, after, strict=True) if old != new]
    assert set(moved) == {4}
    assert 40 < len(moved) < 130


def result(number: int, host: str, rank: int = 0) -> Result:
    """A request that was leased."""
    made = Result(Lease(number, bytes(16), Item(f"{host}/{number}"), host), number, None, 0.0)
    made.rank = rank
    return made


def shares(given: list[tuple[int, Result]], limits: HostLimits, processes: int = 2) -> Shares:
    """Shares that put what they give into a list."""
    politeness = Politeness(limits=limits)
    return Shares(politeness, processes, 8, lambda number, one: given.append((number, one)))


def test_a_host_gets_no_more_than_its_quota_and_asks_for_more() -> None:
    """A polite host has sixteen requests out; when half of them came back it is hungry, and gets twice as many."""
    given: list[tuple[int, Result]] = []
    some = shares(given, HostLimits(concurrency=2))
    called: list[int] = []
    some.on_hungry = lambda: called.append(1)
    host = HOSTS[0]
    assert some.room(host) == 16
    for number in range(16):
        some.hand_out(result(number, host))
    assert some.room(host) == 0
    some.note_more(host, 0.0)
    assert not called
    for _ in range(8):
        some.take_back(host)
    assert len(called) == 1
    share = some.hungry.popleft()
    assert share.key == host
    assert some.appetite(share) == 8
    for _ in range(8):
        some.take_back(host)
    assert some.appetite(share) == 32
    some.note_fed(share, is_all=True)
    assert not some.hungry
    assert {number for number, _ in given} == {rendezvous(host, 2)}


def test_nothing_goes_before_what_lies_in_the_frontier_unless_it_is_urgent() -> None:
    """While requests of a host are parked, later ones are too, but for those of a higher priority."""
    some = shares([], HostLimits(concurrency=2))
    host = HOSTS[0]
    some.hand_out(result(1, host))
    some.note_more(host, 0.0)
    assert some.room(host) == 0
    assert (some.room(host, -5) or 0) > 0


def test_hosts_without_limits_share_the_room_of_their_process() -> None:
    """A free host fills its process up to a bound; what is parked is called for when half of that is done."""
    some = shares([], HostLimits(), processes=1)
    for number in range(MAX_AHEAD + 8):
        some.hand_out(result(number, HOSTS[number % 2]))
    assert some.room(HOSTS[0]) == some.room(HOSTS[7]) == 0
    some.note_more(HOSTS[7], 0.0)
    assert not some.hungry
    for number in range(MAX_AHEAD // 2 + 4):
        some.take_back(HOSTS[number % 2])
    assert [share.key for share in some.hungry] == [HOSTS[7]]
    assert some.loads == [MAX_AHEAD // 2 + 4]
    assert some.waiting == MAX_AHEAD // 2 - 4

"""One host's clock, on numbers instead of seconds."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.fanout.hosts import MAX_ASKED_S, Bucket, HostClock, host_key, limits_for
from crawler.fanout.plan import CircuitPolicy, HostLimits, HostRule, Politeness, RetryPolicy


def half() -> float:
    """The middle of every jitter."""
    return 0.5


def clock(limits: HostLimits | None = None, circuit: CircuitPolicy | None = None, **retry: object) -> HostClock:
    """A clock with some settings changed."""
    policy = RetryPolicy(**{"jitter": "none", "base": 1.0, **retry})  # type: ignore[arg-type]  # settings of a test
    return HostClock(limits or HostLimits(), policy, circuit or CircuitPolicy(), 8)


def ask(host: HostClock, now: float, kind: str | None = None, asked: float | None = None, took: float = 0.1) -> float:
    """One request from start to end; gives the seconds of suspension."""
    assert host.ready_at() <= now
    host.start(now, half)
    return host.end(now, now + took, kind, asked, half)


@pytest.mark.parametrize(
    ("url", "by", "key"),
    [
        ("http://h.example/a?b", "origin", "http://h.example"),
        ("http://h.example", "origin", "http://h.example"),
        ("http://h.example:80/", "origin", "http://h.example"),
        ("https://h.example:80/", "origin", "https://h.example:80"),
        ("HTTP://H.Example:8080/", "origin", "http://h.example:8080"),
        ("http://user:secret@h.example/", "origin", "http://h.example"),
        ("http://[::1]:81/", "origin", "http://[::1]:81"),
        ("https://h.example:444/x", "host", "h.example"),
        ("http://h.example?q", "host", "h.example"),
        ("https://a.b.example.co.uk/x", "registrable_domain", "example.co.uk"),
        ("https://example.co.uk:444/x", "registrable_domain", "example.co.uk"),
        ("https://co.uk/", "registrable_domain", "co.uk"),
        ("http://localhost/", "registrable_domain", "localhost"),
        ("http://127.0.0.1:8080/", "registrable_domain", "127.0.0.1"),
        ("http://[::1]/", "registrable_domain", "::1"),
        ("nonsense", "origin", ""),
        ("http://[broken", "host", ""),
    ],
)
def test_hosts_have_one_name(url: str, by: str, key: str) -> None:
    """However a URL writes its host, the key is the same; it holds no secrets."""
    assert host_key(url, by) == key


def test_the_first_rule_that_matches_counts() -> None:
    """Rules match the name, or name and port; everybody else has the common limits."""
    slow, fast, rest = HostLimits(rate=1.0), HostLimits(rate=9.0), HostLimits(concurrency=2)
    politeness = Politeness(
        limits=rest, rules=(HostRule("*.SHOP.example", slow), HostRule("*.example", fast), HostRule("[[]::1]:8*", slow))
    )

    assert limits_for(politeness, "https://a.shop.example:444") is slow
    assert limits_for(politeness, "www.example") is fast
    assert limits_for(politeness, "http://[::1]:81") is slow
    assert limits_for(politeness, "http://example.org") is rest
    assert limits_for(politeness, "") is rest


def test_rules_may_name_networks() -> None:
    """Where hosts are told by their addresses, a rule may name a network; no name lies in one."""
    near, six, rest = HostLimits(rate=9.0), HostLimits(rate=8.0), HostLimits(rate=1.0)
    rules = (HostRule("192.0.2.0/24", near), HostRule("2001:DB8::/32", six), HostRule("10.*", near))
    politeness = Politeness("ip", rest, rules)

    assert limits_for(politeness, "192.0.2.77") is near
    assert limits_for(politeness, "10.1.2.3") is near
    assert limits_for(politeness, "2001:db8::5") is six
    assert limits_for(politeness, "192.0.3.1") is rest
    assert limits_for(politeness, "h.example") is rest


@given(
    rate=st.floats(0.01, 1000),
    burst=st.integers(1, 5),
    jitter=st.floats(0, 1),
    pauses=st.lists(st.floats(0, 100), max_size=60),
    chance=st.randoms(use_true_random=False),
)
def test_a_bucket_keeps_its_rate(rate: float, burst: int, jitter: float, pauses: list[float], chance: object) -> None:
    """Whatever pauses lie between: in any window there are no more starts than the burst and the rate allow."""
    rng = chance.random  # type: ignore[attr-defined]  # a random.Random
    bucket, now, starts = Bucket(rate, burst, jitter), 0.0, []
    for pause in pauses:
        now = max(now + pause * (pause > 50), bucket.next_allowed)
        starts.append(now)
        bucket.start(now, rng)

    shortest = (1 - jitter) / rate
    for first in range(len(starts)):
        for last in range(first + burst, len(starts)):
            assert starts[last] - starts[first] >= (last - first - burst + 1) * shortest - 1e-6


def test_concurrency_is_kept() -> None:
    """With so many under way it is ready only when one of them ends."""
    host = clock(HostLimits(concurrency=2))
    host.start(0.0, half)
    host.start(0.0, half)
    assert host.ready_at() == math.inf

    host.cancel()
    assert host.ready_at() <= 0


def test_retry_after_suspends_the_host() -> None:
    """Nobody is let through before the instant it named; the rate goes on from there."""
    host = clock(HostLimits(rate=1.0))

    assert ask(host, 0.0, "rate_limited", asked=30.0) == 30.0
    assert host.ready_at() == 30.1
    assert host.next_allowed == 1.0  # kept apart


def test_retry_after_of_zero_is_none() -> None:
    """`Retry-After: 0` does not switch the back-off off."""
    host = clock()

    ask(host, 0.0, "rate_limited", asked=0.0)

    assert host.backoff_until == pytest.approx(1.1)


@pytest.mark.parametrize("n", [2, 8, 50])
def test_a_burst_of_429s_is_one_step(n: int) -> None:
    """All that were under way together make one step; the next round makes the next."""
    host = clock()
    for expected in (1.0, 2.0, 4.0):
        begun = max(0.0, host.ready_at())
        for _ in range(n):
            host.start(begun, half)
        for number in range(n):
            host.end(begun, begun + 0.1 + number * 0.001, "rate_limited", None, half)
        assert host.backoff_until == pytest.approx(begun + 0.1 + expected)


def test_success_ends_the_steps() -> None:
    """After an answer the back-off begins anew; one that was sent before the last step does not count."""
    host = clock()
    host.start(0.0, half)
    host.start(0.0, half)
    host.end(0.0, 0.1, "rate_limited", None, half)
    host.end(0.0, 0.2, None, None, half)  # an old one
    ask(host, 2.0, "rate_limited")
    assert host.backoff_until == pytest.approx(2.1 + 2.0)

    ask(host, 5.0)
    ask(host, 6.0, "rate_limited")
    assert host.backoff_until == pytest.approx(6.1 + 1.0)


@pytest.mark.parametrize(
    ("mode", "until", "is_given_up"), [("obey", 0.1 + MAX_ASKED_S, True), ("cap", 60.1, False), ("ignore", 1.1, False)]
)
def test_a_wait_beyond_the_longest(mode: str, until: float, is_given_up: bool) -> None:
    """Obeyed, the host is asked no more in this run; capped, it waits the longest; ignored, it backs off."""
    host = clock(retry_after=mode, max_wait=60.0)

    ask(host, 0.0, "rate_limited", asked=math.inf)

    assert host.is_given_up is is_given_up
    assert host.backoff_until == pytest.approx(until)


def test_the_circuit_opens_doubles_and_gives_up() -> None:
    """After five failures a pause, then one probe; each that fails doubles the pause; after the longest it is over."""
    host = clock(circuit=CircuitPolicy(failures=5, open_for=60.0, max_open=200.0))
    for number in range(5):
        suspended = ask(host, float(number), "connect_refused", took=0.0)
    assert suspended == 60.0

    for pause in (120.0, 200.0):
        now = host.ready_at()
        host.start(now, half)
        assert host.ready_at() == math.inf  # one probe
        assert host.end(now, now, "http_5xx", None, half) == pause
        assert not host.is_given_up
    now = host.ready_at()
    ask(host, now, "timeout_read")

    assert host.is_given_up


def test_one_good_probe_closes_the_circuit() -> None:
    """The count begins anew, with the short pause."""
    host = clock(circuit=CircuitPolicy(failures=2, open_for=60.0))
    for now in (0.0, 1.0):
        ask(host, now, "timeout_connect", took=0.0)
    ask(host, 61.0, "http_4xx")

    assert host.ready_at() <= 61
    assert ask(host, 70.0, "http_5xx") == 0
    assert ask(host, 71.0, "http_5xx") == pytest.approx(60)


def test_failures_that_were_under_way_together_are_one() -> None:
    """Eight connections that break at once are one failure; the next round that fails as well opens the circuit."""
    host = clock(circuit=CircuitPolicy(failures=2, open_for=60.0))
    for now in (0.0, 1.0):
        assert host.ready_at() <= now
        for _ in range(8):
            host.start(now, half)
        for _ in range(8):
            host.end(now, now + 1, "connect_refused", None, half)

    assert host.ready_at() == 62.0
    assert not host.is_given_up


@pytest.mark.parametrize("kind", ["http_4xx", "disk_full", "internal", "invalid_url", None])
def test_what_is_not_the_hosts_fault_opens_nothing(kind: str | None) -> None:
    """Refusals, our own disk and our own bugs are no trouble of the host."""
    host = clock(circuit=CircuitPolicy(failures=1))

    assert ask(host, 0.0, kind) == 0


def test_the_budget_of_retries() -> None:
    """A tenth of the first tries, besides one for each that may be under way and a reserve of ten."""
    host = clock(HostLimits(concurrency=4))
    for number in range(100):
        ask(host, float(number))

    granted = 0
    while host.may_retry():
        granted += 1
        ask(host, 1000.0 + granted)

    assert granted == 10 + 4 + 10
    assert all(clock(budget=None).may_retry() for _ in range(1000))

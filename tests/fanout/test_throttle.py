"""What one host is asked, as it can bear it; on numbers instead of seconds."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.fanout.hosts import Bucket, HostClock
from crawler.fanout.plan import CircuitPolicy, HostLimits, Politeness, RetryPolicy
from crawler.fanout.result import Result
from crawler.fanout.throttle import Throttle, ThrottlePolicy
from crawler.fanout.turns import Turns


def clean(throttle: Throttle, now: float, seconds: float, ttfb: float | None = 0.05) -> float:
    """Successes every half second, with as many under way as allowed; gives the time after them."""
    end = now + seconds
    while now < end:
        throttle.learn(now, now + 0.1, None, 200, ttfb, throttle.concurrency)
        now += 0.5
    return now


def test_it_begins_with_one_and_grows_by_one_for_each_clean_window() -> None:
    """One request at once at first, one more after each ten seconds without trouble, up to what the host allows."""
    throttle = Throttle(ThrottlePolicy(), 3, None)
    seen = [throttle.concurrency]
    now = 100.0
    for _ in range(4):
        now = clean(throttle, now, 10.5)
        seen.append(throttle.concurrency)

    assert seen == [1, 2, 3, 3, 3]
    assert throttle.rate is None


def test_it_does_not_grow_where_there_is_no_need() -> None:
    """Limits that nobody used say nothing about what the host can bear."""
    throttle = Throttle(ThrottlePolicy(), 8, None)
    clean(throttle, 0.0, 10.5)
    for second in range(11, 100):
        throttle.learn(second, second + 0.1, None, 200, 0.05, 1)

    assert throttle.concurrency == 2


@pytest.mark.parametrize(
    ("kind", "status"),
    [("rate_limited", 429), ("http_5xx", 503), ("http_5xx", 504), ("timeout_read", None), ("timeout_connect", None)],
)
def test_trouble_halves_both(kind: str, status: int | None) -> None:
    """429, 503 and time-outs leave half of concurrency and rate, down to one and the floor."""
    throttle = Throttle(ThrottlePolicy(min=0.2), 8, 1.0)
    now = clean(throttle, 0.0, 75.0)
    assert (throttle.concurrency, throttle.rate) == (8, 1.0)
    seen = []
    for _ in range(4):
        now += 1.0
        throttle.learn(now, now + 0.1, kind, status, 0.01, 8)
        seen.append((throttle.concurrency, throttle.rate))

    assert seen == [(4, 0.5), (2, 0.25), (1, 0.2), (1, 0.2)]


def test_a_burst_is_one_trouble() -> None:
    """Requests that were under way together and all fail make one step."""
    throttle = Throttle(ThrottlePolicy(), 8, 4.0)
    clean(throttle, 0.0, 75.0)
    changes = [throttle.learn(100.0 + n / 100, 101.0 + n / 100, "rate_limited", 429, None, 8) for n in range(8)]

    assert changes == [True, *[False] * 7]
    assert (throttle.concurrency, throttle.rate) == (4, 2.0)


@pytest.mark.parametrize(("kind", "status"), [("http_4xx", 404), ("http_5xx", 500), ("connect_refused", None)])
def test_errors_never_speed_up(kind: str, status: int | None) -> None:
    """However many errors come, and however fast, nothing is asked faster."""
    throttle = Throttle(ThrottlePolicy(), 8, 1.0)
    throttle.learn(0.0, 0.1, "rate_limited", 429, None, 1)
    for second in range(1, 500):
        throttle.learn(second, second + 0.001, kind, status, 0.001, 1)

    assert (throttle.concurrency, throttle.rate) == (1, 0.5)


def test_errors_among_successes_do_not_let_it_grow() -> None:
    """Ten seconds in which connections failed are not clean."""
    throttle = Throttle(ThrottlePolicy(), 8, None)
    for second in range(200):
        throttle.learn(second, second + 0.1, None, 200, 0.05, 1)
        if second % 5 == 0:
            throttle.learn(second, second + 0.2, "http_5xx", 500, None, 1)

    assert throttle.concurrency == 1


def test_a_rate_comes_back_by_tenths() -> None:
    """After trouble the rate grows by a tenth of what is allowed for each clean window, and no further."""
    throttle = Throttle(ThrottlePolicy(), 2, 1.0)
    throttle.learn(0.0, 0.1, "rate_limited", 429, None, 1)
    rates = []
    now = 1.0
    for _ in range(7):
        now = clean(throttle, now, 10.5)
        rates.append(round(throttle.rate or 0.0, 3))

    assert rates == [0.6, 0.7, 0.8, 0.9, 1.0, 1.0, 1.0]
    assert throttle.is_at_ease


def test_a_host_without_a_rate_gets_one_when_one_at_once_is_too_much() -> None:
    """The rate begins at half of what was reached, and is lifted when it is far above what was too much."""
    throttle = Throttle(ThrottlePolicy(), 8, None)
    for n in range(20):
        throttle.learn(n / 10, n / 10 + 0.1, None, 200, None, 1)
    throttle.learn(2.0, 2.1, "rate_limited", 429, None, 1)
    assert throttle.rate == pytest.approx(5.0)
    now = 3.0
    rates = []
    while throttle.rate is not None:
        now = clean(throttle, now, 10.5)
        rates.append(throttle.rate)

    assert rates == [pytest.approx(5.0 + n) for n in range(1, 15)] + [None]


def test_late_first_bytes_slow_it_down() -> None:
    """With first bytes three times as late as in its best time, it is asked less; no error is needed."""
    throttle = Throttle(ThrottlePolicy(), 8, 1.0)
    now = clean(throttle, 0.0, 53.0, ttfb=0.3)
    assert throttle.concurrency == 6
    clean(throttle, now, 10.5, ttfb=0.9)
    assert throttle.concurrency == 5
    assert throttle.rate == pytest.approx(0.84)
    clean(throttle, now + 10.5, 10.5, ttfb=0.9)

    assert throttle.concurrency == 3
    assert throttle.rate == pytest.approx(0.84 * 0.735, rel=0.01)


def test_a_wished_time_to_the_first_byte_is_kept_to() -> None:
    """`target_ttfb` takes the place of the best time, from the first window on."""
    throttle = Throttle(ThrottlePolicy(min=0.1, target_ttfb=0.5), 8, 1.0)
    clean(throttle, 0.0, 100.0, ttfb=2.0)

    assert throttle.concurrency == 1
    assert throttle.rate == 0.1


def test_noise_is_no_slowness() -> None:
    """Thousandths of a second more or less change nothing."""
    throttle = Throttle(ThrottlePolicy(), 4, 1.0)
    now = clean(throttle, 0.0, 10.5, ttfb=0.001)
    clean(throttle, now, 25.0, ttfb=0.05)

    assert throttle.concurrency == 4
    assert throttle.rate == 1.0


def test_the_bounds_hold() -> None:
    """`max` lowers the host's own rate and never raises it; the floor is never above the rate."""
    assert Throttle(ThrottlePolicy(max=5.0), 1, 1.0).rate == 1.0
    assert Throttle(ThrottlePolicy(max=0.5), 1, 1.0).rate == 0.5
    assert Throttle(ThrottlePolicy(max=0.5), 1, None).rate == 0.5
    slow = Throttle(ThrottlePolicy(min=0.1), 1, 0.05)
    slow.learn(0.0, 1.0, "rate_limited", 429, None, 1)
    assert slow.rate == 0.05
    with pytest.raises(ValueError, match="least rate"):
        ThrottlePolicy(min=2.0, max=1.0)


def test_it_survives_a_restart() -> None:
    """What a host could bear is known to the next run, within that run's bounds."""
    throttle = Throttle(ThrottlePolicy(), 8, 4.0)
    assert throttle.state() is None
    clean(throttle, 0.0, 75.0)
    throttle.learn(100.0, 100.1, "rate_limited", 429, None, 8)
    state = throttle.state()
    assert state is not None
    same, smaller = Throttle(ThrottlePolicy(), 8, 4.0), Throttle(ThrottlePolicy(), 2, 1.0)
    same.restore(state)
    smaller.restore(state)

    assert (same.concurrency, same.rate) == (4, 2.0)
    assert (smaller.concurrency, smaller.rate) == (2, 1.0)


@given(
    rate=st.floats(0.1, 50),
    burst=st.integers(1, 4),
    steps=st.lists(st.tuples(st.floats(0.02, 1.0), st.integers(1, 5)), max_size=30),
    chance=st.randoms(use_true_random=False),
)
def test_a_bucket_that_changes_its_pace_never_gives_more(
    rate: float, burst: int, steps: list[tuple[float, int]], chance: object
) -> None:
    """Slower or faster in any order: in any window no more starts than the fastest pace allows."""
    rng = chance.random  # type: ignore[attr-defined]  # a random.Random
    jitter = 0.2
    bucket, now, starts = Bucket(rate, burst, jitter), 0.0, []
    for share, n in steps:
        for _ in range(n):
            now = max(now, bucket.next_allowed)
            bucket.start(now, rng)
            starts.append(now)
        now += rng() / rate
        bucket.pace(rate * share, now)

    shortest = (1 - jitter if burst == 1 else 1.0) / rate
    for before, after in zip(starts, starts[burst:], strict=False):
        assert after - before >= shortest - 1e-9
    if burst == 1:
        assert all(later - earlier >= shortest - 1e-9 for earlier, later in pairwise(starts))


def test_a_throttled_clock_holds_back_what_its_limits_would_allow() -> None:
    """Its host may have eight at once, but gets the second only when the first went well for a while."""
    host = HostClock(HostLimits(concurrency=8), RetryPolicy(), CircuitPolicy(), 8, ThrottlePolicy())
    host.start(0.0, lambda: 0.5)
    assert host.ready_at() == float("inf")
    host.end(0.0, 0.1, None, None, lambda: 0.5, 200, 0.05)
    host.start(10.0, lambda: 0.5)
    host.end(10.0, 10.2, None, None, lambda: 0.5, 200, 0.05)
    host.start(11.0, lambda: 0.5)

    assert host.ready_at() <= 11.0


def test_a_host_in_trouble_is_not_forgotten() -> None:
    """A clock may be dropped only if a new one would ask no harder."""
    host = HostClock(HostLimits(rate=1.0), RetryPolicy(base=0.0), CircuitPolicy(), 8, ThrottlePolicy())
    host.start(0.0, lambda: 0.5)
    host.end(0.0, 0.1, "timeout_read", None, lambda: 0.5)

    assert not host.is_idle(1e6)


def test_turns_tell_what_a_host_may_have() -> None:
    """The table of hosts shows concurrency and rate as they are; nothing where there is no throttle."""
    politeness = Politeness(limits=HostLimits(concurrency=4, rate=2.0), throttle=ThrottlePolicy())
    turns = Turns(politeness, RetryPolicy(), 8)
    result = Result("http://h/", 1, None, 0.0)
    result.host = "http://h"
    assert turns.admit(result, 0.0)
    assert turns.throttled("http://h") == (1, 2.0)
    turns.end("http://h", 0.0, 1.0, "timeout_read", None, result)

    assert turns.throttled("http://h") == (1, 1.0)
    assert turns.throttled("http://other") is None
    assert Turns(Politeness(), RetryPolicy(), 8).throttled("http://h") is None

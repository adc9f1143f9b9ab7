"""Hours of hosts: read strictly, right over midnight and through changes of the clock."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.fanout import HostLimits, HostRule, Politeness, RetryPolicy
from crawler.fanout.result import Result
from crawler.fanout.turns import Turns
from crawler.fanout.windows import opens_in, parse_window


def at(text: str) -> float:
    """Seconds since 1970 of an instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("hours", "now", "wait_h"),
    [
        ("09:00-17:00", "2026-11-21 12:00", 0),
        ("09:00-17:00", "2026-11-21 09:00", 0),
        ("09:00-17:00", "2026-11-21 17:00", 16),
        ("09:00-17:00", "2026-11-21 08:30", 0.5),
        ("22:00-06:00", "2026-11-21 23:00", 0),
        ("22:00-06:00", "2026-11-21 05:59", 0),
        ("22:00-06:00", "2026-11-21 06:00", 16),
        ("00:00-24:00", "2026-11-21 06:00", 0),
        ("18:00-24:00", "2026-11-21 23:59", 0),
        ("18:00-24:00", "2026-11-22 00:00", 18),
        ("22:00-06:00 Europe/Berlin", "2026-11-21 20:00", 1),
        ("22:00-06:00 Europe/Berlin", "2026-07-01 20:00", 0),
        ("04:00-05:00 Europe/Berlin", "2026-10-25 00:00", 3),  # the night has an hour more
        ("04:00-05:00 Europe/Berlin", "2026-03-29 00:00", 2),  # and this one an hour less
        ("22:00-06:00 Asia/Kolkata", "2026-11-21 16:00", 0.5),
    ],
)
def test_when_a_window_opens(hours: str, now: str, wait_h: float) -> None:
    """The wait until its next opening, none while it is open."""
    assert opens_in([parse_window(hours)], at(now)) == pytest.approx(wait_h * 3600)


def test_the_first_of_several_counts() -> None:
    """Any window that is open will do."""
    windows = [parse_window("01:00-02:00"), parse_window("05:00-06:00")]
    assert [opens_in(windows, at(f"2026-11-21 {hour:02d}:30")) / 3600 for hour in (0, 1, 2, 5, 7)] == [
        0.5,
        0,
        2.5,
        0,
        17.5,
    ]


@given(
    wall=st.floats(0, 4e9),
    hours=st.tuples(*[st.integers(0, 23)] * 2).filter(lambda pair: pair[0] != pair[1]),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
)
def test_after_the_wait_it_is_open(wall: float, hours: tuple[int, int], zone: str) -> None:
    """Whatever the time, one wait of little more than a day at most leads into the window."""
    windows = [parse_window(f"{hours[0]:02d}:00-{hours[1]:02d}:00 {zone}")]

    wait = opens_in(windows, wall)

    assert 0 <= wait <= 49 * 3600
    assert opens_in(windows, wall + wait + 1e-3) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("9-17", "expected hours like"),
        ("09:00-09:00", "begin and end at the same time"),
        ("25:00-06:00", "no time of the day"),
        ("09:00-17:60", "no time of the day"),
        ("09:00-17:00 Mars/Olympus", "no time zone 'Mars/Olympus'"),
        ("09:00-17:00 ../etc/passwd", "no time zone"),
    ],
)
def test_what_is_no_window(text: str, message: str) -> None:
    """The message says what is wrong."""
    with pytest.raises(ValueError, match=message):
        parse_window(text)


def test_a_host_waits_for_its_hours() -> None:
    """Outside them it is asked nothing, others are; inside, its rate holds; the next day it goes on."""
    politeness = Politeness(
        rules=(HostRule("slow", HostLimits(rate=1 / 3600, jitter=0.0), (parse_window("10:00-12:00"),)),)
    )
    midnight = at("2026-11-21 00:00")
    turns = Turns(politeness, RetryPolicy(), 8, wall=lambda: midnight + now)
    now = 0.0
    starts: list[float] = []
    for number in range(5):
        result = Result(f"http://slow/{number}", number, None, 0.0)
        result.host = "http://slow"
        assert not turns.admit(result, now)
    other = Result("http://other/", 9, None, 0.0)
    other.host = "http://other"
    assert turns.admit(other, now)

    while (then := turns.next_time()) is not None:
        now = max(now, then)
        if turns.take(now) is not None:
            starts.append(now / 3600)
            turns.end("http://slow", now, now, None, None)

    assert starts == pytest.approx([10, 11, 34, 35, 58])
    assert all(later > earlier for earlier, later in pairwise(starts))

"""Schedules over two zones' changes of the clock, over restarts and over clocks that jump: each slot once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.jobs.service_schema import Schedule
from crawler.service.when import MAX_CATCH_UP, delay, judge, next_slots, slots_after

BERLIN = "Europe/Berlin"  # forward on 2026-03-29 at 02:00, back on 2026-10-25 at 03:00
NEW_YORK = "America/New_York"  # forward on 2026-03-08 at 02:00, back on 2026-11-01 at 02:00
LORD_HOWE = "Australia/Lord_Howe"  # changes by half an hour


def make(**keys: Any) -> Schedule:
    """A schedule as a job file gives it."""
    return Schedule.model_validate(keys)


def at(text: str) -> float:
    """An instant given in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def shown(slots: list[int], zone: str = "UTC") -> list[str]:
    """Slots as a wall clock of the zone shows them, with the offset."""
    return [datetime.fromtimestamp(slot, ZoneInfo(zone)).strftime("%d %H:%M%z") for slot in slots]


@pytest.mark.parametrize(
    ("zone", "cron", "start", "expected"),
    [
        (BERLIN, "30 2 * * *", "2026-03-27T12:00", ["28 02:30+0100", "29 03:00+0200", "30 02:30+0200"]),
        (BERLIN, "30 2 * * *", "2026-10-23T12:00", ["24 02:30+0200", "25 02:30+0200", "26 02:30+0100"]),
        (NEW_YORK, "30 2 * * *", "2026-03-07T01:00", ["07 02:30-0500", "08 03:00-0400", "09 02:30-0400"]),
        (NEW_YORK, "30 1 * * *", "2026-10-31T01:00", ["31 01:30-0400", "01 01:30-0400", "02 01:30-0500"]),
        (LORD_HOWE, "15 2 * * *", "2026-10-02T20:00", ["04 02:30+1100", "05 02:15+1100", "06 02:15+1100"]),
        (BERLIN, "*/30 * * * *", "2026-03-29T00:15", ["29 01:30+0100", "29 03:00+0200", "29 03:30+0200"]),
        (BERLIN, "0 * * * *", "2026-10-24T22:30", ["25 01:00+0200", "25 02:00+0200", "25 03:00+0100"]),
        ("UTC", "@daily", "2026-03-27T12:00", ["28 00:00+0000", "29 00:00+0000", "30 00:00+0000"]),
    ],
)
def test_times_that_do_not_exist_or_come_twice_run_once(zone: str, cron: str, start: str, expected: list[str]) -> None:
    """A skipped time runs at the next minute that exists, a doubled one the first time."""
    slots = next_slots(make(cron=cron, timezone=zone), "job", at(start), 3)

    assert shown(slots, zone) == expected


def test_lines_that_name_the_same_instant_are_one_slot() -> None:
    """Also when only the gap brings them together."""
    schedule = make(cron=["10 2 * * *", "50 2 * * *", "0 3 * * *"], timezone=BERLIN)

    assert shown(next_slots(schedule, "job", at("2026-03-28T12:00"), 2), BERLIN) == ["29 03:00+0200", "30 02:10+0200"]


_LINES = st.sampled_from(
    [
        "* * * * *",
        "*/7 * * * *",
        "30 2 * * *",
        "0 0 * * 1",
        "15 1,2,3 * * *",
        "59 23 31 12 *",
        "0 3 29 2 *",
        "5 */2 * * *",
    ]
)
_ZONES = st.sampled_from(["UTC", BERLIN, NEW_YORK, LORD_HOWE, "Asia/Kathmandu"])
_DAYS = st.sampled_from(
    ["2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-05", "2026-10-04", "2026-06-15"]
)


@settings(max_examples=150, deadline=None)
@given(
    line=_LINES, zone=_ZONES, day=_DAYS, hours=st.integers(-30, 30), steps=st.lists(st.integers(1, 7200), max_size=12)
)
def test_however_time_is_cut_the_slots_are_the_same(
    line: str, zone: str, day: str, hours: int, steps: list[int]
) -> None:
    """Asking from any instant on gives the rest of the same rising row: nothing is doubled, nothing lost."""
    schedule = make(cron=line, timezone=zone)
    begin = at(day) + hours * 3600
    whole = next_slots(schedule, "job", begin, 40)

    assert all(one < other for one, other in pairwise(whole))
    instant = begin
    for step in steps:
        instant += step
        rest = [slot for slot in whole if slot > instant]
        assert next_slots(schedule, "job", instant, len(rest)) == rest


@settings(max_examples=150, deadline=None)
@given(
    line=_LINES,
    zone=_ZONES,
    day=_DAYS,
    jumps=st.lists(st.integers(-4000, 9000), min_size=1, max_size=30),
    catch_up=st.sampled_from(["none", "last", "all"]),
    jitter=st.sampled_from([0, 5, 90]),
)
def test_each_slot_is_decided_once_whatever_the_clock_does(
    line: str, zone: str, day: str, jumps: list[int], catch_up: str, jitter: int
) -> None:
    """With a clock that jumps forth and back, no slot runs twice, and none runs before its time."""
    schedule = make(cron=line, timezone=zone, catch_up=catch_up, jitter=jitter)
    since = now = at(day)
    ran: list[int] = []
    for jump in jumps:
        now += jump
        verdict = judge(schedule, "job", since, now)
        assert verdict.since >= since
        for slot in verdict.run:
            assert slot + delay(schedule, "job", slot) <= now
            assert now - slot - delay(schedule, "job", slot) <= schedule.start_deadline
        if verdict.next is not None:
            assert verdict.next > now
        ran += verdict.run
        since = verdict.since

    assert ran == sorted(set(ran))


@settings(max_examples=60, deadline=None)
@given(every=st.integers(10, 10_000), name=st.text("abc-", min_size=1, max_size=8), instant=st.integers(0, 2**33))
def test_every_keeps_its_distance_and_its_phase(every: int, name: str, instant: int) -> None:
    """The next slot is no further than one interval away, from wherever one asks."""
    schedule = make(every=every)
    first, second = next_slots(schedule, name, instant, 2)

    assert instant < first <= instant + every
    assert second - first == every
    assert next_slots(schedule, name, first, 1) == [second]


def test_a_tick_each_second_runs_every_slot_at_its_second() -> None:
    """With the service alive, nothing is missed and nothing is late."""
    schedule = make(every=10)
    since = now = at("2026-06-01")
    ran = []
    for _ in range(600):
        now += 1
        verdict = judge(schedule, "job", since, now)
        since = verdict.since
        ran += [(slot, now) for slot in verdict.run]
        assert verdict.missed is None

    assert len(ran) == 60
    assert all(slot == seen for slot, seen in ran)


@pytest.mark.parametrize(
    ("catch_up", "hours", "ran", "missed"),
    [
        ("none", 3, [], 18),
        ("last", 3, ["03:00"], 17),
        ("all", 3, ["02:10", "02:20", "02:30", "02:40", "02:50", "03:00"], 12),
    ],
)
def test_what_passed_while_the_service_was_down(catch_up: str, hours: int, ran: list[str], missed: int) -> None:
    """None, the last one, or all of the last hour (`start_deadline`); the others are told as missed."""
    schedule = make(cron="*/10 * * * *", catch_up=catch_up)
    begin = at("2026-06-01")
    verdict = judge(schedule, "job", begin, begin + hours * 3600 + 61)

    assert [datetime.fromtimestamp(slot, UTC).strftime("%H:%M") for slot in verdict.run] == ran
    assert verdict.missed is not None
    assert verdict.missed.count == missed
    assert verdict.missed.first == begin + 600


def test_an_hour_of_sleep_is_no_burst() -> None:
    """A machine that was suspended runs the last slot once, however many passed."""
    schedule = make(every=10)
    begin = at("2026-06-01")

    assert len(judge(schedule, "job", begin, begin + 3600).run) == 1


def test_catching_up_has_a_bound() -> None:
    """`all` with a long deadline makes up for so many and no more."""
    schedule = make(every=10, catch_up="all", start_deadline="30d")
    begin = at("2026-06-01")
    verdict = judge(schedule, "job", begin, begin + 20 * 86400)

    assert len(verdict.run) == MAX_CATCH_UP
    assert verdict.missed is not None


def test_a_clock_set_back_runs_nothing_again() -> None:
    """What was decided stays decided; the schedule goes on when the clock is there again."""
    schedule = make(cron="0 * * * *")
    noon = at("2026-06-01T12:00")

    assert judge(schedule, "job", noon, noon - 7200).run == ()
    assert judge(schedule, "job", noon, noon + 3600).run == (int(noon) + 3600,)


def test_jitter_is_the_same_every_time_and_differs_between_jobs() -> None:
    """It comes from the name and the slot alone, and spreads over its whole width."""
    schedule = make(cron="@hourly", jitter=600)
    slot = int(at("2026-06-01"))
    delays = [delay(schedule, f"job-{number}", slot) for number in range(200)]

    assert delays == [delay(schedule, f"job-{number}", slot) for number in range(200)]
    assert all(0 <= seconds < 600 for seconds in delays)
    assert max(delays) - min(delays) > 400


def test_a_jittered_slot_runs_after_its_jitter() -> None:
    """Not before, and `next` tells when."""
    schedule = make(cron="@hourly", jitter=600)
    slot = int(at("2026-06-01T05:00"))
    start = slot + delay(schedule, "job", slot)
    before = judge(schedule, "job", slot - 1, start - 0.5)

    assert (before.run, before.next) == ((), start)
    assert judge(schedule, "job", slot - 1, start + 0.5).run == (slot,)


def test_a_line_that_comes_each_leap_year_is_found() -> None:
    """The next slot may lie years ahead."""
    first = next(slots_after(make(cron="0 3 29 2 *"), "job", at("2025-01-01")))

    assert datetime.fromtimestamp(first, UTC) == datetime(2028, 2, 29, 3, tzinfo=UTC)
    assert datetime.fromtimestamp(first, UTC) - datetime(2025, 1, 1, tzinfo=UTC) > timedelta(days=1000)

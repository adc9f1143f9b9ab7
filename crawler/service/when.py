"""When a job runs: pure arithmetic over a schedule and an instant. No clock, no I/O.

    slots_after(schedule, name, instant)   the instants the schedule names, in order
    delay(schedule, name, slot)            how much later the jitter lets one of them begin: always the same
    judge(schedule, name, since, now)      which of the slots in (since, now] run, which are missed

A **slot** is an instant a schedule names, in whole seconds since the epoch. It is what is decided, once and for all.

Local time and summer time: a cron line names times of a wall clock. A time that the clock passes over (spring) is run
once, at the next minute that exists; all times of the gap and that minute itself are one slot. A time that comes twice
(autumn) is run once, the first time. Who wants equal distances takes `every`, which knows no wall clock: its slots lie
at whole multiples of the interval, moved by a phase made from the job's name, so that jobs do not start together and a
restart changes nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from itertools import islice
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim

from crawler.jobs.cron import expand_cron
from crawler.jobs.service_schema import Schedule

IN_TIME_S: Final = 60.0
"""A slot seen so late is still in time: with `catch_up: none` what is later is missed."""
MAX_CATCH_UP: Final = 100
"""Runs that `catch_up: all` makes up for at once; what lies before them is missed."""
MAX_MISSED: Final = 1000
"""Missed slots that are counted; more are told as "more than that"."""


@dataclass(frozen=True, slots=True)
class Missed:
    """Slots that nobody will run.

    Attributes:
        first, last: The first and the last of them.
        count: How many; `MAX_MISSED` means at least so many.
        reason: Why, for people.
    """

    first: int
    last: int
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about the slots that have passed.

    Attributes:
        run: Slots to run now, in order.
        missed: Slots that are left out.
        since: Everything up to here is decided.
        next: When the next slot may begin, its jitter included; None if there is none.
    """

    run: tuple[int, ...]
    missed: Missed | None
    since: float
    next: float | None


def slots_after(schedule: Schedule, name: str, instant: float) -> Iterator[int]:
    """The slots of a schedule after an instant, in order, without end; none for one that never comes."""
    if schedule.every is not None:
        yield from _multiples(schedule.every, _phase(name, schedule.every), instant)
        return
    zone = ZoneInfo(schedule.timezone)
    last = instant
    for slot in heapq.merge(*(_cron_slots(expand_cron(line), zone, instant) for line in schedule.cron)):
        if slot > last:  # several lines, and several times of a gap, may name the same instant
            last = slot
            yield slot


def next_slots(schedule: Schedule, name: str, instant: float, count: int) -> list[int]:
    """The next so many slots: what a preview shows."""
    return list(islice(slots_after(schedule, name, instant), count))


def delay(schedule: Schedule, name: str, slot: int) -> float:
    """Seconds from a slot to its start: from the job's name and the slot alone, below `jitter`."""
    if not schedule.jitter:
        return 0.0
    digest = blake2b(f"{name}\n{slot}".encode(), digest_size=8).digest()
    return schedule.jitter * int.from_bytes(digest, "big") / 2**64


def judge(schedule: Schedule, name: str, since: float, now: float) -> Verdict:
    """Decide about every slot in (since, now] whose jitter has passed.

    Of several at once, `catch_up` says which run: the last one, all of them, or (none) the last one if it is in time.
    None runs later than `start_deadline` after its slot, and none twice: commit `since` together with the runs.

    Args:
        schedule: The job's.
        name: The job's.
        since: Slots up to here are decided.
        now: Seconds since the epoch. If it lies before `since` (the clock was set back), nothing is due.
    """
    due: list[int] = []
    forgotten: Missed | None = None
    horizon = now - schedule.start_deadline - schedule.jitter
    if since < horizon:
        forgotten = _count_missed(schedule, name, since, horizon)
        since = horizon
    upcoming: float | None = None
    for slot in slots_after(schedule, name, since):
        start = slot + delay(schedule, name, slot)
        if start > now:
            upcoming = start
            break
        due.append(slot)
        if len(due) > MAX_CATCH_UP + 1:
            forgotten = _join(forgotten, due.pop(0))
    run, left = _choose(schedule, name, due, now)
    for slot in left:
        forgotten = _join(forgotten, slot)
    return Verdict(tuple(run), forgotten, float(due[-1]) if due else since, upcoming)


def _choose(schedule: Schedule, name: str, due: list[int], now: float) -> tuple[list[int], list[int]]:
    """Which of the due slots run, and which do not."""
    late = [now - slot - delay(schedule, name, slot) for slot in due]
    alive = [slot for slot, seconds in zip(due, late, strict=True) if seconds <= schedule.start_deadline]
    match schedule.catch_up:
        case "all":
            run = alive[-MAX_CATCH_UP:]
        case "last":
            run = alive[-1:]
        case "none":
            run = [slot for slot in alive[-1:] if now - slot - delay(schedule, name, slot) <= IN_TIME_S]
    return run, [slot for slot in due if slot not in run]


def _count_missed(schedule: Schedule, name: str, since: float, until: float) -> Missed | None:
    missed: Missed | None = None
    for slot in islice(slots_after(schedule, name, since), MAX_MISSED):
        if slot > until:
            break
        missed = _join(missed, slot)
    return missed


def _join(missed: Missed | None, slot: int) -> Missed:
    reason = "the service was not there in time"
    if missed is None:
        return Missed(slot, slot, 1, reason)
    return Missed(min(missed.first, slot), max(missed.last, slot), min(missed.count + 1, MAX_MISSED), reason)


# -- every ------------------------------------------------------------------------------------------------------------


def _phase(name: str, every: int) -> int:
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big") % every


def _multiples(every: int, phase: int, instant: float) -> Iterator[int]:
    slot = int((instant - phase) // every) * every + phase
    while True:
        slot += every
        yield slot


# -- cron -------------------------------------------------------------------------------------------------------------


def _cron_slots(line: str, zone: ZoneInfo, instant: float) -> Iterator[int]:
    """The instants of one line after `instant`; cronsim counts on the bare wall clock, and the zone comes in here."""
    wall = datetime.fromtimestamp(instant, zone).replace(tzinfo=None, fold=0)
    for time in CronSim(line, wall):
        slot = _instant_of(time, zone)
        if slot > instant:
            yield slot


def _instant_of(wall: datetime, zone: ZoneInfo) -> int:
    """The instant at which a wall clock first shows `wall`; if it never does, the first one at which it shows more."""
    early = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if early.astimezone(zone).replace(tzinfo=None) == wall:
        return int(early.timestamp())
    # In a gap, fold=0 counts with the offset before it, which gives an instant after it, and fold=1 the other way.
    high = int(early.timestamp())
    low = int(wall.replace(tzinfo=zone, fold=1).astimezone(UTC).timestamp())
    before = datetime.fromtimestamp(low, zone).utcoffset()
    while high - low > 1:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high

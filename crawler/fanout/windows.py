"""Hours of the day in which a host may be asked: `22:00-06:00 Europe/Berlin`. Pure: the time comes in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_FORM: Final = re.compile(r"([0-9]{1,2}):([0-9]{2})-([0-9]{1,2}):([0-9]{2})(?:\s+(\S+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Window:
    """From one time of the day to another, every day; over midnight, if it ends before it begins.

    Attributes:
        start, end: Times of the day; the end is outside.
        zone: Name of the time zone.
    """

    start: time
    end: time
    zone: str = "UTC"


def parse_window(text: str) -> Window:
    """Read `HH:MM-HH:MM`, with the name of a time zone behind it, or none for UTC; `24:00` is the end of the day.

    Raises:
        ValueError: It is none; the message says what is wrong.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"expected hours like 22:00-06:00 or 22:00-06:00 Europe/Berlin, not {text[:60]!r}")
    start, end = _time(match[1], match[2]), _time(match[3], match[4])
    if start == end and match[3] != "24":
        raise ValueError(f"the hours {text[:60]!r} begin and end at the same time")
    zone = match[5] or "UTC"
    _zone(zone)
    return Window(start, end, zone)


def _time(hours: str, minutes: str) -> time:
    if (int(hours), int(minutes)) == (24, 0):
        return time(0)
    if int(hours) > 23 or int(minutes) > 59:
        raise ValueError(f"{hours}:{minutes} is no time of the day")
    return time(int(hours), int(minutes))


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    if name == "UTC":  # known everywhere, also where no zones are installed
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"there is no time zone {name[:60]!r}; they are named like Europe/Berlin (if this system knows none: "
            "pip install tzdata)"
        ) from error


def opens_in(windows: Sequence[Window], wall: float) -> float:
    """Give the seconds until one of the windows is open; 0 if one is.

    Args:
        windows: At least one.
        wall: Now, in seconds since 1970.
    """
    return max(0.0, min(_next_start(window, wall) for window in windows) - wall)


def _next_start(window: Window, wall: float) -> float:
    """Give when a window opens next, or has opened if it is open."""
    zone = _zone(window.zone)
    today = datetime.fromtimestamp(wall, zone).date()
    for days in (-1, 0, 1):  # one that began yesterday may still be open
        day = today + timedelta(days=days)
        start = _instant(day, window.start, zone)
        end = _instant(day + timedelta(days=window.end <= window.start), window.end, zone)
        if wall < end and start < end:  # a change of the clock can leave nothing of a short one
            return start
    return _instant(today + timedelta(days=2), window.start, zone)


def _instant(day: date, at: time, zone: tzinfo) -> float:
    return datetime.combine(day, at, zone).timestamp()

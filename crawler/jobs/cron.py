"""Lines of `schedule.cron`: five fields as everyone knows them, or `@daily` and its like.

What a line means is cronsim's to say, which comes with the extra `service`. A plain installation runs jobs that have a
schedule, too (once, at once): there the lines are only looked at from afar.
"""

from __future__ import annotations

import importlib.util
import re
from datetime import datetime
from typing import Final

ALIASES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

_FIELD: Final = re.compile(r"[0-9A-Za-z*,/#-]+")


def expand_cron(line: str) -> str:
    """The five fields of a line; `@daily` and its like written out."""
    return ALIASES.get(line.strip().lower(), line)


def cron_problem(line: str) -> str | None:
    """Why a line is no schedule, in one sentence; None if it is one."""
    form = 'write minute, hour, day, month, weekday, like "30 6 * * 1-5", or @daily'
    if line.strip().startswith("@"):
        known = ", ".join(ALIASES)
        return None if expand_cron(line) != line else f"'{line[:40]}' is not one of {known}"
    fields = line.split()
    if len(line) > 200 or len(fields) != 5 or not all(map(_FIELD.fullmatch, fields)):
        return f"'{line[:60]}' has {len(fields)} fields instead of five; {form}" if len(fields) != 5 else _wrong(line)
    if importlib.util.find_spec("cronsim") is None:
        return None
    from cronsim import CronSim, CronSimError

    try:
        next(CronSim(line, datetime(2024, 1, 1)))  # a wall clock, of any zone
    except CronSimError as error:
        return f"'{line[:60]}': {str(error).lower()}; {form}"
    except StopIteration:
        return f"'{line[:60]}' never comes: there is no such day"
    return None


def _wrong(line: str) -> str:
    return f"'{line[:60]}' holds characters that no cron line has"

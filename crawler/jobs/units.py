"""Durations, sizes, rates and ratios as people write them: `1m30s`, `64KiB`, `20/s`, `5%`.

Every parser takes what YAML gave (text or a number), returns a plain number in the base unit (seconds, bytes, 0 to 1)
and raises `ValueError` with a sentence that shows the right form. There is no silent cast: `010`, `NaN`, `-1s` and
`true` are refused.
"""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

_NUMBER: Final = r"(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,9})?"
_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Final = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_DURATION_PART: Final = re.compile(rf"({_NUMBER})(ns|us|ms|s|m|h|d)", re.ASCII)
DURATION_PATTERN: Final = rf"^(?:{_NUMBER}|(?:{_NUMBER}(?:ns|us|ms|s|m|h|d))+)$"
SIZE_PATTERN: Final = rf"^{_NUMBER} ?(?:B|[KMGT]i?B)?$"
RATIO_PATTERN: Final = rf"^{_NUMBER} ?%?$"
RATE_PATTERN: Final = rf"^{_NUMBER}/(?:{_NUMBER})?(?:ms|s|m|h|d)$"
_PLAIN: Final = re.compile(_NUMBER, re.ASCII)
_SIZE: Final = re.compile(rf"({_NUMBER}) ?([A-Za-z]*)", re.ASCII)
_RATE: Final = re.compile(rf"({_NUMBER})/({_NUMBER})?(ms|s|m|h|d)", re.ASCII)

MAX_DURATION_S: Final = 10 * 365 * 86400.0
"""Ten years: longer ones are typing errors, and later sums stay far from overflow."""


class Rate(NamedTuple):
    """So many per so many seconds.

    Attributes:
        events: How many.
        per_s: Length of the window in seconds.
    """

    events: float
    per_s: float

    @property
    def per_second(self) -> float:
        """Events per second."""
        return self.events / self.per_s


def parse_duration(value: object) -> float:
    """Seconds of a duration: `250ms`, `10s`, `1m30s`; a bare number is seconds.

    Raises:
        ValueError: Not a duration, negative, not finite, or longer than ten years.
    """
    form = "write a duration like 250ms, 10s, 1m30s, or a number of seconds"
    seconds = _bare_number(value)
    if seconds is None:
        parts = _DURATION_PART.findall(value) if isinstance(value, str) else []
        if not parts or "".join(number + unit for number, unit in parts) != value:
            raise ValueError(f"{_show(value)} is no duration; {form}")
        seconds = math.fsum(float(number) * _SECONDS[unit] for number, unit in parts)
    if not 0 <= seconds <= MAX_DURATION_S:
        raise ValueError(f"{_show(value)} is {'negative' if seconds < 0 else 'longer than ten years'}; {form}")
    return seconds


def parse_size(value: object) -> int:
    """Bytes of a size: `64KiB` (powers of two), `1.5MB` (powers of ten); a bare number is bytes.

    Raises:
        ValueError: Not a size, negative, or no whole number of bytes.
    """
    form = "write a size like 64KiB, 1MB, or a number of bytes"
    number = _bare_number(value)
    unit = ""
    if number is None:
        match = _SIZE.fullmatch(value) if isinstance(value, str) else None
        if match is None or match[2] not in _BYTES:
            hint = _unit_hint(match[2]) if match else ""
            raise ValueError(f"{_show(value)} is no size{hint}; {form}")
        # Integers stay integers: 2**53 + 1 bytes is no float.
        number, unit = (float(match[1]) if "." in match[1] else int(match[1])), match[2]
    size = number * _BYTES[unit]
    if size < 0:
        raise ValueError(f"{_show(value)} is negative; {form}")
    if size != int(size):
        raise ValueError(f"{_show(value)} is no whole number of bytes; {form}")
    return int(size)


def parse_ratio(value: object) -> float:
    """A share between 0 and 1: `0.05` or `5%`.

    Raises:
        ValueError: Not a ratio or outside 0 to 1.
    """
    form = "write a share between 0 and 1 like 0.05, or 5%"
    ratio = _bare_number(value)
    if ratio is None:
        text = value.removesuffix("%").rstrip(" ") if isinstance(value, str) and value.endswith("%") else ""
        if not _PLAIN.fullmatch(text):
            raise ValueError(f"{_show(value)} is no ratio; {form}")
        ratio = float(text) / 100
    if not 0 <= ratio <= 1:
        raise ValueError(f"{_show(value)} is outside 0 to 1; {form}")
    return float(ratio)


def parse_rate(value: object) -> Rate:
    """A rate: `20/s`, `30/m`, `1/5s`.

    Raises:
        ValueError: Not a rate, or zero.
    """
    form = "write a rate like 20/s, 30/m or 1/5s"
    match = _RATE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{_show(value)} is no rate; {form}")
    rate = Rate(float(match[1]), float(match[2] or 1) * _SECONDS[match[3]])
    if rate.events == 0 or rate.per_s == 0:
        raise ValueError(f"{_show(value)} is zero; {form}, or null for no limit")
    return rate


def _bare_number(value: object) -> int | float | None:
    """The number `value` is, or writes without a unit; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value if math.isfinite(value) else None
    if isinstance(value, str) and _PLAIN.fullmatch(value):
        return float(value) if "." in value else int(value)
    return None


def _unit_hint(unit: str) -> str:
    near = [name for name in _BYTES if name and name.lower() in (unit.lower(), unit.lower() + "b")]
    return f" (did you mean {' or '.join(near)}?)" if near else ""


def _show(value: object) -> str:
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    text = (
        repr(value) if not isinstance(value, list | dict) else f"a {'list' if isinstance(value, list) else 'mapping'}"
    )
    return text if len(text) <= 60 else text[:59] + "…"

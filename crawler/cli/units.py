"""Numbers as people read them: durations, sizes, rates, counts."""

from __future__ import annotations


def duration(seconds: float | None) -> str:
    """Give a duration with two to three digits: `340 µs`, `1.42 s`, `2 min 05 s`, `3 h 10 min`; `–` for None."""
    if seconds is None:
        return "–"
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    if seconds < 1:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 99.5:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def size(count_bytes: float) -> str:
    """Give a number of bytes in powers of ten: `812 B`, `1.4 kB`, `20.1 MB`."""
    if count_bytes < 999.5:
        return f"{count_bytes:.0f} B"
    for unit in ("kB", "MB", "GB", "TB"):
        count_bytes /= 1000
        if count_bytes < 999.5 or unit == "TB":
            break
    return f"{count_bytes:.3g} {unit}" if count_bytes < 999.5 else f"{count_bytes:,.0f} {unit}"


def rate(per_second: float) -> str:
    """Give events per second: `0.42/s`, `8.1/s`, `1,240/s`."""
    return f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second:.2g}/s"


def count(number: int, noun: str = "", plural: str = "") -> str:
    """Give a number with separators and, if given, its noun: `1 record`, `1,300 records`."""
    if not noun:
        return f"{number:,}"
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"

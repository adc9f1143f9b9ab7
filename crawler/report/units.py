"""Numbers as a report shows them: three digits, one unit for a value and its interval, `–` for what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

NONE: Final = "–"
_TIMES: Final = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
_SIZES: Final = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))


def digits(value: float) -> str:
    """Three significant digits without an exponent: `0.042`, `1.25`, `48.1`, `1,240`."""
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 99.95:
        return f"{value:,.0f}"
    if size >= 9.995:
        return f"{value:.1f}"
    return f"{value:.2f}" if size >= 0.0995 else f"{value:.2g}"


def time(seconds: float | None) -> str:
    """A duration: `340 µs`, `1.25 ms`, `12.0 s`."""
    return _scaled([seconds], _TIMES)


def time_range(low: float | None, high: float | None) -> str:
    """Two durations in one unit: `1.20–1.31 ms`."""
    return _scaled([low, high], _TIMES)


def size(count_bytes: float | None) -> str:
    """Bytes in powers of ten: `48.1 MB`."""
    return _scaled([count_bytes], _SIZES)


def rate(per_second: float | None) -> str:
    """Requests per second: `1,240/s`."""
    return NONE if per_second is None else f"{digits(per_second)}/s"


def rate_range(low: float | None, high: float | None) -> str:
    """Two rates: `1,180–1,290/s`."""
    return NONE if low is None or high is None else f"{digits(low)}–{digits(high)}/s"


def times(ratio: float | None) -> str:
    """How many times as fast: `5.90×`."""
    return NONE if ratio is None else f"{digits(ratio)}×"


def times_range(low: float | None, high: float | None) -> str:
    """`5.71–6.02×`."""
    return NONE if low is None or high is None else f"{digits(low)}–{digits(high)}×"


def share(ratio: float | None) -> str:
    """A share in per cent: `0.12 %`."""
    return NONE if ratio is None else f"{digits(100 * ratio)} %"


def count(number: int) -> str:
    """A number with separators."""
    return f"{number:,}"


def tick_time(seconds: float) -> str:
    """A duration at an axis, where round numbers stand: `20 ms`, `0`."""
    factor, unit = next(((factor, unit) for factor, unit in _TIMES if seconds >= 0.9995 * factor), _TIMES[-1])
    return f"{seconds / factor:.4g} {unit}" if seconds else "0"


def tick_rate(per_second: float) -> str:
    """A rate at an axis: `50/s`, `20,000/s`, `0`."""
    return f"{per_second:,.4g}/s" if 0 < per_second < 1000 else f"{per_second:,.0f}/s" if per_second else "0"


def tick_size(count_bytes: float) -> str:
    """Bytes at an axis: `20 MB`, `0`."""
    factor, unit = next(((factor, unit) for factor, unit in _SIZES if count_bytes >= 0.9995 * factor), _SIZES[-1])
    return f"{count_bytes / factor:.4g} {unit}" if count_bytes else "0"


def _scaled(values: Sequence[float | None], units: Sequence[tuple[float, str]]) -> str:
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return NONE
    largest = max(abs(value) for value in known)
    # 999.5 of a unit would round to four digits: the next one up is taken from there.
    factor, unit = next(((factor, unit) for factor, unit in units if largest >= 0.9995 * factor), units[-1])
    return f"{'–'.join(digits(value / factor) for value in known)} {unit}"

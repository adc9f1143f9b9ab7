from __future__ import annotations

import pytest

from crawler.report import units


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0421, "0.042"),
        (0.9962, "1.00"),
        (1.255, "1.25"),
        (9.994, "9.99"),
        (9.996, "10.0"),
        (99.96, "100"),
        (12345.6, "12,346"),
    ],
)
def test_three_digits(value: float, text: str) -> None:
    """Numbers have three digits and no exponent."""
    assert units.digits(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 µs"),
        (0.00034, "340 µs"),
        (0.0009996, "1.00 ms"),
        (0.0452, "45.2 ms"),
        (0.99949, "999 ms"),
        (90, "90.0 s"),
    ],
)
def test_times(seconds: float, text: str) -> None:
    """A duration has the unit that gives it one to three digits."""
    assert units.time(seconds) == text


def test_an_interval_has_one_unit() -> None:
    """Both ends are in the unit of the larger."""
    assert units.time_range(0.0009, 0.0012) == "0.90–1.20 ms"
    assert units.rate_range(98.2, 1240) == "98.2–1,240/s"
    assert units.times_range(4.7, 4.83) == "4.70–4.83×"


def test_what_is_missing_is_a_dash() -> None:
    """Nothing measured is never shown as zero."""
    assert {units.time(None), units.rate(None), units.size(None), units.times(None), units.share(None)} == {"–"}
    assert units.time_range(None, 1) == units.rate_range(1, None) == units.times_range(None, None) == "–"


def test_sizes_shares_and_ticks() -> None:
    """Sizes are in powers of ten; at an axis round numbers stay short."""
    assert (units.size(31_400_000), units.share(0.0012), units.count(12345)) == ("31.4 MB", "0.12 %", "12,345")
    assert [units.tick_time(value) for value in (0, 0.02, 0.0005, 10)] == ["0", "20 ms", "500 µs", "10 s"]
    assert [units.tick_rate(value) for value in (0, 2.5, 50, 20000)] == ["0", "2.5/s", "50/s", "20,000/s"]

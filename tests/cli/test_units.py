"""Numbers as people read them."""

from __future__ import annotations

import pytest

from crawler.cli.units import count, duration, rate, size


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0.0, "0 µs"),
        (0.00034, "340 µs"),
        (0.012, "12 ms"),
        (0.0123456, "12.3 ms"),
        (1.416, "1.42 s"),
        (41.26, "41.3 s"),
        (99.4, "99.4 s"),
        (125, "2 min 05 s"),
        (3599.7, "1 h 00 min"),
        (11_400, "3 h 10 min"),
    ],
)
def test_durations_have_two_to_three_digits(seconds: float | None, text: str) -> None:
    """A duration is short, and its unit fits its size."""
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 B"),
        (812, "812 B"),
        (999.6, "1 kB"),
        (1_400, "1.4 kB"),
        (20_000_000, "20 MB"),
        (2.5e9, "2.5 GB"),
        (7.1e15, "7,100 TB"),
    ],
)
def test_sizes_are_in_powers_of_ten(number: float, text: str) -> None:
    """A size is short, and its unit fits it."""
    assert size(number) == text


def test_rates_and_counts_read_well() -> None:
    """Large numbers have separators, and nouns agree with their number."""
    assert rate(0.42) == "0.42/s"
    assert rate(1240.4) == "1,240/s"
    assert count(1300) == "1,300"
    assert count(1, "record") == "1 record"
    assert count(2, "retry", "retries") == "2 retries"

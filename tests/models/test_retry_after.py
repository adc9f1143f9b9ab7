"""`parse_retry_after`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.models import parse_retry_after

NOW = 784111777.0  # Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 §5.6.7


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("9" * 20, 1e20),
        ("9" * 5000, float("inf")),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
        ("Sun Nov  6 08:50:37 1994", 60.0),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0.0),
        ("Sat, 05 Nov 1994 08:49:37 GMT", 0.0),
        ("", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("1_0", None),
        ("٣", None),
        ("soon", None),
        ("Sun, 99 Foo 1994 08:50:37 GMT", None),
        ("Sun, 06 Nov 99999999 08:50:37 GMT", None),
        ("Mon", None),
    ],
)
def test_values(value: str, seconds: float | None) -> None:
    """Seconds and dates in all three forms; the past is now; anything else is nothing."""
    assert parse_retry_after(value, NOW) == seconds


@given(st.text(max_size=80))
def test_any_text_is_harmless(value: str) -> None:
    """No text raises, and no wait is negative."""
    seconds = parse_retry_after(value, NOW)

    assert seconds is None or seconds >= 0

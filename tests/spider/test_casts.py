"""From texts to typed values."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.spider.casts import CASTS

GOOD = [
    ("decimal", "1,299.00 EUR", Decimal("1299.00")),
    ("decimal", "€ 12,50", Decimal("12.50")),
    ("decimal", "1.299,00", Decimal("1299.00")),
    ("decimal", "1 000", Decimal(1000)),
    ("decimal", "1’234.5", Decimal("1234.5")),
    ("decimal", "1,234", Decimal(1234)),
    ("decimal", "0,234", Decimal("0.234")),
    ("decimal", "1.234", Decimal("1.234")),
    ("decimal", "1.234.567", Decimal(1234567)),
    ("decimal", "−3", Decimal(-3)),
    ("decimal", 0.1, Decimal("0.1")),
    ("int", "42 pieces", 42),
    ("int", 3.0, 3),
    ("float", "1e3", 1000.0),
    ("bool", " Yes ", True),
    ("bool", "off", False),
    ("bool", 1, True),
    ("datetime", "2026-11-21T10:00:00Z", datetime(2026, 11, 21, 10, tzinfo=UTC)),
    ("datetime", "Sat, 21 Nov 2026 10:00:00 GMT", datetime(2026, 11, 21, 10, tzinfo=UTC)),
    ("datetime", 0, datetime(1970, 1, 1, tzinfo=UTC)),
    ("datetime", "1700000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
    ("date", "2026-11-21", date(2026, 11, 21)),
    ("str", 7, "7"),
    ("str", True, "true"),
    ("str", [1], "[1]"),
    ("json", '{"a": 1}', {"a": 1}),
    ("json", [1], [1]),
]


@pytest.mark.parametrize(("kind", "value", "expected"), GOOD)
def test_values(kind: str, value: object, expected: object) -> None:
    """Numbers are found in what surrounds them, by the separators people use."""
    got = CASTS[kind](value)

    assert got == expected
    assert type(got) is type(expected)


BAD = [
    ("decimal", "none"),
    ("decimal", "3 for 10"),
    ("decimal", True),
    ("decimal", "1e999999"),
    ("decimal", "9" * 5000),
    ("int", "3.5"),
    ("bool", "maybe"),
    ("date", "yesterday"),
    ("datetime", "2026-13-45"),
    ("datetime", 1e30),
    ("json", "{"),
]


@pytest.mark.parametrize(("kind", "value"), BAD)
def test_what_does_not_fit(kind: str, value: object) -> None:
    """A value that is none of the type is an error, never a guess."""
    with pytest.raises(ValueError):  # noqa: PT011 - each cast has its own words
        CASTS[kind](value)


@given(st.sampled_from(sorted(CASTS)), st.text(max_size=40) | st.integers() | st.floats() | st.none() | st.booleans())
def test_a_value_or_a_value_error(kind: str, value: object) -> None:
    """Nothing else than `ValueError` ever comes of a cast."""
    with suppress(ValueError):
        CASTS[kind](value)


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=2))
def test_amounts_survive_being_written(amount: Decimal) -> None:
    """An amount written with a currency is read as the same amount."""
    assert CASTS["decimal"](f"{amount} EUR") == amount
    assert CASTS["decimal"](f"{amount:,} EUR") == amount

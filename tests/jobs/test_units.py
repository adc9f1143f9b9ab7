from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.jobs.units import Rate, parse_duration, parse_rate, parse_ratio, parse_size


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("10s", 10.0),
        ("250ms", 0.25),
        ("1m30s", 90.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("5us", 5e-6),
        ("7ns", 7e-9),
        (1.5, 1.5),
        (30, 30.0),
        ("30", 30.0),
        ("0s", 0.0),
    ],
)
def test_durations(value: object, seconds: float) -> None:
    """Durations are read in all units, joined or bare."""
    assert parse_duration(value) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "value",
    [
        "010",
        "010s",
        "-1s",
        -1,
        float("nan"),
        float("inf"),
        True,
        None,
        "",
        "10 s",
        "s",
        "1:30",
        "1e3",
        "10S",
        [],
        "9d" * 9999,
    ],
)
def test_what_is_no_duration(value: object) -> None:
    """Nothing is cast silently; the message shows the right form."""
    with pytest.raises(ValueError, match="write a duration like"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("value", "size"),
    [("64KiB", 65536), ("1MB", 10**6), ("1.5KB", 1500), ("2 GiB", 2**31), (5, 5), ("5", 5), ("7B", 7), ("0", 0)],
)
def test_sizes(value: object, size: int) -> None:
    """Powers of two with an i, powers of ten without."""
    assert parse_size(value) == size


@pytest.mark.parametrize(
    "value", ["64kib", "1M", "-1", -1, 1.5, "1.5B", "010", True, float("nan"), "", "1e6", None, {}]
)
def test_what_is_no_size(value: object) -> None:
    """Half bytes, negative sizes and unknown units are refused."""
    with pytest.raises(ValueError, match="write a size like"):
        parse_size(value)


def test_size_says_which_unit_is_meant() -> None:
    """A unit in the wrong case is answered with the right one."""
    with pytest.raises(ValueError, match=r"did you mean KiB\?"):
        parse_size("64kib")


def test_large_sizes_are_exact() -> None:
    """Whole numbers never pass through a float."""
    assert parse_size(str(2**53 + 1)) == 2**53 + 1


@pytest.mark.parametrize(
    ("value", "ratio"), [("5%", 0.05), (0.05, 0.05), ("0.5", 0.5), (1, 1.0), (0, 0.0), ("100%", 1.0)]
)
def test_ratios(value: object, ratio: float) -> None:
    """A share is a number up to 1 or a percentage."""
    assert parse_ratio(value) == pytest.approx(ratio)


@pytest.mark.parametrize("value", ["101%", 2, -0.1, "%", "5 %%", True, None, float("nan"), "010%"])
def test_what_is_no_ratio(value: object) -> None:
    """Shares outside 0 to 1 are refused."""
    with pytest.raises(ValueError, match="write a share between 0 and 1"):
        parse_ratio(value)


@pytest.mark.parametrize(
    ("value", "rate"), [("20/s", Rate(20, 1)), ("30/m", Rate(30, 60)), ("1/5s", Rate(1, 5)), ("0.1/s", Rate(0.1, 1))]
)
def test_rates(value: str, rate: Rate) -> None:
    """So many per unit, or per several."""
    assert parse_rate(value) == rate
    assert parse_rate(value).per_second == pytest.approx(rate.events / rate.per_s)


@pytest.mark.parametrize("value", ["0/s", "1/0s", "20", 20, "-1/s", "1/", "/s", "1/x", None])
def test_what_is_no_rate(value: object) -> None:
    """A rate of zero would be a job that never runs."""
    with pytest.raises(ValueError, match="write a rate like"):
        parse_rate(value)


@given(st.integers(0, 10**8), st.sampled_from(["ns", "us", "ms", "s"]))
def test_a_duration_is_its_number_times_its_unit(count: int, unit: str) -> None:
    """For every number and unit."""
    assert parse_duration(f"{count}{unit}") == pytest.approx(count * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1}[unit])


@given(st.text(max_size=20))
def test_any_text_is_a_value_or_a_clear_refusal(text: str) -> None:
    """No parser raises anything but ValueError, and none gives a negative number."""
    for parse in (parse_duration, parse_size, parse_ratio):
        value = None
        with contextlib.suppress(ValueError):
            value = parse(text)
        assert value is None or value >= 0

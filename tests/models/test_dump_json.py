"""JSON bodies: what the standard library's encoder writes, only faster."""

from __future__ import annotations

import datetime
import enum
import json
import math
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.models.content import dump_json

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner), max_leaves=20
)


def by_the_standard_library(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


class Colour(enum.IntEnum):
    """A subclass of int."""

    RED = 1


class Text(str):
    """A subclass of str."""


@given(VALUES)
def test_any_value_means_the_same(value: Any) -> None:
    """Whichever encoder wrote it, what is read is what the standard library's would have been read as."""
    assert json.loads(dump_json(value)) == json.loads(by_the_standard_library(value))


@pytest.mark.parametrize(
    "value",
    [
        None,
        {"a": None, "b": "null"},
        2**70,
        {1: "a", False: "b", 2.5: "c"},
        {"ü": "ö\u2028", "e": "\U0001f600"},
        [Colour.RED, Text("x"), (1, 2)],
        '\u0000\u001f\u007f"\\/',
    ],
)
def test_what_the_encoders_write_differently_is_the_standard_librarys(value: Any) -> None:
    """To the byte."""
    assert dump_json(value) == by_the_standard_library(value)


@given(st.lists(st.floats() | st.none() | st.text() | st.integers()))
def test_no_number_is_ever_missed(value: list[Any]) -> None:
    """Among nulls, too: either it is refused, or every float in it is one."""
    try:
        written = dump_json(value)
    except ValueError:
        assert any(isinstance(item, float) and not math.isfinite(item) for item in value)
    else:
        assert json.loads(written) == value


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf], {"a": [math.nan]}, {"a": None, "b": math.nan}])
def test_no_number_is_refused(value: Any) -> None:
    """JSON has no NaN; it must not turn into null on the way."""
    with pytest.raises(ValueError, match="JSON"):
        dump_json(value)


@pytest.mark.parametrize("value", [{1, 2}, object(), datetime.datetime(2026, 1, 1), b"bytes", 1j])
def test_what_json_has_not_is_refused(value: Any) -> None:
    """As the standard library does, whatever a faster encoder might take."""
    with pytest.raises(TypeError):
        dump_json(value)


def test_a_loop_is_refused() -> None:
    """A list within itself ends in an error."""
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="Circular"):
        dump_json(loop)


def test_lone_surrogates_are_refused() -> None:
    """They are no Unicode text."""
    with pytest.raises(UnicodeEncodeError):
        dump_json("\ud800")


class Size(enum.Enum):
    """No subclass of anything JSON has."""

    LARGE = "L"


def test_identifiers_and_enums_are_their_values() -> None:
    """A leniency of the fast encoder; the other has it too, so that a null beside them changes nothing."""
    values = [uuid.UUID(int=1), Size.LARGE]

    assert dump_json(values) == b'["00000000-0000-0000-0000-000000000001","L"]'
    assert dump_json([*values, None]) == b'["00000000-0000-0000-0000-000000000001","L",null]'

"""Frames between the processes of a run: whatever goes in comes out the same."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from crawler.fanout.exchange import Exchange, Hop
from crawler.fanout.frames import FrameReader, finished_of, finished_values, frame, lease_of, lease_values
from crawler.fanout.frontier import Finished, Lease
from crawler.fanout.plan import Item
from crawler.fanout.sinks import encode_line

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(st.lists(VALUES, max_size=5), st.integers(1, 50))
def test_frames_come_out_as_they_went_in(values: list[object], step: int) -> None:
    """Cut anywhere, frames come out whole and in order."""
    data = b"".join(frame("kind", value) for value in values)
    reader = FrameReader()
    found = [one for at in range(0, len(data), step) for one in reader.feed(data[at : at + step])]
    assert found == [("kind", (value,)) for value in values]


def send(*values: object) -> tuple[object, ...]:
    """What comes out at the other end."""
    ((_, found),) = FrameReader().feed(frame("kind", *values))
    return found


FULL = Item(
    "http://h/",
    "POST",
    (("a", "b"),),
    b"body",
    "key",
    {"x": [1, None]},
    3,
    "p/q",
    True,
    (("sha256", "00"),),
    7,
    2,
    "parent",
    "link",
    4,
    ("trap", "why"),
    {"hops": 1},
    b"id",
)


def test_items_come_out_as_they_went_in() -> None:
    """A plain item and one with everything."""
    for item in (Item("http://h/", key="k", priority=-1), FULL):
        (values,) = send(lease_values(Lease(5, bytes(16), item, "http://h")))
        assert isinstance(values, tuple)
        assert lease_of(values) == Lease(5, bytes(16), item, "http://h")


def test_no_field_is_forgotten() -> None:
    """Every field of an item goes over the line, and so does all of what was finished that several processes can do."""
    assert all(getattr(FULL, field.name) != field.default for field in fields(Item))
    assert set(Finished._fields) - {"kept"} == {"id", "outcome", "record", "found", "rows", "attempts", "exchange"}


class Colour(StrEnum):
    """Something that is a text, and more."""

    RED = "red"


def test_what_was_finished_comes_out_as_it_went_in() -> None:
    """With children, rows of any type, tries, and what archives get."""
    hop = Hop("http://h/", "GET", b"GET", b"HTTP", b"body", 4, 1.5, "127.0.0.1", "HTTP/1.1", True)
    stored = Hop("http://h/", "GET", b"GET", b"HTTP", Path("/b"), 4, 1.5, None, "HTTP/1.1")
    rows: list[dict[str, object]] = [
        {"d": Decimal("1.10"), "t": datetime(2026, 1, 2, tzinfo=UTC), "day": date(2026, 1, 2), "n": 2**80, "l": [()]}
    ]
    record: dict[str, object] = {"schema": "x", "colour": Colour.RED, "errors": ("a",)}
    one = Finished(1, "ok", record, [FULL], rows, [{"attempt": 1}], Exchange([hop, stored], {"a": "b"}))
    (values,) = send(finished_values(one))
    assert isinstance(values, tuple)
    assert finished_of(values) == one
    (values,) = send(finished_values(one, is_written=True))
    assert isinstance(values, tuple)
    assert encode_line(finished_of(values).record) == encode_line(record)
    plain = Finished(2, "failed", {"a": 1})
    assert finished_of(finished_values(plain)) == plain

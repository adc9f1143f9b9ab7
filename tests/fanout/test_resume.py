"""Going on with a part: only with the same bytes of the same version, decided without any I/O."""

from __future__ import annotations

import pytest

from crawler.errors import RequestError
from crawler.fanout.resume import (
    Answer,
    PartNote,
    Span,
    decode_note,
    is_strong,
    judge,
    note_of,
    parse_content_range,
    plan_resume,
    range_headers,
)
from crawler.models import Headers

NOTE = PartNote("b2:1", etag='"v1"', validator='"v1"', total=100, boot="now")


def changed(**changes: object) -> PartNote:
    """The note with other values."""
    return PartNote(**{**{name: getattr(NOTE, name) for name in NOTE.__slots__}, **changes})


def test_a_note_survives_the_disk() -> None:
    """What is written is read again, segments included."""
    note = changed(spans=(Span(0, 50, 10), Span(50, 100, 50)), sha256="ab", synced=10)

    assert decode_note(note.encode()) == note


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"schema": "crawler.part/2"}',
        b'{"schema": "crawler.part/1", "request": "x", "spans": [], "total": -5}',
        b'{"schema": "crawler.part/1", "request": "x", "spans": [], "more": 1}',
        b'{"schema": "crawler.part/1", "request": "x", "spans": [{"start": 5, "end": 2, "at": 3}]}',
        b'{"schema": "crawler.part/1", "request": "x", "spans": [], "synced": "many"}',
    ],
)
def test_broken_notes_are_none(data: bytes) -> None:
    """A torn, foreign or nonsensical note counts as none, so the download begins anew."""
    assert decode_note(data) is None


@pytest.mark.parametrize(
    ("headers", "validator"),
    [
        ({"etag": '"a"'}, '"a"'),
        ({"etag": 'W/"a"'}, None),
        ({"etag": "a"}, None),
        ({}, None),
        ({"last-modified": "Mon, 01 Jan 2024 00:00:00 GMT"}, None),
        (
            {"last-modified": "Mon, 01 Jan 2024 00:00:00 GMT", "date": "Mon, 01 Jan 2024 00:02:00 GMT"},
            "Mon, 01 Jan 2024 00:00:00 GMT",
        ),
        ({"last-modified": "Mon, 01 Jan 2024 00:00:00 GMT", "date": "Mon, 01 Jan 2024 00:00:30 GMT"}, None),
        ({"last-modified": "yesterday", "date": "Mon, 01 Jan 2024 00:00:30 GMT"}, None),
        (
            {
                "etag": 'W/"a"',
                "last-modified": "Mon, 01 Jan 2024 00:00:00 GMT",
                "date": "Tue, 02 Jan 2024 00:00:00 GMT",
            },
            "Mon, 01 Jan 2024 00:00:00 GMT",
        ),
    ],
)
def test_validators(headers: dict[str, str], validator: str | None) -> None:
    """A strong tag validates; a date does if the answer is a minute younger (RFC 9110 §8.8.2.2)."""
    assert note_of(Headers(headers), "b2:1", 5, "").validator == validator
    assert is_strong(validator) == (validator is not None and validator.startswith('"'))


@pytest.mark.parametrize(
    ("note", "length", "start"),
    [
        (NOTE, 40, 40),
        (NOTE, 0, None),
        (NOTE, 100, 99),  # whole: one byte is asked for, to see whether it is still the same
        (NOTE, 101, None),  # longer than the file
        (None, 40, None),
        (changed(validator=None), 40, None),
        (changed(request="b2:2"), 40, None),
        (changed(boot="before"), 40, None),  # nothing of it is surely on the disk
        (changed(boot="before", synced=30, sha256="x"), 40, 30),
        (changed(synced=50), 40, None),  # it was cut
        (changed(done=25), 100, 25),  # room was reserved: the length says nothing
        (changed(total=None), 40, 40),
        (changed(spans=(Span(0, 100, 3),)), 40, None),
    ],
)
def test_how_much_of_a_part_is_good(note: PartNote | None, length: int, start: int | None) -> None:
    """What is surely there counts, nothing else."""
    assert plan_resume(note, "b2:1", length, "now") == start


def test_what_is_asked_for() -> None:
    """A range under the validator."""
    assert range_headers(NOTE, 40) == (("Range", "bytes=40-"), ("If-Range", '"v1"'))
    assert range_headers(NOTE, 40, 60)[0] == ("Range", "bytes=40-59")


@pytest.mark.parametrize(
    ("status", "headers", "verdict"),
    [
        (206, {"content-range": "bytes 40-99/100", "etag": '"v1"'}, Answer.GO_ON),
        (206, {"content-range": "bytes 40-99/100"}, Answer.GO_ON),
        (206, {"content-range": "bytes 40-99/*"}, Answer.GO_ON),
        (200, {"content-length": "100"}, Answer.RESTART),
        (200, {"content-range": "bytes 40-99/100"}, Answer.RESTART),
        (206, {}, "range_mismatch"),
        (206, {"content-range": "bytes 0-99/100"}, "range_mismatch"),
        (206, {"content-range": "bytes 41-99/100"}, "range_mismatch"),
        (206, {"content-range": "bytes 40-98/100"}, "range_mismatch"),
        (206, {"content-range": "bytes 40-39/100"}, "range_mismatch"),
        (206, {"content-range": "bytes 40-100/100"}, "range_mismatch"),
        (206, {"content-range": "items 40-99/100"}, "range_mismatch"),
        (206, {"content-type": "multipart/byteranges; boundary=x"}, "range_mismatch"),
        (206, {"content-range": "bytes 40-120/121"}, "changed_during_resume"),
        (206, {"content-range": "bytes 40-99/100", "etag": '"v2"'}, "changed_during_resume"),
        (416, {"content-range": "bytes */90"}, "changed_during_resume"),
        (416, {}, "changed_during_resume"),
    ],
)
def test_answers(status: int, headers: dict[str, str], verdict: Answer | str) -> None:
    """Only the very range of the very version is appended; 200 begins anew, all else is an error."""
    if isinstance(verdict, Answer):
        assert judge(NOTE, 40, status, Headers(headers)) is verdict
        return
    with pytest.raises(RequestError) as raised:
        judge(NOTE, 40, status, Headers(headers))
    assert raised.value.kind == verdict


def test_there_may_be_no_more() -> None:
    """416 that names just the length that is there says that the part is the whole file."""
    headers = Headers({"content-range": "bytes */100"})

    assert judge(changed(total=None), 100, 416, headers) is Answer.COMPLETE


def test_content_range_of_digits_without_end() -> None:
    """Numbers that no file has are no range."""
    assert parse_content_range("bytes 0-1/" + "9" * 5000) == (None, None, None)

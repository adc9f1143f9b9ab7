"""The rules for heads on their own."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crawler.errors import RemoteProtocolError
from crawler.wire.http1 import LIMITS, encode_field
from crawler.wire.http1_head import LineCollector, parse_head

NAMES = st.from_regex(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]{1,12}", fullmatch=True).filter(
    lambda name: name.lower() not in (b"content-length", b"transfer-encoding")
)
VALUES = st.from_regex(
    rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]{0,20}[\x21-\x7e\x80-\xff])?)?", fullmatch=True
)


@settings(deadline=None)
@given(st.lists(st.tuples(NAMES, VALUES), max_size=8))
def test_encode_then_parse(fields: list[tuple[bytes, bytes]]) -> None:
    """What is written as fields is read back as the same fields."""
    raw = b"HTTP/1.1 200 OK\r\n" + b"".join(encode_field(*pair) for pair in fields) + b"\r\n"

    assert parse_head(raw, LIMITS).fields == fields


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_only_one_error(data: bytes) -> None:
    """Whatever comes, a head is read or refused; nothing else happens."""
    message = ""
    try:
        parse_head(b"HTTP/1.1 200 OK\r\n" + data + b"\r\n\r\n", LIMITS)
    except RemoteProtocolError as exc:
        message = str(exc)

    assert message.isprintable()


def test_complaint_shows_the_line() -> None:
    """The message names the byte where the bad line begins, and shows it cut and escaped."""
    raw = b"HTTP/1.1 200 OK\r\nA: b\r\nbad\0" + b"x" * 200 + b"\r\nC: d\r\n\r\n"

    with pytest.raises(RemoteProtocolError, match=r"at byte 23, got 'bad\\x00x+'…$"):
        parse_head(raw, LIMITS)


def test_collector_looks_at_each_byte_once() -> None:
    """A head that trickles in is found at the same place as one that comes whole."""
    raw = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nrest"
    slow, whole = LineCollector(LIMITS), LineCollector(LIMITS)

    assert whole.add(raw) == len(raw) - 4
    assert [slow.add(raw[i : i + 1]) for i in range(len(raw) - 4)] == [-1] * (len(raw) - 5) + [len(raw) - 4]

"""`is_plain`, the promise that spares the owner a look at the fields, is never wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crawler.wire import Http1Reader

CASES = [
    (b"Server: x", True),
    (b"Content-Encoding: gzip", False),
    (b"CONTENT-ENCODING: gzip", False),
    (b"Set-Cookie: a=b", False),
    (b"sEt-cOOkie: a=b", False),
]


@pytest.mark.parametrize(("line", "may_be_plain"), CASES)
def test_a_head_with_a_coding_or_a_cookie_is_never_plain(
    new_reader: Callable[[], Http1Reader], line: bytes, may_be_plain: bool
) -> None:
    """Both readers, whole and byte by byte; what nobody looked at counts as not plain."""
    reader = new_reader()
    message = b"HTTP/1.1 200 OK\r\n" + line + b"\r\nContent-Length: 2\r\n\r\nok"
    for size in (len(message), 1):
        reader.expect("GET")
        for start in range(0, len(message), size):
            reader.feed(message[start : start + size])

        assert reader.is_complete
        assert may_be_plain or not reader.is_plain


def test_each_response_is_looked_at_anew(new_reader: Callable[[], Http1Reader]) -> None:
    """A plain response does not make the next one plain."""
    reader = new_reader()
    for line in (b"Server: x", b"Set-Cookie: a=b"):
        reader.expect("GET")
        reader.feed(b"HTTP/1.1 200 OK\r\n" + line + b"\r\nContent-Length: 2\r\n\r\nok")

    assert not reader.is_plain

"""Character sets: where they are said, and what wrong ones do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.spider.charsets import decode, detect, lookup

BODIES = [
    ("header", "text/html; charset=iso-8859-2", "<p>ž".encode("iso-8859-2"), ("iso8859-2", "header"), "<p>ž"),
    ("quoted header", 'text/html; charset="utf-8"', "é".encode(), ("utf-8", "header"), "é"),
    ("latin-1 is windows-1252", "text/html; charset=ISO-8859-1", b"\x80", ("cp1252", "header"), "€"),
    ("mark before header", "text/html; charset=latin1", b"\xef\xbb\xbf\xc3\xa9", ("utf-8", "bom"), "é"),
    ("UTF-16", None, b"\xff\xfeh\x00i\x00", ("utf-16-le", "bom"), "hi"),
    ("meta", None, b'<meta charset="windows-1251"><p>\xc0', ("cp1251", "meta"), None),
    (
        "http-equiv",
        None,
        b"<meta http-equiv=Content-Type content='text/html; charset=shift_jis'>",
        ("cp932", "meta"),
        None,
    ),
    ("meta in a comment", None, b"<!-- <meta charset=utf-16> --><p>\xe9", ("cp1252", "guess"), None),
    ("meta cannot be UTF-16", None, b"<meta charset=utf-16>", ("utf-8", "meta"), None),
    ("declaration", "text/xml", b'<?xml version="1.0" encoding="koi8-r"?><a>', ("koi8-r", "meta"), None),
    ("guess UTF-8", None, "ü".encode(), ("utf-8", "guess"), "ü"),
    ("guess the other", None, b"caf\xe9", ("cp1252", "guess"), "café"),
    ("unknown label", "text/html; charset=klingon", b"abc", ("utf-8", "guess"), "abc"),
    ("no text at all", "text/html; charset=base64", b"abc", ("utf-8", "guess"), "abc"),
]


@pytest.mark.parametrize(
    ("content_type", "body", "charset", "text"), [case[1:] for case in BODIES], ids=[c[0] for c in BODIES]
)
def test_detection(content_type: str | None, body: bytes, charset: tuple[str, str], text: str | None) -> None:
    """A mark counts first, then the header, the page itself, and a guess."""
    found = detect(body, content_type)

    assert found == charset
    if text is not None:
        assert decode(body, found) == text


def test_utf8_that_is_cut_off_is_still_utf8() -> None:
    """A body that ends within a character is guessed as what it was."""
    assert detect("grö".encode() + b"\xc3").name == "utf-8"


@pytest.mark.parametrize("label", ["utf-7", "idna", "rot13", "", "\x00", "x" * 5000])
def test_labels_that_are_no_charset(label: str) -> None:
    """Codecs that are no character sets of pages are not used."""
    assert lookup(label) is None


@given(st.binary(max_size=300), st.text(max_size=40))
def test_never_fails(body: bytes, label: str) -> None:
    """Whatever a server says, the body becomes text."""
    assert isinstance(decode(body, detect(body, f"text/html; charset={label}")), str)

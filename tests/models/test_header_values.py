"""Charsets and links of headers, also of hostile ones."""

from __future__ import annotations

import codecs
import encodings
import pkgutil
from encodings.aliases import aliases

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.models.header_values import charset_of, is_text_encoding, parse_links
from crawler.models.pieces import TextDecoder


@pytest.mark.parametrize(
    ("content_type", "charset"),
    [
        ("text/html", None),
        ("text/html; charset=utf-8", "utf-8"),
        ("text/html;charset=UTF-8", "utf-8"),
        ('text/html; charset="utf-8"', "utf-8"),
        ("text/html; charset='utf-8'", "utf-8"),
        ("text/html; CharSet = latin-1 ; x=y", "latin-1"),
        ('text/html; title="a; charset=wrong"; charset=right', "right"),
        ("text/html; charset=first; charset=second", "first"),
        ("text/html; charset=", None),
        ("text/html; xcharset=a", None),
        ("text/html;;; charset=x", "x"),
        ("charset=x", "x"),
        ("", None),
    ],
)
def test_charset(content_type: str, charset: str | None) -> None:
    """The charset parameter, in any case and quoting, the first of several."""
    assert charset_of(content_type) == charset


@pytest.mark.parametrize("name", ["utf-8", "UTF8", "latin-1", "ISO_8859-1:1987", "windows-1251", "koi8-u", "shift_jis"])
def test_encodings_of_text(name: str) -> None:
    """The names the web uses are known, in any spelling."""
    assert is_text_encoding(name)


_UNKNOWN = ["nonsense", "", " ", "x" * 9999, "utf\0-8", "é", "../x", "os.path", "encodings.utf_8", "aliases"]
_NO_ENCODINGS = ["rot13", "zlib", "hex", "base64", "idna", "punycode", "undefined", "unicode_escape", "charmap", "mbcs"]


@pytest.mark.parametrize("name", [*_UNKNOWN, *_NO_ENCODINGS])
def test_no_encodings_of_text(name: str) -> None:
    """Unknown names and codecs that are no encodings are not known, and looking raises nothing."""
    assert not is_text_encoding(name)


def test_unknown_names_leave_no_trace() -> None:
    """A server cannot fill the memory with names: they never reach Python's own codec cache, which has no bound."""
    before = len(encodings._cache)  # private, but the thing to watch
    for number in range(1000):
        is_text_encoding(f"made-up-{number}")
    assert len(encodings._cache) == before


@given(st.binary(max_size=50))
def test_every_known_encoding_decodes_anything(data: bytes) -> None:
    """Whatever charset is accepted, no bytes make `replace` decoding fail, whole or in pieces."""
    names = {*aliases, *(module.name for module in pkgutil.iter_modules(encodings.__path__))}
    for codec in {codecs.lookup(name).name for name in names if is_text_encoding(name)}:
        data.decode(codec, "replace")
        decoder = TextDecoder(codec)
        for byte in data:
            decoder.feed(bytes((byte,)))
        decoder.end()


@pytest.mark.parametrize(
    ("value", "links"),
    [
        ("", []),
        ("<http://a/front.jpeg>", [{"url": "http://a/front.jpeg"}]),
        (
            '<http://a/front.jpeg>; rel=front; type="image/jpeg"',
            [{"url": "http://a/front.jpeg", "rel": "front", "type": "image/jpeg"}],
        ),
        (
            '<https://a/?page=2&x=1,2>; rel="next", <https://a/?page=5>; rel="last"',
            [{"url": "https://a/?page=2&x=1,2", "rel": "next"}, {"url": "https://a/?page=5", "rel": "last"}],
        ),
        ("<a>,<b>;", [{"url": "a"}, {"url": "b"}]),
        ("<a>; title=\"x, y; z\"; Rel='up'", [{"url": "a", "title": "x, y; z", "rel": "up"}]),
        ('<a>; title="quo\\"te"', [{"url": "a", "title": 'quo"te'}]),
        ("no link at all", []),
        ("<unclosed; rel=x", []),
    ],
)
def test_links(value: str, links: list[dict[str, str]]) -> None:
    """Targets and parameters of each link, commas within targets and quotes included; what is no link is skipped."""
    assert parse_links(value) == links


@pytest.mark.parametrize("part", ["<", "<a>", '<a>"', ";", '; a="', ";a=", "\\", " ", ",", '<a>; b="\\', ", <"])
def test_hostile_values_take_no_time(part: str) -> None:
    """Values as long as a header may be are read in linear time; a quadratic reader would run into the timeout."""
    value = part * (64_000 // len(part))

    parse_links(value)
    parse_links("<a>;" + value)
    charset_of(value)
    charset_of("text/html;" + value)

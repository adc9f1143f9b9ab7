"""The parser's components, its refusals, and that its output is its own fixed point."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import ConnectError, InvalidURL
from crawler.models.urlparse import Parts, parse_components, parse_url, remove_dot_segments

WORDS = """http:// https:// // / h a.b EXAMPLE.com :80 :81 @ pa:ss %20 %zz ? # .. . ü 中国 [::1] [ \\ { | ^ " < ~ ;
1.2.3.4 /../ xn--a"""
PIECES = st.lists(st.sampled_from([*WORDS.split(), " "]), max_size=9).map("".join)

DOT_SEGMENTS = [
    ("/a/b", "/a/b"),
    ("/a/./b", "/a/b"),
    ("/a/../b", "/b"),
    ("/../../a", "/a"),
    ("/a/b/..", "/a/"),
    ("/a/.", "/a/"),
    ("/..", "/"),
    ("/.", "/"),
    ("/a//../b", "/a/b"),
    ("/.hidden/..x", "/.hidden/..x"),
    ("/a/b/c/./../../g", "/a/g"),
]

REFUSED = [
    ("http://h:0/", "port 0"),
    ("http://h:65536/", "port over 65535"),
    ("http://h:99999999999999999999/", "port of twenty digits"),
    ("http://h:-1/", "negative port"),
    ("http://h:+1/", "port with a sign"),
    ("http://h:1_0/", "port as Python writes it"),
    ("http://h: 1/", "port with a space"),
    ("http://h:٣/", "port in other digits"),
    ("http://h:abc/", "port that is no number"),
    ("http://h:80:80/", "two ports"),
    ("http://a..b/", "empty label"),
    ("http://.a/", "empty first label"),
    (f"http://{'a' * 64}.com/", "label over 63"),
    (f"http://{'a.' * 130}com/", "name over 253"),
    ("http://[::1/", "unclosed bracket"),
    ("http://::1]/", "unopened bracket"),
    ("http://a[b/", "bracket within a name"),
    ("http://[::1]x/", "text after a bracket"),
    ("http://[fe80::1%a b]/", "zone with a space"),
    ("http://[fe80::1%ü]/", "zone with a letter beyond ASCII"),
    ("http://999.1.1.1/", "number over 255 in an address"),
    ("http://0300.1.1.1/", "octal number in an address"),
    ("http://１.2.3.4/", "full-width digit"),
    ("http://9999。1。1。1/", "address by ideographic full stops"),
    ("http://☃.com/", "symbol that IDNA forbids"),
    ("http://a\\@b/", "backslash before the host"),
    ("http://h\\.evil/", "backslash within the host"),
    ("http://h/\n", "line feed"),
    ("http://h/\x00", "NUL"),
    ("http://h/\x7f", "DEL"),
    ("http://h\x00/", "NUL in the host"),
    ("http://h/\ud800", "lone surrogate"),
    ("http:////evil/", "path that reads as a host"),
    ("http:/a/..//evil", "path that comes to read as a host"),
    (":80", "relative path beginning with a colon"),
    ("http://h/" + "x" * 65536, "over 64 KiB"),
]


@pytest.mark.parametrize(("path", "resolved"), DOT_SEGMENTS)
def test_dot_segments(path: str, resolved: str) -> None:
    """Dot segments are resolved as RFC 3986 §5.2.4 says, and never above the root."""
    assert remove_dot_segments(path) == resolved


@pytest.mark.parametrize(("url", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_refused(url: str, why: str) -> None:
    """What cannot be requested, or reads differently twice, is an InvalidURL."""
    with pytest.raises(InvalidURL):
        parse_url(url)


def test_port_out_of_range_is_a_connect_error_too() -> None:
    """Programs written for HTTPX expect a ConnectError of a port beyond the range."""
    with pytest.raises(ConnectError) as caught:
        parse_url("http://h:65536/")

    assert isinstance(caught.value, InvalidURL)
    assert caught.value.kind == "invalid_url"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (
            "HTTPS://Jo:a b@EX.org:443/a b?q=ü#f g",
            Parts("https", "Jo:a%20b", "ex.org", None, "/a%20b", "q=%C3%BC", "f%20g"),
        ),
        ("http://h", Parts("http", "", "h", None, "", None, None)),
        ("http://h?", Parts("http", "", "h", None, "", "", None)),
        ("//h:81/p", Parts("", "", "h", 81, "/p", None, None)),
        ("://h", Parts("", "", "h", None, "", None, None)),
        ("mailto:a@b", Parts("mailto", "", "", None, "a@b", None, None)),
        ("../a", Parts("", "", "", None, "../a", None, None)),
        ("http://u@x:p@h/", Parts("http", "u%40x:p", "h", None, "/", None, None)),
        ("http://[::1]:81/", Parts("http", "", "::1", 81, "/", None, None)),
        ("http://[fe80::1%25eth0]/", Parts("http", "", "fe80::1%25eth0", None, "/", None, None)),
        ("http://müller.de:00080/", Parts("http", "", "xn--mller-kva.de", None, "/", None, None)),
        ("http://a。b/", Parts("http", "", "a.b", None, "/", None, None)),
        ("http://h./", Parts("http", "", "h.", None, "/", None, None)),
        ("http://exam le.com/", Parts("http", "", "exam%20le.com", None, "/", None, None)),
        ("all://*.example.com", Parts("all", "", "*.example.com", None, "", None, None)),
        ("https://:443/", Parts("https", "", "", None, "/", None, None)),
    ],
)
def test_components(url: str, parts: Parts) -> None:
    """Each part lands in its component, in canonical form."""
    assert parse_url(url) == parts


@given(PIECES)
def test_output_is_a_fixed_point(text: str) -> None:
    """Whatever is accepted reads the same when its text is parsed again."""
    try:
        parts = parse_url(text)
    except InvalidURL:
        return

    assert parse_url(parts.unparse()) == parts


@given(PIECES)
def test_target_stays_one_word(text: str) -> None:
    """The request target and the host are printable ASCII without spaces, so a request line stays one line."""
    try:
        parts = parse_url(text)
    except InvalidURL:
        return

    written = parts.target + parts.netloc
    assert written.isascii()
    assert written.isprintable()
    assert " " not in written


@given(st.text(max_size=60))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """No text makes the parser raise anything but InvalidURL."""
    try:
        parts = parse_url(f"http://h/{text}")
    except InvalidURL:
        return

    assert parse_url(parts.unparse()) == parts


def test_components_cannot_leak_into_others() -> None:
    """A component given by name must not contain another one (CVE-2021-41945)."""
    base = parse_url("https://example.com/path?t=w#tw")

    for name, value in [
        ("scheme", "https://x:x@x/x"),
        ("host", "evil/path"),
        ("host", "user@evil"),
        ("host", "h#f"),
        ("netloc", "user@evil"),
        ("path", "/a?b"),
        ("query", "a#b"),
        ("userinfo", "a@b"),
        ("path", "/a\n"),
        ("netloc", "h\r\n"),
    ]:
        with pytest.raises(InvalidURL):
            parse_components(base, {name: value})


def test_port_default_depends_on_the_new_scheme() -> None:
    """A port is dropped when it is the default of the scheme it ends up with."""
    base = parse_url("https://h:80/")

    assert base.port == 80
    assert parse_components(base, {"scheme": "http"}).port is None

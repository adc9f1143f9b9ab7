"""`URL` and `Origin` as users see them; the fast and the full way in agree."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import crawler.models.url as url_module
from crawler.errors import InvalidURL
from crawler.models import URL, Origin, QueryParams

ATTRIBUTES = [
    "scheme",
    "raw_scheme",
    "userinfo",
    "username",
    "password",
    "host",
    "raw_host",
    "port",
    "netloc",
    "path",
    "query",
    "raw_path",
    "fragment",
    "params",
    "is_absolute_url",
    "origin",
]


def everything(url: URL) -> dict[str, object]:
    """All that can be asked of a URL."""
    return {name: getattr(url, name) for name in ATTRIBUTES} | {"str": str(url), "repr": repr(url), "hash": hash(url)}


def test_components() -> None:
    """Every component is found, decoded for people and encoded for machines."""
    url = URL("HTTPS://jo%40email.com:a%20secret@müller.de:1234/pa%20th?search=ab#anchor%20link")

    assert everything(url) == {
        "scheme": "https",
        "raw_scheme": b"https",
        "userinfo": b"jo%40email.com:a%20secret",
        "username": "jo@email.com",
        "password": "a secret",
        "host": "müller.de",
        "raw_host": b"xn--mller-kva.de",
        "port": 1234,
        "netloc": b"xn--mller-kva.de:1234",
        "path": "/pa th",
        "query": b"search=ab",
        "raw_path": b"/pa%20th?search=ab",
        "fragment": "anchor link",
        "params": QueryParams("search=ab"),
        "is_absolute_url": True,
        "origin": Origin("https://müller.de:1234"),
        "str": "https://jo%40email.com:a%20secret@xn--mller-kva.de:1234/pa%20th?search=ab#anchor%20link",
        "repr": "URL('https://jo%40email.com:[secure]@xn--mller-kva.de:1234/pa%20th?search=ab#anchor%20link')",
        "hash": hash("https://jo%40email.com:a%20secret@xn--mller-kva.de:1234/pa%20th?search=ab#anchor%20link"),
    }


@pytest.mark.parametrize(
    ("text", "raw_path"),
    [
        ("https://example.com/!$&'()*+,;= abc ABC 123 :/[]@", b"/!$&'()*+,;=%20abc%20ABC%20123%20:/[]@"),
        ("https://example.com/ %61%62%63", b"/%20%61%62%63"),
        ("https://example.com/?!$&%27()*+,;=%20a:%2F[]@?", b"/?!$&%27()*+,;=%20a:%2F[]@?"),
        ("https://example.com/?a=b c&d=e/f", b"/?a=b%20c&d=e/f"),
        ("https://example.com/%zz|^\\", b"/%zz|^\\"),
        ('https://example.com/{`}"<>', b"/%7B%60%7D%22%3C%3E"),
        ("https://example.com/🌟", b"/%F0%9F%8C%9F"),
        ("https://example.com", b"/"),
        ("https://example.com?", b"/?"),
        ("https://example.com/a?", b"/a?"),
        ("/x", b"/x"),
        ("?x", b"/?x"),
    ],
)
def test_raw_path(text: str, raw_path: bytes) -> None:
    """The request target is escaped by the WHATWG sets, existing escapes kept."""
    assert URL(text).raw_path == raw_path


@pytest.mark.parametrize(
    "text",
    [
        "http://fast.test/",
        "http://fast.test:81/a/b?c=d&e=%20&f={x}",
        "https://fast.test/a.b/~c|d%zz",
        "http://[::1]:81/a?b",
        "http://[0:0:0:0:0:0:0:1]/a?",
        "http://xn--mller-kva.de/x?y?z",
        "http://127.0.0.1/",
    ],
)
def test_fast_and_full_parser_agree(text: str) -> None:
    """The second URL of an origin takes the fast way in, and cannot be told from the first."""
    url_module._origins.clear()
    full = URL(text)
    fast = URL(text)

    assert full._known_parts is not None
    assert fast._known_parts is None
    assert everything(fast) == everything(full)


@given(st.text(st.sampled_from("ab/.?%20#:@&=~|^`{}<>\"' ü\\;[]"), max_size=12))
def test_fast_way_in_takes_only_canonical_text(tail: str) -> None:
    """For any rest of the text, the fast way in gives what the full parser gives, or leaves it alone."""
    text = f"http://fast.test:81/{tail}"
    url_module._origins.clear()
    try:
        full = URL(text)
    except InvalidURL:
        return

    assert full._known_parts is not None
    assert everything(URL(text)) == everything(full)


def test_known_origins_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of known origins never outgrows its bound, and URLs go on working when it is emptied."""
    monkeypatch.setattr(url_module, "MAX_ORIGINS", 4)
    url_module._origins.clear()

    for number in range(20):
        assert URL(f"http://h{number}/x").origin.host == f"h{number}"
        assert len(url_module._origins) <= 4


def test_too_long_is_refused_by_the_fast_way_too() -> None:
    """The length limit holds however the URL would be read."""
    URL("http://fast.test/")

    with pytest.raises(InvalidURL, match="URL too long"):
        URL("http://fast.test/" + "x" * 65536)


@pytest.mark.parametrize(
    ("components", "text"),
    [
        ({"scheme": "http"}, "http://u:p@example.org:81/a?b#c"),
        ({"host": "::1"}, "https://u:p@[::1]:81/a?b#c"),
        ({"host": "[::1]"}, "https://u:p@[::1]:81/a?b#c"),
        ({"port": None}, "https://u:p@example.org/a?b#c"),
        ({"port": 443}, "https://u:p@example.org/a?b#c"),
        ({"netloc": b"[::1]:82"}, "https://u:p@[::1]:82/a?b#c"),
        ({"username": "tom@x", "password": "1 %:"}, "https://tom%40x:1%20%%3A@example.org:81/a?b#c"),
        ({"username": None, "password": None}, "https://example.org:81/a?b#c"),
        ({"userinfo": b"x"}, "https://x@example.org:81/a?b#c"),
        ({"path": "/ü x"}, "https://u:p@example.org:81/%C3%BC%20x?b#c"),
        ({"query": None}, "https://u:p@example.org:81/a#c"),
        ({"query": b""}, "https://u:p@example.org:81/a?#c"),
        ({"raw_path": b"/x"}, "https://u:p@example.org:81/x#c"),
        ({"raw_path": b"/x?"}, "https://u:p@example.org:81/x?#c"),
        ({"fragment": None}, "https://u:p@example.org:81/a?b"),
        ({"params": {"x": "a b", "y": [1, True]}}, "https://u:p@example.org:81/a?x=a+b&y=1&y=true#c"),
        ({"params": {}}, "https://u:p@example.org:81/a#c"),
        ({}, "https://u:p@example.org:81/a?b#c"),
    ],
)
def test_copy_with(components: dict[str, object], text: str) -> None:
    """Components are replaced one by one, None removes them."""
    url = URL("https://u:p@example.org:81/a?b#c")

    assert str(url.copy_with(**components)) == text  # type: ignore[arg-type]
    assert str(URL(str(url), **components)) == text  # type: ignore[arg-type]


def test_wrong_arguments_are_type_errors() -> None:
    """Unknown components and values of another type are refused by name."""
    with pytest.raises(TypeError, match="'incorrect' is an invalid keyword argument"):
        URL("http://h", incorrect="/")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="Argument 'userinfo' must be bytes but got str"):
        URL("http://h", userinfo="x")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Invalid type for url"):
        URL(123)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Invalid type for url"):
        URL(123, params={"a": "b"})  # type: ignore[arg-type]


RFC_3986_JOINS = [
    ("g", "http://a/b/c/g"),
    ("./g", "http://a/b/c/g"),
    ("g/", "http://a/b/c/g/"),
    ("/g", "http://a/g"),
    ("//g", "http://g"),
    ("?y", "http://a/b/c/d;p?y"),
    ("g?y", "http://a/b/c/g?y"),
    ("#s", "http://a/b/c/d;p?q#s"),
    ("g?y#s", "http://a/b/c/g?y#s"),
    (";x", "http://a/b/c/;x"),
    ("", "http://a/b/c/d;p?q"),
    (".", "http://a/b/c/"),
    ("..", "http://a/b/"),
    ("../g", "http://a/b/g"),
    ("../..", "http://a/"),
    ("../../../g", "http://a/g"),
    ("/../g", "http://a/g"),
    ("g..", "http://a/b/c/g.."),
    ("./g/.", "http://a/b/c/g/"),
    ("g;x=1/../y", "http://a/b/c/y"),
    ("g?y/../x", "http://a/b/c/g?y/../x"),
    ("http:g", "http://a/b/c/g"),
    ("mailto:x", "mailto:x"),
    ("https://o/x", "https://o/x"),
    ("//u:p@o:81/x", "http://u:p@o:81/x"),
    ("..//x", "http://a/b//x"),
]


@pytest.mark.parametrize(("reference", "joined"), RFC_3986_JOINS)
def test_join(reference: str, joined: str) -> None:
    """References resolve as in RFC 3986 §5.4."""
    assert str(URL("http://a/b/c/d;p?q").join(reference)) == joined


def test_join_keeps_what_belongs_to_the_base() -> None:
    """User information, port and an empty base path survive a relative reference."""
    assert str(URL("http://u:p@h:81").join("x?y")) == "http://u:p@h:81/x?y"
    assert str(URL("/path/to/x").join("../y")) == "/path/y"


def test_params_manipulation() -> None:
    """The four copy methods change the query only."""
    url = URL("https://example.org:123/?a=123#f")

    assert url.copy_set_param("a", "456") == "https://example.org:123/?a=456#f"
    assert url.copy_add_param("a", "456") == "https://example.org:123/?a=123&a=456#f"
    assert url.copy_remove_param("a") == "https://example.org:123/#f"
    assert url.copy_merge_params({"b": "456"}) == "https://example.org:123/?a=123&b=456#f"


def test_equality_and_hash() -> None:
    """URLs compare by their canonical text, with text too, and never raise in doing so."""
    assert URL("HTTP://H:80/a/../b") == URL("http://h/b")
    assert URL("http://h/") == "HTTP://h/"
    assert URL("http://h/") != "http://h:0/"
    assert URL("http://h/") != 1
    assert len({URL("http://h/"), URL("http://H/")}) == 1


def test_copies_are_equal() -> None:
    """URLs and origins survive copying and pickling."""
    url = URL("https://u:p@h:81/a?b#c")

    for made in (URL(url), copy.copy(url), copy.deepcopy(url), pickle.loads(pickle.dumps(url))):
        assert everything(made) == everything(url)
    for origin in (url.origin, Origin("https://[fe80::1%25eth0]"), Origin("custom://h")):
        assert pickle.loads(pickle.dumps(origin)) == origin


@pytest.mark.parametrize(
    ("text", "host", "raw_host"),
    [
        ("http://中国.icom.museum:80/", "中国.icom.museum", b"xn--fiqs8s.icom.museum"),
        ("https://faß.de", "faß.de", b"xn--fa-hia.de"),
        ("https://www.faß.de", "www.faß.de", b"www.xn--fa-hia.de"),
        ("https://a.b.c.xn--pokxncvks/", "a.b.c.xn--pokxncvks", b"a.b.c.xn--pokxncvks"),
        ("https://xn--fiqs8s.xn--pokxncvks/", "中国.xn--pokxncvks", b"xn--fiqs8s.xn--pokxncvks"),
        ("https://exam le.com/", "exam%20le.com", b"exam%20le.com"),
        ("https://[::ffff:192.168.0.1]/", "::ffff:192.168.0.1", b"::ffff:192.168.0.1"),
    ],
)
def test_hosts(text: str, host: str, raw_host: bytes) -> None:
    """IDNA goes both ways, label by label; a label that only looks encoded stays."""
    url = URL(text)

    assert (url.host, url.raw_host) == (host, raw_host)


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "netloc"),
    [
        ("https://u:p@Example.com/path?q#f", "https", "example.com", 443, b"example.com"),
        ("http://example.com:81/", "http", "example.com", 81, b"example.com:81"),
        ("ws://h/", "ws", "h", 80, b"h"),
        ("ftp://h/", "ftp", "h", 21, b"h"),
        ("http://[0:0:0:0:0:0:0:1]:81/", "http", "::1", 81, b"[::1]:81"),
        ("http://[fe80:0::1%25eth0]/", "http", "fe80::1%25eth0", 80, b"[fe80::1]"),
        ("http://müller.de/", "http", "xn--mller-kva.de", 80, b"xn--mller-kva.de"),
        ("custom://h", "custom", "h", None, b"h"),
    ],
)
def test_origin(text: str, scheme: str, host: str, port: int | None, netloc: bytes) -> None:
    """An origin is what connections are shared by; its netloc is what Host says."""
    origin = URL(text).origin

    assert (origin.scheme, origin.host, origin.port, origin.netloc) == (scheme, host, port, netloc)
    assert origin == Origin(text)
    assert hash(origin) == hash(Origin(text))


def test_origin_is_the_same_object() -> None:
    """URLs of one origin share one object, so that looking up by it is an identity check."""
    assert URL("http://same.test/a").origin is URL("http://same.test/b?c").origin
    assert URL("HTTP://SAME.test:80/x").origin is URL("http://same.test/").origin


def test_origin_cannot_be_changed() -> None:
    """Shared by many, an origin is immutable."""
    origin = URL("http://h/").origin

    with pytest.raises(AttributeError):
        origin.host = "other"
    with pytest.raises(AttributeError):
        del origin.host
    assert repr(origin) == "Origin(scheme='http', host='h', port=80)"
    assert origin != Origin("https://h/")
    assert origin != "http://h"


@pytest.mark.parametrize("text", ["", "/path", "http://", "http:///x", "mailto:user@example.com", "//h/x"])
def test_relative_url_has_no_origin(text: str) -> None:
    """Without scheme or host there is no origin; the error is both HTTPX's family's and an InvalidURL."""
    with pytest.raises(ValueError, match="URL must be absolute to have an origin"):
        _ = URL(text).origin
    with pytest.raises(InvalidURL):
        _ = URL(text).origin


@pytest.mark.parametrize("text", ["http://exam le.com/", "http://a%00b/", 'http://a"b/', "http://a%2eb/"])
def test_host_that_cannot_be_asked_for_has_no_origin(text: str) -> None:
    """A host that would need escapes can be written, but not requested."""
    url = URL(text)

    with pytest.raises(InvalidURL):
        _ = url.origin


def test_raw_is_deprecated() -> None:
    """HTTPX's old tuple is still there, with a warning."""
    with pytest.warns(DeprecationWarning, match="URL.raw"):
        assert URL("https://h/x").raw == (b"https", b"h", None, b"/x")

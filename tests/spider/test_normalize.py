"""Links made absolute, and URLs brought to one form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.spider.normalize import Normalizer, absolute

BASE = "http://h/d/e?x"

LINKS = [
    ("a", "http://h/d/a"),
    ("/b", "http://h/b"),
    ("//c/d", "http://c/d"),
    ("?q", "http://h/d/e?q"),
    ("#f", "http://h/d/e?x#f"),
    ("", "http://h/d/e?x"),
    ("../../..", "http://h/"),
    (" \n/sp ace\t ", "http://h/sp%20ace"),
    ("/li\nne", "http://h/line"),
    ("\\\\c\\d?a\\b", "http://c/d?a\\b"),
    ("http:g", "http://h/d/g"),
    ("https:g/h", "https://g/h"),
    ("HTTP://X/y", "http://x/y"),
    ("http://münchen.example/ä", "http://xn--mnchen-3ya.example/%C3%A4"),
    ("javascript:void(0)", None),
    ("java\nscript:alert(1)", None),
    (" JavaScript:x", None),
    ("mailto:a@b", None),
    ("data:text/html,x", None),
    ("tel:+49", None),
    ("ftp://h/x", None),
    ("http://[bad/", None),
    ("http://a b/", None),
    ("\ud800", None),
]


@pytest.mark.parametrize(("href", "url"), LINKS)
def test_links_are_resolved_as_browsers_do(href: str, url: str | None) -> None:
    """White space, line breaks and backslashes are read as browsers read them; other schemes are no links."""
    assert absolute(href, BASE) == url


FORMS = [
    ("HTTP://Example.COM:80", "http://example.com/"),
    ("https://h:443/?", "https://h/"),
    ("http://h/%7ea/./b/../c#f", "http://h/~a/c"),
    ("http://h/%2e%2e/b", "http://h/b"),
    ("http://h/a%2fb%c3%a9", "http://h/a%2Fb%C3%A9"),
    ("http://h/a?b=2&utm_source=x&a=1&&gclid=3", "http://h/a?a=1&b=2"),
    ("http://h/a?utm%5Fx=1", "http://h/a"),
    ("http://h/a?b=2&b=1", "http://h/a?b=1&b=2"),
    ("http://[::1]:80/x", "http://[::1]/x"),
    ("http://user:pw@h/", "http://user:pw@h/"),
]


@pytest.mark.parametrize(("url", "normal"), FORMS)
def test_one_form(url: str, normal: str) -> None:
    """Ways of writing one URL become one."""
    assert Normalizer(sort_query=True, drop_params=("utm_*", "gclid")).normalize(url) == normal


def test_what_is_not_asked_for_stays() -> None:
    """Order, case and parameters stay unless a rule says otherwise; the fragment goes unless told."""
    assert Normalizer().normalize("http://h/A?b=1&a=2#f") == "http://h/A?b=1&a=2"
    assert Normalizer(drop_fragment=False).normalize("http://h/A#f") == "http://h/A#f"
    assert Normalizer(lowercase_path=True).normalize("http://h/A%2F?B") == "http://h/a%2F?B"


@pytest.mark.parametrize("url", ["mailto:x@y", "http://", "no url", "http://h\x00/", "ftp://h/"])
def test_what_is_no_url(url: str) -> None:
    """Text that cannot be asked for has no form."""
    assert Normalizer().normalize(url) is None


_URLS = st.builds(
    "http://{}{}{}".format,
    st.sampled_from(["h", "H.Example:80", "bücher.example", "10.0.0.1:81", "[::1]"]),
    st.text(alphabet="/aB.%2e5cé ~\\;=", max_size=20).map(lambda path: "/" + path),
    st.text(alphabet="?&=abZ%41+ utm_#é", max_size=20).map(lambda query: "?" + query),
)
_RULES = st.builds(
    Normalizer,
    sort_query=st.booleans(),
    drop_params=st.sampled_from([(), ("utm_*",), ("a*", "b")]),
    lowercase_path=st.booleans(),
)


@given(_RULES, _URLS)
def test_twice_is_as_good_as_once(rules: Normalizer, url: str) -> None:
    """The form of a form is itself."""
    once = rules.normalize(url)
    if once is not None:
        assert rules.normalize(once) == once


@given(_RULES, _URLS)
def test_the_quick_look_agrees(rules: Normalizer, url: str) -> None:
    """What the quick look takes as it is, the whole way would not change."""
    if rules.is_normal(url):
        unsure = url.replace("http://", "HTTP://", 1)  # never taken by the quick look
        assert rules.normalize(unsure) == url


@given(st.text(max_size=60))
def test_any_text_is_a_link_or_none(href: str) -> None:
    """No text in a page makes resolving fail."""
    url = absolute(href, BASE)
    assert url is None or url.startswith(("http://", "https://"))

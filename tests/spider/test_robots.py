"""robots.txt, as hosts really answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.spider.robots import MAX_SIZE, RobotsRules, clean

AGENT = "crawler"


def test_groups_and_longest_match() -> None:
    """The group of our name counts alone, the longest rule decides (RFC 9309 §2.2)."""
    rules = RobotsRules(
        b"User-agent: *\nDisallow: /\n\n"
        b"User-agent: Crawler\nDisallow: /private/\nAllow: /private/open$\nDisallow: /*.pdf\n"
    )

    assert rules.allows("http://h/x", AGENT)
    assert not rules.allows("http://h/private/1", AGENT)
    assert rules.allows("http://h/private/open", AGENT)
    assert not rules.allows("http://h/a/b.pdf?x", AGENT)
    assert not rules.allows("http://h/x", "otherbot")


@pytest.mark.parametrize(
    ("lines", "seconds"),
    [
        ("Crawl-delay: 2", 2.0),
        ("Crawl-delay: 0.5", 0.5),
        ("Request-rate: 1/5", 5.0),
        ("Request-rate: 10/1m", 6.0),
        ("Crawl-delay: 2\nRequest-rate: 1/5", 5.0),
        ("Crawl-delay: many", None),
        ("Crawl-delay: -1", None),
        ("Crawl-delay: 0", None),
        ("Crawl-delay: inf", None),
        ("Disallow: /x", None),
    ],
)
def test_intervals(lines: str, seconds: float | None) -> None:
    """The longer of both ways to ask for time is kept; nonsense asks for none."""
    assert RobotsRules(f"User-agent: *\n{lines}\n".encode()).interval(AGENT) == seconds


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!DOCTYPE html>\n<html>\nUser-agent: *\nDisallow: /\n</html>",
        b"\n <html><body>Disallow: /</body></html>",
        b"\xef\xbb\xbf<html>\nUser-agent: *\nDisallow: /",
        b"User-agent: *\nDisallow:",
        b"Disallow: /\n",
        b"\x00\xff\xfe" * 100,
        b"404 page not found",
    ],
)
def test_what_asks_for_nothing(body: bytes) -> None:
    """An HTML page, noise, and rules of nobody allow everything."""
    assert RobotsRules(body).allows("http://h/any", AGENT)


def test_a_huge_file_is_read_up_to_its_limit() -> None:
    """Half a megabyte counts, in whole lines; what comes after does not."""
    start = b"User-agent: *\nDisallow: /a\n"
    body = start + b"#" * (MAX_SIZE - len(start) - 5) + b"\nDisallow: /b\n"

    rules = RobotsRules(body)

    assert not rules.allows("http://h/a", AGENT)
    assert rules.allows("http://h/b", AGENT)
    assert len(clean(body)) <= MAX_SIZE


def test_encodings() -> None:
    """A mark at the start, foreign bytes and escapes do not hide rules."""
    rules = RobotsRules(b"\xef\xbb\xbfUser-agent: *\r\nDisallow: /caf%C3%A9\r\nDisallow: /\xc3\xbc\r\n# \xff\r\n")

    assert not rules.allows("http://h/caf%c3%a9", AGENT)
    assert not rules.allows("http://h/%C3%BC", AGENT)


def test_sitemaps_are_named_once() -> None:
    """Sitemaps stand outside of groups."""
    rules = RobotsRules(
        b"Sitemap: http://h/a.xml\nUser-agent: x\nDisallow: /\nsitemap: http://h/b.xml\nSitemap: http://h/a.xml"
    )

    assert rules.sitemaps == ("http://h/a.xml", "http://h/b.xml")


@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail(body: bytes) -> None:
    """Whatever a host sends is rules, or none."""
    rules = RobotsRules(b"User-agent: *\n" + body)
    assert rules.allows("http://h/", AGENT) in (True, False)
    assert rules.interval(AGENT) is None or rules.interval(AGENT)

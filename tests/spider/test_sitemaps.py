"""Sitemaps in all their forms, and what pretends to be one."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.spider import sitemaps
from crawler.spider.sitemaps import SitemapEntry, read_sitemap

NS = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


def urls(body: bytes) -> list[str]:
    """The addresses in a sitemap."""
    return [entry.url for entry in read_sitemap(body)]


def test_pages_with_dates_pictures_and_news() -> None:
    """Dates of all lengths, pictures and news are read; escapes are undone."""
    body = f"""<?xml version="1.0" encoding="UTF-8"?>
    <urlset {NS} xmlns:image="i" xmlns:news="n">
      <url><loc> http://h/a?b=1&amp;c=2 </loc><lastmod>2024-03</lastmod>
        <image:image><image:loc>http://h/i.png</image:loc></image:image></url>
      <url><loc>http://h/n</loc><news:news><news:publication_date>2024-03-01T10:00+01:00</news:publication_date></news:news></url>
      <url><loc>http://h/c</loc><lastmod>last week</lastmod></url>
      <url></url>
    </urlset>""".encode()

    assert list(read_sitemap(body)) == [
        SitemapEntry("http://h/a?b=1&c=2", "page", datetime(2024, 3, 1, tzinfo=UTC), ("http://h/i.png",)),
        SitemapEntry("http://h/n", "page", datetime(2024, 3, 1, 9, tzinfo=UTC)),
        SitemapEntry("http://h/c"),
    ]


def test_an_index_names_further_sitemaps() -> None:
    """An index gives sitemaps, which its own dates may filter."""
    body = f"<sitemapindex {NS}><sitemap><loc>http://h/1.xml.gz</loc><lastmod>2020-01-01</lastmod></sitemap></sitemapindex>"

    (entry,) = read_sitemap(body.encode())

    assert (entry.url, entry.kind) == ("http://h/1.xml.gz", "sitemap")
    assert entry.is_older_than(datetime(2021, 1, 1, tzinfo=UTC))
    assert not SitemapEntry("http://h/").is_older_than(datetime(2021, 1, 1, tzinfo=UTC)), "without a date it may be new"


@pytest.mark.parametrize(
    "body",
    [
        b"http://h/1\r\n# no\n\n  http://h/2 \nftp://h/3\n/4",
        gzip.compress(b"http://h/1\nhttp://h/2"),
        b"<rss><channel><link>http://h/</link><item><link>http://h/1</link></item><item><link>http://h/2</link></item></channel></rss>",
        b'<feed xmlns="a"><link href="http://h/"/><entry><link rel="edit" href="http://h/e"/><link href="http://h/1"/></entry>'
        b'<entry><link rel="alternate" href="http://h/2"/></entry></feed>',
        b'\xef\xbb\xbf  \n<?xml version="1.0"?><urlset><url><loc>http://h/1</loc></url><url><loc>http://h/2</loc></url>',
        b"<urlset><url><loc>http://h/1</loc></url><url><loc>http://h/2</loc></url><url><loc>http://h/3</l",
        gzip.compress(
            b"<urlset><url><loc>http://h/1</loc></url><url><loc>http://h/2</loc></url></urlset>" + b" " * 200_000
        )[:-40],
    ],
    ids=["text", "gzip", "rss", "atom", "mark and space", "cut off", "gzip cut off"],
)
def test_forms(body: bytes) -> None:
    """All forms give their pages, broken ones what could be read."""
    assert urls(body) == ["http://h/1", "http://h/2"]


def test_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file gives so many URLs, of so many bytes; a bomb of gzip is not unpacked further."""
    monkeypatch.setattr(sitemaps, "MAX_URLS", 3)
    assert len(urls(b"http://h/1\n" * 10)) == 3

    monkeypatch.setattr(sitemaps, "MAX_SIZE", 200_000)
    monkeypatch.setattr(sitemaps, "MAX_URLS", 10**9)
    assert len(urls(gzip.compress(b"http://h/1\n" * 1_000_000))) == 200_000 // 11


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"\x1f\x8b\x08garbage",
        b"<!doctype html><html><body><p>Not found",
        b'<!DOCTYPE x [<!ENTITY a "http://h/"><!ENTITY b "&a;&a;">]><urlset><url><loc>&b;</loc></url></urlset>',
        b"<a>" * 10_000,
        b"<urlset><url><loc>" + b"x" * 100_000 + b"</loc></url></urlset>",
        b'<?xml version="1.0" encoding="nonsense"?><urlset><url><loc>http://h/</loc></url></urlset>',
    ],
)
def test_what_is_none_gives_nothing(body: bytes) -> None:
    """Pages, bombs, garbage and endless values give no address, and no error."""
    assert urls(body) == []


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(body: bytes) -> None:
    """Whatever comes, reading ends without an error."""
    assert urls(body) is not None
    assert urls(b"<urlset><url><loc>http://h/1</loc></url>" + body)[:1] in ([], ["http://h/1"])

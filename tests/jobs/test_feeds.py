"""RSS and Atom as lists of URLs."""

from __future__ import annotations

import io

import pytest

from crawler.jobs.feeds import read_feed
from crawler.jobs.lines import InputError

RSS = b"""\xef\xbb\xbf<?xml version="1.0"?><rss version="2.0"><channel><title>T</title><link>http://h/</link>
<item><title>One &amp; two</title><link> http://h/1 </link><guid>g1</guid><pubDate>Mon, 1 Jan 2024 00:00 GMT</pubDate>
<author><title>not this</title></author></item>
<item><title><![CDATA[<b>Pod</b>]]></title><enclosure url="http://h/2.mp3" type="audio/mpeg" length="3"/></item>
</channel></rss>"""

ATOM = b"""<?xml version="1.0"?><feed xmlns="http://www.w3.org/2005/Atom"><title>T</title><link href="http://h/"/>
<entry><title>One</title><link rel="self" href="http://h/self"/><link href="/1"/><id>urn:1</id>
<published>2024-01-01T00:00:00Z</published><updated>2024-01-02T00:00:00Z</updated>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><a href="x">y</a></div></content></entry></feed>"""

RDF = b"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
xmlns:dc="http://purl.org/dc/elements/1.1/"><channel/><item rdf:about="x"><link>http://h/1</link>
<dc:date>2024</dc:date></item></rdf:RDF>"""


def entries(data: bytes, base: str = "") -> list[dict[str, object]]:
    """The entries without empty fields."""
    found = read_feed(io.BytesIO(data), "feed", base)
    return [{name: value for name, value in entry.items() if value} for entry in found]


def test_rss() -> None:
    """Title, link, guid and date of each item; an item without a link is its enclosure."""
    assert entries(RSS) == [
        {"url": "http://h/1", "title": "One & two", "id": "g1", "published": "Mon, 1 Jan 2024 00:00 GMT"},
        {"url": "http://h/2.mp3", "title": "<b>Pod</b>", "enclosure": "http://h/2.mp3"},
    ]


def test_atom() -> None:
    """The alternate link, joined to where the feed came from."""
    assert entries(ATOM, "https://feeds.example/all") == [
        {
            "url": "https://feeds.example/1",
            "title": "One",
            "id": "urn:1",
            "published": "2024-01-01T00:00:00Z",
            "updated": "2024-01-02T00:00:00Z",
        }
    ]


def test_rdf() -> None:
    """RSS 1.0, whose items stand beside the channel."""
    assert entries(RDF) == [{"url": "http://h/1", "updated": "2024"}]


def test_a_feed_that_breaks_off_gives_what_came_before() -> None:
    """The entries in front of the break."""
    assert [entry["url"] for entry in entries(RSS[:-120])] == ["http://h/1"]


@pytest.mark.parametrize(
    "data", [b"", b"no feed", b'<!DOCTYPE r [<!ENTITY a "b">]><rss><item><link>&a;</link></item></rss>']
)
def test_what_is_no_feed(data: bytes) -> None:
    """Is said; entities are refused, so that none can be a bomb."""
    with pytest.raises(InputError, match="feed: no feed"):
        entries(data)

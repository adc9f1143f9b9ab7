"""Links: where they stand, and pages made to hurt."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.spider import links
from crawler.spider.document import Document
from crawler.spider.errors import BadExpression, BadPayload
from crawler.spider.links import Link, LinkFinder, parse_link_header


def page(html: str | bytes, *headers: tuple[str, str], url: str = "http://h/d/e") -> Document:
    """A page of markup."""
    body = html if isinstance(html, bytes) else html.encode()
    return Document(url, body, "text/html; charset=utf-8", headers)


def hrefs(document: Document, *sources: str) -> list[str]:
    """The links of a page as they stand there."""
    return [link.href for link in (LinkFinder(sources) if sources else LinkFinder()).find(document)]


def test_the_default_sources() -> None:
    """Anchors, areas, frames and the next page are links, in the order of the page; scripts and images are none."""
    document = page(
        "<link rel=next href=/2><link rel=stylesheet href=s.css><a href=a>x</a><a name=y>y</a><a href=''>z</a>"
        "<map><area href=b></map><iframe src=c></iframe><img src=d><script src=e></script>"
    )

    assert hrefs(document) == ["/2", "a", "b", "c"]


def test_canonical_and_refresh_are_links_always() -> None:
    """A page says its own address, and where it sends browsers, whatever the sources are."""
    document = page("<link rel=Canonical href=/c><meta http-equiv=REFRESH content='5; URL=\"/r\"'><a href=a>")

    assert hrefs(document, "area[href]@href") == ["/c", "/r"]


def test_nofollow_is_told() -> None:
    """`rel` may hold several words in any case."""
    document = page("<a href=a rel='external NoFollow'><a href=b rel=nofollower><a href=c>")

    assert list(LinkFinder().find(document)) == [Link("a", True), Link("b", False), Link("c", False)]


def test_other_sources() -> None:
    """XPath, regular expressions and headers give links as well."""
    document = page(
        "<a href=a>1</a><div data-url='/d'></div><script>go('/p/7'); go('/p/8')</script>",
        ("link", '</n>; rel="next prefetch", </l>; rel=last'),
        ("Link", "<https://h/x>; rel=next"),
        ("X-Next", "/y"),
    )

    assert hrefs(document, "xpath://a/@href") == ["a"]
    assert hrefs(document, "div@data-url") == ["/d"]
    assert hrefs(document, r"re:go\('(/p/\d+)'\)") == ["/p/7", "/p/8"]
    assert hrefs(document, "header:Link[rel=next]") == ["/n", "https://h/x"]
    assert hrefs(document, "header:link") == ["/n", "/l", "https://h/x"]
    assert hrefs(document, "header:X-Next") == ["/y"]


@pytest.mark.parametrize(
    "source", ["a[href]", "@href", "a[[@href", "xpath://[", "re:(", "header:a b", "header:Link[rel]"]
)
def test_bad_sources_are_refused(source: str) -> None:
    """A source that finds nothing, or does not compile, is an error."""
    with pytest.raises(BadExpression):
        LinkFinder([source])


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        ("<a>", [("a", set())]),
        ('<a>;rel="x Y";title="b, <c>"', [("a", {"x", "y"})]),
        ("<a>; rel=next; rel=prev", [("a", {"next"})]),
        ("<a, <b>; rel", [("a, <b", set())]),
        ("nonsense, ;;; <", []),
    ],
)
def test_link_headers(value: str, expected: list[tuple[str, set[str]]]) -> None:
    """Commas in quotes are no ends; of two `rel` the first counts (RFC 8288 §3.3)."""
    assert [(target, set(relations)) for target, relations in parse_link_header(value)] == expected


def test_the_base_is_honoured() -> None:
    """`<base>` counts where it can be resolved, the first one."""
    assert page("<base target=_top><base href='/x/'><base href='/y/'>").base == "http://h/x/"
    assert page("<base href='javascript:1'>").base == "http://h/d/e"
    assert page("<p>").base == "http://h/d/e"


def test_broken_markup_is_read_as_browsers_read_it() -> None:
    """Unclosed elements, missing quotes, wrong nesting and NULs lose no link."""
    document = page(
        b"<a href=1><table><a href='2'</table><b><a href=\"3\n\">x</b></a><!-- <a href=4> -- > -->"
        b"<a/href=5>\x00<a HREF=6<plaintext><a href=7>"
    )

    assert [href.strip() for href in hrefs(document)] == ["1", "2", "3", "5", "6<plaintext", "7"]


def test_a_hundred_thousand_links() -> None:
    """All links of a large page are found, and no more than may be."""
    document = page("".join(f"<a href=/p/{n}>{n}</a>" for n in range(100_000)))

    assert len(hrefs(document)) == 100_000


def test_links_of_one_page_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """More links than may be are left out."""
    monkeypatch.setattr(links, "MAX_LINKS", 10)

    assert len(hrefs(page("<a href=x>" * 50))) == 10


def test_deep_nesting() -> None:
    """Elements within each other without end are refused: parsing them takes minutes."""
    with pytest.raises(BadPayload):
        hrefs(page("<div>" * 100_000 + "<a href=x>"))
    with pytest.raises(BadPayload):
        hrefs(page("<ul>" * 3000 + "</ul>" * 3000))
    assert hrefs(page("<div><a href=x></div>" * 10_000)) == ["x"] * 10_000
    assert hrefs(page("<b>" * 20_000 + "<a href=x>")) == ["x"]


def test_no_links_in_what_is_no_html() -> None:
    """JSON and text hold links for regular expressions alone."""
    document = Document("http://h/", b'{"a": "<a href=x>"}', "application/json", [("Link", "</n>; rel=next")])

    assert hrefs(document) == []
    assert hrefs(document, "header:Link", "xpath://a/@href") == ["/n"]


@given(st.binary(max_size=300))
def test_no_bytes_make_it_fail(body: bytes) -> None:
    """Whatever a page holds, finding its links ends."""
    assert hrefs(page(b"<a href=" + body), "a[href]@href", "xpath://a/@href", "re:href=(.*)") is not None

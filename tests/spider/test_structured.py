"""What pages say about themselves."""

from __future__ import annotations

import pytest

from crawler.spider.document import Document
from crawler.spider.structured import directives, json_ld, meta


def page(html: str, *headers: tuple[str, str]) -> Document:
    """A page of markup."""
    return Document("http://h/", html.encode(), "text/html; charset=utf-8", headers)


def test_json_ld_blocks_lists_and_graphs() -> None:
    """Every object counts, also within lists and `@graph`; broken blocks are passed over."""
    document = page(
        '<script type="application/ld+json">[{"@type":"A"},{"@graph":[{"@type":["B","C"]}]}]</script>'
        '<script type="application/ld+json">{broken</script>'
        '<script type="application/ld+json"><!-- {"@type":"D"} --></script>'
        "<script>var x = 1</script>"
    )

    assert [item.get("@type") for item in json_ld(document)] == ["A", None, ["B", "C"], "D"]
    assert json_ld(Document("http://h/", b'{"@type":"A"}', "application/json")) == []


def test_meta_by_any_of_its_names() -> None:
    """`name`, `property`, `itemprop` and `http-equiv` name a value; the title is one if no meta says so."""
    document = page(
        "<title>T</title><meta name=Description content=d><meta property='og:image' content=a>"
        "<meta property='og:image' content=b><meta itemprop=price content='4.99'><meta name=empty>"
    )

    assert meta(document, "description") == ["d"]
    assert meta(document, "og:image") == ["a", "b"]
    assert meta(document, "price") == ["4.99"]
    assert meta(document, "title") == ["T"]
    assert meta(document, "empty") == []


@pytest.mark.parametrize(
    ("html", "headers", "expected"),
    [
        ("<p>", [], (False, False)),
        ("<meta name=robots content='noindex, NoFollow'>", [], (True, True)),
        ("<meta name=ROBOTS content=none>", [], (True, True)),
        ("<meta name=crawler content=nofollow>", [], (True, False)),
        ("<meta name=otherbot content=nofollow>", [], (False, False)),
        ("<p>", [("X-Robots-Tag", "noindex")], (False, True)),
        ("<p>", [("X-Robots-Tag", "otherbot: noindex, nofollow")], (False, False)),
        ("<p>", [("X-Robots-Tag", "otherbot: noindex"), ("x-robots-tag", "crawler: nofollow")], (True, False)),
        ("<p>", [("X-Robots-Tag", "unavailable_after: 25 Jun 2010 15:00:00 PST, nofollow")], (True, False)),
    ],
)
def test_directives(html: str, headers: list[tuple[str, str]], expected: tuple[bool, bool]) -> None:
    """What page and headers ask of all robots, and of ours by name."""
    assert tuple(directives(page(html, *headers), "crawler")) == expected

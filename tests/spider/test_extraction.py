"""Items: each kind of expression, types, defaults, parts of pages, and what goes wrong."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.spider.document import Document
from crawler.spider.errors import BadExpression, BadPayload, ExtractFailed, SelectorTimeout
from crawler.spider.extraction import Extraction, Extractor
from crawler.spider.rules import rules_from

SHOP = """<!doctype html><html><head><title>Tea | Shop</title>
<meta name="description" content=" Good tea. "><meta itemprop=price content="1,299.00">
<script type="application/ld+json">{"@type": "Product", "name": "Tea",
 "offers": [{"price": "4.99", "availability": "InStock"}, {"price": 5.5}]}</script></head>
<body><h1> Tea <b>No 1</b> </h1><p class="price">4.99 EUR</p><p>SKU: <i>x</i> SKU: TEA-001</p>
<ul><li data-n="1"><a href="/a?x=1">A</a></li><li data-n="two"><a href="b">B</a></li><li>C</li></ul>
<img class=g src=1.png><img class=g src=//cdn.h/2.png><time datetime="2026-11-21">today</time></body></html>"""


def extract(rules: Any, body: str | bytes = SHOP, content_type: str = "text/html; charset=utf-8") -> Extraction:
    """Apply rules, in the words of a job, to a page."""
    data = body if isinstance(body, bytes) else body.encode()
    return Extractor(rules_from(rules)).extract(Document("http://h/p/1", data, content_type))


def value(field: Any, **page: Any) -> object:
    """The value of one field."""
    got = extract({"x": field}, **page)
    assert got.failure is None
    return got.rows[0]["x"]


FIELDS = [
    ("h1::text", "Tea No 1"),
    ({"css": "h1::html"}, "<h1> Tea <b>No 1</b> </h1>"),
    ({"css": "h1", "type": "html"}, "<h1> Tea <b>No 1</b> </h1>"),
    ({"css": "h1", "strip": False}, " Tea No 1 "),
    ({"css": "li@data-n"}, "1"),
    ({"css": "li::attr(data-n)", "all": True}, ["1", "two"]),
    ({"css": "li@data-n", "all": True, "type": "int"}, [1]),
    ({"css": "p.price", "type": "decimal"}, Decimal("4.99")),
    ({"css": "time@datetime", "type": "date"}, date(2026, 11, 21)),
    ({"css": "img.g@src", "all": True, "type": "url"}, ["http://h/p/1.png", "http://cdn.h/2.png"]),
    ({"css": "h2"}, None),
    ({"css": "h2", "default": "none"}, "none"),
    ({"css": "h2", "required": True, "default": "none"}, "none"),
    ({"css": "h2", "all": True}, None),
    ({"css": "h1", "type": "int"}, 1),
    ({"css": "title", "type": "int", "default": 0}, 0),
    ({"xpath": "//meta[@itemprop='price']/@content", "type": "decimal"}, Decimal("1299.00")),
    ({"xpath": "//h1"}, "Tea No 1"),
    ({"xpath": "count(//li)", "type": "int"}, 3),
    ({"xpath": "//li[1] = 'A'", "type": "bool"}, True),
    ({"xpath": "//a/text()", "all": True}, ["A", "B"]),
    ({"regex": r"SKU:\s*(\w+-\d+)"}, "TEA-001"),
    ({"regex": r"<li(?: data-n=\"(\w+)\")?>", "all": True}, ["1", "two", "<li>"]),
    ({"json_ld": "Product.offers.availability"}, "InStock"),
    ({"json_ld": "Product.offers.price", "all": True, "type": "float"}, [4.99, 5.5]),
    ({"json_ld": "*.name"}, "Tea"),
    ({"json_ld": "Person.name"}, None),
    ({"meta": "description"}, "Good tea."),
    ({"const": 7, "type": "int"}, 7),
    ({"template": "{url}#{{x}}"}, "http://h/p/1#{x}"),
    (
        {"css": "li", "all": True, "fields": {"n": "::text", "to": {"css": "a@href", "type": "url"}}},
        [{"n": "A", "to": "http://h/a?x=1"}, {"n": "B", "to": "http://h/p/b"}, {"n": "C", "to": None}],
    ),
    ({"xpath": "//ul", "fields": {"first": {"xpath": "li[1]"}, "css": "li:nth-child(2)"}}, {"first": "A", "css": "B"}),
    ({"css": "ul", "fields": {"x": {"xpath": "//li[2]"}, "r": {"regex": 'data-n="(t.*?)"'}}}, {"x": "B", "r": "two"}),
    ({"css": "h2", "fields": {"x": "i"}}, None),
]


@pytest.mark.parametrize(("field", "expected"), FIELDS, ids=str)
def test_fields_of_html(field: Any, expected: object) -> None:
    """Each kind of expression finds its values in a page, in the field's type."""
    assert value(field) == expected


ORDERS = b'{"orders": [{"id": 1, "tags": ["a", "b"], "total": {"amount": 9.90}}, {"id": 2, "tags": []}], "n": null}'


def test_items_of_json() -> None:
    """Several items come from one page; fields look within each of them."""
    rules = {
        "parser": "json",
        "each": "orders[]",
        "fields": {
            "id": {"jmespath": "id", "type": "int", "required": True},
            "total": {"jmespath": "total.amount", "type": "decimal"},
            "currency": {"jmespath": "total.currency", "default": "EUR"},
            "tags": {"jmespath": "tags", "type": "json"},
            "first": {"jsonpath": "$.tags[*]"},
            "name": {"template": "order {id}"},
        },
    }

    assert extract(rules, ORDERS, "application/json").rows == [
        {"id": 1, "total": Decimal("9.9"), "currency": "EUR", "tags": ["a", "b"], "first": "a", "name": "order 1"},
        {"id": 2, "total": None, "currency": "EUR", "tags": [], "first": None, "name": "order 2"},
    ]


def test_each_says_its_kind_or_goes_by_the_fields() -> None:
    """JMESPath where all fields are of JSON, CSS else, or what stands before the colon."""
    assert len(extract({"each": "orders[]", "fields": {"i": {"jmespath": "id"}}}, ORDERS, "application/json").rows) == 2
    assert (
        len(
            extract(
                {"each": "jsonpath:$.orders[*]", "fields": {"i": {"jmespath": "id"}}}, ORDERS, "application/json"
            ).rows
        )
        == 2
    )
    assert len(extract({"each": "li", "fields": {"i": "a"}}).rows) == 3
    assert len(extract({"each": "//li[a]", "fields": {"i": {"xpath": "a"}}}).rows) == 2
    assert extract({"each": r"regex:data-n=\"(\w+)", "fields": {"i": {"regex": "^."}}}).rows == [{"i": "1"}, {"i": "t"}]
    assert extract({"each": "h2", "fields": {"i": "a"}}).rows == []


def test_xml_with_namespaces() -> None:
    """Prefixes of the page may be used in XPath; entities are not expanded."""
    body = (
        '<?xml version="1.0" encoding="latin-1"?><!DOCTYPE r [<!ENTITY e "boom">]>'
        '<r xmlns:g="u"><g:i>é</g:i><g:i>&e;</g:i></r>'
    )

    rows = extract(
        {"each": "//g:i", "fields": {"v": {"xpath": "text()"}}, "parser": "xml"}, body.encode("latin-1"), "text/xml"
    ).rows

    assert rows == [{"v": "é"}, {"v": None}]


def test_the_first_rule_that_matches_counts() -> None:
    """`match` chooses pages, `also` lets later rules look as well."""
    rules = [
        {"match": "/q/**", "fields": {"a": {"const": 1}}},
        {"match": "/p/*", "fields": {"b": {"const": 2}}, "also": True},
        {"fields": {"c": {"const": 3}}},
        {"fields": {"d": {"const": 4}}},
    ]

    got = extract(rules)

    assert got.rows == [{"b": "2"}, {"c": "3"}]
    assert got.matched
    assert not extract(rules[:1]).matched


def test_a_required_field_fails_the_page_whole() -> None:
    """Items of a page are all or none."""
    rules = {"each": "li", "fields": {"n": {"css": "@data-n", "type": "int", "required": True}}}

    got = extract(rules)

    assert got.rows == ()
    assert got.errors == ["n"]
    assert isinstance(got.failure, ExtractFailed)
    assert str(got.failure) == "n does not fit: no number in 'two'"


def test_misfits_are_counted() -> None:
    """A value that does not fit is null and its field is named, once."""
    got = extract({"each": "li", "fields": {"n": {"css": "@data-n", "type": "int"}}})

    assert got.rows == [{"n": 1}, {"n": None}, {"n": None}]
    assert got.errors == ["n"]


def test_a_page_of_another_form_is_a_bad_payload() -> None:
    """Rules for JSON fail where a page is none, with the reason."""
    got = extract({"fields": {"x": {"jmespath": "a"}}}, b"<html>busy", "application/json")

    assert isinstance(got.failure, BadPayload)


BAD = [
    {"fields": {"x": {"css": "a[["}}},
    {"fields": {"x": {"xpath": "//["}}},
    {"fields": {"x": {"jmespath": "a["}}},
    {"fields": {"x": {"jsonpath": "$["}}},
    {"fields": {"x": {"regex": "("}}},
    {"fields": {"x": {"json_ld": "a b"}}},
    {"fields": {"x": {"meta": ""}}},
    {"fields": {"x": {"template": "{y}"}}},
    {"fields": {"x": {"template": "{"}}},
    {"fields": {"x": {"css": "a", "xpath": "b"}}},
    {"fields": {"x": {"type": "int"}}},
    {"fields": {"x": {"css": "a", "type": "integer"}}},
    {"fields": {"x": {"css": "a", "typ": "int"}}},
    {"fields": {"x": {"css": "a"}}, "parser": "xml"},
    {"fields": {"x": {"css": "a"}}, "parser": "sgml"},
    {"fields": {"x": {"const": 1, "fields": {"y": "a"}}}},
    {"fields": {"x": {"css": "a", "fields": {"y": "a[["}}}},
    {"fields": {"x": "a"}, "each": "a[["},
    {"fields": {"x": "a"}, "match": "re:("},
    {"fields": {}},
    {"python": "no_such_module:f"},
    {"python": "json"},
    {"python": "json:nothing"},
    {"python": "json:loads", "fields": {"x": "a"}},
]


@pytest.mark.parametrize("rules", BAD, ids=str)
def test_bad_rules_are_refused(rules: Any) -> None:
    """What does not compile is an error before the first page."""
    with pytest.raises(BadExpression):
        Extractor(rules_from(rules))


def test_a_regex_that_runs_away_is_stopped() -> None:
    """Catastrophic backtracking ends after the page's time."""
    extractor = Extractor(rules_from({"x": {"regex": r"^http://h/(\w|\w\w|\w+)*-$"}}))

    with pytest.raises(SelectorTimeout):
        extractor.extract(Document("http://h/", b"http://h/" + b"a" * 200, "text/plain"), seconds=0.05)


def hook(document: Document) -> list[dict[str, object]]:
    """A function of a user's."""
    return [{"title": document.html.css_first("title").text(), 1: len(document.text)}]  # type: ignore[union-attr, dict-item]


def test_python_for_what_rules_cannot_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function gets the document and gives rows; what it raises fails the page."""
    import sys
    from types import ModuleType

    module = ModuleType("a_users_module")
    module.good = hook  # type: ignore[attr-defined]
    module.bad = lambda document: [1 / 0]  # type: ignore[attr-defined]
    module.odd = lambda document: ["text"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "a_users_module", module)

    assert extract({"python": "a_users_module:good"}).rows == [{"title": "Tea | Shop", "1": len(SHOP)}]
    assert str(extract({"python": "a_users_module:bad"}).failure).endswith("ZeroDivisionError: division by zero")
    assert isinstance(extract({"python": "a_users_module:odd"}).failure, ExtractFailed)


@given(st.binary(max_size=300), st.sampled_from(["text/html", "application/json", "text/xml", "text/plain", ""]))
def test_no_page_makes_it_fail(body: bytes, content_type: str) -> None:
    """Whatever a page holds, rules give items or say why not."""
    fields = {
        "a": {"css": "a", "all": True},
        "b": {"xpath": "//*", "all": True},
        "c": {"regex": ".+", "all": True},
        "d": {"meta": "x"},
        "e": {"json_ld": "*.x"},
    }
    got = extract({"fields": fields}, body, content_type)
    assert got.matched
    for field in ({"jmespath": "a"}, {"jsonpath": "$..a"}):
        got = extract({"x": field}, body, content_type)
        assert got.failure is None or isinstance(got.failure, BadPayload)

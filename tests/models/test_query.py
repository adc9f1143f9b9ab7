"""`QueryParams`."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.models import QueryParams

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@pytest.mark.parametrize(
    "source",
    [
        "a=123&a=456&b=789",
        b"a=123&a=456&b=789",
        {"a": ["123", "456"], "b": 789},
        {"a": ("123", 456), "b": "789"},
        [("a", "123"), ("a", 456), ("b", "789")],
        (("a", "123"), ("a", "456"), ("b", "789")),
    ],
)
def test_sources(source: object) -> None:
    """Text, bytes, mappings and pairs come to the same."""
    params = QueryParams(source)  # type: ignore[arg-type]

    assert str(params) == "a=123&a=456&b=789"
    assert params["a"] == "123"
    assert params.get("a") == "123"
    assert params.get("nope", 1) == 1
    assert params.get_list("a") == ["123", "456"]
    assert list(params) == list(params.keys()) == ["a", "b"]
    assert list(params.values()) == ["123", "789"]
    assert list(params.items()) == [("a", "123"), ("b", "789")]
    assert params.multi_items() == [("a", "123"), ("a", "456"), ("b", "789")]
    assert len(params) == 2
    assert "a" in params
    assert dict(params) == {"a": "123", "b": "789"}
    assert repr(params) == "QueryParams('a=123&a=456&b=789')"


def test_primitives() -> None:
    """True, False and None are written as JSON and nothing; keys without values vanish."""
    assert str(QueryParams(a=True, b=False, c=None, d=1.5, e=[])) == "a=true&b=false&c=&d=1.5"
    assert not QueryParams({"e": []})
    assert not QueryParams(None)
    assert not QueryParams("")


def test_form_escapes() -> None:
    """Parameters are escaped as HTML forms are, whatever escapes they hold."""
    assert str(QueryParams({"u": "a b%20&=ü/"})) == "u=a+b%2520%26%3D%C3%BC%2F"
    assert QueryParams("a=1+2%2B&b&c=").multi_items() == [("a", "1 2+"), ("b", ""), ("c", "")]


def test_copies_with_changes() -> None:
    """The methods that change return a copy."""
    params = QueryParams("a=1&b=2")

    assert str(params.set("a", 9)) == "a=9&b=2"
    assert str(params.add("a", None)) == "a=1&a=&b=2"
    assert str(params.remove("a")) == "b=2"
    assert str(params.remove("nope")) == "a=1&b=2"
    assert str(params.merge({"b": [3, 4], "c": True})) == "a=1&b=3&b=4&c=true"
    assert str(params.merge(None)) == "a=1&b=2"
    assert str(params) == "a=1&b=2"


def test_immutable() -> None:
    """Changing in place is an error that names the way to go."""
    params = QueryParams("a=1")

    with pytest.raises(RuntimeError, match="merge"):
        params.update({"b": 1})
    with pytest.raises(RuntimeError, match="set"):
        params["a"] = "2"
    with pytest.raises(TypeError):
        QueryParams("a=1", b=2)


def test_equality_ignores_order() -> None:
    """Equal pairs in any order are equal and hash alike; other kinds are not equal."""
    one, other = QueryParams("a=1&b=2&a=3"), QueryParams("b=2&a=3&a=1")

    assert one == other
    assert hash(one) == hash(other)
    assert one != QueryParams("a=1&b=2")
    assert one != "a=1&b=2&a=3"
    assert pickle.loads(pickle.dumps(one)) == one


@given(st.lists(st.tuples(TEXT, TEXT), max_size=6))
def test_round_trip(pairs: list[tuple[str, str]]) -> None:
    """Whatever is written reads back the same."""
    params = QueryParams(pairs)

    assert QueryParams(str(params)).multi_items() == params.multi_items()
    assert QueryParams(params.multi_items()) == params

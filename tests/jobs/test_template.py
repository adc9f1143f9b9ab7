from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.jobs.template import Template, TemplateError


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("", ""),
        ("plain", "plain"),
        ("{id}", "7"),
        ("/{name}/{id:05d}", "/lamp/00007"),
        ("{{{id}}}", "{7}"),
        ("{{id}}", "{id}"),
        ("{price:.2f}", "2.50"),
        ("{id:int}", "7"),
        ("{name:>6s}|", "  lamp|"),
        ("{id:x}", "7"),
        ("{meta.caption}", "dotted names are names"),
        ("{nothing}|{yes}|{list}", '|true|[1,"a"]'),
    ],
)
def test_filling(text: str, filled: str) -> None:
    """Fields are filled from the row, formatted, and braces written twice are braces."""
    row = {
        "id": "7",
        "name": "lamp",
        "price": 2.5,
        "meta.caption": "dotted names are names",
        "nothing": None,
        "yes": True,
        "list": [1, "a"],
    }
    assert Template(text).fill(row) == filled


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "}",
        "a{b",
        "{}",
        "{0}",
        "{a[0]}",
        "{a!r}",
        "{a:}",
        "{a:99999d}",
        "{a:{b}}",
        "{ a }",
        "{a.__class__()}",
        "{a:q}",
    ],
)
def test_what_does_not_compile(text: str) -> None:
    """Lone braces, positions, indexes, calls, conversions and nested formats are refused at start."""
    with pytest.raises(TemplateError):
        Template(text)


def test_attributes_are_out_of_reach() -> None:
    """A dot is a part of a name: nothing of the value's object can be read."""
    with pytest.raises(TemplateError, match=r"has no 'a\.__class__'"):
        Template("{a.__class__}").fill({"a": "x"})


@pytest.mark.parametrize(
    ("text", "row", "message"),
    [
        ("{a}", {}, "the row has no 'a'"),
        ("{a:int}", {"a": "1.5"}, "'a' is '1.5': not a whole number"),
        ("{a:05d}", {"a": "x"}, "'a' is 'x': not a whole number"),
        ("{a:float}", {"a": "nan"}, "not a number"),
        ("{a:float}", {"a": "1e999"}, "too large"),
        ("{a:bool}", {"a": "maybe"}, "neither true nor false"),
        ("{a:int}", {"a": True}, "not a whole number"),
    ],
)
def test_rows_that_do_not_fit(text: str, row: dict[str, object], message: str) -> None:
    """A missing name or a value of the wrong kind says which."""
    with pytest.raises(TemplateError, match=message):
        Template(text).fill(row)


@pytest.mark.parametrize(
    ("text", "value", "typed"),
    [
        ("{x:int}", "7", 7),
        ("{x:int}", 7.0, 7),
        ("{x:float}", "1.5", 1.5),
        ("{x:bool}", "TRUE", True),
        ("{x}", "7", "7"),
        ("{x}", 7, "7"),
        ("n{x:int}", "7", "n7"),
        ("{x:05d}", "7", "00007"),
    ],
)
def test_typed_filling(text: str, value: object, typed: object) -> None:
    """One field alone keeps the type it asks for; everything else is text."""
    filled = Template(text).fill_typed({"x": value})
    assert filled == typed
    assert type(filled) is type(typed)


def test_names_and_static() -> None:
    """A template tells what it needs of a row."""
    assert Template("{a}/{b:int}/{a}").names == {"a", "b"}
    assert not Template("{a}").is_static
    assert Template("{{a}}").is_static


@given(st.text())
def test_escaped_text_stands_for_itself(text: str) -> None:
    """Doubling the braces of any text gives it back."""
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert Template(escaped).fill({}) == text


@given(st.text(), st.text(), st.text())
def test_values_are_never_looked_at_again(before: str, value: str, after: str) -> None:
    """What is filled in is text, even if it reads like a template."""
    braces = str.maketrans({"{": "{{", "}": "}}"})
    template = Template(f"{before.translate(braces)}{{x}}{after.translate(braces)}")
    assert template.fill({"x": value}) == before + value + after


@given(st.text(alphabet="{}ab:05d!.[]"))
def test_any_text_compiles_or_is_refused(text: str) -> None:
    """Nothing but TemplateError comes out of the compiler."""
    with contextlib.suppress(TemplateError):
        Template(text)

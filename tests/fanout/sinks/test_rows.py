"""Which rows an output gets, and which fields of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crawler.fanout import Output
from crawler.fanout.frontier import Finished
from crawler.fanout.sinks.fields import columns_of, field_problem
from crawler.fanout.sinks.rows import Selection, Where

RECORD: dict[str, Any] = {
    "url": "http://h/",
    "key": "7",
    "run_id": "R",
    "status": 404,
    "timing": {"total": 1.5, "dns": 0},
    "headers": {"etag": ["x"]},
    "error": None,
    "meta": {"a.b": 1, "c": {"d": 2}},
}


def rows(one: Finished, **output: Any) -> list[Any]:
    """What an output takes of one finished request."""
    return Selection(Output(Path("x"), **output)).rows([one])


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("status == `404`", True),
        ("status >= `500`", False),
        ("status", True),
        ("error", False),
        ("error.kind == 'x'", False),
        ("timing.total > `1` && key == '7'", True),
        ("contains(error, 'x')", False),  # a function of null
        ("headers.etag[0] == 'x'", True),
        ("timing.dns == `0`", True),
    ],
)
def test_conditions(text: str, holds: bool) -> None:
    """JMESPath decides; what it cannot work out is not chosen."""
    assert Where(text).holds(RECORD) is holds
    assert len(rows(Finished(1, "failed", RECORD), where=text)) == holds


def test_a_condition_that_is_none_is_refused() -> None:
    """With the parser's words."""
    with pytest.raises(ValueError, match="status"):
        Where("status == ")


def test_fields_keep_their_nesting() -> None:
    """A row has the fields asked for in their order; headers only if one of them asks for them."""
    one = Finished(1, "failed", RECORD)

    assert rows(one)[0]["headers"] is None
    assert RECORD["headers"] is not None
    assert rows(one, fields=("timing.total", "url", "error.kind", "timing.dns", "meta.c.d")) == [
        {"timing": {"total": 1.5, "dns": 0}, "url": "http://h/", "error": {"kind": None}, "meta": {"c": {"d": 2}}}
    ]
    assert rows(one, fields=("headers.etag",)) == [{"headers": {"etag": ["x"]}}]


def test_items_say_where_they_came_from() -> None:
    """Rows of extracted items get URL, key, run and their number; tries come as they are."""
    one = Finished(1, "ok", RECORD, rows=({"title": "a"}, {"title": "b"}), attempts=({"status": 503}, {"status": 404}))

    assert rows(one, records="items") == [
        {"url": "http://h/", "key": "7", "run_id": "R", "item_index": 0, "title": "a"},
        {"url": "http://h/", "key": "7", "run_id": "R", "item_index": 1, "title": "b"},
    ]
    assert rows(one, records="items", where="title == 'b'", fields=("title",)) == [{"title": "b"}]
    assert [row["status"] for row in rows(one, records="attempts")] == [503, 404]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("status", None),
        ("timing.total", None),
        ("timing", None),
        ("meta.anything.at.all", None),
        ("headers.etag", None),
        ("stauts", "did you mean 'status'"),
        ("timing.totl", "did you mean 'timing.total'"),
        ("status.code", "no field 'status.code'"),
        ("qqqqq", "records have no field 'qqqqq'"),
    ],
)
def test_unknown_fields_are_named(name: str, problem: str | None) -> None:
    """With the nearest one that there is."""
    found = field_problem(name, Output(Path("x")))
    assert (found is None) if problem is None else (found is not None and problem in found)


def test_columns_are_the_fields_taken_apart() -> None:
    """A map becomes its fields; `headers` is a column only if it is named."""
    every = columns_of(Output(Path("x")))
    assert {"error.kind", "timing.total", "tls.alpn", "warc.offset", "meta"} <= set(every)
    assert not {"error", "timing", "headers"} & set(every)
    assert list(columns_of(Output(Path("x"), fields=("url", "timing", "headers")))) == [
        "url", "timing.queue", "timing.dns", "timing.connect", "timing.tls", "timing.send", "timing.ttfb",
        "timing.receive", "timing.total", "headers",
    ]  # fmt: skip
    item = Output(Path("x"), records="items", columns=(("price", "decimal"),))
    assert columns_of(item) == {"url": "str", "key": "str", "run_id": "str", "item_index": "int", "price": "decimal"}

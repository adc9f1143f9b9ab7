from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import orjson
import pytest

from crawler.fanout import Item
from crawler.jobs.inputs import Row
from crawler.jobs.requests import RequestMaker, RowError, url_names
from crawler.jobs.schema import JobFile
from crawler.version import __version__


def maker(**job: Any) -> RequestMaker:
    """The maker of a job with an input; `Any` as in YAML."""
    return RequestMaker(JobFile.model_validate({"input": {"path": "x"}, **job}))


def item(fields: dict[str, object], **job: Any) -> Item:
    return maker(**job).from_row(Row(7, "list:9", fields))


def test_a_plain_row() -> None:
    """A URL alone is a GET without anything else; the client sends the headers that are always the same."""
    assert item({"url": " http://a/ "}) == Item(url="http://a/", key="7")
    assert maker().client_headers == (("User-Agent", f"crawler/{__version__}"),)


def test_client_headers() -> None:
    """Contact and user agent; a header that is the same for all rows is the client's."""
    assert maker(contact="a@b").client_headers == (("User-Agent", f"crawler/{__version__} (+a@b)"),)
    assert maker(request={"user_agent": "x"}).client_headers == (("User-Agent", "x"),)
    made = maker(request={"headers": {"user-agent": "mine", "X": "{{1}}", "Y": "{id}"}})
    assert made.client_headers == (("user-agent", "mine"), ("X", "{1}"))


def test_templates_everywhere() -> None:
    """URL, parameters and headers are filled from the row; parameters are percent-encoded in front of the fragment."""
    got = item(
        {"id": 5, "q": "a&b ö"},
        input={"path": "x", "key": "k-{id}"},
        request={"url": "http://h/{id:03d}?x#f", "params": {"q": "{q}", "k": "{key}"}, "headers": {"X-Row": "{row}"}},
    )
    assert got.url == "http://h/005?x&q=a%26b%20%C3%B6&k=k-5#f"
    assert got.headers == (("X-Row", "7"),)
    assert got.key == "k-5"
    assert got.meta == {"id": 5, "q": "a&b ö"}


def test_json_body_keeps_types() -> None:
    """`{x:int}` alone is a number; everything else is text; other values stay as they are."""
    got = item(
        {"n": "7", "s": "x"},
        request={
            "method": "POST",
            "url": "http://h/",
            "json": {"n": "{n:int}", "t": "{n}", "l": ["{s}-{n:int}", 1, None, True], "{s}": 1.5},
        },
    )
    assert orjson.loads(got.body or b"") == {"n": 7, "t": "7", "l": ["x-7", 1, None, True], "{s}": 1.5}
    assert got.headers == (("Content-Type", "application/json"),)
    assert got.method == "POST"


def test_json_null_is_a_body() -> None:
    """A body of `null` is sent, not left out."""
    assert item({"url": "http://h/"}, request={"method": "POST", "json": None}).body == b"null"


def test_form_and_text_bodies() -> None:
    """Forms are encoded, texts are UTF-8; a Content-Type of the job's own wins."""
    form = item({"url": "http://h/", "a": "ö &"}, request={"method": "POST", "form": {"x": ["{a}", "2"], "y": 1}})
    assert parse_qs((form.body or b"").decode()) == {"x": ["ö &", "2"], "y": ["1"]}
    assert form.headers == (("Content-Type", "application/x-www-form-urlencoded"),)
    made = maker(request={"method": "POST", "body": "<{a}>", "headers": {"content-type": "text/xml"}})
    assert made.from_row(Row(1, "l:1", {"url": "http://h/", "a": "ö"})).headers == ()
    assert made.client_headers[0] == ("content-type", "text/xml")
    assert made.from_row(Row(1, "l:1", {"url": "http://h/", "a": "ö"})).body == "<ö>".encode()


def test_columns() -> None:
    """Columns are mapped by name; those that steer the request are no meta data."""
    got = item(
        {"URL": "http://h/", "verb": "head", "prio": "5", "TEXT": "t", "path": "p", "other": None},
        input={"path": "x", "columns": {"url": "URL", "method": "verb", "priority": "prio", "meta.caption": "TEXT"}},
    )
    assert (got.url, got.method, got.priority, got.path) == ("http://h/", "HEAD", 5, None)
    assert got.meta == {"caption": "t", "path": "p", "other": None}


def test_file_names() -> None:
    """A `path` column names the file; a template may use columns and the parts of the URL."""
    row: dict[str, object] = {"url": "http://h:8/a/b.tar.gz?x", "path": "from/column", "id": "1"}
    assert item(row, body={"keep": "file"}).path == "from/column"
    assert item(row, body={"keep": "file"}).meta == {"id": "1"}
    named = item(row, body={"keep": "file"}, download={"path": "{host}/{id}/{basename}{ext}"})
    assert named.path == "h/1/b.tar.gz.gz"
    assert item({"url": "http://h/"}, body={"keep": "file"}).path is None


def test_url_names() -> None:
    """The parts of a URL for file names; a leading dot is no suffix."""
    assert url_names("http://h/a/.x?q=1.2") == {"host": "h", "path": "a/.x", "basename": ".x", "ext": ""}
    assert url_names("http://h") == {"host": "h", "path": "", "basename": "", "ext": ""}


@pytest.mark.parametrize(
    ("fields", "job", "message"),
    [
        ({}, {}, "the URL is empty"),
        ({"url": "h/x"}, {}, "'h/x' has no scheme; write https://h/x"),
        ({"url": "/x"}, {}, "only a job with `testbed: true` takes such URLs"),
        ({"url": 5}, {}, "expected text for the URL or path, not 5"),
        ({"url": "http://h/", "method": "G T"}, {}, "'G T' is no method"),
        ({"url": "http://h/", "priority": "high"}, {}, "the priority 'high' is no whole number"),
        ({"url": "http://h/"}, {"request": {"url": "http://h/{id}"}}, "the row has no 'id'"),
        ({"url": "http://h/"}, {"input": {"path": "x", "columns": {"url": "URL"}}}, "the row has no 'URL'"),
        (
            {"url": "http://h/", "a": "x\r\ny"},
            {"request": {"headers": {"A": "{a}"}}},
            "the header A would hold a line break",
        ),
        (
            {"url": "http://h/", "n": "9" * 30},
            {"request": {"method": "POST", "json": "{n:int}"}},
            "Integer exceeds 64-bit range",
        ),
    ],
)
def test_rows_that_give_no_request(fields: dict[str, object], job: dict[str, Any], message: str) -> None:
    """Each says what is wrong with the row."""
    with pytest.raises(RowError) as caught:
        item(fields, **job)
    assert message in str(caught.value)


def test_a_bad_row_stays_bad() -> None:
    """What the reader found wrong is the reason."""
    with pytest.raises(RowError, match="not UTF-8"):
        maker().from_row(Row(1, "l:1", {}, "not UTF-8"))


def test_testbed_urls() -> None:
    """A path alone is put behind the testbed's address, if it is known."""
    job = JobFile.model_validate({"testbed": True, "urls": ["/get", "http://h/"]})
    assert job.urls is not None
    running = RequestMaker(job, "http://127.0.0.1:8008")
    assert [running.from_entry(entry, 1).url for entry in job.urls] == ["http://127.0.0.1:8008/get", "http://h/"]
    assert RequestMaker(job).from_entry(job.urls[0], 1).url == "/get"


def test_entries_of_urls() -> None:
    """What stands beside a URL in the job file is taken as written, over what `request` says."""
    job = JobFile.model_validate(
        {
            "urls": [
                {"url": "http://h/{x}", "method": "PUT", "json": {"a": "{b}"}, "headers": {"A": "{c}", "x-key": 1}},
                {"url": "http://h/", "meta": {"n": 1}, "priority": 3, "body": "text"},
                "http://h/",
            ],
            "request": {"method": "POST", "form": {"f": "{key}"}, "headers": {"X-Key": "{key}"}},
        }
    )
    assert job.urls is not None
    made = RequestMaker(job)
    first, second, third = (made.from_entry(entry, number) for number, entry in enumerate(job.urls, 1))
    assert (first.url, first.method, first.body) == ("http://h/{x}", "PUT", b'{"a":"{b}"}')
    assert first.headers == (("Content-Type", "application/json"), ("A", "{c}"), ("x-key", "1"))
    assert (second.method, second.priority, second.meta, second.body) == ("POST", 3, {"n": 1}, b"text")
    assert second.headers == (("X-Key", "2"), ("Content-Type", "text/plain; charset=utf-8"))
    assert third.body == b"f=3"
    assert third.meta is None


def test_names_that_are_needed() -> None:
    """What a row must bring; the row's number and key come by themselves."""
    assert maker().names == {"url"}
    made = maker(
        input={"path": "x", "key": "{id}"},
        request={"method": "POST", "url": "http://h/{a}/{row}", "params": {"k": "{key}"}, "json": ["{b:int}"]},
    )
    assert made.names == {"id", "a", "b"}

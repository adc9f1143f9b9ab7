"""Requests: what is built, in which order it goes out, and the client's short way to one."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from crawler.errors import InvalidURL, RequestNotRead, StreamClosed, StreamConsumed
from crawler.models import URL, ByteStream, Headers, HeadTemplate, Request

HOST = "Host: example.org:81"


def generator() -> Iterator[bytes]:
    """A one-shot body."""
    yield b"a"
    yield b"b"


async def async_generator() -> AsyncIterator[bytes]:
    """A one-shot async body."""
    yield b"a"
    yield b"b"


def lines(request: Request) -> list[str]:
    """The header lines in the order they are sent."""
    return [f"{name.decode()}: {value.decode()}" for name, value in request.headers.raw]


@pytest.mark.parametrize(
    ("method", "arguments", "wanted"),
    [
        ("GET", {}, [HOST]),
        ("DELETE", {}, [HOST]),
        ("post", {}, [HOST, "Content-Length: 0"]),
        ("QUERY", {"headers": {"A": "1"}}, [HOST, "Content-Length: 0", "A: 1"]),
        ("PUT", {"content": b""}, [HOST, "Content-Length: 0"]),
        (
            "PATCH",
            {"headers": {"x-Mixed": "1"}, "cookies": {"c": "d"}, "json": 1},
            [
                HOST,
                "x-Mixed: 1",
                "Cookie: c=d",
                "Content-Length: 1",
                "Content-Type: application/json",
            ],
        ),
        (
            "POST",
            {"headers": {"A": "1", "host": "other"}, "content": b"x"},
            ["host: other", "A: 1", "Content-Length: 1"],
        ),
        (
            "POST",
            {"headers": {"content-type": "text/x"}, "json": 1},
            [HOST, "content-type: text/x", "Content-Length: 1"],
        ),
        ("POST", {"content": generator()}, [HOST, "Transfer-Encoding: chunked"]),
        (
            "POST",
            {"content": generator(), "headers": {"Content-Length": "2"}},
            [HOST, "Content-Length: 2"],
        ),
        (
            "POST",
            {"content": b"ab", "headers": {"transfer-encoding": "chunked"}},
            [HOST, "transfer-encoding: chunked"],
        ),
        ("POST", {"stream": ByteStream(b"x")}, []),
        ("POST", {"stream": ByteStream(b"x"), "headers": {"A": "1"}}, ["A: 1"]),
    ],
)
def test_headers_in_order(method: str, arguments: dict[str, Any], wanted: list[str]) -> None:
    """Host, an explicit empty length, the caller's headers in their case, Cookie, body headers; none for `stream=`."""
    request = Request(method, "http://example.org:81/", **arguments)

    assert lines(request) == wanted
    assert request.method == method.upper()


def test_relative_url_has_no_host() -> None:
    """A URL without a host gives no Host header; a client joins it to its base first."""
    assert lines(Request("GET", "/path")) == []


def test_params_replace_the_query() -> None:
    """`params` win over the query of the URL, also empty ones; without them it stays."""
    assert str(Request("GET", "http://a/?x=1", params={"y": 2}).url) == "http://a/?y=2"
    assert str(Request("GET", "http://a/?x=1").url) == "http://a/?x=1"


def test_bad_arguments_raise_at_once() -> None:
    """A bad URL or body is refused when the request is built."""
    with pytest.raises(InvalidURL):
        Request("GET", "http://a:b:c/")
    with pytest.raises(TypeError):
        Request("GET", 5)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(TypeError):
        Request("POST", "http://a/", content={b"a": 1})


def test_bytes_are_content_at_once() -> None:
    """A body in memory needs no reading; it can be sent by both clients."""
    request = Request("POST", "http://a/", content=b"abc")

    assert request.content == request.read() == b"abc"
    assert asyncio.run(request.aread()) == b"abc"
    assert request.can_replay
    assert Request("GET", "http://a/").content == b""


def test_streaming_body_is_read_on_demand() -> None:
    """A generator is no content until it is read; then it can be sent again and again."""
    request = Request("POST", "http://a/", content=generator())
    was_replayable = request.can_replay
    with pytest.raises(RequestNotRead):
        _ = request.content

    assert request.read() == request.content == b"ab"
    assert (was_replayable, request.can_replay) == (False, True)
    assert isinstance(request.stream, ByteStream)


def test_async_body_is_read_on_demand() -> None:
    """The same with an async generator and `aread`."""
    request = Request("POST", "http://a/", content=async_generator())

    assert asyncio.run(request.aread()) == request.content == b"ab"
    assert request.can_replay


def test_wrong_world_says_what_to_use() -> None:
    """Reading an async body the blocking way, or the reverse, names the right way."""
    with pytest.raises(RuntimeError, match="aread"):
        Request("POST", "http://a/", content=async_generator()).read()
    with pytest.raises(RuntimeError, match=r"request\.read\(\)"):
        asyncio.run(Request("POST", "http://a/", content=generator()).aread())


def test_consumed_body_cannot_be_read() -> None:
    """A one-shot body that was sent is gone."""
    request = Request("POST", "http://a/", content=generator())
    assert b"".join(request.stream) == b"ab"  # type: ignore[arg-type]  # a blocking stream
    with pytest.raises(StreamConsumed):
        request.read()


def test_extensions_are_copied() -> None:
    """The caller's dict of extensions stays his."""
    extensions = {"sni_hostname": "a"}
    request = Request("GET", "http://a/", extensions=extensions)
    request.extensions["timeout"] = None

    assert extensions == {"sni_hostname": "a"}
    assert Request("GET", "http://a/").extensions == {}


def test_repr_names_method_and_url() -> None:
    """What prints well, tests well."""
    assert repr(Request("get", "http://a/b")) == "<Request('GET', 'http://a/b')>"
    assert repr(Request("get", "http://u:p@a/b")) == "<Request('GET', 'http://u:[secure]@a/b')>"


def test_pickle_keeps_all_but_streams() -> None:
    """A read request survives and can be sent; an unread one comes back closed; extensions are left behind."""
    request = Request("POST", "http://a/", json=1, headers={"A": "1"}, extensions={"timeout": {}})
    copy = pickle.loads(pickle.dumps(request))

    assert (copy.method, copy.url, copy.headers, copy.content) == ("POST", request.url, request.headers, b"1")
    assert (copy.extensions, copy.read(), b"".join(copy.stream)) == ({}, b"1", b"1")

    unread = pickle.loads(pickle.dumps(Request("POST", "http://a/", content=generator())))
    with pytest.raises(RequestNotRead):
        _ = unread.content
    with pytest.raises(StreamClosed):
        unread.read()
    with pytest.raises(StreamClosed):
        asyncio.run(unread.aread())


TEMPLATE = HeadTemplate(Headers({"Accept": "*/*", "X-Client": "1"}))


def test_template_stands_until_somebody_looks() -> None:
    """The client's short way: the encoded headers are all there is, until `headers` is looked at."""
    request = Request.from_template("GET", URL("http://example.org/"), TEMPLATE, {"timeout": {}})

    before = request.template
    assert (request.content, request.can_replay, request.extensions) == (b"", True, {"timeout": {}})
    assert lines(request) == ["Host: example.org", "Accept: */*", "X-Client: 1"]
    assert (before, request.template) == (TEMPLATE, None)
    request.headers["X-Client"] = "2"
    assert TEMPLATE.pairs[1] == (b"X-Client", b"1")


def test_template_with_a_host_of_its_own() -> None:
    """A Host among the client's headers goes before the URL's."""
    template = HeadTemplate(Headers({"A": "1", "Host": "other"}))

    assert lines(Request.from_template("GET", URL("http://a/"), template, {})) == ["Host: other", "A: 1"]


@pytest.mark.parametrize("change", ["stream", "headers"])
def test_template_falls_with_a_change(change: str) -> None:
    """Whoever sets a body or headers gets what he set, not the template."""
    request = Request.from_template("GET", URL("http://a/"), TEMPLATE, {})
    setattr(request, change, {"stream": ByteStream(b"x"), "headers": {"B": "2"}}[change])

    assert request.template is None
    assert ("B" in request.headers) == (change == "headers")


def test_template_request_pickles_with_its_headers() -> None:
    """A pickled request of the short way has its headers."""
    request = Request.from_template("GET", URL("http://a/"), TEMPLATE, {})
    copy = pickle.loads(pickle.dumps(request))

    assert lines(copy) == ["Host: a", "Accept: */*", "X-Client: 1"]
    assert copy.template is None
    assert copy.content == b""

"""Responses stand-alone and off the wire: status, text, JSON, errors, laziness, pickles. Streams: test_reading."""

from __future__ import annotations

import asyncio
import gzip
import json
import pickle
import zlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from crawler.errors import (
    DecodingError,
    HTTPStatusError,
    ResponseNotRead,
    ResponseTooLarge,
    StreamClosed,
    StreamConsumed,
)
from crawler.models import ByteStream, Request, Response

REQUEST = Request("GET", "http://example.org/a")
RAW = [(b"Server", b"x"), (b"Content-Type", b"text/plain; charset=latin-1"), (b"X-Two", b"1"), (b"x-two", b"2")]
GZIP = [(b"Content-Encoding", b"gzip")]


def off_the_wire(
    body: Any = b"abc", headers: list[tuple[bytes, bytes]] = RAW, status: int = 200, **extensions: Any
) -> Response:
    """A response as a client makes it."""
    return Response.from_wire(status, headers.copy(), body, extensions, REQUEST)  # it owns its list


def test_whole_body_counts_as_read() -> None:
    """A body that came whole is content at once, closed, and everything works on it, in both worlds."""
    response = off_the_wire("zwölf\nBoxkämpfer".encode("latin-1"))

    async def read_async() -> list[str]:
        await response.aread()
        await response.aclose()
        return [line async for line in response.aiter_lines()]

    assert (response.status_code, response.is_closed, response.is_stream_consumed) == (200, True, True)
    assert response.read() == response.content == b"zw\xf6lf\nBoxk\xe4mpfer"
    assert response.text == "zwölf\nBoxkämpfer"
    assert [*response.iter_lines()] == asyncio.run(read_async()) == ["zwölf", "Boxkämpfer"]
    assert [*response.iter_bytes(10)] == [b"zw\xf6lf\nBoxk", b"\xe4mpfer"]
    assert b"".join(response.stream) == response.content  # type: ignore[arg-type]  # also blocking
    assert response.num_bytes_downloaded == 16
    assert response.headers.raw == RAW
    response.close()
    with pytest.raises(StreamConsumed):
        next(response.iter_raw())


def test_uncoded_body_is_not_copied() -> None:
    """The bytes of the codec are the content."""
    body = b"x" * 1000
    response = off_the_wire(body)
    response.finish()

    assert response.content is body


def test_coded_body_is_decoded_when_looked_at() -> None:
    """Nobody pays for decoding what nobody reads; `finish` decodes at once; sizes are those of the wire."""
    coded = gzip.compress(b"hello")
    response = off_the_wire(coded, GZIP)

    assert response.content == response.read() == b"hello"
    assert response.num_bytes_downloaded == len(coded)
    assert b"".join(response.stream) == coded  # type: ignore[arg-type]  # also blocking
    response = off_the_wire(coded, GZIP)
    response.finish()
    assert response.content == b"hello"


def test_bad_body_is_silent_until_looked_at() -> None:
    """A redirect's broken body harms nobody; `finish`, `content`, `read` raise, each time, with the request."""
    response = off_the_wire(b"no gzip", GZIP, 302)
    assert response.status_code == 302

    for look in (response.finish, response.read, lambda: response.content, lambda: [*response.iter_bytes()]):
        with pytest.raises(DecodingError) as caught:
            look()
        assert caught.value.request is REQUEST


def test_size_limit_of_whole_bodies() -> None:
    """`max_size` holds plain bodies and what coded ones decode to."""
    for body, headers in ((b"x" * 100, RAW), (gzip.compress(b"x" * 100), GZIP)):
        response = off_the_wire(body, headers)
        response.max_size = 100
        response.finish()
        response = off_the_wire(body, headers)
        response.max_size = 99
        with pytest.raises(ResponseTooLarge) as caught:
            response.finish()
        assert (caught.value.kind, caught.value.request) == ("too_large", REQUEST)


def test_default_bomb_guard() -> None:
    """Without any setting, 100 MiB out of 100 KiB are refused, before they are all there."""
    packer = zlib.compressobj(wbits=31)
    zeros = bytes(2**20)
    coded = b"".join([*(packer.compress(zeros) for _ in range(101)), packer.flush()])

    with pytest.raises(ResponseTooLarge) as caught:
        off_the_wire(coded, GZIP).finish()
    assert caught.value.kind == "decompression_bomb"


def test_stream_of_bytes_is_not_read_yet() -> None:
    """A body given as a stream must be read, even if all of it is there: that is what streaming callers expect."""
    response = off_the_wire(ByteStream(b"abc"))
    with pytest.raises(ResponseNotRead):
        _ = response.content

    assert [*response.iter_raw()] == [b"abc"]
    assert response.is_closed


@pytest.mark.parametrize(
    ("arguments", "content", "headers"),
    [
        ({}, b"", {}),
        ({"content": b"abc"}, b"abc", {"content-length": "3"}),
        ({"text": "é"}, "é".encode(), {"content-length": "2", "content-type": "text/plain; charset=utf-8"}),
        ({"html": "<p>"}, b"<p>", {"content-length": "3", "content-type": "text/html; charset=utf-8"}),
        ({"json": {"a": "é"}}, '{"a":"é"}'.encode(), {"content-length": "10", "content-type": "application/json"}),
        (
            {"text": "x", "headers": {"Content-Type": "text/own"}},
            b"x",
            {"content-type": "text/own", "content-length": "1"},
        ),
    ],
)
def test_stand_alone(arguments: dict[str, Any], content: bytes, headers: dict[str, str]) -> None:
    """Responses for tests: read and closed, with the headers of their body."""
    response = Response(200, **arguments)

    assert (response.content, dict(response.headers), response.is_closed) == (content, headers, True)


def test_stand_alone_decodes_at_once() -> None:
    """Content given in a coding is decoded, and refused if it is not what the header says."""
    assert Response(200, headers={"Content-Encoding": "gzip"}, content=gzip.compress(b"abc")).content == b"abc"
    with pytest.raises(DecodingError):
        Response(200, headers={"Content-Encoding": "gzip"}, content=b"abc")


def test_stand_alone_generator_is_a_stream() -> None:
    """An iterable as content is chunked and must be read."""

    def pieces() -> Iterator[bytes]:
        yield b"a"
        yield b"b"

    response = Response(200, content=pieces())
    assert response.headers == {"Transfer-Encoding": "chunked"}
    assert not response.is_closed
    assert response.read() == b"ab"


def test_phrase_and_version_come_from_the_wire() -> None:
    """What was on the status line, else the usual phrase and HTTP/1.1."""
    response = off_the_wire(reason_phrase=b"Fine", http_version=b"HTTP/2")
    assert (response.reason_phrase, response.http_version, repr(response)) == (
        "Fine",
        "HTTP/2",
        "<Response [200 Fine]>",
    )
    response = off_the_wire(status=404)
    assert (response.reason_phrase, response.http_version) == ("Not Found", "HTTP/1.1")
    assert repr(off_the_wire(status=799)) == "<Response [799 ]>"


@pytest.mark.parametrize(
    ("status", "true"),
    [
        (100, {"is_informational"}),
        (204, {"is_success"}),
        (304, {"is_redirect"}),
        (404, {"is_client_error", "is_error"}),
        (599, {"is_server_error", "is_error"}),
        (600, set()),
        (99, set()),
    ],
)
def test_classes_of_status(status: int, true: set[str]) -> None:
    """Each status is of one class, those outside of none."""
    names = ("is_informational", "is_success", "is_redirect", "is_client_error", "is_server_error", "is_error")

    assert {name for name in names if getattr(off_the_wire(status=status), name)} == true


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_that_lead_somewhere(status: int) -> None:
    """Five statuses redirect, if there is a Location."""
    assert off_the_wire(status=status, headers=[(b"location", b"/b")]).has_redirect_location
    assert not off_the_wire(status=status).has_redirect_location
    assert not off_the_wire(status=304, headers=[(b"location", b"/b")]).has_redirect_location


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (101, [], "101 Switching Protocols (informational) came for GET http://example.org/a"),
        (
            302,
            [(b"Location", b"/b")],
            "302 Found (redirect) came for GET http://example.org/a; it leads to '/b', "
            "which `follow_redirects=True` follows",
        ),
        (304, [], "304 Not Modified (redirect) came for GET http://example.org/a"),
        (404, [], "404 Not Found (client error) came for GET http://example.org/a"),
        (500, [], "500 Internal Server Error (server error) came for GET http://example.org/a"),
        (799, [], "799 (no valid status) came for GET http://example.org/a"),
    ],
)
def test_raise_for_status(status: int, headers: list[tuple[bytes, bytes]], message: str) -> None:
    """Anything but 2xx raises, saying what came for what, with both at hand."""
    response = off_the_wire(status=status, headers=headers)
    with pytest.raises(HTTPStatusError) as caught:
        response.raise_for_status()

    assert str(caught.value) == message
    assert (caught.value.request, caught.value.response) == (REQUEST, response)


def test_raise_for_status_gives_the_response() -> None:
    """2xx gives the response itself, for chaining; without a request it is an error of use."""
    response = off_the_wire(status=204)
    assert response.raise_for_status() is response
    with pytest.raises(RuntimeError, match="request"):
        Response(200).raise_for_status()


def test_messages_hide_credentials() -> None:
    """User name and password of the URL are in no message."""
    response = Response(404, request=Request("GET", "http://user:secret@example.org/"))
    with pytest.raises(HTTPStatusError) as caught:
        response.raise_for_status()

    assert "secret" not in str(caught.value)
    assert "http://example.org/" in str(caught.value)


def test_request_and_url_need_a_request() -> None:
    """A response knows its URL from its request, which may be set later."""
    response = Response(200)
    with pytest.raises(RuntimeError, match="request"):
        _ = response.url
    assert not response.has_request
    response.request = REQUEST
    assert response.url == "http://example.org/a"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32-le"])
def test_json_finds_its_encoding(encoding: str) -> None:
    """JSON is read by its bytes, whatever the headers say; arguments reach `json.loads`."""
    response = off_the_wire('{"a": 1.5}'.encode(encoding))

    assert response.json() == {"a": 1.5}
    assert response.json(parse_float=str) == {"a": "1.5"}


def test_json_errors_are_those_of_the_standard_library() -> None:
    """What is no JSON raises what `json.loads` raises."""
    with pytest.raises(json.JSONDecodeError):
        off_the_wire(b"{").json()


@pytest.mark.parametrize(
    ("content_type", "default", "encoding", "text"),
    [
        (b"text/plain", "utf-8", "utf-8", "\ufffd"),
        (b"text/plain; charset=cp1252", "utf-8", "cp1252", "€"),
        (b"text/plain; charset=nonsense", "utf-8", "utf-8", "\ufffd"),
        (b"text/plain; charset=rot13", "utf-8", "utf-8", "\ufffd"),
        (b"text/plain; charset=idna", "cp1252", "cp1252", "€"),
        (b"text/plain", "cp1252", "cp1252", "€"),
        (b"text/plain", lambda content: "cp1252" if content == b"\x80" else None, "cp1252", "€"),
        (b"text/plain", lambda content: None, "utf-8", "\ufffd"),
        (b"text/plain", lambda content: "guesswork-1", "utf-8", "\ufffd"),
    ],
)
def test_encoding(content_type: bytes, default: Any, encoding: str, text: str) -> None:
    """The header's charset if it is one of text, else the default; never a codec error."""
    response = off_the_wire(b"\x80", [(b"Content-Type", content_type)])
    response.default_encoding = default

    assert (response.encoding, response.text) == (encoding, text)


def test_encoding_is_set_before_text() -> None:
    """An encoding that was set wins; once text was used it is too late."""
    response = off_the_wire(b"\x80")
    response.encoding = "cp1252"
    assert (response.text, response.charset_encoding) == ("€", "latin-1")
    with pytest.raises(ValueError, match="text"):
        response.encoding = "utf-8"


def test_links_by_relation() -> None:
    """The Link header is a dict by relation, or by target where none is named."""
    response = off_the_wire(headers=[(b"Link", b'</2>; rel="next", </3>')])

    assert response.links == {"next": {"url": "/2", "rel": "next"}, "/3": {"url": "/3"}}
    assert off_the_wire().links == {}


def test_cookies_are_those_of_this_response() -> None:
    """The cookies a response sets, as a mapping."""
    assert dict(off_the_wire(headers=[(b"Set-Cookie", b"a=b; Path=/")]).cookies) == {"a": "b"}
    assert dict(off_the_wire().cookies) == {}


def test_elapsed_is_the_time_between_start_and_end() -> None:
    """Known once closed; also settable, for tests of users."""
    response = off_the_wire()
    with pytest.raises(RuntimeError, match="read or closed"):
        _ = response.elapsed
    response.started, response.ended = 10.0, 11.5
    assert response.elapsed == timedelta(seconds=1.5)
    response.elapsed = timedelta(seconds=3)
    assert response.elapsed == timedelta(seconds=3)


def test_history_and_next_request_are_each_ones_own() -> None:
    """Lists are not shared between responses, and `history` is copied from the caller's."""
    first, second = off_the_wire(), off_the_wire()
    first.history.append(second)

    assert (second.history, first.history, first.next_request) == ([], [second], None)
    given = [first]
    assert Response(200, history=given).history == given
    assert Response(200, history=given).history is not given


def test_headers_may_be_changed_before_reading() -> None:
    """What a hook does to the headers counts for decoding."""
    response = off_the_wire(gzip.compress(b"abc"), GZIP)
    del response.headers["content-encoding"]

    assert response.content == gzip.compress(b"abc")
    response = off_the_wire(b"abc", GZIP)
    response.headers = {"A": "1"}
    assert (response.content, response.headers["a"]) == (b"abc", "1")


def test_pickle_of_a_read_response() -> None:
    """Content, headers, request and history survive; extensions and stream are left behind."""
    response = off_the_wire(gzip.compress(b"abc"), [*GZIP, *RAW], 404, http_version=b"HTTP/2")
    response.history = [off_the_wire(status=302)]
    response.started, response.ended = 1.0, 2.0
    copy = pickle.loads(pickle.dumps(response))

    assert (copy.status_code, copy.content, copy.text, copy.headers) == (404, b"abc", "abc", response.headers)
    assert (copy.url, copy.history[0].status_code, copy.elapsed.seconds) == (response.url, 302, 1)
    assert (copy.extensions, copy.is_closed, copy.num_bytes_downloaded) == ({}, True, response.num_bytes_downloaded)


def test_pickle_of_an_unread_response_is_closed() -> None:
    """What was not read is lost, and said to be."""
    copy = pickle.loads(pickle.dumps(off_the_wire(ByteStream(b"abc"))))

    assert copy.is_closed
    with pytest.raises(ResponseNotRead):
        _ = copy.content
    with pytest.raises(StreamClosed):
        copy.read()
    with pytest.raises(StreamClosed):
        asyncio.run(copy.aread())


def test_field_lines_and_extensions_are_made_when_somebody_looks() -> None:
    """A transport may give checked lines and a function with its arguments; what they make is made once."""
    made: list[str] = []

    def extensions(word: str) -> dict[str, object]:
        made.append(word)
        return {"reason_phrase": word.encode()}

    response = Response.from_wire(200, b"X-A: 1\r\nx-a:2\r\n", b"body", (extensions, "Fine"), REQUEST)

    assert not made
    assert response.raw_headers == [(b"X-A", b"1"), (b"x-a", b"2")]
    assert response.headers["x-a"] == "1, 2"
    response.extensions["more"] = 1
    assert response.reason_phrase == "Fine"
    assert response.extensions == {"reason_phrase": b"Fine", "more": 1}
    assert made == ["Fine"]
    assert pickle.loads(pickle.dumps(response)).headers == response.headers


@pytest.mark.parametrize("is_plain", [True, False])
def test_a_limit_holds_for_plain_bodies_too(is_plain: bool) -> None:
    """Whether or not the transport knew that nothing has to be decoded."""
    fits, exceeds = off_the_wire(b"12345"), off_the_wire(b"123456")
    fits.max_size = exceeds.max_size = 5
    fits.is_plain = exceeds.is_plain = is_plain

    assert fits.content == b"12345"
    with pytest.raises(ResponseTooLarge):
        _ = exceeds.content

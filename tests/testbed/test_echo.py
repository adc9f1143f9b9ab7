"""Endpoints that show what they received."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

import pytest

from crawler.testbed.echo import parse_multipart
from crawler.testbed.exchange import MAX_BODY_BYTES

Ask = Any  # the `Asker` of conftest.py, which cannot be imported from there


def test_get_shows_the_request(ask: Ask) -> None:
    """Method, URL, arguments, origin and version of a GET."""
    got = ask("/get?a=1&a=2&b=%C3%BC&empty=").json()
    assert got["method"] == "GET"
    assert got["url"] == ask.bed.url + "/get?a=1&a=2&b=%C3%BC&empty="
    assert got["args"] == {"a": ["1", "2"], "b": "ü", "empty": ""}
    assert got["origin"] == "127.0.0.1"
    assert got["http_version"] == "HTTP/1.1"
    assert (got["data"], got["form"], got["files"], got["json"]) == ("", {}, {}, None)


def test_headers_keep_their_letter_case_and_their_order(ask: Ask) -> None:
    """Names are shown as they were sent; lines of one name are joined and, raw, kept apart."""
    connection = ask.connect()
    connection.putrequest("GET", "/headers", skip_accept_encoding=True)
    for name, value in (("X-MiXed", "1"), ("x-twice", "a"), ("x-twice", "b")):
        connection.putheader(name, value)
    connection.endheaders()
    got = json.loads(connection.getresponse().read())
    connection.close()
    assert got["headers"]["X-MiXed"] == "1"
    assert got["headers"]["x-twice"] == "a, b"
    assert got["raw"][1:] == [["X-MiXed", "1"], ["x-twice", "a"], ["x-twice", "b"]]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_json_bodies(ask: Ask, method: str) -> None:
    """A JSON body comes back as text and parsed."""
    headers = {"Content-Type": "application/json"}
    got = ask("/" + method.lower(), method, body=b'{"a": [1, null]}', headers=headers).json()
    assert (got["data"], got["json"], got["method"]) == ('{"a": [1, null]}', {"a": [1, None]}, method)


def test_forms(ask: Ask) -> None:
    """A form comes back as names and values."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    got = ask("/post", "POST", body=b"a=1&a=2&b=+x&c=", headers=headers).json()
    assert got["form"] == {"a": ["1", "2"], "b": " x", "c": ""}


def test_multipart(ask: Ask) -> None:
    """Fields and files of a multipart body; a file that is no text as a data URL."""
    body = (
        b'--xyz\r\nContent-Disposition: form-data; name="field"\r\n\r\nvalue\r\n'
        b'--xyz\r\nContent-Disposition: form-data; name="text"; filename="a.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nhello\r\n\r\n--xy\r\n"
        b'--xyz\r\nContent-Disposition: form-data; name="bin"; filename="b"\r\n'
        b"Content-Type: image/png\r\n\r\n\xff\0\r\n"
        b"--xyz--\r\n"
    )
    got = ask("/post", "POST", body=body, headers={"Content-Type": "multipart/form-data; boundary=xyz"}).json()
    assert got["form"] == {"field": "value"}
    assert got["files"] == {
        "text": "hello\r\n\r\n--xy",
        "bin": "data:image/png;base64," + base64.b64encode(b"\xff\0").decode(),
    }


def test_multipart_without_a_boundary_is_nothing() -> None:
    """Without a boundary there is nothing to find."""
    assert parse_multipart(b"--x\r\n\r\n\r\n--x--", "multipart/form-data") == ([], [])


def test_binary_bodies_come_back_as_a_data_url(ask: Ask) -> None:
    """Bytes that are no UTF-8 survive."""
    got = ask("/post", "POST", body=b"\xff\xfe", headers={"Content-Type": "application/octet-stream"}).json()
    assert got["data"] == "data:application/octet-stream;base64,//4="


def test_chunked_requests_are_read(ask: Ask) -> None:
    """A body without a length, in chunks, is echoed whole."""
    connection = ask.connect()
    connection.request("POST", "/post", iter([b"one ", b"two"]), encode_chunked=True)
    assert json.loads(connection.getresponse().read())["data"] == "one two"
    connection.close()


def test_too_large_a_body_is_refused_and_read(ask: Ask) -> None:
    """Echo answers 413 above its limit, after reading all, so that the connection stays usable."""
    connection = ask.connect()
    connection.request("POST", "/post", b"x" * (MAX_BODY_BYTES + 1))
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["size"]) == (413, MAX_BODY_BYTES + 1)
    connection.request("GET", "/status/200")
    assert connection.getresponse().read() == b"200 OK\n"
    connection.close()


def test_endpoints_that_want_no_body_read_it_all_the_same(ask: Ask) -> None:
    """A body of many pieces sent to `/status/200` neither blocks nor ends the connection."""
    connection = ask.connect()
    for _ in range(2):
        connection.request("POST", "/status/200", b"x" * 3_000_000)
        assert connection.getresponse().read() == b"200 OK\n"
    connection.close()


def test_upload(ask: Ask) -> None:
    """`/upload` answers with size and checksum."""
    body = bytes(range(256)) * 10_000
    assert ask("/upload", "PUT", body=body).json() == {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}


def test_anything_takes_any_method_and_path(ask: Ask) -> None:
    """`/anything` and what is below it echo every method; HEAD has no body."""
    assert ask("/anything/deep/er?x=y", "PATCH").json()["url"].endswith("/anything/deep/er?x=y")
    assert ask("/anything", "OPTIONS").json()["method"] == "OPTIONS"
    head = ask("/anything", "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.headers["content-length"]) > 100


def test_small_ones(ask: Ask) -> None:
    """`/ip` and `/user-agent`."""
    assert ask("/ip").json() == {"origin": "127.0.0.1"}
    assert ask("/user-agent", headers={"User-Agent": "me/1"}).json() == {"user-agent": "me/1"}


def test_wrong_methods_and_paths(ask: Ask) -> None:
    """405 for a method that the path does not have, 404 for a path that is not there."""
    assert ask("/post").status == 405
    assert ask("/no-such-path").status == 404

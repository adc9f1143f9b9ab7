"""A WSGI application in place of the network."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.validate import validator

import pytest

import crawler

Environ = dict[str, Any]
Start = Callable[..., Any]


def echo(environ: Environ, start_response: Start) -> Iterable[bytes]:
    """Give the body back."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


def client_of(app: Any, **options: Any) -> crawler.Client:
    """A client of one application."""
    return crawler.Client(transport=crawler.WSGITransport(app, **options))


def test_a_body_goes_there_and_back() -> None:
    """Streamed or not."""
    with client_of(echo) as client:
        assert client.post("http://h/", content=b"abc").text == "abc"
        assert client.post("http://h/", content=iter([b"a", b"b"])).text == "ab"
        assert client.get("http://h/").text == ""


def test_the_application_sees_the_request() -> None:
    """As PEP 3333 has it."""
    seen: Environ = {}

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        seen.update(environ)
        return echo(environ, start_response)

    errors = io.StringIO()
    options = {"script_name": "/app", "remote_addr": "1.2.3.4", "wsgi_errors": errors}
    with client_of(app, **options) as client:
        client.post("https://h/p%20%C3%A4?q=%20", content=b"x", headers={"X-Some": "y", "Content-Type": "a/b"})

    expected = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/app",
        "PATH_INFO": "/p \xc3\xa4",
        "QUERY_STRING": "q=%20",
        "SERVER_NAME": "h",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "1.2.3.4",
        "CONTENT_TYPE": "a/b",
        "CONTENT_LENGTH": "1",
        "HTTP_HOST": "h",
        "HTTP_X_SOME": "y",
        "wsgi.url_scheme": "https",
        "wsgi.errors": errors,
    }
    assert {key: seen[key] for key in expected} == expected
    assert "HTTP_CONTENT_LENGTH" not in seen


def test_the_environment_is_valid() -> None:
    """By the validator of the standard library, which also checks how we treat the application."""

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        environ["wsgi.input"].read(0)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"valid"]

    with client_of(validator(app), wsgi_errors=sys.stderr) as client:
        assert client.get("http://h/a?b=c").text == "valid"


@pytest.mark.parametrize(("url", "port"), [("http://h/", "80"), ("https://h/", "443"), ("http://h:81/", "81")])
def test_the_port_is_always_there(url: str, port: str) -> None:
    """The scheme's own where the URL has none."""

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [environ["SERVER_PORT"].encode()]

    with client_of(app) as client:
        assert client.get(url).text == port


def test_a_streamed_response_comes_in_pieces_and_is_closed() -> None:
    """The application is run as far as the caller reads, and cleans up in its `close`."""
    made: list[int] = []
    closed: list[bool] = []

    class Pieces:
        def __iter__(self) -> Iterator[bytes]:
            for number in range(3):
                made.append(number)
                yield b"%d" % number

        def close(self) -> None:
            closed.append(True)

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [])
        return Pieces()

    with client_of(app) as client:
        with client.stream("GET", "http://h/") as response:
            assert made == [0]
            assert list(response.iter_bytes()) == [b"0", b"1", b"2"]
            assert closed == [True]
        with client.stream("GET", "http://h/"):
            pass

    assert closed == [True, True]


def test_start_response_may_come_as_late_as_the_first_piece() -> None:
    """A generator runs no line before it is iterated."""

    def app(environ: Environ, start_response: Start) -> Iterator[bytes]:
        start_response("201 Created", [("X-Late", "yes")])
        yield b""
        yield b"x"

    with client_of(app) as client:
        response = client.get("http://h/")

    assert (response.status_code, response.headers["X-Late"], response.text) == (201, "yes", "x")


def test_headers_may_hold_latin_1() -> None:
    """PEP 3333: native strings that hold bytes."""

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        start_response("200 OK", [("X-Name", "\xc3\xa9")])
        return []

    with client_of(app) as client:
        assert client.get("http://h/").headers["X-Name"] == "é"


def test_exceptions_pass_through() -> None:
    """Those that are raised, and those that are handed to `start_response`."""

    def raises(environ: Environ, start_response: Start) -> Iterable[bytes]:
        raise ZeroDivisionError

    def hands_over(environ: Environ, start_response: Start) -> Iterable[bytes]:
        try:
            raise ZeroDivisionError
        except ZeroDivisionError:
            start_response("500 Internal Server Error", [], sys.exc_info())
        return [b"sorry"]

    for app in (raises, hands_over):
        with client_of(app) as client, pytest.raises(ZeroDivisionError):
            client.get("http://h/")
    with client_of(hands_over, raise_app_exceptions=False) as client:
        assert client.get("http://h/").status_code == 500


def test_an_application_that_answers_nothing_is_told() -> None:
    """There is no status to give."""
    with client_of(lambda environ, start_response: []) as client, pytest.raises(RuntimeError, match="start_response"):
        client.get("http://h/")


def test_what_is_written_comes_before_the_pieces() -> None:
    """The old way: `start_response` gives a `write`."""

    def app(environ: Environ, start_response: Start) -> Iterable[bytes]:
        write = start_response("200 OK", [])
        write(b"written, ")
        return [b"yielded"]

    with client_of(app) as client:
        assert client.get("http://h/").text == "written, yielded"


def test_an_async_body_is_refused() -> None:
    """It cannot be read by blocking."""

    async def pieces() -> Any:
        yield b"x"

    with client_of(echo) as client, pytest.raises(RuntimeError, match="async"):
        client.post("http://h/", content=pieces())

"""What programs written for HTTPX rely on beside the behaviour of requests: names, defaults, settings, packaging."""

from __future__ import annotations

import builtins
import inspect
import logging
import ssl
import sys
from importlib.metadata import metadata
from types import ModuleType
from typing import Any

import pytest

import crawler
from crawler.net import tls

REQUEST = (
    "method url params content data files json headers cookies auth proxy timeout follow_redirects verify trust_env"
)
BODY = {"content", "data", "files", "json"}
OF_A_CLIENT = "method url content data files json params headers cookies auth follow_redirects timeout extensions"
CLIENT = {
    "auth": None,
    "params": None,
    "headers": None,
    "cookies": None,
    "verify": True,
    "cert": None,
    "http1": True,
    "http2": False,
    "proxy": None,
    "mounts": None,
    "follow_redirects": False,
    "max_redirects": 20,
    "event_hooks": None,
    "base_url": "",
    "transport": None,
    "trust_env": True,
    "default_encoding": "utf-8",
}
TRANSPORT = {
    "verify": True,
    "cert": None,
    "trust_env": True,
    "http1": True,
    "http2": False,
    "proxy": None,
    "uds": None,
    "local_address": None,
    "retries": 0,
    "socket_options": None,
}


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    """By name, without `self`."""
    found = dict(inspect.signature(function).parameters)
    found.pop("self", None)
    return found


@pytest.mark.parametrize(
    "name", ["request", "stream", "get", "options", "head", "delete", "post", "put", "patch", "query"]
)
def test_the_top_level_functions_take_what_httpxs_take(name: str) -> None:
    """The same names, with their defaults; bodies only where HTTPX has them; only the URL and method by position."""
    taken = parameters(getattr(crawler, name))
    expected = set(REQUEST.split())
    if name not in ("request", "stream"):
        expected.discard("method")
    if name in ("get", "options", "head", "delete"):
        expected -= BODY

    assert expected <= set(taken)
    assert not (BODY - expected) & set(taken)
    by_position = [key for key, parameter in taken.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]
    assert by_position == [key for key in ("method", "url") if key in expected]
    defaults = {key: taken[key].default for key in expected - {"method", "url", "timeout"}}
    assert {key: value for key, value in defaults.items() if value is not None} == {
        "follow_redirects": False,
        "verify": True,
        "trust_env": True,
    }
    assert crawler.Timeout(taken["timeout"].default) == crawler.Timeout(5.0)


@pytest.mark.parametrize("kind", [crawler.Client, crawler.AsyncClient])
def test_clients_take_what_httpxs_take(kind: Any) -> None:
    """All by name, with HTTPX's defaults; methods leave auth, redirects and timeouts to the client."""
    taken = parameters(kind)
    assert {name: taken[name].default for name in CLIENT} == CLIENT
    assert taken["timeout"].default == crawler.Timeout(5.0)
    assert taken["limits"].default == crawler.Limits(
        max_connections=100, max_keepalive_connections=20, keepalive_expiry=5.0
    )
    assert {parameter.kind for parameter in taken.values()} == {inspect.Parameter.KEYWORD_ONLY}
    for name in ("request", "stream", "build_request"):
        own = parameters(getattr(kind, name))
        wanted = set(OF_A_CLIENT.split()) - ({"auth", "follow_redirects"} if name == "build_request" else set())
        assert wanted <= set(own)
        for setting in wanted & {"auth", "follow_redirects", "timeout"}:
            assert own[setting].default is crawler.USE_CLIENT_DEFAULT


@pytest.mark.parametrize("kind", [crawler.HTTPTransport, crawler.AsyncHTTPTransport])
def test_transports_take_what_httpxs_take(kind: Any) -> None:
    """In HTTPX's order, as they may be given by position."""
    taken = parameters(kind)
    positional = [name for name, parameter in taken.items() if parameter.kind is parameter.POSITIONAL_OR_KEYWORD]

    assert {name: taken[name].default for name in TRANSPORT} == TRANSPORT
    assert [name for name in positional if name != "limits"] == list(TRANSPORT)


@pytest.mark.parametrize("kind", [crawler.Client, crawler.AsyncClient])
def test_settings_can_be_changed_and_are_coerced(kind: Any) -> None:
    """Whatever the constructor takes, the properties take, and give as the value types."""
    client = kind()
    client.headers = {"X-A": "1"}
    client.cookies = {"a": "1"}
    client.params = {"q": "1"}
    client.base_url = "https://h/api"
    client.timeout = 3
    client.auth = ("u", "p")
    hook = client.event_hooks = {"request": [print]}

    assert isinstance(client.headers, crawler.Headers)
    assert (client.headers["x-a"], client.headers["accept"]) == ("1", "*/*")
    assert client.cookies == crawler.Cookies({"a": "1"})
    assert client.params == crawler.QueryParams({"q": "1"})
    assert client.base_url == crawler.URL("https://h/api/")
    assert client.timeout == crawler.Timeout(3.0)
    assert isinstance(client.auth, crawler.BasicAuth)
    assert client.event_hooks == {**hook, "response": []}
    assert (client.trust_env, client.is_closed) == (True, False)
    for name in ("trust_env", "is_closed"):
        with pytest.raises(AttributeError):
            setattr(client, name, False)


BASES = [
    ("https://h/api", "x", "https://h/api/x"),
    ("https://h/api/", "/x?a=b", "https://h/api/x?a=b"),
    ("https://h/api", "", "https://h/api/"),
    ("https://h/api", "../x", "https://h/x"),
    ("https://h/api?key=1", "x", "https://h/api/x?key=1"),
    ("https://h/api/?key=1", "/x?a=b", "https://h/api/x?a=b&key=1"),
    ("https://h/api?key=1/2", "", "https://h/api/?key=1/2"),
    ("https://h/api?key=1", "https://other/x", "https://other/x"),
]


@pytest.mark.parametrize(("base", "url", "expected"), BASES)
def test_the_base_url_is_put_before_relative_ones(base: str, url: str, expected: str) -> None:
    """Path to path, and the base's query behind the other's; HTTPX mixes up the two."""
    with crawler.Client(base_url=base) as client:
        assert client.build_request("GET", url).url == expected


def test_a_client_is_cheap_to_make(monkeypatch: pytest.MonkeyPatch) -> None:
    """No roots are read before they are needed: programs make a client for every URL."""

    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("roots were read")

    for name in ("load_verify_locations", "load_default_certs", "set_default_verify_paths"):
        monkeypatch.setattr(ssl.SSLContext, name, refuse)
    monkeypatch.setattr(tls, "create_ssl_context", refuse)
    for make in (crawler.Client, crawler.AsyncClient, crawler.HTTPTransport, crawler.AsyncHTTPTransport):
        make()
        make(http2=True, proxy="http://127.0.0.1:1")


def test_httpxs_extras_are_accepted() -> None:
    """So that requirement lines need no more than another name."""
    assert {"http2", "brotli", "zstd", "socks", "cli"} <= set(metadata("crawler").get_all("Provides-Extra") or ())


def test_the_package_says_who_it_is() -> None:
    """As HTTPX does; types are shipped."""
    from pathlib import Path

    assert (crawler.__title__, crawler.__version__) == ("crawler", metadata("crawler")["Version"])
    assert crawler.__description__
    assert (Path(crawler.__file__).parent / "py.typed").is_file()


def test_silent_unless_asked(capfd: pytest.CaptureFixture[str]) -> None:
    """Without logging set up, nothing is printed."""
    transport = crawler.MockTransport(lambda request: crawler.Response(200))
    assert logging.getLogger("crawler").level == logging.NOTSET
    with crawler.Client(transport=transport) as client:
        client.get("https://h/")

    assert capfd.readouterr() == ("", "")


def test_the_store_of_the_system_is_asked_where_roots_are_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows and macOS, through truststore; without it certifi's roots."""
    import truststore

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    assert isinstance(crawler.create_ssl_context(), truststore.SSLContext)

    real = builtins.__import__

    def without_truststore(name: str, *args: Any) -> ModuleType:
        if name == "truststore":
            raise ImportError(name)
        return real(name, *args)

    monkeypatch.setattr(builtins, "__import__", without_truststore)
    fallback = crawler.create_ssl_context()
    assert not isinstance(fallback, truststore.SSLContext)
    assert fallback.cert_store_stats()["x509_ca"] > 0

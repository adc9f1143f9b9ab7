"""Typical programs for the blocking client, written as for HTTPX; mypy reads them, `test_programs.py` runs them.

Each takes the address of a server and asserts what its author would expect. Only the import is ours.
"""

# ruff: noqa: PT017 -- these are programs, not tests

from __future__ import annotations

import io
import logging
import ssl
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import crawler as httpx


def top_level_functions(base: str) -> None:
    """One request each."""
    response = httpx.get(f"{base}/get", params={"key": "value", "n": 1, "list": ["a", "b"]})
    assert response.status_code == httpx.codes.OK
    assert response.json()["args"] == {"key": "value", "n": "1", "list": ["a", "b"]}
    assert httpx.post(f"{base}/post", json={"name": "Ada"}).json()["json"] == {"name": "Ada"}
    assert httpx.put(f"{base}/put", data={"a": "1"}).json()["form"] == {"a": "1"}
    assert httpx.patch(f"{base}/patch", content=b"raw").is_success
    assert httpx.delete(f"{base}/delete", headers={"X-Api-Key": "k"}, timeout=10.0).status_code == 200
    assert httpx.head(f"{base}/get").headers["Content-Type"].startswith("application/json")
    assert httpx.options(f"{base}/anything").request.method == "OPTIONS"
    with httpx.stream("GET", f"{base}/stream/3") as streamed:
        assert len(list(streamed.iter_lines())) == 3


def a_client_with_everything(base: str) -> None:
    """Settings that all requests share."""
    with httpx.Client(
        base_url=f"{base}/",
        headers={"User-Agent": "program/1.0", "Accept": "application/json"},
        params={"version": "2"},
        cookies={"session": "abc"},
        timeout=httpx.Timeout(10.0, connect=3.0),
        limits=httpx.Limits(max_connections=10, max_keepalive_connections=5, keepalive_expiry=30),
        follow_redirects=True,
        max_redirects=5,
        trust_env=False,
        http1=True,
        verify=True,
        default_encoding="utf-8",
    ) as client:
        echoed = client.get("anything/users", params={"page": 1}).json()
        assert echoed["args"] == {"version": "2", "page": "1"}
        headers = {name.lower(): value for name, value in echoed["headers"].items()}
        assert headers["user-agent"] == "program/1.0"
        assert headers["cookie"] == "session=abc"
        client.headers["Authorization"] = "Bearer token"
        client.headers.update({"X-Two": "2"})
        assert client.get("bearer").json()["token"] == "token"
        assert str(client.base_url) == f"{base}/"
    assert client.is_closed


def authentication(base: str) -> None:
    """Every way that HTTPX brings, and one of one's own."""
    with httpx.Client() as client:
        assert client.get(f"{base}/basic-auth/u/p", auth=("u", "p")).status_code == 200
        assert client.get(f"{base}/basic-auth/u/p", auth=httpx.BasicAuth("u", "p")).status_code == 200
        digest = httpx.DigestAuth("u", "p")
        assert client.get(f"{base}/digest-auth/auth/u/p", auth=digest).status_code == 200

        def with_token(request: httpx.Request) -> httpx.Request:
            request.headers["Authorization"] = "Bearer function"
            return request

        assert client.get(f"{base}/bearer", auth=with_token).json()["token"] == "function"
        assert client.get(f"{base}/bearer", auth=RefreshingAuth()).json()["token"] == "fresh"
        assert client.get(f"{base}/bearer", auth=None).status_code == 401


class RefreshingAuth(httpx.Auth):
    """Gets a token when it is asked for one."""

    requires_response_body = True

    def __init__(self) -> None:
        self.token: str | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        response = yield request
        if response.status_code == 401:
            self.token = self.refresh(response)
            request.headers["Authorization"] = f"Bearer {self.token}"
            yield request

    def refresh(self, response: httpx.Response) -> str:
        """A token for what the server said."""
        return "fresh" if response.text else ""


def cookies(base: str) -> None:
    """They are kept, and can be looked at."""
    jar = httpx.Cookies()
    jar.set("own", "1", domain="127.0.0.1", path="/")
    with httpx.Client(cookies=jar, follow_redirects=True) as client:
        client.get(f"{base}/cookies/set?theme=dark")
        assert client.cookies["theme"] == "dark"
        assert client.cookies.get("missing", "default") == "default"
        assert client.get(f"{base}/cookies").json()["cookies"] == {"own": "1", "theme": "dark"}
        client.cookies.delete("theme")
        client.cookies.clear()
        assert dict(client.cookies) == {}


def bodies(base: str, folder: Path) -> None:
    """Forms, files, JSON, bytes, and what is made on the way."""
    path = folder / "report.txt"
    path.write_bytes(b"report")
    with httpx.Client() as client, path.open("rb") as file:
        answer = client.post(
            f"{base}/post",
            data={"kind": "report", "tags": ["a", "b"]},
            files={"upload": ("report.txt", file, "text/plain")},
        ).json()
        assert answer["form"] == {"kind": "report", "tags": ["a", "b"]}
        assert answer["files"] == {"upload": "report"}
        answer = client.post(
            f"{base}/post",
            files=[("images", ("1.png", b"one", "image/png")), ("images", ("2.png", io.BytesIO(b"two"), "image/png"))],
        ).json()
        assert answer["files"] == {"images": ["one", "two"]}

        def pieces() -> Iterator[bytes]:
            yield b"first, "
            yield b"second"

        assert client.post(f"{base}/post", content=pieces()).json()["data"] == "first, second"
        assert client.post(f"{base}/post", content="text", headers={"Content-Type": "text/plain"}).is_success


def streaming(base: str, folder: Path) -> None:
    """A download that never sits in memory."""
    target = folder / "download"
    with httpx.Client() as client, client.stream("GET", f"{base}/bytes/100000") as response:
        response.raise_for_status()
        total = int(response.headers.get("Content-Length", 0))
        with target.open("wb") as file:
            for chunk in response.iter_bytes(chunk_size=8192):
                file.write(chunk)
                assert response.num_bytes_downloaded <= total
    assert target.stat().st_size == total == 100_000
    with httpx.stream("GET", f"{base}/stream/2") as response:
        for text in response.iter_text():
            assert text
    with httpx.stream("GET", f"{base}/stream/2") as response:
        response.read()
        assert response.content
        assert response.is_closed


def timeouts_and_errors(base: str) -> None:
    """The order in which tutorials catch them."""
    outcomes = [outcome_of(url) for url in (f"{base}/delay/5", "http://127.0.0.1:1/", f"{base}/status/404", base)]
    assert outcomes == ["timeout", "connection", "status 404", "ok"]
    assert httpx.Timeout(5.0).read == 5.0
    assert httpx.Timeout(None).connect is None
    assert httpx.Timeout(5.0, read=None) != httpx.Timeout(5.0)
    with httpx.Client(timeout=None) as client:
        client.timeout = httpx.Timeout(connect=1.0, read=2.0, write=3.0, pool=4.0)
        assert client.get(f"{base}/get", timeout=(1.0, 2.0, 3.0, None)).is_success


def outcome_of(url: str) -> str:
    """What became of a request."""
    try:
        response = httpx.get(url, timeout=0.2)
        response.raise_for_status()
    except httpx.TimeoutException:
        return "timeout"
    except httpx.ConnectError as exc:
        assert exc.request.url
        return "connection"
    except httpx.HTTPStatusError as exc:
        return f"status {exc.response.status_code}"
    except httpx.RequestError:
        return "request"
    except httpx.HTTPError:
        return "http"
    return "ok"


def a_loop_that_retries(base: str) -> None:
    """As tutorials write it."""
    for attempt in range(3):
        try:
            httpx.get(f"{base}/status/503").raise_for_status()
        except httpx.HTTPStatusError as exc:
            if exc.response.status_code < 500 or attempt == 2:
                break
            time.sleep(0)
    assert attempt == 2


def redirects(base: str) -> None:
    """Off by default; a chain is in the history."""
    response = httpx.get(f"{base}/redirect/2")
    assert response.is_redirect
    assert response.has_redirect_location
    assert response.next_request is not None
    with httpx.Client(follow_redirects=True) as client:
        response = client.get(f"{base}/redirect/2")
        assert [step.status_code for step in response.history] == [302, 302]
        assert response.url.path == "/get"
        try:
            client.max_redirects = 1
            client.get(f"{base}/redirect/2")
        except httpx.TooManyRedirects as exc:
            assert exc.request.method == "GET"


def event_hooks(base: str) -> None:
    """For logs and for raising."""
    lines: list[str] = []

    def log_request(request: httpx.Request) -> None:
        lines.append(f"{request.method} {request.url.path}")

    def log_response(response: httpx.Response) -> None:
        request = response.request
        lines.append(f"{request.method} {request.url.path} {response.status_code}")

    with httpx.Client(event_hooks={"request": [log_request], "response": [log_response]}) as client:
        client.get(f"{base}/get")
    assert lines == ["GET /get", "GET /get 200"]
    logging.getLogger("httpx").setLevel(logging.WARNING)


class Retrying(httpx.BaseTransport):
    """A transport around the network's."""

    def __init__(self, retries: int) -> None:
        self._inner = httpx.HTTPTransport(retries=1, limits=httpx.Limits(max_connections=5))
        self._retries = retries
        self.asked = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        for _ in range(self._retries):
            self.asked += 1
            response = self._inner.handle_request(request)
            if response.status_code < 500:
                return response
            response.close()
        return response

    def close(self) -> None:
        self._inner.close()


def transports(base: str) -> None:
    """Of one's own, of tests, and mounted."""
    retrying = Retrying(3)
    with httpx.Client(transport=retrying) as client:
        assert client.get(f"{base}/status/503").status_code == 503
        assert retrying.asked == 3

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/users":
            return httpx.Response(200, json=[{"id": 1}])
        return httpx.Response(404, text="not here", headers=[("X-A", "b")], request=request)

    mock = httpx.MockTransport(handler)
    with httpx.Client(transport=mock, base_url="https://api.example.org") as client:
        assert client.get("/users").json() == [{"id": 1}]
        assert client.get("/other").reason_phrase == "Not Found"
    mounts: dict[str, httpx.BaseTransport | None] = {"all://mocked": mock, "http://": httpx.HTTPTransport()}
    with httpx.Client(mounts=mounts) as client:
        assert client.get("http://mocked/users").is_success
        assert client.get(f"{base}/get").http_version == "HTTP/1.1"


def a_wsgi_application(base: str) -> None:
    """Without a server."""

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"Hello World!"]

    transport = httpx.WSGITransport(app=app)
    with httpx.Client(transport=transport, base_url="http://testserver") as client:
        assert client.get("/").text == "Hello World!"


def requests_by_hand(base: str) -> None:
    """Built, changed and sent."""
    with httpx.Client(headers={"X-One": "1"}) as client:
        request = client.build_request("POST", f"{base}/anything", json={"a": 1}, params={"b": "2"})
        request.headers["X-Two"] = "2"
        assert request.read() == b'{"a":1}'
        response = client.send(request, stream=True, follow_redirects=False)
        try:
            assert response.read()
        finally:
            response.close()
        bare = httpx.Request("GET", f"{base}/get", headers={"Host": "example.org"})
        assert client.send(bare, auth=("u", "p")).is_success
        assert client.request("REPORT", f"{base}/get").status_code in (200, 405)


def responses(base: str) -> None:
    """All that can be looked at."""
    response: httpx.Response = httpx.get(f"{base}/get")
    assert isinstance(response.text, str)
    assert isinstance(response.content, bytes)
    assert response.encoding == "utf-8"
    assert response.elapsed.total_seconds() > 0
    assert response.headers.get("content-type") == response.headers["Content-Type"]
    assert (response.is_error, response.is_client_error, response.is_server_error) == (False, False, False)
    assert response.raise_for_status() is response
    assert response.extensions["http_version"] == b"HTTP/1.1"
    assert response.links == {}
    assert list(response.iter_lines())
    alone = httpx.Response(201, html="<p>hi</p>")
    assert (alone.text, alone.is_success) == ("<p>hi</p>", True)


def value_types(base: str) -> None:
    """URLs, parameters and headers."""
    url = httpx.URL(f"{base}/search", params={"q": "a b"}).copy_add_param("page", 2)
    assert (url.path, url.query, url.params["q"]) == ("/search", b"q=a+b&page=2", "a b")
    assert url.join("/other") == f"{base}/other"
    assert url.copy_with(scheme="https", port=8443).scheme == "https"
    assert httpx.QueryParams("a=1&a=2").get_list("a") == ["1", "2"]
    headers = httpx.Headers([("Accept", "text/html"), ("accept", "*/*")])
    assert headers["ACCEPT"] == "text/html, */*"
    assert headers.get_list("accept") == ["text/html", "*/*"]
    assert httpx.codes.get_reason_phrase(404) == "Not Found"
    try:
        httpx.URL("http://host:port")
    except httpx.InvalidURL as exc:
        assert str(exc)


def proxies_and_tls(base: str) -> None:
    """Made here, used elsewhere: no proxy runs in this program."""
    context: ssl.SSLContext = httpx.create_ssl_context()
    context.load_default_certs()
    proxy = httpx.Proxy("http://proxy.example:3128", auth=("u", "p"), headers={"X-Proxy": "1"})
    assert proxy.auth == ("u", "p")
    httpx.Client(proxy=proxy, verify=context).close()
    httpx.Client(proxy="socks5://127.0.0.1:1080", verify=False).close()
    httpx.Client(mounts={"https://": httpx.HTTPTransport(proxy="http://proxy.example:3128", verify=context)}).close()
    httpx.Client(transport=httpx.HTTPTransport(uds="/run/app.sock", local_address="0.0.0.0", http2=True)).close()


def many_threads(base: str) -> None:
    """One client for all."""
    with httpx.Client() as client, ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(lambda number: client.get(f"{base}/get?n={number}").status_code, range(8)))
    assert statuses == [200] * 8


class Api:
    """A client class as programs have it."""

    def __init__(self, base: str, token: str | None = None, client: httpx.Client | None = None) -> None:
        self._client = client or httpx.Client(base_url=base, timeout=httpx.Timeout(5.0))
        if token is not None:
            self._client.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *exc: object) -> None:
        self._client.close()

    def get(self, path: str, **params: str | int) -> Any:
        """The JSON at a path."""
        response = self._client.get(path, params=params)
        response.raise_for_status()
        return response.json()


def a_class_around_a_client(base: str) -> None:
    """The usual shape of an API library."""
    with Api(base, token="secret") as api:
        assert api.get("/get", page=2)["args"] == {"page": "2"}
        assert api.get("bearer")["token"] == "secret"

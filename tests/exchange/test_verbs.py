"""Verbs, and what each puts on the wire."""

from __future__ import annotations

import json

import pytest

import crawler
from crawler.testbed import Testbed
from crawler.testbed.raw import Do, RawServer
from tests.peers.worlds import Face

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CODINGS = b"gzip, deflate, br, zstd"
AGENT = f"python-crawler/{crawler.__version__}".encode()


def head(server: RawServer, *lines: bytes) -> bytes:
    """The bytes of a request head, its request line and Host given apart."""
    first, *rest = lines
    host = f"Host: 127.0.0.1:{server.port}".encode()
    return b"\r\n".join([first, host, *rest, b"", b""])


DEFAULTS = (b"Accept: */*", b"Accept-Encoding: " + CODINGS, b"Connection: keep-alive", b"User-Agent: " + AGENT)


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "DELETE", "POST", "PUT", "PATCH"])
async def test_each_verb_arrives(face: Face, bed: Testbed, method: str) -> None:
    """The server sees the method, and the answer is read."""
    async with face.client() as client:
        response = await client.request(method, f"{bed.url}/anything/x?a=1")

    assert response.status_code == 200
    assert response.json()["method"] == method
    assert response.json()["args"] == {"a": "1"}
    assert response.is_closed
    assert response.request.method == method
    assert response.url == f"{bed.url}/anything/x?a=1"
    assert response.http_version == "HTTP/1.1"


async def test_head_has_no_body_and_keeps_the_connection(face: Face, bed: Testbed) -> None:
    """An answer to HEAD ends with its head, whatever its Content-Length says."""
    async with face.client() as client:
        first = await client.request("HEAD", f"{bed.url}/get")
        second = await client.get(f"{bed.url}/get")

    assert first.content == b""
    assert int(first.headers["Content-Length"]) > 0
    assert second.extensions["crawler.timing"].conn_reused


async def test_get_on_the_wire(face: Face) -> None:
    """Host, the client's defaults in their order, nothing else."""
    with RawServer(OK) as server:
        async with face.client() as client:
            await client.get(f"{server.url}/a/b?c=d#e")

        assert server.received == [head(server, b"GET /a/b?c=d HTTP/1.1", *DEFAULTS)]


async def test_the_users_headers_follow_the_defaults_in_their_own_case(face: Face) -> None:
    """An overriding header takes the user's place and case; the others stand behind the defaults as written."""
    with RawServer(OK) as server:
        async with face.client(headers={"X-Client": "1", "ACCEPT": "text/html"}) as client:
            await client.get(server.url, headers={"x-OWN": "2", "user-agent": "me"})

        assert server.received == [
            head(
                server,
                b"GET / HTTP/1.1",
                b"Accept-Encoding: " + CODINGS,
                b"Connection: keep-alive",
                b"X-Client: 1",
                b"ACCEPT: text/html",
                b"x-OWN: 2",
                b"user-agent: me",
            )
        ]


async def test_a_bodiless_post_says_so_right_behind_the_host(face: Face) -> None:
    """`Content-Length: 0` stands before the defaults, as HTTPX has it."""
    with RawServer(OK) as server:
        async with face.client() as client:
            await client.post(server.url)

        assert server.received == [head(server, b"POST / HTTP/1.1", b"Content-Length: 0", *DEFAULTS)]


async def test_body_headers_stand_behind_all_others(face: Face) -> None:
    """User's headers, Cookie, body headers, Authorization, in this order."""
    with RawServer(OK) as server:
        async with face.client(cookies={"a": "b"}, auth=("u", "p")) as client:
            await client.post(server.url, json={"ä": [1, None]}, headers={"X-Own": "1"})

        body = '{"ä":[1,null]}'.encode()
        assert server.received == [
            head(
                server,
                b"POST / HTTP/1.1",
                *DEFAULTS,
                b"X-Own: 1",
                b"Cookie: a=b",
                b"Content-Length: %d" % len(body),
                b"Content-Type: application/json",
                b"Authorization: Basic dTpw",
            )
            + body
        ]


async def test_the_users_host_is_kept_and_sent_first(face: Face) -> None:
    """A Host of the user replaces the URL's, from the request and from the client."""
    with RawServer([OK, Do.READ, OK]) as server:
        async with face.client() as client:
            await client.get(server.url, headers={"X-A": "1", "Host": "other.test"})
            client.client.headers["Host"] = "third.test"
            await client.get(server.url)

        first, second = server.received[0].split(b"\r\n\r\n")[:2]
        assert first.split(b"\r\n")[1] == b"Host: other.test"
        assert second.split(b"\r\n")[1] == b"Host: third.test"
        assert first.count(b"Host") == second.count(b"Host") == 1


async def test_a_target_of_ones_own(face: Face) -> None:
    """The extension `target` goes on the request line as it is."""
    with RawServer(OK) as server:
        async with face.client() as client:
            await client.request("OPTIONS", server.url, extensions={"target": b"*"})

        assert server.received[0].startswith(b"OPTIONS * HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "options",
    [
        {"headers": {"X": "a\r\nEvil: 1"}},
        {"headers": {"X\nEvil": "1"}},
        {"headers": {"X": "a\0b"}},
        {"extensions": {"target": b"/ HTTP/1.1\r\nEvil: 1\r\n"}},
        {"cookies": {"a": "b\r\nEvil: 1"}},
    ],
)
@pytest.mark.filterwarnings("ignore:Setting per-request cookies")
async def test_what_would_break_the_framing_is_refused(face: Face, bed: Testbed, options: dict[str, object]) -> None:
    """Line ends and NUL from the caller are refused before a byte is sent, and the pool stays whole."""
    async with face.client() as client:
        await client.get(f"{bed.url}/get")
        for _ in range(2):
            with pytest.raises(crawler.LocalProtocolError) as caught:
                await client.get(f"{bed.url}/get", **options)
        response = await client.get(f"{bed.url}/get")

    assert caught.value.request.url == f"{bed.url}/get"
    assert response.status_code == 200


async def test_a_method_that_is_no_token_is_refused(face: Face, bed: Testbed) -> None:
    """A method cannot smuggle a line of its own."""
    async with face.client() as client:
        with pytest.raises(crawler.LocalProtocolError):
            await client.request("GET / HTTP/1.1\r\nEvil:", f"{bed.url}/get")


async def test_params_headers_and_base_url_are_merged(face: Face, bed: Testbed) -> None:
    """The request wins per key; relative URLs are appended to the base; absolute ones ignore it."""
    async with face.client(
        base_url=f"{bed.url}/anything/v1", params={"a": "1", "b": "2"}, headers={"X": "c"}
    ) as client:
        relative = (await client.get("/things?q=9", params={"b": "3"}, headers={"x": "r"})).json()
        absolute = (await client.get(f"{bed.url}/get")).json()
        empty = await client.get("")

    assert relative["url"] == f"{bed.url}/anything/v1/things?a=1&b=3"
    assert relative["headers"]["x"] == "r"
    assert "X" not in relative["headers"]
    assert absolute["url"] == f"{bed.url}/get?a=1&b=2"
    assert empty.url == f"{bed.url}/anything/v1/?a=1&b=2"


async def test_the_url_keeps_its_query_without_params(face: Face, bed: Testbed) -> None:
    """Neither client nor request has params: the query stays as written; an empty dict empties it."""
    async with face.client() as client:
        kept = await client.get(f"{bed.url}/get?q=%20x+y")
        emptied = await client.get(f"{bed.url}/get?q=1", params={})

    assert kept.request.url.query == b"q=%20x+y"
    assert emptied.json()["args"] == {}


@pytest.mark.parametrize("url", ["/relative", "example.org", "ftp://example.org/", "file:///etc/passwd"])
async def test_other_schemes_are_not_supported(face: Face, url: str) -> None:
    """Only http and https; nothing is read from the local disk."""
    async with face.client() as client:
        with pytest.raises(crawler.UnsupportedProtocol) as caught:
            await client.get(url)

    assert caught.value.kind == "unsupported_scheme"
    assert caught.value.request.method == "GET"


@pytest.mark.parametrize("url", ["/relative", "//h/path", "http://", "mailto:ada", "ftp://h/"])
async def test_a_transport_by_itself_refuses_them_too(face: Face, url: str) -> None:
    """With the same error, whatever it is that the URL lacks."""
    transport = face.transport()
    request = crawler.Request("GET", url)
    handle = transport.handle_async_request if face.is_async else transport.handle_request
    with pytest.raises(crawler.UnsupportedProtocol) as caught:
        await face.settle(handle(request))

    assert caught.value.request is request


@pytest.mark.parametrize(
    "url", ["http://h:65536/", "http://h:x/", "http:///", "http://[::1/", "http://a b/", "http://a..b/"]
)
async def test_urls_that_are_none(face: Face, url: str) -> None:
    """A port, host or bracket that cannot be is an InvalidURL."""
    async with face.client() as client:
        with pytest.raises((crawler.InvalidURL, crawler.UnsupportedProtocol)):
            await client.get(url)


async def test_json_is_compact_and_refuses_nan(face: Face, bed: Testbed) -> None:
    """No blanks between tokens; a value that is no JSON is the caller's error."""
    async with face.client() as client:
        echoed = (await client.post(f"{bed.url}/post", json={"a": [1, 2]})).json()
        with pytest.raises(ValueError, match="JSON"):
            await client.post(f"{bed.url}/post", json=float("nan"))

    assert echoed["data"] == json.dumps({"a": [1, 2]}, separators=(",", ":"))

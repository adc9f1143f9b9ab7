"""Following redirects: what is sent to whom (RFC 9110 §15.4), and what never is."""

from __future__ import annotations

import gzip
import socket
import ssl
from collections.abc import Callable
from typing import Any

import pytest

import crawler
from crawler.testbed import Testbed
from crawler.testbed.raw import Do, RawServer
from tests.peers.certificates import Authority
from tests.peers.listener import Listener, receive_until
from tests.peers.worlds import Face

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def to(location: str | bytes, status: int = 302, extra: bytes = b"") -> bytes:
    """A redirect without a body."""
    where = location.encode() if isinstance(location, str) else location
    return b"HTTP/1.1 %d Go\r\nLocation: %b\r\n%bContent-Length: 0\r\n\r\n" % (status, where, extra)


def lines(request: bytes) -> list[bytes]:
    """The request line and the fields."""
    return request.partition(b"\r\n\r\n")[0].split(b"\r\n")


def fields(request: bytes) -> dict[bytes, bytes]:
    """Fields by lower-case name."""
    return {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines(request)[1:])}


def second(data: bytes) -> bytes:
    """What was sent on a connection behind the first request, a bodiless one."""
    return data.partition(b"\r\n\r\n")[2]


async def test_not_followed_unless_asked(face: Face, bed: Testbed) -> None:
    """The 3xx is returned, with the request that would follow it."""
    async with face.client() as client:
        response = await client.get(f"{bed.url}/redirect/2")
        assert response.next_request is not None
        following = await client.send(response.next_request)

    assert (response.status_code, response.history) == (302, [])
    assert response.next_request.url == f"{bed.url}/redirect/1"
    assert following.status_code == 302


async def test_the_chain_is_in_the_history(face: Face, bed: Testbed) -> None:
    """Oldest first; each knows its own request; asked per request or per client."""
    async with face.client(follow_redirects=True) as client:
        response = await client.get(f"{bed.url}/redirect/3")
        unfollowed = await client.get(f"{bed.url}/redirect/3", follow_redirects=False)

    assert response.url == f"{bed.url}/get"
    assert [hop.url.path for hop in response.history] == ["/redirect/3", "/redirect/2", "/redirect/1"]
    assert all(hop.is_closed for hop in response.history)
    assert unfollowed.status_code == 302


@pytest.mark.parametrize(
    ("status", "method", "becomes"),
    [
        (301, "GET", "GET"), (301, "POST", "GET"), (301, "PUT", "PUT"), (301, "HEAD", "HEAD"),
        (302, "POST", "GET"), (302, "PUT", "GET"), (302, "HEAD", "HEAD"), (302, "QUERY", "QUERY"),
        (303, "POST", "GET"), (303, "DELETE", "GET"), (303, "HEAD", "HEAD"),
        (307, "POST", "POST"), (307, "PUT", "PUT"), (308, "POST", "POST"), (308, "HEAD", "HEAD"),
    ],
)  # fmt: skip
async def test_the_method_after_each_status(face: Face, status: int, method: str, becomes: str) -> None:
    """Body and its fields go with the method, or not at all."""
    headers = {"Content-Language": "en", "X-Own": "1"}
    body = None if method in ("GET", "HEAD", "DELETE") else b"data"
    with RawServer([to("/next", status), Do.READ, OK if becomes != "HEAD" else to("x", 200)]) as server:
        async with face.client(follow_redirects=True) as client:
            await client.request(method, server.url, **({} if body is None else {"content": body}), headers=headers)

        received = server.received[0].removeprefix(b"\r\n")
        after = received[received.index(b" /next ") - len(becomes) :]
        assert lines(after)[0] == becomes.encode() + b" /next HTTP/1.1"
        names = fields(after)
        assert names[b"x-own"] == b"1"
        if becomes == method:
            assert after.endswith(body or b"")
            assert names.get(b"content-length") == (b"4" if body else None)
            assert names[b"content-language"] == b"en"
        else:
            assert not [name for name in names if name.startswith(b"content-")]
            assert after.endswith(b"\r\n\r\n")


async def test_a_one_shot_body_cannot_be_sent_twice(face: Face) -> None:
    """StreamConsumed for a 307, and no byte of a half body; a 303 needs none."""
    with RawServer([to("/next", 307), Do.HOLD], [to("/next", 303), Do.READ, OK]) as server:
        async with face.client(follow_redirects=True) as client:
            with pytest.raises(crawler.StreamConsumed):
                await client.post(server.url, content=face.chunks([b"x"]))
            response = await client.post(server.url, content=face.chunks([b"x"]))

    assert response.text == "ok"


@pytest.mark.parametrize("status", [307, 308])
async def test_a_body_in_memory_is_sent_again(face: Face, status: int) -> None:
    """Small and large, bytes and JSON."""
    body = bytes(150_000)
    with RawServer([to("/next", status), Do.READ, OK]) as server:
        async with face.client(follow_redirects=True) as client:
            response = await client.post(server.url, content=body)

        assert response.text == "ok"
        assert server.received[0].endswith(body)
        assert server.received[0].count(body) == 2


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/abs", b"/abs"), ("rel", b"/a/rel"), ("../up", b"/up"), ("../../../up", b"/up"), ("?q=1", b"/a/b?q=1"),
        ("./x/../y", b"/a/y"), ("/sp ace", b"/sp%20ace"), ("/%41", b"/%41"), ("#frag", b"/a/b"),
        ("/ümlaut".encode(), b"/%C3%BCmlaut"),
    ],
)  # fmt: skip
async def test_relative_locations(face: Face, location: str | bytes, expected: bytes) -> None:
    """Resolved by RFC 3986; the request line stays one line of three parts; no fragment is sent."""
    with RawServer([to(location), Do.READ, OK]) as server:
        async with face.client(follow_redirects=True) as client:
            response = await client.get(f"{server.url}/a/b#old")

        assert lines(second(server.received[0]))[0] == b"GET " + expected + b" HTTP/1.1"
        assert response.url.fragment == ("frag" if location == "#frag" else "old")


async def test_schemes_that_are_not_followed(face: Face) -> None:
    """An error when following; the 3xx as it is when not."""
    for location in ("file:///etc/passwd", "data:text/plain,x", "javascript:alert(1)", "ftp://example.test/"):
        with RawServer([to(location), Do.READ, to(location), Do.HOLD]) as server:
            async with face.client() as client:
                with pytest.raises(crawler.UnsupportedProtocol) as caught:
                    await client.get(server.url, follow_redirects=True)
                response = await client.get(server.url)
        assert caught.value.request.url == server.url
        assert (response.status_code, response.next_request) == (302, None)


async def test_locations_that_are_no_urls(face: Face) -> None:
    """RemoteProtocolError when following; the 3xx as it is when not."""
    for location in ("http://h:99999/", "http://[::1", "http://a..b/"):
        with RawServer([to(location), Do.READ, to(location), Do.HOLD]) as server:
            async with face.client() as client:
                with pytest.raises(crawler.RemoteProtocolError, match="Location"):
                    await client.get(server.url, follow_redirects=True)
                assert (await client.get(server.url)).status_code == 302


async def test_no_location_is_no_redirect(face: Face) -> None:
    """And neither are 300 and 304."""
    with RawServer(
        [b"HTTP/1.1 302 Go\r\nContent-Length: 0\r\n\r\n", Do.READ, to("/x", 304), Do.READ, to("/x", 300), Do.HOLD]
    ) as server:
        async with face.client(follow_redirects=True) as client:
            statuses = [(await client.get(server.url)).status_code for _ in range(3)]

    assert statuses == [302, 304, 300]


@pytest.mark.parametrize("limit", [0, 2, 20])
async def test_a_loop_ends(face: Face, bed: Testbed, limit: int) -> None:
    """TooManyRedirects after the limit, with the request that would have been one too many."""
    async with face.client(follow_redirects=True, max_redirects=limit) as client:
        with pytest.raises(crawler.TooManyRedirects) as caught:
            await client.get(f"{bed.url}/redirect-loop")

    assert caught.value.kind == "redirect_limit"
    assert caught.value.request.url == f"{bed.url}/redirect-loop"


async def test_as_many_as_allowed(face: Face, bed: Testbed) -> None:
    """The limit itself is fine."""
    async with face.client(follow_redirects=True, max_redirects=3) as client:
        assert len((await client.get(f"{bed.url}/redirect/3")).history) == 3


async def test_credentials_stay_with_their_origin(face: Face) -> None:
    """To another port: no Authorization, Cookie, Proxy-Authorization or user info; Host is the new one's."""
    headers = {"Authorization": "Bearer s", "Cookie": "a=b", "Proxy-Authorization": "Basic s", "X-Own": "1"}
    with RawServer(OK) as other, RawServer(to(f"{other.url}/there")) as server:
        async with face.client(follow_redirects=True) as client:
            await client.get(server.url, headers=headers)
            await client.get(server.url.replace("//", "//user:pass@"))

        for request in other.received:
            assert lines(request)[1] == f"Host: 127.0.0.1:{other.port}".encode()
            assert not {b"authorization", b"cookie", b"proxy-authorization"} & set(fields(request))
            assert b"user" not in request
        assert fields(other.received[0])[b"x-own"] == b"1"
        assert b"authorization" in fields(server.received[1])


async def test_credentials_go_on_within_the_origin(face: Face) -> None:
    """Same scheme, host and port."""
    with RawServer([to("/next"), Do.READ, OK]) as server:
        async with face.client(follow_redirects=True, auth=("u", "p")) as client:
            await client.get(server.url)

        assert fields(second(server.received[0]))[b"authorization"] == b"Basic dTpw"


async def test_a_client_certificate_mounted_for_an_origin_stays_there(face: Face, authority: Authority) -> None:
    """The server that a redirect leads to asks for one, too, and gets none."""
    shown: list[bool] = []

    def answering(response: bytes) -> Callable[[socket.socket], None]:
        def serve(connection: socket.socket) -> None:
            receive_until(connection, b"\r\n\r\n")
            assert isinstance(connection, ssl.SSLSocket)
            shown.append(connection.getpeercert(binary_form=True) is not None)
            connection.sendall(response)

        return serve

    asking = authority.server_context(wants_client_certificate=True)
    asking.verify_mode = ssl.CERT_OPTIONAL
    own = authority.client_context()
    authority.client_certificate().configure_cert(own)
    with Listener(answering(OK), asking) as other:
        away = to(f"https://localhost:{other.port}/")
        with Listener(answering(away), asking) as first:
            origin = f"https://localhost:{first.port}"
            async with face.client(
                verify=authority.client_context(), mounts={origin: face.transport(verify=own)}, follow_redirects=True
            ) as client:
                response = await client.get(origin)

    assert response.text == "ok"
    assert shown == [True, False]


@pytest.mark.parametrize(
    ("start", "target", "stays"),
    [
        ("https://a.test/", "https://b.test/", True),
        ("http://a.test/", "https://a.test/", True),
        ("https://a.test/", "http://a.test/", False),
    ],
)
async def test_a_referer_does_not_go_from_https_to_http(face: Face, start: str, target: str, stays: bool) -> None:
    """The caller's own; by itself a client sends none."""

    def lead_on(request: crawler.Request) -> crawler.Response:
        if request.url == start:
            return crawler.Response(302, headers={"Location": target})
        return crawler.Response(200, json=[request.headers.get("Referer")])

    async with face.client(transport=crawler.MockTransport(lead_on), follow_redirects=True) as client:
        own = await client.get(start, headers={"Referer": "https://a.test/page"})
        none = await client.get(start)

    assert own.json() == ["https://a.test/page" if stays else None]
    assert none.json() == [None]


async def test_clients_share_no_cookies(face: Face) -> None:
    """Each has its own jar, also where they were made from the same cookies, or share a transport."""
    setting = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nContent-Length: 2\r\n\r\nok"
    common = crawler.Cookies({"b": "2"})
    with RawServer(setting) as server:
        first, second = face.client(cookies=common), face.client(cookies=common)
        async with first, second:
            await first.get(server.url)
            assert dict(first.client.cookies) == {"b": "2", "a": "1"}
            assert dict(second.client.cookies) == dict(common) == {"b": "2"}
            await second.get(server.url)

    assert b"a=1" not in server.received[1]


async def test_cookies_are_rebuilt_from_the_jar(face: Face) -> None:
    """Set in mid-redirect they are sent on; the request's own Cookie header is not."""
    with RawServer([to("/next", extra=b"Set-Cookie: session=1\r\n"), Do.READ, OK]) as server:
        async with face.client(follow_redirects=True) as client:
            response = await client.get(server.url, headers={"Cookie": "own=1"})
            jar = dict(client.client.cookies)

        assert fields(server.received[0])[b"cookie"] == b"own=1"
        assert fields(second(server.received[0]))[b"cookie"] == b"session=1"
        assert jar == {"session": "1"}
        assert dict(response.cookies) == {}
        assert dict(response.history[0].cookies) == {"session": "1"}


async def test_secure_cookies_stay_with_tls(face: Face) -> None:
    """Refused over http; and those of another domain, too."""
    cookies = b"Set-Cookie: s=1; Secure\r\nSet-Cookie: d=1; Domain=example.org\r\nSet-Cookie: p=1; Path=/deep\r\n"
    with RawServer(
        [b"HTTP/1.1 200 OK\r\n" + cookies + b"Content-Length: 0\r\n\r\n", Do.READ, OK, Do.READ, OK]
    ) as server:
        async with face.client() as client:
            await client.get(server.url)
            await client.get(f"{server.url}/other")
            await client.get(f"{server.url}/deep/down")

        _, other, deep = server.received[0].split(b"\r\n\r\n")[:3]
        assert b"cookie" not in fields(other)
        assert fields(deep)[b"cookie"] == b"p=1"


async def test_the_body_of_a_redirect_is_kept_undecoded(face: Face) -> None:
    """It can be looked at in the history; a bomb in it does no harm, as nobody decodes it."""
    body = gzip.compress(b"moved")
    coded = b"HTTP/1.1 302 Go\r\nLocation: /x\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    junk = b"HTTP/1.1 302 Go\r\nLocation: /x\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\njunk"
    with RawServer([coded % len(body), body, Do.READ, junk, Do.READ, OK, Do.HOLD]) as server:
        async with face.client(follow_redirects=True) as client:
            response = await client.get(server.url)

    assert response.text == "ok"
    assert response.history[0].text == "moved"
    with pytest.raises(crawler.DecodingError):
        _ = response.history[1].content
    assert len(server.connections) == 1


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_an_endless_redirect_body(face: Face, is_streamed: bool) -> None:
    """Dropped beyond 64 KiB, its connection closed, the redirect followed."""

    def flood(connection: Any) -> None:
        connection.read_request()
        connection.send(b"HTTP/1.1 302 Go\r\nLocation: /x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(2000):
            connection.send(b"10000\r\n" + bytes(65_536) + b"\r\n")

    with RawServer(flood, OK) as server:
        async with face.client(follow_redirects=True) as client:
            if is_streamed:
                async with client.stream("GET", server.url) as response:
                    await face.read(response)
            else:
                response = await client.get(server.url)

    assert response.text == "ok"
    assert len(server.connections) == 2
    with pytest.raises(crawler.ResponseNotRead):
        _ = response.history[0].content


async def test_a_redirect_whose_body_never_comes(face: Face) -> None:
    """The Location is all that is needed."""
    answer = b"HTTP/1.1 302 Go\r\nLocation: /x\r\nContent-Length: 10\r\n\r\nhalf"
    with RawServer([answer, Do.CLOSE], OK) as server:
        async with face.client(follow_redirects=True) as client:
            assert (await client.get(server.url)).text == "ok"


async def test_the_total_deadline_spans_redirects(face: Face) -> None:
    """Each hop is quick, together they are not."""

    def slowly(connection: Any) -> None:
        while True:
            connection.read_request()
            connection.wait(0.05)
            connection.send(to("/again"))

    with RawServer(slowly) as server:
        async with face.client(
            follow_redirects=True, max_redirects=100, timeout=crawler.Timeout(5, total=0.12)
        ) as client:
            with pytest.raises(crawler.TotalTimeout):
                await client.get(server.url)


async def test_streaming_through_a_redirect(face: Face, bed: Testbed) -> None:
    """Only the final body streams."""
    url = f"{bed.url}/redirect-to?url=/stream/5"
    async with face.client(follow_redirects=True) as client, client.stream("GET", url) as response:
        assert len([line async for line in face.pieces(response, "lines")]) == 5

    assert len(response.history) == 1

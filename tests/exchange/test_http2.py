"""HTTP/2 against the testbed, over TLS and over plain TCP: what works with HTTP/1.1 works, and shares a connection."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import pytest

import crawler
from crawler.testbed import Testbed
from crawler.testbed.content import content
from crawler.testbed.raw import RawServer
from tests.peers.certificates import Authority
from tests.peers.proxies import HTTPProxy
from tests.peers.worlds import Face, FaceClient

MANY = 100
BIG = 5_000_000


@pytest.fixture(scope="module")
def secure() -> Iterator[Testbed]:
    """A testbed that speaks HTTP/2 over TLS."""
    with Testbed(tls=True) as bed:
        yield bed


def client(face: Face, bed: Testbed, **options: object) -> FaceClient:
    """A client that offers HTTP/2."""
    return face.client(http2=True, verify=ssl.create_default_context(cadata=bed.ca_pem), **options)


def connection_of(response: crawler.Response) -> int:
    """The number of the connection that a response came over."""
    number: int = response.extensions["crawler.timing"].conn_id
    return number


async def test_get(face: Face, secure: Testbed) -> None:
    """ALPN chooses HTTP/2, the response tells so, and the next request uses the connection again."""
    async with client(face, secure) as http:
        first = await http.get(f"{secure.tls_url}/get?a=1", headers={"X-Mixed": "Case"})
        second = await http.get(f"{secure.tls_url}/get?a=2")

    assert first.http_version == second.http_version == "HTTP/2"
    assert (first.status_code, first.reason_phrase) == (200, "OK")
    assert (first.extensions["stream_id"], second.extensions["stream_id"]) == (1, 3)
    assert first.json()["args"] == {"a": "1"}
    assert first.json()["headers"]["x-mixed"] == "Case"
    assert not first.extensions["crawler.timing"].conn_reused
    assert second.extensions["crawler.timing"].conn_reused
    assert first.extensions["crawler.timing"].tls > 0
    assert first.extensions["crawler.tls"].alpn == "h2"
    assert first.elapsed.total_seconds() > 0


async def test_the_connection_can_be_looked_at(face: Face, secure: Testbed) -> None:
    """`network_stream` tells addresses and TLS."""
    async with client(face, secure) as http:
        response = await http.get(f"{secure.tls_url}/get")
        stream = response.extensions["network_stream"]

        assert stream.get_extra_info("server_addr")[0] == "127.0.0.1"
        assert stream.get_extra_info("client_addr")[0] == "127.0.0.1"
        assert stream.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"


async def test_head(face: Face, secure: Testbed) -> None:
    """An answer to HEAD has a length and no body."""
    async with client(face, secure) as http:
        response = await http.request("HEAD", f"{secure.tls_url}/bytes/1000")

    assert response.content == b""
    assert response.headers["Content-Length"] == "1000"


@pytest.mark.parametrize("size", [0, 1, 70_000, BIG])
async def test_a_body_in_memory_arrives(face: Face, secure: Testbed, size: int) -> None:
    """Bodies smaller and larger than windows and frames arrive whole, and come back whole."""
    async with client(face, secure) as http:
        response = await http.post(f"{secure.tls_url}/post", content=b"x" * size)

    assert response.http_version == "HTTP/2"
    assert response.json()["data"] == "x" * size


async def test_a_body_of_pieces_arrives(face: Face, secure: Testbed) -> None:
    """A body of unknown length needs no chunked coding."""
    async with client(face, secure) as http:
        response = await http.post(f"{secure.tls_url}/post", content=face.chunks([b"a" * 100_000, b"", b"b"] * 20))

    assert response.json()["data"] == ("a" * 100_000 + "b") * 20
    assert "transfer-encoding" not in response.json()["headers"]


async def test_a_large_body_comes_whole(face: Face, secure: Testbed) -> None:
    """Windows open as the body comes."""
    async with client(face, secure) as http:
        response = await http.get(f"{secure.tls_url}/bytes/{BIG}?seed=7")

    assert response.content == content(BIG, 7)


async def test_a_large_body_streams(face: Face, secure: Testbed) -> None:
    """A body can be read piece by piece; afterwards the connection serves others."""
    async with client(face, secure) as http:
        async with http.stream("GET", f"{secure.tls_url}/stream-bytes/{BIG}?seed=7") as response:
            data = b"".join([piece async for piece in face.pieces(response)])
        after = await http.get(f"{secure.tls_url}/get")

    assert data == content(BIG, 7)
    assert connection_of(after) == connection_of(response)


async def test_a_hundred_at_once_share_one_connection(face: Face, secure: Testbed) -> None:
    """Each of many concurrent requests gets its own answer, all over one connection."""
    async with client(face, secure) as http:
        answers = await face.gather(*[http.get(f"{secure.tls_url}/bytes/{100 * n}?seed={n}") for n in range(MANY)])

    responses = [answer for answer in answers if isinstance(answer, crawler.Response)]
    assert [response.content for response in responses] == [content(100 * n, n) for n in range(MANY)]
    assert len({connection_of(response) for response in responses}) == 1


async def test_large_bodies_in_both_directions_at_once(face: Face, secure: Testbed) -> None:
    """Uploads and downloads of several megabytes do not mix up, nor block each other."""
    async with client(face, secure) as http:
        up = [http.post(f"{secure.tls_url}/post", content=bytes([65 + n]) * 1_000_000) for n in range(4)]
        down = [http.get(f"{secure.tls_url}/bytes/1000000?seed={n}") for n in range(4)]
        answers = await face.gather(*up, *down)

    responses = [answer for answer in answers if isinstance(answer, crawler.Response)]
    assert [response.json()["data"] for response in responses[:4]] == [chr(65 + n) * 1_000_000 for n in range(4)]
    assert [response.content for response in responses[4:]] == [content(1_000_000, n) for n in range(4)]


async def test_a_slow_reader_blocks_nobody(face: Face, secure: Testbed) -> None:
    """While one response is not read on, others on the same connection come whole; then it goes on."""
    async with client(face, secure) as http, http.stream("GET", f"{secure.tls_url}/bytes/{BIG}?seed=1") as slow:
        pieces = face.pieces(slow)
        data = [await anext(pieces)]
        others = await face.gather(*[http.get(f"{secure.tls_url}/bytes/300000?seed={n}") for n in range(10)])
        data += [piece async for piece in pieces]

    responses = [other for other in others if isinstance(other, crawler.Response)]
    assert [response.content for response in responses] == [content(300_000, n) for n in range(10)]
    assert {connection_of(response) for response in responses} == {connection_of(slow)}
    assert b"".join(data) == content(BIG, 1)


async def test_a_body_left_early_keeps_the_connection(face: Face, secure: Testbed) -> None:
    """Leaving a response gives up its stream, not the connection."""
    async with client(face, secure) as http:
        for _ in range(3):
            async with http.stream("GET", f"{secure.tls_url}/bytes/{BIG}") as response:
                await anext(face.pieces(response))
        after = await http.get(f"{secure.tls_url}/bytes/{BIG}?seed=3")

    assert connection_of(after) == connection_of(response)
    assert after.content == content(BIG, 3)


async def test_a_body_larger_than_allowed_is_refused(face: Face, secure: Testbed) -> None:
    """`max_response_size` ends one response; the others on the connection go on."""
    async with client(face, secure, max_response_size=200_000) as http:
        answers = await face.gather(*[http.get(f"{secure.tls_url}/stream-bytes/{n}") for n in (100_000, BIG, 200_000)])
        with pytest.raises(crawler.ResponseTooLarge):
            async with http.stream("GET", f"{secure.tls_url}/stream-bytes/{BIG}") as response:
                await face.read(response)

    first, second, third = answers
    assert isinstance(first, crawler.Response)
    assert isinstance(second, crawler.ResponseTooLarge)
    assert isinstance(third, crawler.Response)


async def test_without_http2_at_the_server_it_is_http1(face: Face) -> None:
    """A server that does not choose HTTP/2 gets HTTP/1.1, several connections if need be."""
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    with RawServer(answer, tls=True) as server:
        context = ssl.create_default_context(cadata=server.ca_pem)
        async with face.client(http2=True, verify=context) as http:
            answers = await face.gather(*[http.get(server.url) for _ in range(5)])

    versions = [answer.http_version for answer in answers if isinstance(answer, crawler.Response)]
    assert versions == ["HTTP/1.1"] * 5


async def test_plain_urls_stay_http1(face: Face, secure: Testbed) -> None:
    """Without TLS nobody is asked, and HTTP/1.1 is spoken."""
    async with client(face, secure) as http:
        response = await http.get(f"{secure.url}/get")

    assert response.http_version == "HTTP/1.1"


async def test_prior_knowledge(face: Face, secure: Testbed) -> None:
    """With `http1=False` HTTP/2 is spoken over plain TCP, too."""
    async with face.client(http1=False, http2=True) as http:
        answers = await face.gather(*[http.get(f"{secure.url}/bytes/{n}?seed={n}") for n in range(20)])

    responses = [answer for answer in answers if isinstance(answer, crawler.Response)]
    assert {response.http_version for response in responses} == {"HTTP/2"}
    assert [response.content for response in responses] == [content(n, n) for n in range(20)]


@pytest.mark.parametrize("within_tls", [False, True])
async def test_through_a_tunnel(face: Face, secure: Testbed, authority: Authority, within_tls: bool) -> None:
    """HTTP/2 goes through a proxy's tunnel, also where the way to the proxy is encrypted itself."""
    with HTTPProxy(tls=authority.server_context() if within_tls else None) as proxy:
        way = crawler.Proxy(proxy.url, ssl_context=authority.client_context() if within_tls else None)
        async with client(face, secure, proxy=way) as http:
            answers = await face.gather(*[http.get(f"{secure.tls_url}/bytes/100000?seed={n}") for n in range(10)])
            posted = await http.post(f"{secure.tls_url}/post", content=b"x" * 1_000_000)

    responses = [answer for answer in answers if isinstance(answer, crawler.Response)]
    assert [response.content for response in responses] == [content(100_000, n) for n in range(10)]
    assert posted.http_version == "HTTP/2"
    assert posted.json()["data"] == "x" * 1_000_000
    assert len(proxy.seen) == 1


async def test_a_request_that_may_not_go_out_costs_nothing(face: Face, secure: Testbed) -> None:
    """A bad field is refused before anything is sent, and the connection goes on."""
    async with client(face, secure) as http:
        before = await http.get(f"{secure.tls_url}/get")
        for _ in range(3):
            with pytest.raises(crawler.LocalProtocolError):
                await http.get(f"{secure.tls_url}/get", headers={"bad name": "x"})
        with pytest.raises(crawler.LocalProtocolError):
            await http.post(f"{secure.tls_url}/post", content=b"abc", headers={"Content-Length": "5"})
        after = await http.get(f"{secure.tls_url}/get")

    assert connection_of(before) == connection_of(after)


async def test_a_body_that_raises_ends_its_own_request_only(face: Face, secure: Testbed) -> None:
    """What the user's own body raises comes out as it is; its stream is given up, the connection stays."""

    def pieces() -> Iterator[bytes]:
        yield b"x" * 1000
        raise KeyError("mine")

    async with client(face, secure) as http:
        before = await http.get(f"{secure.tls_url}/get")
        with pytest.raises(KeyError):
            await http.post(f"{secure.tls_url}/post", content=face.chunks(pieces()))
        after = await http.get(f"{secure.tls_url}/get")

    assert connection_of(before) == connection_of(after)


async def test_a_body_shorter_or_longer_than_declared_is_refused(face: Face, secure: Testbed) -> None:
    """A streamed body is held to its Content-Length."""
    async with client(face, secure) as http:
        for length in ("1999", "2001"):
            with pytest.raises(crawler.LocalProtocolError):
                await http.post(
                    f"{secure.tls_url}/post",
                    content=face.chunks([b"x" * 1000, b"y" * 1000]),
                    headers={"Content-Length": length},
                )
        after = await http.get(f"{secure.tls_url}/get")

    assert after.status_code == 200


async def test_two_origins_have_two_connections(face: Face, secure: Testbed) -> None:
    """A connection serves one origin only."""
    async with client(face, secure) as http:
        here = await http.get(f"{secure.tls_url}/get")
        with Testbed(tls=True) as other:
            context = ssl.create_default_context(cadata=other.ca_pem)
            async with face.client(http2=True, verify=context) as second:
                there = await second.get(f"{other.tls_url}/get")

    assert connection_of(here) != connection_of(there)


@pytest.mark.parametrize("face", ["blocking"], indirect=True)
async def test_a_thousand_threads_share_one_client(face: Face, secure: Testbed) -> None:
    """B-10: each of a thousand threads gets its own answer, over no more connections than allowed."""
    async with client(face, secure, limits=crawler.Limits(max_connections=3), timeout=None) as http:
        answers = await face.gather(*[http.get(f"{secure.tls_url}/bytes/{n}?seed={n}") for n in range(1000)])

    responses = [answer for answer in answers if isinstance(answer, crawler.Response)]
    assert [response.content for response in responses] == [content(n, n) for n in range(1000)]
    assert len({connection_of(response) for response in responses}) <= 3

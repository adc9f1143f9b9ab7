"""The client against a real nginx: HTTP/1.1, TLS, HTTP/2, ranges, large bodies, connections that it closes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

import pytest

import crawler
from tests.peers.certificates import Authority
from tests.peers.nginx import Nginx
from tests.peers.worlds import Face

pytestmark = pytest.mark.needs_program("nginx")

LARGE = random.Random(7).randbytes(5_000_000)


@pytest.fixture(scope="module")
def nginx(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """One nginx for this file."""
    with Nginx(tmp_path_factory.mktemp("nginx"), authority) as server:
        (server.files / "a.txt").write_text("hello\n" * 100, encoding="utf-8")
        (server.files / "large").write_bytes(LARGE)
        yield server


async def test_a_file(face: Face, nginx: Nginx) -> None:
    """Content, headers and version are nginx's."""
    async with face.client() as client:
        response = await client.get(f"{nginx.url}/a.txt")

    assert response.text == "hello\n" * 100
    assert response.headers["server"].startswith("nginx/")
    assert response.reason_phrase == "OK"
    assert response.extensions["http_version"] == b"HTTP/1.1"


async def test_compressed_chunks(face: Face, nginx: Nginx) -> None:
    """nginx compresses on the fly, chunked; the text is the same and fewer bytes came."""
    async with face.client() as client:
        response = await client.get(f"{nginx.url}/zipped/a.txt", headers={"Accept-Encoding": "gzip"})

    assert response.headers["content-encoding"] == "gzip"
    assert response.text == "hello\n" * 100
    assert response.num_bytes_downloaded < 600


async def test_a_range(face: Face, nginx: Nginx) -> None:
    """A part of a file is 206 and exactly that part."""
    async with face.client() as client:
        response = await client.get(f"{nginx.url}/large", headers={"Range": "bytes=1000-1999"})

    assert response.status_code == 206
    assert response.content == LARGE[1000:2000]


@pytest.mark.parametrize("kind", ["url", "tls_url", "tls11_url"])
async def test_a_large_body_streams(face: Face, nginx: Nginx, authority: Authority, kind: str) -> None:
    """Five megabytes arrive byte for byte, plain, over TLS, and over HTTP/2 where the world speaks it."""
    digest = hashlib.sha256()
    url = f"{getattr(nginx, kind)}/large"
    async with (
        face.client(verify=authority.client_context(), http2=True) as client,
        client.stream("GET", url) as response,
    ):
        async for piece in face.pieces(response):
            digest.update(piece)

    assert digest.hexdigest() == hashlib.sha256(LARGE).hexdigest()


async def test_http2_is_negotiated_and_falls_back(face: Face, nginx: Nginx, authority: Authority) -> None:
    """ALPN chooses HTTP/2 where the server has it, HTTP/1.1 where not, silently."""
    async with face.client(verify=authority.client_context(), http2=True) as client:
        new = await client.get(f"{nginx.tls_url}/answer", headers={"X-Test": "x"})
        old = await client.get(f"{nginx.tls11_url}/a.txt")

    assert (new.http_version, new.text) == ("HTTP/2", "GET HTTP/2.0 x")
    assert (old.http_version, old.status_code) == ("HTTP/1.1", 200)


async def test_more_requests_at_once_than_streams(face: Face, nginx: Nginx, authority: Authority) -> None:
    """The server allows 16 streams; 60 requests at once all succeed."""
    async with face.client(verify=authority.client_context(), http2=True) as client:
        answers = await face.gather(*(client.get(f"{nginx.tls_url}/a.txt?{n}") for n in range(60)))

    assert [answer.status_code for answer in answers if isinstance(answer, crawler.Response)] == [200] * 60


async def test_connections_that_the_server_closes(face: Face, nginx: Nginx) -> None:
    """nginx ends a connection after 50 requests; nobody notices."""
    async with face.client() as client:
        statuses = [(await client.get(f"{nginx.url}/answer")).status_code for _ in range(120)]

    assert statuses == [200] * 120


async def test_no_answer_at_all(face: Face, nginx: Nginx) -> None:
    """nginx closes without a byte: an error of the protocol, after which the client works on."""
    async with face.client() as client:
        with pytest.raises(crawler.RemoteProtocolError):
            await client.get(f"{nginx.url}/hangup")
        response = await client.get(f"{nginx.url}/gone")

    assert response.status_code == 410


async def test_a_redirect(face: Face, nginx: Nginx) -> None:
    """The Location is followed on request only."""
    async with face.client() as client:
        first = await client.get(f"{nginx.url}/moved")

    assert first.has_redirect_location
    assert first.next_request is not None
    assert first.next_request.url.path == "/files/a.txt"

"""The client against the real httpbin: what others made their clients right with."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import crawler
from tests.peers.httpbin import running_httpbin
from tests.peers.worlds import Face


@pytest.fixture(scope="module")
def httpbin() -> Iterator[str]:
    """One httpbin for this file."""
    with running_httpbin() as url:
        yield url


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_every_verb(face: Face, httpbin: str, method: str) -> None:
    """The method and the query arrive."""
    async with face.client() as client:
        response = await client.request(method, f"{httpbin}/anything", params={"a": ["1", "2"]})

    assert (response.json()["method"], response.json()["args"]) == (method, {"a": ["1", "2"]})


async def test_bodies(face: Face, httpbin: str) -> None:
    """JSON, forms, files and raw bytes are what httpbin takes them for."""
    async with face.client() as client:
        as_json = (await client.post(f"{httpbin}/post", json={"ü": [1, None]})).json()
        as_form = (await client.post(f"{httpbin}/post", data={"a": "ü b", "c": ["1", "2"]})).json()
        files = {"upload": ("name.txt", b"content", "text/plain")}
        as_files = (await client.post(f"{httpbin}/post", data={"k": "v"}, files=files)).json()
        as_bytes = (await client.post(f"{httpbin}/post", content=b"raw")).json()

    assert as_json["json"] == {"ü": [1, None]}
    assert as_form["form"] == {"a": "ü b", "c": ["1", "2"]}
    assert (as_files["form"], as_files["files"]) == ({"k": "v"}, {"upload": "content"})
    assert as_bytes["data"] == "raw"


@pytest.mark.parametrize("coding", ["gzip", "deflate", "brotli"])
async def test_content_codings(face: Face, httpbin: str, coding: str) -> None:
    """Coded bodies come decoded."""
    async with face.client() as client:
        response = await client.get(f"{httpbin}/{coding}")

    assert (
        response.json()["brotli" if coding == "brotli" else {"gzip": "gzipped", "deflate": "deflated"}[coding]] is True
    )


async def test_redirects_and_cookies(face: Face, httpbin: str) -> None:
    """Cookies set on the way are sent at the end of it."""
    async with face.client(follow_redirects=True) as client:
        three = await client.get(f"{httpbin}/redirect/3")
        cookies = await client.get(f"{httpbin}/cookies/set", params={"flavour": "dark"})

    assert (three.status_code, len(three.history)) == (200, 3)
    assert cookies.json() == {"cookies": {"flavour": "dark"}}


@pytest.mark.parametrize("algorithm", ["MD5", "SHA-256", "SHA-512"])
async def test_digest(face: Face, httpbin: str, algorithm: str) -> None:
    """httpbin's own arithmetic agrees with ours."""
    async with face.client() as client:
        auth = crawler.DigestAuth("me", "secret")
        url = f"{httpbin}/digest-auth/auth/me/secret/{algorithm}"
        statuses = [(await client.get(url, auth=auth)).status_code for _ in range(2)]
        wrong = await client.get(url, auth=crawler.DigestAuth("me", "no"))

    assert (statuses, wrong.status_code) == ([200, 200], 401)


async def test_basic(face: Face, httpbin: str) -> None:
    """User name and password, as arguments and in the URL."""
    async with face.client() as client:
        first = await client.get(f"{httpbin}/basic-auth/me/secret", auth=("me", "secret"))
        second = await client.get(f"{httpbin}/basic-auth/me/secret".replace("//", "//me:secret@"))

    assert [first.json()["user"], second.json()["user"]] == ["me", "me"]


async def test_a_stream_of_lines(face: Face, httpbin: str) -> None:
    """Chunked lines are read as they come."""
    async with face.client() as client, client.stream("GET", f"{httpbin}/stream/20") as response:
        lines = [line async for line in face.pieces(response, "lines")]

    assert len(lines) == 20

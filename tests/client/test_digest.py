"""Digest authentication: against a strict server, and against challenges of every shape."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import Any

import pytest

import crawler
from crawler.testbed import Testbed
from tests.peers.worlds import Face

ALGORITHMS = ["MD5", "SHA", "SHA-256", "SHA-512", "MD5-sess", "SHA-sess", "SHA-256-sess", "SHA-512-sess"]


def fields_of(header: str) -> dict[str, str]:
    """The parameters of an Authorization header."""
    return {name: quoted or token for name, quoted, token in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', header)}


class Server:
    """Challenges a request without credentials and takes any with; remembers what it saw.

    Attributes:
        headers: The Authorization header of each request, or None.
        cookies: The Cookie header of each request, or None.
    """

    def __init__(self, *challenges: str, extra: list[tuple[str, str]] | None = None) -> None:
        self._challenge = [("WWW-Authenticate", challenge) for challenge in challenges] + (extra or [])
        self.headers: list[str | None] = []
        self.cookies: list[str | None] = []

    def __call__(self, request: crawler.Request) -> crawler.Response:
        self.headers.append(request.headers.get("Authorization"))
        self.cookies.append(request.headers.get("Cookie"))
        if "Authorization" in request.headers:
            return crawler.Response(200)
        return crawler.Response(401, headers=self._challenge)


CHALLENGE = 'Digest realm="r", nonce="n", qop="auth", opaque="o", algorithm=MD5'


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("qop", ["auth", "auth,auth-int", "none"])
async def test_every_algorithm_satisfies_a_strict_server(face: Face, bed: Testbed, algorithm: str, qop: str) -> None:
    """MD5 to SHA-512 and their -sess forms, with and without qop; the target includes the query."""
    async with face.client(auth=crawler.DigestAuth("user", "secret")) as client:
        response = await client.get(f"{bed.url}/digest-auth/{qop}/user/secret/{algorithm}?a=b%20c&d")

        assert response.status_code == 200
        assert [earlier.status_code for earlier in response.history] == [401]


async def test_a_wrong_password_leaves_the_401(face: Face, bed: Testbed) -> None:
    """The server's second refusal is the answer; there is no loop."""
    async with face.client() as client:
        response = await client.get(f"{bed.url}/digest-auth/auth/user/secret", auth=crawler.DigestAuth("user", "wrong"))

        assert response.status_code == 401
        assert len(response.history) == 1


async def test_a_body_is_sent_twice(face: Face, bed: Testbed) -> None:
    """The answer to the challenge carries the body again."""
    async with face.client(auth=crawler.DigestAuth("user", "secret")) as client:
        response = await client.post(f"{bed.url}/digest-auth/auth/user/secret", content=b"x" * 100_000)

        assert response.status_code == 200


async def test_the_challenge_is_kept_and_counted(face: Face) -> None:
    """Later requests answer at once; nc grows, and each has a cnonce of its own."""
    server = Server(CHALLENGE)
    async with face.client(transport=crawler.MockTransport(server), auth=crawler.DigestAuth("u", "p")) as client:
        for _ in range(3):
            await client.get("https://h/")

    assert server.headers[0] is None
    sent = [fields_of(header) for header in server.headers[1:] if header]
    assert [fields["nc"] for fields in sent] == ["00000001", "00000002", "00000003"]
    assert len({fields["cnonce"] for fields in sent}) == 3
    assert len({fields["response"] for fields in sent}) == 3


async def test_session_algorithms_tell_their_cnonce_without_qop_too(face: Face) -> None:
    """It is in the proof, so the server needs it (RFC 7616 §3.4.2); httpx keeps it to itself and is refused."""
    server = Server('Digest realm="r", nonce="n", algorithm=MD5-sess')
    async with face.client(transport=crawler.MockTransport(server), auth=crawler.DigestAuth("u", "p")) as client:
        await client.get("https://h/")

    assert "cnonce" in fields_of(server.headers[1] or "")
    assert "nc" not in fields_of(server.headers[1] or "")


async def test_a_new_challenge_starts_the_count_anew(face: Face) -> None:
    """A server that no longer knows the nonce gives another; that one counts from 1."""
    nonces = iter(("first", "second"))
    seen: list[dict[str, str]] = []

    def handler(request: crawler.Request) -> crawler.Response:
        seen.append(fields_of(request.headers.get("Authorization", "")))
        if len(seen) in (1, 3):
            return crawler.Response(401, headers={"WWW-Authenticate": f'Digest realm="r", nonce="{next(nonces)}"'})
        return crawler.Response(200)

    async with face.client(transport=crawler.MockTransport(handler), auth=crawler.DigestAuth("u", "p")) as client:
        assert (await client.get("https://h/")).status_code == 200
        assert (await client.get("https://h/")).status_code == 200

    assert [fields.get("nonce") for fields in seen] == [None, "first", "first", "second"]


async def test_the_fields_are_those_of_the_challenge(face: Face) -> None:
    """Names that must be quoted are, and the others are not; nothing is made up."""
    server = Server(CHALLENGE)
    async with face.client(transport=crawler.MockTransport(server), auth=crawler.DigestAuth("u", "p")) as client:
        await client.get("https://h/path?q=1")

    header = server.headers[1] or ""
    fields = fields_of(header)
    ha1 = hashlib.md5(b"u:r:p", usedforsecurity=False).hexdigest()
    ha2 = hashlib.md5(b"GET:/path?q=1", usedforsecurity=False).hexdigest()
    proof = f"{ha1}:n:00000001:{fields['cnonce']}:auth:{ha2}"
    assert header.startswith("Digest ")
    assert fields == {
        "username": "u",
        "realm": "r",
        "nonce": "n",
        "uri": "/path?q=1",
        "response": hashlib.md5(proof.encode(), usedforsecurity=False).hexdigest(),
        "algorithm": "MD5",
        "opaque": "o",
        "qop": "auth",
        "nc": "00000001",
        "cnonce": fields["cnonce"],
    }
    for unquoted in ("algorithm=MD5", "qop=auth", "nc=00000001"):
        assert unquoted in header


async def test_without_qop_and_opaque_neither_is_sent(face: Face) -> None:
    """A challenge by RFC 2069 gets an answer by RFC 2069."""
    server = Server('Digest realm="r", nonce="n"')
    async with face.client(transport=crawler.MockTransport(server), auth=crawler.DigestAuth("u", "p")) as client:
        await client.get("https://h/")

    assert fields_of(server.headers[1] or "").keys() == {"username", "realm", "nonce", "uri", "response", "algorithm"}


ODD_CHALLENGES = [
    pytest.param('Digest realm="", nonce="n"', id="empty realm"),
    pytest.param("Digest realm=, nonce=n", id="empty realm without quotes"),
    pytest.param('Digest REALM="r", Nonce="n", QOP="auth", Algorithm=MD5', id="names without case"),
    pytest.param('digest realm="r", nonce="n"', id="scheme without case"),
    pytest.param("Digest realm=r,nonce=n,qop=auth", id="tokens, no spaces"),
    pytest.param('Digest realm="r", nonce="n", qop=" auth , auth-int "', id="spaces in qop"),
    pytest.param('Digest realm="r", nonce="n", algorithm=md5', id="algorithm without case"),
    pytest.param('Digest realm="a, b", nonce="n"', id="comma in quotes"),
    pytest.param(r'Digest realm="say \"r\"", nonce="n"', id="quotes in quotes"),
    pytest.param('Digest  realm="r" ,  nonce="n",', id="spaces and a last comma"),
    pytest.param('Digest realm="r", nonce="n", domain="/a /b", stale=FALSE, unknown="x"', id="further parameters"),
]


@pytest.mark.parametrize("challenge", ODD_CHALLENGES)
async def test_odd_challenges_are_answered(face: Face, challenge: str) -> None:
    """What servers in the field send, though not in the shape of the RFC's examples."""
    server = Server(challenge)
    async with face.client(transport=crawler.MockTransport(server), auth=crawler.DigestAuth("u", "p")) as client:
        response = await client.get("https://h/")

    assert response.status_code == 200
    assert (server.headers[1] or "").startswith("Digest ")


async def test_quotes_in_the_realm_are_escaped_again(face: Face) -> None:
    """The realm goes back as it came, and counts unescaped."""
    server = Server(r'Digest realm="say \"r\"", nonce="n"')
    async with face.client(transport=crawler.MockTransport(server), auth=crawler.DigestAuth('us"er', "p")) as client:
        await client.get("https://h/")

    assert r'realm="say \"r\""' in (server.headers[1] or "")
    assert r'username="us\"er"' in (server.headers[1] or "")


MALFORMED = [
    pytest.param("Digest realm", id="no value"),
    pytest.param('Digest realm="r"', id="no nonce"),
    pytest.param('Digest nonce="n"', id="no realm"),
    pytest.param('Digest realm="r, nonce="n"', id="quotes not closed"),
    pytest.param('Digest realm="r", nonce="n", algorithm=CRC32', id="unknown algorithm"),
    pytest.param('Digest realm="r", nonce="n", qop="auth-future"', id="unknown qop"),
    pytest.param("Digest ", id="nothing"),
]


@pytest.mark.parametrize("challenge", MALFORMED)
async def test_malformed_challenges_are_protocol_errors(face: Face, challenge: str) -> None:
    """The error knows its request; the connection's response was closed."""
    server = Server(challenge)
    async with face.client(transport=crawler.MockTransport(server), auth=crawler.DigestAuth("u", "p")) as client:
        with pytest.raises(crawler.ProtocolError) as caught:
            await client.get("https://h/")

    assert caught.value.request.url == "https://h/"


async def test_integrity_alone_is_not_supported(face: Face) -> None:
    """qop=auth-int without qop=auth says so plainly."""
    server = Server('Digest realm="r", nonce="n", qop="auth-int"')
    async with face.client(transport=crawler.MockTransport(server), auth=crawler.DigestAuth("u", "p")) as client:
        with pytest.raises(NotImplementedError, match="auth-int"):
            await client.get("https://h/")


@pytest.mark.parametrize("status", [200, 403, 407])
async def test_other_statuses_are_no_challenge(face: Face, status: int) -> None:
    """Only a 401 asks for credentials."""

    def handler(request: crawler.Request) -> crawler.Response:
        return crawler.Response(status, headers={"WWW-Authenticate": CHALLENGE})

    async with face.client(transport=crawler.MockTransport(handler), auth=crawler.DigestAuth("u", "p")) as client:
        response = await client.get("https://h/")

    assert response.status_code == status
    assert response.history == []


@pytest.mark.parametrize("challenges", [(), ('Basic realm="r"',), ("Digest",), ("Digestive realm=r, nonce=n",)])
async def test_a_challenge_of_another_scheme_leaves_the_401_alone(face: Face, challenges: tuple[str, ...]) -> None:
    """Digest credentials never answer Basic, and no password is sent in the clear."""
    server = Server(*challenges)
    async with face.client(transport=crawler.MockTransport(server), auth=crawler.DigestAuth("u", "p")) as client:
        response = await client.get("https://h/")

    assert response.status_code == 401
    assert server.headers == [None]


async def test_the_digest_challenge_among_several_is_found(face: Face) -> None:
    """Servers offer several schemes, one field each."""
    server = Server('Basic realm="r"', CHALLENGE, "Bearer")
    async with face.client(transport=crawler.MockTransport(server), auth=crawler.DigestAuth("u", "p")) as client:
        assert (await client.get("https://h/")).status_code == 200


async def test_cookies_of_the_401_are_forwarded(face: Face) -> None:
    """Some servers bind the nonce to a session cookie."""
    server = Server(CHALLENGE, extra=[("Set-Cookie", "session=abc; Path=/")])
    async with face.client(transport=crawler.MockTransport(server), auth=crawler.DigestAuth("u", "p")) as client:
        await client.get("https://www.example.org/")

    assert server.cookies == [None, "session=abc"]


@pytest.mark.parametrize("credentials", [("jörg", "paß"), ("jörg".encode(), "paß".encode())])
async def test_credentials_are_utf8(face: Face, credentials: tuple[Any, Any]) -> None:
    """Text and bytes are the same; RFC 7616 §4 has UTF-8."""
    seen: list[bytes] = []

    def handler(request: crawler.Request) -> crawler.Response:
        seen.extend(value for name, value in request.headers.raw if name == b"Authorization")
        return crawler.Response(200 if seen else 401, headers={"WWW-Authenticate": CHALLENGE})

    async with face.client(transport=crawler.MockTransport(handler), auth=crawler.DigestAuth(*credentials)) as client:
        await client.get("https://h/")

    assert 'username="jörg"'.encode() in seen[0]


def test_an_async_body_that_cannot_be_sent_twice_says_so() -> None:
    """A generator is gone after the first sending: the error names the cause, and nothing half is sent."""
    server: Callable[[crawler.Request], crawler.Response] = Server(CHALLENGE)
    sent = iter([b"once"])

    class Consuming(crawler.BaseTransport):
        def handle_request(self, request: crawler.Request) -> crawler.Response:
            assert isinstance(request.stream, crawler.SyncByteStream)
            assert b"".join(request.stream) == b"once"
            return server(request)

    with (
        crawler.Client(transport=Consuming(), auth=crawler.DigestAuth("u", "p")) as client,
        pytest.raises(crawler.StreamConsumed),
    ):
        client.post("https://h/", content=sent)

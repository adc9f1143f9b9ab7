"""Client credentials: tokens fetched, kept, refreshed; against a server that counts."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qs

import anyio.lowlevel
import pytest

import crawler
from crawler.client.oauth2 import read_token
from tests.peers.worlds import Face

TOKEN_URL = "https://auth.example/token?tenant=1"


class Service:
    """An authorisation server and a resource server in one.

    Attributes:
        asked: The requests for tokens.
        served: The Authorization headers that the resource server saw.
        valid: The tokens it takes; None for all.
    """

    def __init__(self, answer: dict[str, Any] | None = None, status: int = 200) -> None:
        self._answer = answer or {}
        self._status = status
        self.asked: list[crawler.Request] = []
        self.served: list[str] = []
        self.valid: set[str] | None = None

    def __call__(self, request: crawler.Request) -> crawler.Response:
        if request.url.host == "auth.example":
            self.asked.append(request)
            token = {"access_token": f"t{len(self.asked)}", "token_type": "Bearer", "expires_in": 100}
            return crawler.Response(self._status, json={**token, **self._answer})
        self.served.append(request.headers.get("Authorization", ""))
        is_valid = self.valid is None or self.served[-1].removeprefix("Bearer ") in self.valid
        return crawler.Response(200 if is_valid else 401, text=self.served[-1])

    @property
    def transport(self) -> crawler.MockTransport:
        """The way to it."""
        return crawler.MockTransport(self)


class Unhurried(crawler.BaseTransport, crawler.AsyncBaseTransport):
    """A way to a service that lets other tasks go on in between."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def handle_request(self, request: crawler.Request) -> crawler.Response:
        return self._service(request)

    async def handle_async_request(self, request: crawler.Request) -> crawler.Response:
        for _ in range(3):
            await anyio.lowlevel.checkpoint()
        return self._service(request)


class Clock:
    """Time that stands still."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def credentials(**options: Any) -> crawler.OAuth2ClientCredentials:
    """The way to authenticate under test."""
    return crawler.OAuth2ClientCredentials(TOKEN_URL, "id", "secret", **options)


def form_of(request: crawler.Request) -> dict[str, str]:
    """The fields of a form."""
    return {name: values[0] for name, values in parse_qs(request.content.decode()).items()}


async def test_one_token_serves_many_requests(face: Face) -> None:
    """Fetched by the first, through the same client; the token's response stands in that one's history."""
    service = Service()
    async with face.client(transport=service.transport, auth=credentials(scope="read write")) as client:
        first = await client.get("https://api.example/1")
        second = await client.get("https://api.example/2")

    assert (first.text, second.text) == ("Bearer t1", "Bearer t1")
    assert [step.url for step in first.history] == [TOKEN_URL]
    assert second.history == []
    (asked,) = service.asked
    assert (asked.method, str(asked.url)) == ("POST", TOKEN_URL)
    assert asked.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert asked.headers["Accept"] == "application/json"
    assert asked.headers["User-Agent"].startswith("python-crawler/")
    assert form_of(asked) == {"grant_type": "client_credentials", "scope": "read write"}


async def test_id_and_secret_go_into_the_header_form_encoded(face: Face) -> None:
    """RFC 6749 §2.3.1: so that an id may hold a colon."""
    service = Service()
    auth = crawler.OAuth2ClientCredentials(TOKEN_URL, "i:d é", "s&c")
    async with face.client(transport=service.transport, auth=auth) as client:
        await client.get("https://api.example/")

    scheme, _, value = service.asked[0].headers["Authorization"].partition(" ")
    assert (scheme, base64.b64decode(value)) == ("Basic", b"i%3Ad+%C3%A9:s%26c")


async def test_id_and_secret_may_go_into_the_body(face: Face) -> None:
    """With whatever else a server wants to know."""
    service = Service()
    auth = credentials(credentials_in="body", params={"audience": "https://api.example"})
    async with face.client(transport=service.transport, auth=auth) as client:
        await client.get("https://api.example/")

    assert "Authorization" not in service.asked[0].headers
    assert form_of(service.asked[0]) == {
        "grant_type": "client_credentials",
        "audience": "https://api.example",
        "client_id": "id",
        "client_secret": "secret",
    }


def test_elsewhere_they_cannot_go() -> None:
    """A misspelt place is told at once."""
    with pytest.raises(ValueError, match="credentials_in"):
        credentials(credentials_in="query")


@pytest.mark.parametrize(
    ("answer", "leeway_s", "lives_s"),
    [
        ({}, 30.0, 70.0),
        ({"expires_in": "100"}, 30.0, 70.0),
        ({"expires_in": 10}, 30.0, 5.0),
        ({"expires_in": 100}, 0.0, 100.0),
    ],
)
async def test_a_token_is_fetched_anew_shortly_before_it_expires(
    face: Face, answer: dict[str, Any], leeway_s: float, lives_s: float
) -> None:
    """`leeway_s` before, but a short-lived token serves at least half its life."""
    service, clock = Service(answer), Clock()
    auth = credentials(leeway_s=leeway_s, clock=clock)
    async with face.client(transport=service.transport, auth=auth) as client:
        await client.get("https://api.example/")
        clock.now += lives_s - 0.1
        await client.get("https://api.example/")
        assert len(service.asked) == 1

        clock.now += 0.1
        assert (await client.get("https://api.example/")).text == "Bearer t2"


@pytest.mark.parametrize("expires_in", [None, "soon", []])
async def test_a_token_without_expiry_is_kept(face: Face, expires_in: Any) -> None:
    """Until it is refused."""
    service, clock = Service({"expires_in": expires_in}), Clock()
    async with face.client(transport=service.transport, auth=credentials(clock=clock)) as client:
        await client.get("https://api.example/")
        clock.now += 1e9
        await client.get("https://api.example/")

    assert len(service.asked) == 1


async def test_a_refused_token_is_fetched_anew_once(face: Face) -> None:
    """The request goes out again with its body; a second refusal is the answer."""
    service = Service()
    service.valid = {"t2"}
    async with face.client(transport=service.transport, auth=credentials()) as client:
        assert (await client.post("https://api.example/", content=b"body")).text == "Bearer t2"
        service.valid = set()
        assert (await client.get("https://api.example/")).status_code == 401

    assert service.served == ["Bearer t1", "Bearer t2", "Bearer t2", "Bearer t3"]
    assert len(service.asked) == 3


async def test_a_body_that_is_gone_is_not_sent_again(face: Face) -> None:
    """The 401 is the answer then, but the next request has a new token."""
    service = Service()
    service.valid = {"t2"}

    class Consumes(crawler.MockTransport):
        """Reads the stream as the network does, and leaves the request unread."""

        def handle_request(self, request: crawler.Request) -> crawler.Response:
            b"".join(request.stream)  # type: ignore[arg-type]  # a blocking body
            return service(request)

        async def handle_async_request(self, request: crawler.Request) -> crawler.Response:
            [piece async for piece in request.stream]  # type: ignore[union-attr]  # an async body
            return service(request)

    async with face.client(transport=Consumes(service), auth=credentials()) as client:
        assert (await client.post("https://api.example/", content=face.chunks([b"once"]))).status_code == 401
        assert (await client.post("https://api.example/", content=face.chunks([b"once"]))).status_code == 200

    assert service.served == ["Bearer t1", "Bearer t2"]


async def test_a_token_that_another_request_fetched_is_used(face: Face) -> None:
    """Two refusals of the same token lead to one new token, not to two."""
    service = Service()
    auth = credentials()
    async with face.client(transport=service.transport) as client:
        await client.get("https://api.example/", auth=auth)
        stale = auth.sync_auth_flow(client.build_request("GET", "https://api.example/"))
        request = next(stale)
        service.valid = {"t2"}
        await client.get("https://api.example/", auth=auth)
        again = stale.send(crawler.Response(401, request=request))

    assert again.headers["Authorization"] == "Bearer t2"
    assert len(service.asked) == 2


async def test_requests_at_once_fetch_one_token(face: Face) -> None:
    """While one asks for it, the others wait; then all share it."""
    service = Service()
    async with face.client(transport=Unhurried(service), auth=credentials()) as client:
        answers = await face.gather(*(client.get(f"https://api.example/{n}") for n in range(10)))

    assert all(isinstance(answer, crawler.Response) and answer.status_code == 200 for answer in answers)
    assert len(service.asked) == 1


async def test_requests_at_once_share_a_refusal(face: Face) -> None:
    """Those that waited for a token that is refused do not ask one by one; a later one asks again."""
    service = Service(status=400)
    async with face.client(transport=Unhurried(service), auth=credentials()) as client:
        answers = await face.gather(*(client.get(f"https://api.example/{n}") for n in range(10)))
        at_once = len(service.asked)
        with pytest.raises(crawler.HTTPStatusError):
            await client.get("https://api.example/")

    assert all(isinstance(answer, crawler.HTTPStatusError) for answer in answers)
    assert 1 <= at_once <= (1 if face.is_async else 10)  # threads may start so late that they did not wait
    assert len(service.asked) == at_once + 1


async def test_other_bodies_are_left_to_the_caller(face: Face) -> None:
    """Only the token's response is read by the flow: streaming stays streaming."""

    class Body(crawler.SyncByteStream, crawler.AsyncByteStream):
        def __iter__(self) -> Any:
            yield b"streamed"

        async def __aiter__(self) -> Any:
            yield b"streamed"

    service = Service()

    def handler(request: crawler.Request) -> crawler.Response:
        return service(request) if request.url.host == "auth.example" else crawler.Response(200, stream=Body())

    async with (
        face.client(transport=crawler.MockTransport(handler), auth=credentials()) as client,
        client.stream("GET", "https://api.example/") as response,
    ):
        assert not response.is_stream_consumed
        assert await face.read(response) == b"streamed"


async def test_limits_of_the_request_hold_for_its_token(face: Face) -> None:
    """Its timeout, its deadline and its watcher are those of the request that needs it."""
    service = Service()
    timeout = crawler.Timeout(3.0, total=10.0)
    async with face.client(transport=service.transport, auth=credentials()) as client:
        await client.get("https://api.example/", timeout=timeout, extensions={"trace": None, "target": b"/x"})

    extensions = service.asked[0].extensions
    assert extensions["timeout"] == timeout.as_dict()
    assert extensions["deadline"] > 0
    assert "trace" in extensions
    assert "target" not in extensions


async def test_a_refused_client_raises_with_the_reason(face: Face) -> None:
    """The server's words are in the message, the secret is not."""
    service = Service({"error": "invalid_client", "error_description": "unknown id"}, status=401)
    async with face.client(transport=service.transport, auth=credentials()) as client:
        with pytest.raises(crawler.HTTPStatusError, match=r"401 Unauthorized \(invalid_client: unknown id\)") as caught:
            await client.get("https://api.example/")

    assert caught.value.response.status_code == 401
    assert caught.value.request.url == TOKEN_URL
    assert "secret" not in str(caught.value)
    assert service.served == []


ANSWERS = [
    pytest.param({"text": "<html>"}, id="no JSON"),
    pytest.param({"json": ["token"]}, id="no object"),
    pytest.param({"json": {"token_type": "bearer"}}, id="no token"),
    pytest.param({"json": {"access_token": 5}}, id="a number"),
    pytest.param({"json": {"access_token": ""}}, id="an empty one"),
    pytest.param({"json": {"access_token": "t", "token_type": "mac"}}, id="of another type"),
]


@pytest.mark.parametrize("content", ANSWERS)
def test_an_answer_without_a_bearer_token_is_a_protocol_error(content: dict[str, Any]) -> None:
    """A client must not use a token of a type it does not know (RFC 6749 §7.1)."""
    response = crawler.Response(200, **content, request=crawler.Request("POST", TOKEN_URL))

    with pytest.raises(crawler.RemoteProtocolError, match="no bearer token"):
        read_token(response)

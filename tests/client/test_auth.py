"""Ways to authenticate: who wins, and flows of users' own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

import pytest

import crawler
from crawler.testbed import Testbed
from tests.peers.worlds import Face

BASIC_UP = "Basic dTpw"


def echo(request: crawler.Request) -> crawler.Response:
    """Answer with the request's Authorization."""
    return crawler.Response(200, json={"auth": request.headers.get("Authorization")})


async def sent(face: Face, url: str = "https://h/", client_auth: Any = None, **options: Any) -> str | None:
    """What a client with `auth` sends as Authorization; `options` go to the request."""
    async with face.client(transport=crawler.MockTransport(echo), auth=client_auth) as client:
        value: str | None = (await client.get(url, **options)).json()["auth"]
        return value


async def test_basic_is_sent_unasked(face: Face, bed: Testbed) -> None:
    """A pair and a `BasicAuth` are the same; there is one request and no challenge."""
    for auth in (("user", "secret"), crawler.BasicAuth("user", "secret"), crawler.BasicAuth(b"user", b"secret")):
        async with face.client(auth=auth) as client:
            response = await client.get(f"{bed.url}/basic-auth/user/secret")

        assert response.json() == {"authenticated": True, "user": "user"}
        assert response.history == []


async def test_wrong_basic_credentials_are_not_repeated(face: Face, bed: Testbed) -> None:
    """A 401 is an answer."""
    async with face.client(auth=("user", "wrong")) as client:
        response = await client.get(f"{bed.url}/basic-auth/user/secret")

    assert response.status_code == 401
    assert response.history == []


async def test_basic_credentials_are_utf8(face: Face) -> None:
    """RFC 7617 §2.1."""
    assert await sent(face, client_auth=("jörg", "€")) == "Basic asO2cmc64oKs"


async def test_the_request_comes_before_the_client_and_the_client_before_the_url(face: Face) -> None:
    """And None on the request switches all of them off."""
    url = "https://u:p@h/"

    assert await sent(face, url) == BASIC_UP
    assert await sent(face, url, crawler.BearerAuth("client")) == "Bearer client"
    assert await sent(face, url, crawler.BearerAuth("client"), auth=crawler.BearerAuth("own")) == "Bearer own"
    assert await sent(face, url, crawler.BearerAuth("client"), auth=None) is None
    assert await sent(face) is None


async def test_credentials_in_the_url_are_decoded(face: Face) -> None:
    """They stand there percent-encoded."""
    assert await sent(face, "https://u%40x:p%3Aq@h/") == "Basic dUB4OnA6cQ=="


async def test_a_function_is_a_way_to_authenticate(face: Face) -> None:
    """It gives the request to send, the same or another."""

    def token(request: crawler.Request) -> crawler.Request:
        request.headers["Authorization"] = f"Token {request.url.path}"
        return request

    assert await sent(face, "https://h/a", token) == "Token /a"
    assert await sent(face, "https://h/b", crawler.FunctionAuth(token)) == "Token /b"


async def test_a_bearer_token_reaches_the_server(face: Face, bed: Testbed) -> None:
    """RFC 6750 §2.1."""
    async with face.client(auth=crawler.BearerAuth("abc")) as client:
        assert (await client.get(f"{bed.url}/bearer")).json() == {"authenticated": True, "token": "abc"}


@pytest.mark.parametrize("auth", ["user:password", 1, ["u", "p"]])
def test_anything_else_is_refused_at_once(auth: Any) -> None:
    """By client and request alike, naming what is possible."""
    with pytest.raises(TypeError, match="auth"):
        crawler.Client(auth=auth)
    with crawler.Client(transport=crawler.MockTransport(echo)) as client, pytest.raises(TypeError, match="auth"):
        client.get("https://h/", auth=auth)


def test_the_client_s_auth_can_be_set_later() -> None:
    """The property takes what the constructor takes."""
    with crawler.Client(transport=crawler.MockTransport(echo)) as client:
        assert client.auth is None
        client.auth = ("u", "p")
        assert isinstance(client.auth, crawler.BasicAuth)
        assert client.get("https://h/").json() == {"auth": BASIC_UP}
        client.auth = None
        assert client.get("https://h/").json() == {"auth": None}


class Steps(crawler.Auth):
    """Asks as many times as it is told, counting in a header; closed when the flow ends, however."""

    def __init__(self, times: int) -> None:
        self._times = times
        self.statuses: list[int] = []
        self.is_closed = False

    def auth_flow(self, request: crawler.Request) -> Generator[crawler.Request, crawler.Response, None]:
        try:
            for number in range(self._times):
                request.headers["Authorization"] = str(number)
                response = yield request
                self.statuses.append(response.status_code)
        finally:
            self.is_closed = True


async def test_all_earlier_responses_are_in_the_history(face: Face) -> None:
    """Oldest first, each with its own history, and read."""
    auth = Steps(3)
    async with face.client(transport=crawler.MockTransport(echo)) as client:
        response = await client.get("https://h/", auth=auth)

    assert response.json() == {"auth": "2"}
    assert [earlier.json()["auth"] for earlier in response.history] == ["0", "1"]
    assert [len(earlier.history) for earlier in response.history] == [0, 1]
    assert auth.statuses == [200, 200, 200]
    assert auth.is_closed


async def test_a_flow_ends_when_the_request_fails(face: Face) -> None:
    """What it holds is released."""

    def refuse(request: crawler.Request) -> crawler.Response:
        raise crawler.ConnectError("no", request=request)

    auth = Steps(3)
    async with face.client(transport=crawler.MockTransport(refuse)) as client:
        with pytest.raises(crawler.ConnectError):
            await client.get("https://h/", auth=auth)

    assert auth.is_closed


async def test_redirects_within_a_flow_join_the_history(face: Face) -> None:
    """The flow sees the end of each chain; the history has everything in order."""

    def handler(request: crawler.Request) -> crawler.Response:
        if request.url.path == "/":
            return crawler.Response(302, headers={"Location": "/end"})
        return echo(request)

    async with face.client(transport=crawler.MockTransport(handler), follow_redirects=True) as client:
        response = await client.get("https://h/", auth=Steps(2))

    steps = [(step.status_code, step.url.path) for step in response.history]
    assert steps == [(302, "/"), (200, "/end"), (302, "/")]


async def test_each_step_of_a_flow_may_be_redirected_to_the_limit(face: Face) -> None:
    """`max_redirects` is a limit of one chain; further steps of the flow do not use it up."""

    def handler(request: crawler.Request) -> crawler.Response:
        left = int(request.url.path.removeprefix("/"))
        return crawler.Response(302, headers={"Location": f"/{left - 1}"}) if left else echo(request)

    options: dict[str, Any] = {"follow_redirects": True, "max_redirects": 2}
    async with face.client(transport=crawler.MockTransport(handler), **options) as client:
        assert (await client.get("https://h/2", auth=Steps(3))).status_code == 200
        with pytest.raises(crawler.TooManyRedirects):
            await client.get("https://h/3", auth=Steps(3))


class SignsBody(crawler.Auth):
    """Needs the body before sending."""

    requires_request_body = True

    def auth_flow(self, request: crawler.Request) -> Generator[crawler.Request, crawler.Response, None]:
        request.headers["Authorization"] = str(len(request.content))
        yield request


async def test_a_flow_may_need_the_request_s_body(face: Face, bed: Testbed) -> None:
    """A streamed body is read first and sent nevertheless."""
    async with face.client(auth=SignsBody()) as client:
        answer = (await client.post(f"{bed.url}/post", content=face.chunks([b"abc", b"de"]))).json()

    assert answer["data"] == "abcde"
    assert answer["headers"]["authorization" if "authorization" in answer["headers"] else "Authorization"] == "5"


class TakesToken(crawler.Auth):
    """Needs the response's body."""

    requires_response_body = True

    def auth_flow(self, request: crawler.Request) -> Generator[crawler.Request, crawler.Response, None]:
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = response.text
            yield request


async def test_a_flow_may_need_the_response_s_body(face: Face) -> None:
    """It is read before the flow goes on, with `stream` too."""

    def handler(request: crawler.Request) -> crawler.Response:
        if "Authorization" not in request.headers:
            return crawler.Response(401, stream=Body())
        return echo(request)

    class Body(crawler.SyncByteStream, crawler.AsyncByteStream):
        def __iter__(self) -> Any:
            yield b"token"

        async def __aiter__(self) -> Any:
            yield b"token"

    async with (
        face.client(transport=crawler.MockTransport(handler), auth=TakesToken()) as client,
        client.stream("GET", "https://h/") as response,
    ):
        await face.read(response)

        assert response.json() == {"auth": "token"}


class OwnIO(crawler.Auth):
    """Does I/O of its own, differently in the two worlds."""

    def sync_auth_flow(self, request: crawler.Request) -> Generator[crawler.Request, crawler.Response, None]:
        request.headers["Authorization"] = "sync"
        yield request

    async def async_auth_flow(self, request: crawler.Request) -> AsyncGenerator[crawler.Request, crawler.Response]:
        request.headers["Authorization"] = "async"
        yield request


async def test_a_flow_may_be_written_for_each_world(face: Face) -> None:
    """Where it does I/O of its own."""
    assert await sent(face, client_auth=OwnIO()) == ("async" if face.is_async else "sync")


async def test_an_error_in_a_flow_surfaces_and_closes_the_response(face: Face) -> None:
    """As it is; the connection is given back."""
    closed: list[bool] = []

    class Body(crawler.SyncByteStream, crawler.AsyncByteStream):
        def close(self) -> None:
            closed.append(True)

        async def aclose(self) -> None:
            closed.append(True)

    class Fails(crawler.Auth):
        def auth_flow(self, request: crawler.Request) -> Generator[crawler.Request, crawler.Response, None]:
            yield request
            raise ZeroDivisionError

    def handler(request: crawler.Request) -> crawler.Response:
        return crawler.Response(200, stream=Body())

    async with face.client(transport=crawler.MockTransport(handler)) as client:
        with pytest.raises(ZeroDivisionError):
            await client.get("https://h/", auth=Fails())

    assert closed == [True]


@pytest.mark.parametrize(
    ("location", "is_kept"),
    [
        ("https://h/next", True),
        ("https://h:443/next", True),
        ("https://other/next", False),
        ("https://h:8443/next", False),
        ("http://h/next", False),
    ],
)
async def test_credentials_stay_with_their_origin(face: Face, location: str, is_kept: bool) -> None:
    """A redirect elsewhere takes none along."""

    def handler(request: crawler.Request) -> crawler.Response:
        if request.url.path == "/":
            return crawler.Response(302, headers={"Location": location})
        return echo(request)

    async with face.client(transport=crawler.MockTransport(handler), auth=("u", "p")) as client:
        response = await client.get("https://h/", follow_redirects=True)

    assert response.json() == {"auth": BASIC_UP if is_kept else None}


def test_an_async_function_is_no_way_to_authenticate() -> None:
    """It gives a coroutine, which is no request; said before anything is sent."""

    async def function(request: crawler.Request) -> crawler.Request:
        return request

    auth: Callable[..., Any] = function
    with crawler.Client(transport=crawler.MockTransport(echo)) as client, pytest.raises(TypeError, match="async"):
        client.get("https://h/", auth=auth)

"""Tokens: one that is given (`BearerAuth`), and one that is fetched (`OAuth2ClientCredentials`).

    request ──▶ token kept and fresh? ── yes ──▶ send ──▶ 401? ── no ──▶ done
                       │ no                                │ yes, once
                       ▼                                   ▼
                 POST token_url  ◀────────────────── forget that token
                 (through the same client)

Source: RFC 6750 (bearer tokens), RFC 6749 §4.4 (client credentials), §2.3.1 (how a client says who it is),
§5 (answers).
"""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal

from crawler.client.auth import Auth, AuthFlow, basic_header
from crawler.errors import HTTPStatusError, RemoteProtocolError
from crawler.models import URL, Request, Response
from crawler.models.url import without_credentials

if TYPE_CHECKING:
    import anyio
    from anyio.lowlevel import RunVar

# What a token request takes over from the request that needs the token: its limits, and who watches it.
_INHERITED: Final[tuple[str, ...]] = ("timeout", "deadline", "trace", "max_response_size")


class BearerAuth(Auth):
    """A token in every request: `Authorization: Bearer TOKEN`.

    Args:
        token: As the server gave it.
    """

    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def auth_flow(self, request: Request) -> AuthFlow:
        """See `Auth.auth_flow`."""
        request.headers["Authorization"] = self._header
        yield request


class OAuth2ClientCredentials(Auth):
    """Bearer tokens that this program gets for itself, by the client credentials grant.

    The token is asked for through the same client, when the first request needs it, and kept until shortly before it
    expires. Where a server refuses it (401), one new token is fetched and the request is sent once more, if its body
    can be. One instance may be shared by clients, threads and tasks: while one request fetches a token, those of the
    same event loop (or of other threads of blocking clients) wait for it; where it is refused they share that failure.

    Args:
        token_url: Where tokens are given; a relative one is joined to the URL that needs the token.
        client_id, client_secret: Who this program is.
        scope: What the token is for; several separated by spaces.
        params: Further form fields of the token request (`audience`, `resource`).
        credentials_in: "header" sends id and secret by Basic auth, as RFC 6749 wants every server to allow; "body" as
            form fields, for servers that do not.
        leeway_s: Seconds before its expiry at which a token counts as expired; half its life if that is less.
        clock: Seconds of a clock that never goes back.

    Raises:
        HTTPStatusError: In a flow: the token was refused; the message has the server's reason.
        RemoteProtocolError: In a flow: the answer holds no bearer token.
    """

    def __init__(
        self,
        token_url: URL | str,
        client_id: str,
        client_secret: str,
        *,
        scope: str | None = None,
        params: Mapping[str, str] | None = None,
        credentials_in: Literal["header", "body"] = "header",
        leeway_s: float = 30.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        if credentials_in not in ("header", "body"):
            raise ValueError(f"credentials_in is 'header' or 'body', not {credentials_in!r}.")
        self._url = URL(token_url)
        self._form = {"grant_type": "client_credentials", **({"scope": scope} if scope else {}), **(params or {})}
        self._headers = {"Accept": "application/json"}
        if credentials_in == "header":
            from urllib.parse import quote_plus

            # Form-encoded before they are joined (§2.3.1): an id may hold a colon.
            self._headers["Authorization"] = basic_header(quote_plus(client_id), quote_plus(client_secret))
        else:
            self._form |= {"client_id": client_id, "client_secret": client_secret}
        self._leeway_s = leeway_s
        self._clock = clock
        self._token: tuple[str, float] | None = None  # and the time it expires; one tuple, so that threads see both
        self._answers = 0  # of the token endpoint, and how it refused the last time
        self._refusal: Exception | None = None
        self._thread_lock = threading.Lock()
        self._task_locks: RunVar[anyio.Lock] | None = None

    def sync_auth_flow(self, request: Request) -> AuthFlow:
        """See `Auth.sync_auth_flow`."""
        for is_last in (False, True):
            token = self._kept()
            if token is None:
                answers = self._answers
                with self._thread_lock:
                    token = self._answered_since(answers)
                    if token is None:
                        asked = self._clock()
                        response = yield self._token_request(request)
                        response.read()
                        token = self._keep(response, asked)
            request.headers["Authorization"] = f"Bearer {token}"
            response = yield request
            if is_last or response.status_code != 401 or not self._may_ask_again(request, token):
                return

    async def async_auth_flow(self, request: Request) -> AsyncGenerator[Request, Response]:
        """See `Auth.async_auth_flow`."""
        for is_last in (False, True):
            token = self._kept()
            if token is None:
                answers = self._answers
                async with self._task_lock():
                    token = self._answered_since(answers)
                    if token is None:
                        asked = self._clock()
                        response = yield self._token_request(request)
                        await response.aread()
                        token = self._keep(response, asked)
            request.headers["Authorization"] = f"Bearer {token}"
            response = yield request
            if is_last or response.status_code != 401 or not self._may_ask_again(request, token):
                return

    def _task_lock(self) -> anyio.Lock:
        """The lock of this event loop; tasks of different loops cannot wait for each other."""
        import anyio
        from anyio.lowlevel import RunVar

        if self._task_locks is None:
            self._task_locks = RunVar("crawler.oauth2")
        lock = self._task_locks.get(None)
        if lock is None:
            lock = anyio.Lock()
            self._task_locks.set(lock)
        return lock

    def _answered_since(self, answers: int) -> str | None:
        """The token that another request fetched while this one waited; None if it must fetch one itself.

        Raises:
            Exception: The endpoint refused: a thousand requests that wait are not to be refused one by one.
        """
        token = self._kept()
        if token is None and self._answers != answers and self._refusal is not None:
            raise self._refusal
        return token

    def _may_ask_again(self, request: Request, refused: str) -> bool:
        """Forget the token that a server refused; whether the request can be sent once more."""
        if self._token is not None and self._token[0] == refused:
            self._token = None
        return request.can_replay

    def _kept(self) -> str | None:
        kept = self._token
        return kept[0] if kept is not None and self._clock() < kept[1] else None

    def _token_request(self, request: Request) -> Request:
        headers = dict(self._headers)
        if "User-Agent" in request.headers:
            headers["User-Agent"] = request.headers["User-Agent"]
        extensions = {name: request.extensions[name] for name in _INHERITED if name in request.extensions}
        url = request.url.join(self._url) if self._url.is_relative_url else self._url
        return Request("POST", url, data=self._form, headers=headers, extensions=extensions)

    def _keep(self, response: Response, asked: float) -> str:
        self._answers += 1
        try:
            token, lifetime = read_token(response)
        except (HTTPStatusError, RemoteProtocolError) as error:
            self._refusal = error
            raise
        self._refusal = None
        self._token = (token, asked + lifetime - min(self._leeway_s, lifetime / 2))
        return token


def read_token(response: Response) -> tuple[str, float]:
    """The token of a token response, and the seconds it lives; infinity where the server does not say.

    Raises:
        HTTPStatusError: The token was refused.
        RemoteProtocolError: The answer holds no bearer token.
    """
    answer = _answer(response)
    url = without_credentials(response.request.url)
    if not response.is_success:
        reason = ": ".join(str(answer[key])[:200] for key in ("error", "error_description") if key in answer)
        message = f"The token endpoint {url} answered with {response.status_code} {response.reason_phrase}"
        message += f" ({reason})" if reason else ""
        raise HTTPStatusError(message, request=response.request, response=response)
    token, kind = answer.get("access_token"), answer.get("token_type", "bearer")
    if not (isinstance(token, str) and token and isinstance(kind, str) and kind.lower() == "bearer"):
        raise RemoteProtocolError(
            f"The token endpoint {url} gave no bearer token: expected JSON with an access_token, "
            f"got {', '.join(sorted(map(str, answer))) or 'none'}.",
            request=response.request,
        )
    return token, _lifetime(answer.get("expires_in"))


def _answer(response: Response) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _lifetime(expires_in: object) -> float:
    """Some servers write the number as text, though §5.1 has a number."""
    try:
        seconds = float(expires_in)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError):
        return float("inf")
    return max(0.0, seconds)

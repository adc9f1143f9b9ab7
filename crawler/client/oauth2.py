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

from collections.abc import Callable, Generator, Mapping
from time import monotonic
from typing import Any, Final, Literal

from crawler.client.auth import Auth, AuthFlow, basic_header
from crawler.client.script import without_credentials
from crawler.errors import HTTPStatusError, RemoteProtocolError
from crawler.models import URL, Request, Response

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


class TokenRequest(Request):
    """The request for a token; its response is read before the flow goes on."""


class OAuth2ClientCredentials(Auth):
    """Bearer tokens that this program gets for itself, by the client credentials grant.

    The token is asked for through the same client, when the first request needs it, and kept until shortly before it
    expires. Where a server refuses it (401), one new token is fetched and the request is sent once more, if its body
    can be. One instance may be shared by clients, threads and tasks: requests that start at the same moment without a
    token may each fetch one, which does no harm; one that another request has fetched meanwhile is used.

    Args:
        token_url: Where tokens are given.
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

    def reads_response_to(self, request: Request) -> bool:
        """See `Auth.reads_response_to`: the bodies of ordinary responses are left to the caller."""
        return isinstance(request, TokenRequest)

    def auth_flow(self, request: Request) -> AuthFlow:
        """See `Auth.auth_flow`."""
        token = self._kept() or (yield from self._fetch(request))
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code != 401:
            return
        if self._token is not None and self._token[0] == token:
            self._token = None
        if not request.can_replay:
            return
        token = self._kept() or (yield from self._fetch(request))
        request.headers["Authorization"] = f"Bearer {token}"
        yield request

    def _kept(self) -> str | None:
        kept = self._token
        return kept[0] if kept is not None and self._clock() < kept[1] else None

    def _fetch(self, request: Request) -> Generator[Request, Response, str]:
        asked = self._clock()
        headers = dict(self._headers)
        if "User-Agent" in request.headers:
            headers["User-Agent"] = request.headers["User-Agent"]
        extensions = {name: request.extensions[name] for name in _INHERITED if name in request.extensions}
        response = yield TokenRequest("POST", self._url, data=self._form, headers=headers, extensions=extensions)
        token, lifetime = read_token(response)
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

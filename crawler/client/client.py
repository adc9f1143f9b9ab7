"""`Client` and `AsyncClient`: HTTPX's API, each verb written once.

What differs is how a coroutine of the script becomes a result: `AsyncClient` hands it to the caller, who awaits it;
`Client` drives it to its end (`run_blocking`), which it reaches without suspending since its network blocks.
"""

from __future__ import annotations

import enum
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from crawler.client.auth import Auth, AuthTypes, make_auth
from crawler.client.environment import URLPattern, environment_proxies
from crawler.client.script import Script
from crawler.client.settings import Body, EventHook, Settings
from crawler.client.strict import StrictScript
from crawler.client.transports.base import AsyncBaseTransport, BaseTransport
from crawler.client.transports.http import AsyncHTTPTransport, HTTPTransport, make_proxy
from crawler.client.websocket_session import (
    DEFAULT_KEEPALIVE_PING_INTERVAL_SECONDS,
    DEFAULT_KEEPALIVE_PING_TIMEOUT_SECONDS,
    DEFAULT_MAX_MESSAGE_SIZE_BYTES,
    DEFAULT_QUEUE_SIZE,
    AsyncWebSocketSession,
    WebSocketOptions,
    WebSocketSession,
    http_url,
)
from crawler.client.worlds import AsyncWorld, BlockingWorld, World
from crawler.models import (
    DEFAULT_LIMITS,
    DEFAULT_MAX_REDIRECTS,
    DEFAULT_TIMEOUT,
    URL,
    USE_CLIENT_DEFAULT,
    Cookies,
    Headers,
    Limits,
    Proxy,
    QueryParams,
    Request,
    Response,
    Retry,
    Timeout,
    UseClientDefault,
)
from crawler.models.sse import DEFAULT_MAX_EVENT_SIZE, EventSource
from crawler.net import WEBSOCKET, run_blocking

if TYPE_CHECKING:
    from crawler.models.types import (
        CertTypes,
        CookieTypes,
        HeaderTypes,
        ProxyTypes,
        QueryParamTypes,
        RequestContent,
        RequestData,
        RequestExtensions,
        RequestFiles,
        TimeoutTypes,
        URLTypes,
    )
    from crawler.net.resolver import Resolver

Out = TypeVar("Out")
T = TypeVar("T", bound="BaseTransport | AsyncBaseTransport")


class State(enum.Enum):
    """A client's life: it may be entered once, and used until it is closed."""

    UNOPENED = "unopened"
    OPENED = "opened"
    CLOSED = "closed"


class BaseClient(Generic[Out, T]):
    """What both clients share; see `Client`.

    `Out` is what a verb gives: a `Response`, or a coroutine of one.
    """

    _world: World
    _transport_method: str

    def __init__(
        self,
        *,
        auth: AuthTypes | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        verify: ssl.SSLContext | str | bool = True,
        cert: CertTypes | None = None,
        http1: bool = True,
        http2: bool = False,
        proxy: ProxyTypes | None = None,
        mounts: Mapping[str, T | None] | None = None,
        timeout: TimeoutTypes = DEFAULT_TIMEOUT,
        follow_redirects: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        max_redirects: int = DEFAULT_MAX_REDIRECTS,
        event_hooks: Mapping[str, list[EventHook]] | None = None,
        base_url: URLTypes = "",
        transport: T | None = None,
        trust_env: bool = True,
        default_encoding: str | Callable[[bytes], str | None] = "utf-8",
        retries: Retry | None = None,
        max_response_size: int | None = None,
        raise_for_status: bool = False,
        https_only: bool = False,
        address_guard: Callable[[str], bool] | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        """Make a client. All arguments are optional.

        Args:
            auth: For every request: (user, password), an `Auth`, or a function of the request.
            params: Query parameters for every request.
            headers: Laid over the default headers.
            cookies: To begin with; responses add theirs.
            verify: True, False, or an `ssl.SSLContext`.
            cert: Deprecated; a client certificate. Load it into an `ssl.SSLContext` instead.
            http1, http2: Protocols that may be spoken.
            proxy: Where all requests go through; http, https or socks5.
            mounts: Transports by URL pattern (`"https://"`, `"all://*.example.org"`); None for a direct connection.
            timeout: Seconds for each of connect, read, write and pool; or a `Timeout`; None for no limit.
            follow_redirects: Whether redirects are followed.
            limits: How many connections.
            max_redirects: How many redirects are followed before `TooManyRedirects`.
            event_hooks: `{"request": [...], "response": [...]}`: functions called with each.
            base_url: Relative URLs are appended to it.
            transport: Takes the place of the network; the environment's proxies are then ignored.
            trust_env: Whether the environment counts: proxies, certificates.
            default_encoding: Of text without a charset; a name, or a function of the content that gives one.
            retries: Which failures and statuses are tried again, and when; beyond HTTPX.
            max_response_size: Bytes that a body may have, on the wire and decoded; beyond HTTPX.
            raise_for_status: Call `Response.raise_for_status` on every final response; beyond HTTPX.
            https_only: Refuse every URL that is not https, in redirects too; beyond HTTPX.
            address_guard: Asked for each IP address (text) before a connection to it is begun, redirects included;
                False refuses it: `ConnectError` of the kind `blocked_address`. Through a proxy, which looks names up
                itself, it is the proxy's address that is asked about. Beyond HTTPX.
            resolver: Gives the IP addresses (text) of a host name, the best first, instead of the system's resolver;
                for the async client it may be a coroutine function. Beyond HTTPX.

        Raises:
            TypeError: `auth` is none of the above, or a transport is one of the other client.
            ValueError: An unknown proxy scheme or a bad mount pattern.
        """
        self._settings = Settings(
            auth=auth,
            params=params,
            headers=headers,
            cookies=cookies,
            timeout=timeout,
            follow_redirects=follow_redirects,
            max_redirects=max_redirects,
            event_hooks=event_hooks,
            base_url=base_url,
            default_encoding=default_encoding,
            retries=retries,
            max_response_size=max_response_size,
        )
        self._script = _script(self._settings, self._world, raise_for_status, https_only)
        for given in (transport, *(mounts or {}).values()):
            self._check_transport(given)
        self._trust_env = trust_env
        self._state = State.UNOPENED

        def make_transport(through: Proxy | None) -> T:
            return self._new_transport(
                verify=verify,
                cert=cert,
                trust_env=trust_env,
                http1=http1,
                http2=http2,
                limits=limits,
                proxy=through,
                address_guard=address_guard,
                resolver=resolver,
            )

        proxies = self._proxies(proxy, allow_environment=trust_env and transport is None)
        self._settings.transport = make_transport(None) if transport is None else transport
        by_pattern: dict[URLPattern, T | None] = {
            URLPattern(pattern): None if through is None else make_transport(through)
            for pattern, through in proxies.items()
        }
        for pattern, mounted in (mounts or {}).items():
            by_pattern[URLPattern(pattern)] = mounted
        self._settings.mounts = dict(sorted(by_pattern.items()))

    def _new_transport(self, **options: Any) -> T:
        raise NotImplementedError

    def _check_transport(self, transport: object) -> None:
        if transport is not None and not hasattr(transport, self._transport_method):
            raise TypeError(
                f"{type(transport).__name__} cannot be a transport of {type(self).__name__}: "
                f"it has no {self._transport_method}()."
            )

    def _start(self, work: Coroutine[Any, Any, Response]) -> Out:
        raise NotImplementedError

    @staticmethod
    def _proxies(proxy: ProxyTypes | None, *, allow_environment: bool) -> Mapping[str, Proxy | None]:
        if proxy is not None:
            return {"all://": make_proxy(proxy)}
        return {key: make_proxy(url) for key, url in environment_proxies().items()} if allow_environment else {}

    def _transports(self) -> list[T]:
        """Every transport of this client, each once."""
        mounted = [transport for transport in self._settings.mounts.values() if transport is not None]
        return list(dict.fromkeys([self._settings.transport, *mounted]))  # type: ignore[list-item]  # T by construction

    # --- settings ---

    @property
    def is_closed(self) -> bool:
        """Whether the client was closed."""
        return self._state is State.CLOSED

    @property
    def trust_env(self) -> bool:
        """Whether the environment counts."""
        return self._trust_env

    @property
    def timeout(self) -> Timeout:
        """The time limits of requests that set none themselves."""
        return self._settings.timeout

    @timeout.setter
    def timeout(self, timeout: TimeoutTypes) -> None:
        self._settings.set_timeout(timeout)

    @property
    def event_hooks(self) -> dict[str, list[EventHook]]:
        """The functions called with each request and each response."""
        return {"request": self._settings.request_hooks, "response": self._settings.response_hooks}

    @event_hooks.setter
    def event_hooks(self, event_hooks: Mapping[str, list[EventHook]]) -> None:
        self._settings.set_event_hooks(event_hooks)

    @property
    def auth(self) -> Auth | None:
        """How requests are authenticated."""
        return self._settings.auth

    @auth.setter
    def auth(self, auth: AuthTypes | None) -> None:
        self._settings.auth = make_auth(auth)

    @property
    def base_url(self) -> URL:
        """What relative URLs are appended to."""
        return self._settings.base_url

    @base_url.setter
    def base_url(self, url: URLTypes) -> None:
        self._settings.set_base_url(url)

    @property
    def headers(self) -> Headers:
        """The headers of every request."""
        return self._settings.headers

    @headers.setter
    def headers(self, headers: HeaderTypes) -> None:
        self._settings.set_headers(headers)

    @property
    def cookies(self) -> Cookies:
        """The cookies of the session."""
        return self._settings.cookies

    @cookies.setter
    def cookies(self, cookies: CookieTypes) -> None:
        self._settings.cookies = Cookies(cookies)

    @property
    def params(self) -> QueryParams:
        """The query parameters of every request."""
        return self._settings.params

    @params.setter
    def params(self, params: QueryParamTypes) -> None:
        self._settings.params = QueryParams(params)

    @property
    def follow_redirects(self) -> bool:
        """Whether redirects are followed unless a request says otherwise."""
        return self._settings.follow_redirects

    @follow_redirects.setter
    def follow_redirects(self, follow: bool) -> None:
        self._settings.follow_redirects = follow

    @property
    def max_redirects(self) -> int:
        """How many redirects are followed before `TooManyRedirects`."""
        return self._settings.max_redirects

    @max_redirects.setter
    def max_redirects(self, count: int) -> None:
        self._settings.max_redirects = count

    # --- requests ---

    def build_request(
        self,
        method: str,
        url: URLTypes,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Request:
        """Build the request that `request` would send, for `send`. Arguments as there."""
        body = _body(content, data, files, json)
        return self._settings.build_request(method, url, body, params, headers, cookies, timeout, extensions)

    def request(
        self,
        method: str,
        url: URLTypes,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Out:
        """Send a request and read its response.

        Args:
            method: In any case.
            url: Absolute, or relative to `base_url`.
            content: The body: bytes, text, a file, or an iterable of bytes (an async one for the async client).
            data: The body: a form.
            files: The body: a multipart form.
            json: The body: a value as JSON.
            params: Replace the query of `url`, laid over the client's.
            headers: Laid over the client's.
            cookies: Deprecated; laid over the client's.
            auth: Instead of the client's; None for none.
            follow_redirects: Instead of the client's.
            timeout: Instead of the client's.
            extensions: Options for the transport: `trace`, `sni_hostname`, `target`.

        Raises:
            RequestError: By its class: the network, the protocol, time, redirects, decoding.
            InvalidURL: `url` is none.
        """
        body = _body(content, data, files, json)
        return self._start(
            self._request(method, url, body, params, headers, cookies, auth, follow_redirects, timeout, extensions)
        )

    def send(
        self,
        request: Request,
        *,
        stream: bool = False,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Out:
        """Send a request that was built before.

        Args:
            request: From `build_request`, or made by hand: then the client adds its time limits, where the request has
                none, and nothing else.
            stream: Leave the body unread; the caller closes the response.
            auth, follow_redirects: As for `request`.
        """
        self._settings.complete(request)
        return self._start(self._send(request, auth, follow_redirects, stream))

    # --- the verbs ---

    def get(
        self,
        url: URLTypes,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Out:
        """Send a GET request. Arguments as for `request`."""
        return self._start(
            self._request("GET", url, None, params, headers, cookies, auth, follow_redirects, timeout, extensions)
        )

    def options(
        self,
        url: URLTypes,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Out:
        """Send an OPTIONS request. Arguments as for `request`."""
        return self._start(
            self._request("OPTIONS", url, None, params, headers, cookies, auth, follow_redirects, timeout, extensions)
        )

    def head(
        self,
        url: URLTypes,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Out:
        """Send a HEAD request. Arguments as for `request`."""
        return self._start(
            self._request("HEAD", url, None, params, headers, cookies, auth, follow_redirects, timeout, extensions)
        )

    def delete(
        self,
        url: URLTypes,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Out:
        """Send a DELETE request. Arguments as for `request`."""
        return self._start(
            self._request("DELETE", url, None, params, headers, cookies, auth, follow_redirects, timeout, extensions)
        )

    def post(
        self,
        url: URLTypes,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Out:
        """Send a POST request. Arguments as for `request`."""
        return self._start(
            self._request(
                "POST",
                url,
                _body(content, data, files, json),
                params,
                headers,
                cookies,
                auth,
                follow_redirects,
                timeout,
                extensions,
            )
        )

    def put(
        self,
        url: URLTypes,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Out:
        """Send a PUT request. Arguments as for `request`."""
        return self._start(
            self._request(
                "PUT",
                url,
                _body(content, data, files, json),
                params,
                headers,
                cookies,
                auth,
                follow_redirects,
                timeout,
                extensions,
            )
        )

    def patch(
        self,
        url: URLTypes,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Out:
        """Send a PATCH request. Arguments as for `request`."""
        return self._start(
            self._request(
                "PATCH",
                url,
                _body(content, data, files, json),
                params,
                headers,
                cookies,
                auth,
                follow_redirects,
                timeout,
                extensions,
            )
        )

    def query(
        self,
        url: URLTypes,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Out:
        """Send a QUERY request: safe like GET, with a body (draft-ietf-httpbis-safe-method-w-body).

        Arguments as for `request`.
        """
        return self._start(
            self._request(
                "QUERY",
                url,
                _body(content, data, files, json),
                params,
                headers,
                cookies,
                auth,
                follow_redirects,
                timeout,
                extensions,
            )
        )

    # --- inside ---

    async def _request(
        self,
        method: str,
        url: URLTypes,
        body: Body | None,
        params: QueryParamTypes | None,
        headers: HeaderTypes | None,
        cookies: CookieTypes | None,
        auth: AuthTypes | UseClientDefault | None,
        follow_redirects: bool | UseClientDefault,
        timeout: TimeoutTypes | UseClientDefault,
        extensions: RequestExtensions | None,
    ) -> Response:
        settings = self._settings
        request = settings.build_request(method, url, body, params, headers, cookies, timeout, extensions)
        return await self._send(request, auth, follow_redirects, False)

    def _send(
        self,
        request: Request,
        auth: AuthTypes | UseClientDefault | None,
        follow_redirects: bool | UseClientDefault,
        stream: bool,
    ) -> Coroutine[Any, Any, Response]:
        if self._state is State.CLOSED:
            raise RuntimeError("Cannot send a request, as the client has been closed.")
        self._state = State.OPENED
        settings = self._settings
        follow = settings.follow_redirects if isinstance(follow_redirects, UseClientDefault) else follow_redirects
        return self._script.send(request, settings.auth_for(request, auth), follow, stream)

    def _enter(self) -> None:
        if self._state is not State.UNOPENED:
            raise RuntimeError(
                "Cannot open a client instance more than once."
                if self._state is State.OPENED
                else "Cannot reopen a client instance, once it has been closed."
            )
        self._state = State.OPENED


def _body(
    content: RequestContent | None, data: RequestData | None, files: RequestFiles | None, json: Any
) -> Body | None:
    if content is None and data is None and files is None and json is None:
        return None
    return Body(content, data, files, json)


def _script(settings: Settings, world: World, raises_for_status: bool, https_only: bool) -> Script:
    if raises_for_status or https_only:
        return StrictScript(settings, world, raises_for_status=raises_for_status, https_only=https_only)
    return Script(settings, world)


def _sse_headers(headers: HeaderTypes | None) -> Headers:
    merged = Headers({"Accept": "text/event-stream", "Cache-Control": "no-store"})
    merged.update(headers)
    return merged


class Client(BaseClient[Response, BaseTransport]):
    """An HTTP client that blocks, with connections, cookies and settings shared between its requests.

    May be used from many threads.

        with crawler.Client() as client:
            response = client.get("https://www.example.org/")
    """

    _world = BlockingWorld()
    _transport_method = "handle_request"

    def _new_transport(self, **options: Any) -> BaseTransport:
        return HTTPTransport(**options)

    def _start(self, work: Coroutine[Any, Any, Response]) -> Response:
        return run_blocking(work)

    @contextmanager
    def stream(
        self,
        method: str,
        url: URLTypes,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Iterator[Response]:
        """Send a request and give the response before its body is read; closed at the end of the block."""
        body = _body(content, data, files, json)
        request = self._settings.build_request(method, url, body, params, headers, cookies, timeout, extensions)
        response = self.send(request, stream=True, auth=auth, follow_redirects=follow_redirects)
        try:
            yield response
        finally:
            response.close()

    @contextmanager
    def sse(
        self,
        url: URLTypes,
        *,
        method: str = "GET",
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
        max_event_size: int | None = DEFAULT_MAX_EVENT_SIZE,
    ) -> Iterator[EventSource]:
        """Ask for server-sent events: iterate what this context manager gives; closed at the end of the block.

        The read timeout counts between two pieces: mostly `timeout=Timeout(5, read=None)` is meant.

        Args:
            max_event_size: Bytes one event may have, or None.
            **others: As for `request`.

        Raises:
            SSEError: On iterating: the response is no event stream, or an event is too large.
        """
        with self.stream(
            method,
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=_sse_headers(headers),
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        ) as response:
            yield EventSource(response, max_event_size)

    @contextmanager
    def websocket(
        self,
        url: URLTypes,
        *,
        max_message_size_bytes: int = DEFAULT_MAX_MESSAGE_SIZE_BYTES,
        queue_size: int = DEFAULT_QUEUE_SIZE,
        keepalive_ping_interval_seconds: float | None = DEFAULT_KEEPALIVE_PING_INTERVAL_SECONDS,
        keepalive_ping_timeout_seconds: float | None = DEFAULT_KEEPALIVE_PING_TIMEOUT_SECONDS,
        subprotocols: list[str] | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Iterator[WebSocketSession]:
        """Open a WebSocket; closed at the end of the block.

        Needs the package wsproto: `pip install 'crawler[ws]'`.

        Args:
            url: ws, wss, http or https.
            max_message_size_bytes: Of a message received; a larger one closes the WebSocket with 1009.
            queue_size: How many messages are held that come while a send, or the wait for a pong, looks for others.
            keepalive_ping_interval_seconds: How long nothing may come before a ping is sent; None for no pings.
            keepalive_ping_timeout_seconds: How long nothing may come after that, until `WebSocketNetworkError`; None
                for no limit. Nor does the end of the block wait longer for the server's close.
            subprotocols: Offered to the server, best first; it chose `session.subprotocol`.
            **others: Of the handshake, as for `request`. The write timeout holds for each message, too.

        Raises:
            WebSocketUpgradeError: The server answered with something else.
            RequestError: The handshake failed, by its class.
            ImportError: wsproto is missing.
        """
        options = WebSocketOptions(
            max_message_size_bytes,
            queue_size,
            keepalive_ping_interval_seconds,
            keepalive_ping_timeout_seconds,
            subprotocols,
        )
        with (
            self.stream(
                "GET",
                http_url(self._settings.merge_url(url)),
                params=params,
                headers=options.headers(headers),
                cookies=cookies,
                auth=auth,
                follow_redirects=follow_redirects,
                timeout=timeout,
                extensions={**(extensions or {}), WEBSOCKET: True},
            ) as response,
            WebSocketSession(response, options) as session,
        ):
            yield session

    def close(self) -> None:
        """Close the client and its transports; further calls do nothing."""
        if self._state is not State.CLOSED:
            self._state = State.CLOSED
            self._settings.is_closed = True
            for transport in self._transports():
                transport.close()

    def __enter__(self) -> Self:
        self._enter()
        for transport in self._transports():
            transport.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._state = State.CLOSED
        self._settings.is_closed = True
        for transport in self._transports():
            transport.__exit__(exc_type, exc_value, traceback)


class AsyncClient(BaseClient[Coroutine[Any, Any, Response], AsyncBaseTransport]):
    """An HTTP client for asyncio and trio, with connections, cookies and settings shared between its requests.

    async with crawler.AsyncClient() as client:
        response = await client.get("https://www.example.org/")
    """

    _world = AsyncWorld()
    _transport_method = "handle_async_request"

    def _new_transport(self, **options: Any) -> AsyncBaseTransport:
        return AsyncHTTPTransport(**options)

    def _start(self, work: Coroutine[Any, Any, Response]) -> Coroutine[Any, Any, Response]:
        return work

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: URLTypes,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> AsyncIterator[Response]:
        """Send a request and give the response before its body is read; closed at the end of the block."""
        body = _body(content, data, files, json)
        request = self._settings.build_request(method, url, body, params, headers, cookies, timeout, extensions)
        response = await self.send(request, stream=True, auth=auth, follow_redirects=follow_redirects)
        try:
            yield response
        finally:
            await response.aclose()

    @asynccontextmanager
    async def sse(
        self,
        url: URLTypes,
        *,
        method: str = "GET",
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
        max_event_size: int | None = DEFAULT_MAX_EVENT_SIZE,
    ) -> AsyncIterator[EventSource]:
        """Ask for server-sent events, see `Client.sse`; iterate what this gives with `async for`."""
        async with self.stream(
            method,
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=_sse_headers(headers),
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        ) as response:
            yield EventSource(response, max_event_size)

    @asynccontextmanager
    async def websocket(
        self,
        url: URLTypes,
        *,
        max_message_size_bytes: int = DEFAULT_MAX_MESSAGE_SIZE_BYTES,
        queue_size: int = DEFAULT_QUEUE_SIZE,
        keepalive_ping_interval_seconds: float | None = DEFAULT_KEEPALIVE_PING_INTERVAL_SECONDS,
        keepalive_ping_timeout_seconds: float | None = DEFAULT_KEEPALIVE_PING_TIMEOUT_SECONDS,
        subprotocols: list[str] | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> AsyncIterator[AsyncWebSocketSession]:
        """Open a WebSocket, see `Client.websocket`; the methods of the session are awaited."""
        options = WebSocketOptions(
            max_message_size_bytes,
            queue_size,
            keepalive_ping_interval_seconds,
            keepalive_ping_timeout_seconds,
            subprotocols,
        )
        async with (
            self.stream(
                "GET",
                http_url(self._settings.merge_url(url)),
                params=params,
                headers=options.headers(headers),
                cookies=cookies,
                auth=auth,
                follow_redirects=follow_redirects,
                timeout=timeout,
                extensions={**(extensions or {}), WEBSOCKET: True},
            ) as response,
            AsyncWebSocketSession(response, options) as session,
        ):
            yield session

    async def aclose(self) -> None:
        """Close the client and its transports; further calls do nothing."""
        if self._state is not State.CLOSED:
            self._state = State.CLOSED
            self._settings.is_closed = True
            for transport in self._transports():
                await transport.aclose()

    async def __aenter__(self) -> Self:
        self._enter()
        for transport in self._transports():
            await transport.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self._state = State.CLOSED
        self._settings.is_closed = True
        for transport in self._transports():
            await transport.__aexit__(exc_type, exc_value, traceback)

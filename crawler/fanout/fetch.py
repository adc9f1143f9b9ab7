"""One attempt: build the request, send it, read the body, write into the result how it went.

This is the only place of the engine that talks to a client, and it asks little of it (`HTTPClient`), so that tests can
script one.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import anyio

from crawler.fanout.checks import announced, judge_of
from crawler.fanout.hops import Elsewhere, Hops
from crawler.fanout.rate_limit import parse_rate_limit
from crawler.fanout.result import Result
from crawler.fanout.retry import decide
from crawler.models import DEFAULT_TIMEOUT, URL, Cookies, Limits, Request, Response, parse_retry_after
from crawler.net.asyncio_body import MAY_BE_WHOLE

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

    from crawler.client import AsyncClient
    from crawler.fanout.bodies import BodyKeeper
    from crawler.fanout.checks import ResponseCheck
    from crawler.fanout.download import Downloads
    from crawler.fanout.plan import ClientOptions, RetryPolicy
    from crawler.models import Timeout


class HTTPClient(Protocol):
    """What the engine needs of a client; `crawler.AsyncClient` is one."""

    def build_request(
        self, method: str, url: URL | str, *, headers: list[tuple[str, str]] | None = ..., content: bytes | None = ...
    ) -> Request:
        """Make a request with the client's own headers and settings."""

    def send(
        self, request: Request, *, stream: bool = ..., follow_redirects: bool = ..., auth: None = ...
    ) -> Awaitable[Response]:
        """Send a request; its response is read unless `stream`. `auth=None` adds no credentials to it."""


def make_client(options: ClientOptions, timeout: Timeout | None, concurrency: int, **more: Any) -> AsyncClient:
    """Make the one client of a call or a run: it follows redirects and, unless asked to, keeps no cookies.

    The cap stands outside its pool, so nobody ever waits for a connection and no pool timeout can happen. Cookies would
    make one URL's answer depend on which others came before, and the jar grow with the number of hosts.
    """
    from crawler.client import AsyncClient
    from crawler.fanout.transport import mounts_of, transport_of, trust_of

    limits = Limits(
        max_connections=options.max_connections,
        max_keepalive_connections=concurrency,
        keepalive_expiry=options.keepalive_expiry,
    )
    transport = transport_of(options, limits)
    if transport is not None:
        more["transport"] = transport
        more["mounts"] = mounts_of(options, limits)
    if options.guard is not None:
        more["address_guard"] = options.guard
    return AsyncClient(
        auth=options.auth,
        headers=list(options.headers),
        cookies=_cookies_of(options),
        http1=options.http1,
        http2=options.http2,
        verify=trust_of(options),
        proxy=options.proxy if transport is None else None,
        trust_env=options.trust_env and options.guard is None,  # a proxy looks names up itself, unguarded
        timeout=DEFAULT_TIMEOUT if timeout is None else timeout,
        limits=limits,
        follow_redirects=True,
        **more,
    )


def _cookies_of(options: ClientOptions) -> Cookies | CookieJar:
    if not options.keeps_cookies and not options.cookies:
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        return CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    cookies = Cookies()
    for name, value, host in options.cookies:
        cookies.set(name, value, domain=host)
    return cookies


Naming = Callable[[Result], tuple[str | None, bytes]]
"""Gives the wished-for file name of a result's body (`None`: by its URL) and the owner of that name."""


class Fetcher:
    """Makes attempts with one client.

    Args:
        client: Sends them.
        clock: Monotonic seconds.
        build: Makes the request of a result that has none yet; called once per result, whatever the number of
            attempts.
        follow_redirects: Whether to; `None` leaves it to the client.
        bodies: Reads bodies; without one they are read into `response.content`.
        naming: Names the files of bodies.
        downloads: Makes and reads requests of its own instead.
        checks: What responses below 400 have to be like.
        hops: Follows redirects, instead of the client.
    """

    def __init__(
        self,
        client: HTTPClient,
        *,
        clock: Callable[[], float],
        build: Callable[[Result], Request],
        follow_redirects: bool | None = None,
        bodies: BodyKeeper | None = None,
        naming: Naming | None = None,
        downloads: Downloads | None = None,
        checks: Sequence[ResponseCheck] = (),
        hops: Hops | None = None,
    ) -> None:
        self._hops = hops
        self._send = client.send
        self._downloads = downloads
        self._clock = clock
        self._build = build
        self._bodies = bodies
        self._naming = naming
        self._checks = tuple(checks)
        self._options: dict[str, Any] = {} if bodies is None and downloads is None else {"stream": True}
        if follow_redirects is not None:
            self._options["follow_redirects"] = follow_redirects

    async def attempt(self, result: Result) -> bool:
        """Make one attempt, or go on with it; every failure but cancellation ends up in the result.

        Returns:
            Whether it goes on later: it was redirected to a host that has to be waited for.
        """
        clock = self._clock
        if result.hop is None:
            result.begin(clock())
        try:
            if self._downloads is None:
                await self._exchange(result)
            elif not await self._downloads.fetch(result, self._sender(result)):
                assert result.response is not None
                _judge(result, result.response)
        except Elsewhere:
            return True
        except Exception as error:
            result.fail(error)
        result.ended = clock()
        if result.response is not None:
            _count_wire(result, result.response)
            result.account()
        return False

    async def _exchange(self, result: Result) -> None:
        request = result.request
        if request is None:
            request = result.request = self._build(result)
            if self._bodies is not None:
                request.extensions[MAY_BE_WHOLE] = True
        if self._hops is None:
            response = await self._send(request, **self._options)
        else:
            response = await self._hops.send(result, request)
        result.response = response
        if self._bodies is None:
            result.bytes = len(response.content)
        elif self._checks or not self._bodies.count_whole(response, result):
            await self._read(self._bodies, response, result)
        if response.status_code >= 400:
            _judge(result, response)

    def _sender(self, result: Result) -> Callable[[Request], Awaitable[Response]]:
        """Give what a download sends by: its first request is the one whose redirects wait for their hosts."""
        hops = self._hops

        def send(request: Request) -> Awaitable[Response]:
            nonlocal hops
            if hops is None:
                return self._send(request, **self._options)
            following, hops = hops, None
            return following.send(result, request)

        return send

    async def _read(self, bodies: BodyKeeper, response: Response, result: Result) -> None:
        wished, owner = (None, b"") if self._naming is None else self._naming(result)
        judge = None if result.has_nothing_new else judge_of(self._checks, response)
        try:
            if judge is not None:
                judge.head(announced(response))
            await bodies.keep(response, result, wished, owner, judge)
        except BaseException:
            if not response.is_closed:
                with anyio.CancelScope(shield=True):  # the connection goes back, also when we are being cancelled
                    await response.aclose()
            raise


def request_of(client: HTTPClient, target: str | URL | Request, timeout: Timeout | None) -> Request:
    """Make the request for a URL; one that is a request already gets no more than the time limits it lacks.

    Raises:
        InvalidURL, TypeError: It is no URL.
    """
    if isinstance(target, Request):
        if timeout is not None:
            target.extensions.setdefault("timeout", timeout.as_dict())
        return target
    request = client.build_request("GET", target)
    if timeout is not None:
        request.extensions["timeout"] = timeout.as_dict()
    return request


def wait_before_retry(
    policy: RetryPolicy, result: Result, idempotent: bool | None, rng: Callable[[], float]
) -> float | None:
    """Give the seconds until a failed result may be tried again, or `None` if it is final."""
    request = result.request
    if request is None or result.error_kind is None or not request.can_replay:
        return None
    if result.error_kind in policy.once:
        is_first = result.attempt_errors.count(result.error_kind) == 1
        return 0.0 if is_first and result.attempts - result.rate_limited < policy.attempts else None
    return decide(
        policy,
        kind=result.error_kind,
        status=result.status if result.error is None else None,
        method=request.method,
        idempotent=idempotent,
        failures=result.attempts - result.rate_limited,
        rate_limited=result.rate_limited,
        retry_after=result.retry_after,
        is_transient=getattr(result.error, "is_transient", False),
        rng=rng,
    )


def asked_for(result: Result, policy: RetryPolicy, wall: Callable[[], float]) -> float | None:
    """Give the seconds for which a host wants no further request, by what its response said; `None` if nothing.

    `Retry-After` counts with a status that asks to come later (429, 503, 403), `RateLimit` with any.
    """
    if policy.retry_after == "ignore" or result.response is None:
        return None
    if result.error_kind == "rate_limited" and result.retry_after:
        return result.retry_after
    lines = result.response.raw_lines
    if lines is not None and b"ratelimit" not in lines.lower():  # as a rule; spares taking the head apart
        return None
    return parse_rate_limit(result.response.raw_headers, wall)


def _judge(result: Result, response: Response) -> None:
    value = response.headers.get("retry-after")
    if value is not None:
        result.retry_after = parse_retry_after(value, time.time())
    result.judge_status(response.status_code, result.retry_after is not None)


def _count_wire(result: Result, response: Response) -> None:
    received = response.num_bytes_downloaded
    if response.request is not result.request:  # asking for `history` makes a list, and most have none
        received += sum(hop.num_bytes_downloaded for hop in response.history)
    result.attempt_bytes_wire += received  # besides those of the segments of a download
    result.bytes_wire += received

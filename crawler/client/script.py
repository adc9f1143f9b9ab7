"""The script of a request, from a client's `get()` to the response: authenticate, retry, follow redirects, exchange.

    send ─▶ authenticate ─▶ follow redirects ─▶ exchange (with retries) ─▶ transport
                 ▲ flow.step     ▲ next request        ▲ back-off

Written once as `async def`. It awaits nothing but its `World`, and so runs in both clients. None of the layers costs
anything but a comparison when it has nothing to do: no auth, no hook, no cookie, no redirect.
"""

from __future__ import annotations

import random
from time import monotonic, time

from crawler.client.auth import Auth
from crawler.client.redirects import STATUSES, redirect_request
from crawler.client.settings import Settings
from crawler.client.worlds import World
from crawler.errors import (
    ConnectError,
    HTTPError,
    InvalidURL,
    LocalProtocolError,
    TooManyRedirects,
    TotalTimeout,
    TransportError,
    UnsupportedProtocol,
)
from crawler.models import Request, Response, Retry, parse_retry_after
from crawler.models.url import RelativeURL, without_credentials
from crawler.net.exchange import unsupported
from crawler.net.logs import EXCHANGES, logs_exchanges

MAX_DRAINED = 64 * 1024  # of a body that nobody asked for: more costs more than another connection


class Script:
    """Sends requests by the settings of one client.

    Args:
        settings: The client's; read anew for each request.
        world: The client's.
    """

    __slots__ = ("_rng", "_settings", "_world")

    def __init__(self, settings: Settings, world: World) -> None:
        self._settings = settings
        self._world = world
        self._rng = random.Random()

    async def send(self, request: Request, auth: Auth | None, follow: bool, stream: bool) -> Response:
        """Send `request` and give the final response, read unless `stream`.

        Raises:
            RequestError: By its class.
        """
        timeouts = request.extensions.get("timeout")
        if timeouts is not None and timeouts.get("total") is not None:
            request.extensions["deadline"] = monotonic() + timeouts["total"]
        whole = not stream and not self._settings.response_hooks
        if auth is None:
            response = await self._follow(request, follow, [], whole)
        else:
            response = await self._authenticate(request, auth, follow, whole)
        if stream:
            return response
        try:
            if not response.is_closed:
                await self._world.read(response)
            elif not response.is_plain:  # 0.4 µs saved: there is nothing to decode
                response.finish()
        except BaseException:
            await self._world.close(response)
            raise
        return response

    async def _authenticate(self, request: Request, auth: Auth, follow: bool, whole: bool) -> Response:
        history: list[Response] = []
        flow = self._world.flow(auth, request)
        try:
            request = await flow.start()
            while True:
                response = await self._follow(request, follow, history, whole)
                try:
                    following = await flow.step(response)
                    if following is None:
                        return response
                    await self._drain(response)
                    history = [*response.history, response]  # with the redirects that led to it
                    request = following
                except BaseException:
                    await self._world.close(response)
                    raise
        finally:
            await flow.close()

    async def _follow(self, request: Request, follow: bool, history: list[Response], whole: bool) -> Response:
        before = len(history)
        while True:
            if self._settings.retries is None:  # one layer less to go through: 0.2 µs
                response = await self._attempt(request, whole)
            else:
                response = await self._exchange(request, whole, self._settings.retries)
            if history:
                response.history = list(history)
            if response.status_code not in STATUSES or "Location" not in response.headers:
                return response
            try:
                following = self._following(request, response, follow)
                if following is None:
                    return response
                await self._drain(response)
            except BaseException:
                await self._world.close(response)
                raise
            history = [*history, response]
            request = following
            self._check_open(request)
            if len(history) - before > self._settings.max_redirects:
                last = without_credentials(request.url)
                raise TooManyRedirects(
                    f"More than {self._settings.max_redirects} redirects; the last led to {last}.", request=request
                )

    def _following(self, request: Request, response: Response, follow: bool) -> Request | None:
        """The request to follow with; without following it is merely noted, if it makes sense."""
        try:
            following = redirect_request(request, response)
        except (TransportError, InvalidURL):
            if follow:
                raise
            return None
        if self._settings.cookies:
            self._settings.cookies.set_cookie_header(following)
        if follow:
            return following
        response.next_request = following
        return None

    async def _drain(self, response: Response) -> None:
        """Be done with a response that is not the final one; its body is neither decoded nor read without bound."""
        if not response.is_closed:
            await self._world.drain(response, MAX_DRAINED)

    async def _exchange(self, request: Request, whole: bool, retries: Retry) -> Response:
        """One request, one response, in more than one attempt where `retries` says so."""
        if not (retries.applies_to(request.method) and request.can_replay):
            return await self._attempt(request, whole)
        attempt = 1
        while True:
            response = delay = None
            try:
                response = await self._attempt(request, whole)
                if retries.applies_to_status(response.status_code):
                    delay = retries.wait(attempt, self._rng, _retry_after(response))
                    delay = _in_time(request, delay)
            except (LocalProtocolError, UnsupportedProtocol, TotalTimeout):  # another attempt would fail alike
                raise
            except TransportError:
                delay = _in_time(request, retries.wait(attempt, self._rng))
                if delay is None:
                    raise
            if response is not None:
                if delay is None:
                    return response
                await self._drain(response)
            attempt += 1
            await self._world.sleep(delay or 0.0)
            self._check_open(request)

    def _check_open(self, request: Request) -> None:
        """A closed client goes no further: its transport would open connections that nobody closes."""
        if self._settings.is_closed:
            raise ConnectError(
                "The client was closed while this request was under way.", request=request, kind="connection_lost"
            )

    async def _attempt(self, request: Request, whole: bool) -> Response:
        settings = self._settings
        if settings.request_hooks:
            for hook in settings.request_hooks:
                await self._world.run_hook(hook, request)
        started = monotonic()
        try:
            transport = settings.transport_for(request.url) if settings.mounts else settings.transport
            response = await self._world.call(transport, request, whole)
        except RelativeURL:
            raise unsupported(request) from None
        except HTTPError as exc:
            if exc._request is None:
                exc.request = request
            raise
        if response._request is not request:  # our own transports have set it: 0.5 µs
            response.request = request
        response.default_encoding = settings.default_encoding
        if response.started is None:
            self._time(response, started)
        if not response.is_plain:
            settings.extract_cookies(response)
        if settings.max_response_size is not None:
            response.max_size = settings.max_response_size
        if logs_exchanges():
            log(request, response)
        if settings.response_hooks:
            await self._run_response_hooks(response)
        return response

    def _time(self, response: Response, started: float) -> None:
        """Time a response that came from a transport of somebody else's making."""
        response.started = started
        if response.is_closed:
            response.ended = monotonic()
        else:
            self._world.timed(response, monotonic)

    async def _run_response_hooks(self, response: Response) -> None:
        try:
            for hook in self._settings.response_hooks:
                await self._world.run_hook(hook, response)
        except BaseException:
            await self._world.close(response)
            raise


def _in_time(request: Request, delay: float | None) -> float | None:
    """`delay`, or None if the total time limit would pass meanwhile."""
    deadline = request.extensions.get("deadline")
    return None if delay is None or (deadline is not None and monotonic() + delay >= deadline) else delay


def _retry_after(response: Response) -> float | None:
    value = response.headers.get("Retry-After")
    return None if value is None else parse_retry_after(value, time())


def log(request: Request, response: Response) -> None:
    """One line per exchange, at INFO."""
    EXCHANGES.info(
        'HTTP Request: %s %s "%s %d %s"',
        request.method,
        without_credentials(request.url),
        response.http_version,
        response.status_code,
        response.reason_phrase,
    )

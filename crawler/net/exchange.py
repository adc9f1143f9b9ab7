"""The script of one exchange: lease a connection, send, receive; once more where a kept-alive connection had died."""

from __future__ import annotations

from time import monotonic

from crawler.errors import NetworkError, RemoteProtocolError, UnsupportedProtocol
from crawler.models import Request, Response
from crawler.models.retry import IDEMPOTENT_METHODS
from crawler.models.url import RelativeURL, without_credentials
from crawler.net.deadlines import deadline_of, timed_out
from crawler.net.http2_request import Unprocessed, Unsent
from crawler.net.logs import logs_wire
from crawler.net.pool import Pool
from crawler.net.route import WEBSOCKET, Route, origin_of
from crawler.net.traced import traced_exchange

MAX_ATTEMPTS = 20  # of one request; a peer that refuses that many refuses for good
FIRST_PAUSE_S = 0.01  # before the third attempt, doubling with each further one up to
LAST_PAUSE_S = 1.0


async def exchange(pool: Pool, route: Route, request: Request, whole: bool) -> Response:
    """Bring `request` to its response, over a connection of `pool`.

    A kept-alive connection may be closed by the server at the moment it is used again. Where no byte of an answer came
    and the request may be repeated, it is sent once more, on another connection. So is, whatever its method, one of
    which an HTTP/2 peer says that it did nothing for it: at once the first time, as most often the connection was just
    going away or had just learnt how many requests it may carry, and then, as from a full pool, with pauses and until
    the pool timeout.

    Args:
        whole: Give the response with its whole body; otherwise as soon as its head is there.

    Raises:
        TransportError: By its class and `kind`.

    Source: RFC 9112 §9.3.1 (retrying requests), RFC 9110 §9.2.2 (idempotent methods), RFC 9113 §8.7.
    """
    try:
        key = request.url.origin
    except RelativeURL:
        raise unsupported(request) from None
    if key.scheme not in ("http", "https"):
        raise unsupported(request)
    if route.proxy is not None or WEBSOCKET in request.extensions:
        key = route.key(origin_of(request))
    attempts = 0
    patience = 0.0
    while True:
        attempts += 1
        connection = pool.take(key)
        if connection is None or connection.has_died():
            if connection is not None:
                connection.abort()
            connection = await pool.lease(key, request)
        try:
            if "trace" in request.extensions or logs_wire():
                return await traced_exchange(pool, connection, request)
            return await connection.exchange(request, whole)
        except (RemoteProtocolError, NetworkError) as exc:
            may_repeat = isinstance(exc, Unprocessed) or (
                connection.is_stale(request) and request.method in IDEMPOTENT_METHODS
            )
            connection.cancel(request)
            is_possible = request.can_replay or isinstance(exc, Unsent)
            if not (may_repeat and is_possible and attempts < MAX_ATTEMPTS):
                raise
            if attempts == 1:
                patience = deadline_of(request, "pool")
            else:
                await _pause(pool, request, attempts, patience, exc)
        except BaseException:  # also cancellation: a connection in mid-exchange is never used again
            connection.cancel(request)
            raise


async def _pause(pool: Pool, request: Request, attempts: int, patience: float, refusal: Exception) -> None:
    """Wait before `request` is sent once more.

    Raises:
        PoolTimeout, TotalTimeout: `patience`, in monotonic seconds, is over.
    """
    now = monotonic()
    if patience <= now:
        raise timed_out(request, "pool", f"the peer took no request: {refusal}") from refusal
    pause_s = min(FIRST_PAUSE_S * 2 ** (attempts - 2), LAST_PAUSE_S)
    await pool.connector.event().wait(min(now + pause_s, patience))


def unsupported(request: Request) -> UnsupportedProtocol:
    """The error for a URL that names nobody to ask by http or https."""
    url = without_credentials(request.url)
    if url.scheme and url.host:
        message = f"The URL scheme {url.scheme!r} is not http or https."
    elif url.scheme:
        message = f"The URL {str(url)!r} lacks a host."
    else:
        message = f"The URL {str(url)!r} lacks a scheme: write http:// or https://, or set a base_url."
    return UnsupportedProtocol(message, request=request)

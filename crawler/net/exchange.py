"""The script of one exchange: lease a connection, send, receive; once more where a kept-alive connection had died."""

from __future__ import annotations

from crawler.errors import NetworkError, RemoteProtocolError, UnsupportedProtocol
from crawler.models import Request, Response
from crawler.models.retry import IDEMPOTENT_METHODS
from crawler.net.pool import Pool
from crawler.net.route import Route


async def exchange(pool: Pool, route: Route, request: Request, whole: bool) -> Response:
    """Bring `request` to its response, over a connection of `pool`.

    A kept-alive connection may be closed by the server at the moment it is used again. Where no byte of an answer came
    and the request may be repeated, it is sent once more, on another connection.

    Args:
        whole: Give the response with its whole body; otherwise as soon as its head is there.

    Raises:
        TransportError: By its class and `kind`.

    Source: RFC 9112 §9.3.1 (retrying requests), RFC 9110 §9.2.2 (idempotent methods).
    """
    key = route.key(request.url.origin)
    if key.scheme not in ("http", "https"):
        raise _unsupported(request)
    while True:
        connection = pool.take(key)
        if connection is None or connection.has_died():
            if connection is not None:
                connection.abort()
            connection = await pool.lease(key, request)
        try:
            return await connection.exchange(request, whole)
        except (RemoteProtocolError, NetworkError):
            stale = connection.is_stale(request)
            connection.cancel(request)
            if not (stale and request.method in IDEMPOTENT_METHODS and request.can_replay):
                raise
        except BaseException:  # also cancellation: a connection in mid-exchange is never used again
            connection.cancel(request)
            raise


def _unsupported(request: Request) -> UnsupportedProtocol:
    scheme = request.url.scheme
    if not scheme:
        return UnsupportedProtocol(
            f"The URL {str(request.url)!r} lacks a scheme: write http:// or https://.", request=request
        )
    return UnsupportedProtocol(f"The URL scheme {scheme!r} is not http or https.", request=request)

"""Beginning a request on an HTTP/2 connection, and what the failure of its stream means."""

from __future__ import annotations

from crawler.errors import RemoteProtocolError
from crawler.models import Request
from crawler.wire import Http2Connection, Http2Stream


class Unprocessed(RemoteProtocolError):
    """The peer has done nothing for a request: it may be sent again, whatever its method.

    Source: RFC 9113 §8.7 (REFUSED_STREAM), §6.8 (GOAWAY).
    """


def begin_stream(connection: Http2Connection, request: Request, *, end: bool) -> Http2Stream:
    """Send the head of `request`.

    Raises:
        Unprocessed: The connection takes no more requests: it was leased just before the peer said so.
        LocalProtocolError: A method, target or field that may not go out.
    """
    if not connection.capacity:
        raise Unprocessed("The HTTP/2 connection takes no more requests.", kind="h2_goaway")
    url = request.url
    origin = url.origin
    template = request.template
    return connection.request(
        request.method,
        origin.scheme.encode("ascii"),
        origin.netloc,
        request.extensions.get("target") or url.raw_path,
        request.headers.raw if template is None else template,
        end=end,
    )


def failure_of(stream: Http2Stream) -> RemoteProtocolError:
    """The error of a failed stream, as the script of a request needs it."""
    error = stream.error
    assert error is not None
    return Unprocessed(str(error), kind=error.kind) if stream.is_unprocessed else error

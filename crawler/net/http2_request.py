"""Beginning a request on an HTTP/2 connection, and what the failure of its stream means."""

from __future__ import annotations

from typing import Final

from crawler.errors import RemoteProtocolError
from crawler.models import BodyMeter, Request
from crawler.wire import Http2Connection, Http2Stream

PING_AFTER_S: Final = 20.0
"""How long a peer on whom requests wait may say nothing at all before it is asked whether it is there.

A request's read timeout is mostly shorter. This is for those that wait for long, or without limit, over a connection
that has silently gone."""

PING_TIMEOUT_S: Final = 5.0
"""How long a peer that was asked, after such silence or after a request timed out, has for showing that it is there."""


class Unprocessed(RemoteProtocolError):
    """The peer has done nothing for a request: it may be sent again, whatever its method.

    Source: RFC 9113 §8.7 (REFUSED_STREAM), §6.8 (GOAWAY).
    """


class Unsent(Unprocessed):
    """Nothing of a request was sent, its body is untouched: even one that can be read only once may go elsewhere."""


def body_meter(request: Request, body: bytes | None) -> BodyMeter | None:
    """What holds the body of `request` to its `Content-Length`; None where none is declared, or `body` is known to fit.

    Raises:
        LocalProtocolError: `body` is longer or shorter.
    """
    if request.template is not None:
        return None
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        return None
    meter = BodyMeter(int(length))
    if body is None:
        return meter
    meter.add(len(body))
    meter.finish()
    return None


def begin_stream(connection: Http2Connection, request: Request, *, end: bool) -> Http2Stream:
    """Send the head of `request`.

    Raises:
        Unsent: The connection takes no more requests: it was leased just before the peer said so.
        LocalProtocolError: A method, target or field that may not go out.
    """
    if not connection.capacity:
        raise Unsent("The HTTP/2 connection takes no more requests.", kind="h2_goaway")
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

"""The bytes of a request's head for HTTP/1.1."""

from __future__ import annotations

from crawler.errors import RemoteProtocolError
from crawler.models import Origin, Request
from crawler.models.headers import HeadTemplate, ends_connection
from crawler.wire import encode_request_head


def asks_to_close(request: Request) -> bool:
    """Whether the request says that it is the last on its connection.

    Source: RFC 9112 §9.6: after that a client must not send another.
    """
    template = request.template
    return ends_connection(request.headers) if template is None else template.ends_connection


def cut_short(key: Origin) -> RemoteProtocolError:
    """The error for a body that lasts until the end of a TLS connection, which ended without TLS's good-bye.

    Source: RFC 9112 §9.8: such a body is complete only after a closure alert.
    """
    return RemoteProtocolError(
        f"{key} ended the TLS connection without a close_notify, and only the end of the connection tells where this "
        "body ends: it may be cut short.",
        kind="body_incomplete",
    )


def head_end(request: Request, template: HeadTemplate) -> bytes:
    """What follows the target in a request that has nothing but the headers of its client."""
    return b" HTTP/1.1\r\nHost: %b\r\n%b\r\n" % (request.url.origin.netloc, template.lines)


def request_head(request: Request, proxy_lines: list[tuple[bytes, bytes]] | None) -> bytes:
    """Encode request line and header fields.

    Args:
        request: Its extension `target` replaces the target that the URL gives.
        proxy_lines: For a request that a proxy forwards: fields for the proxy; the target is then the whole URL
            (RFC 9112 §3.2.2). None for any other.

    Raises:
        LocalProtocolError: A method, target or field that would break the framing (RFC 9112 §5, §11.1).
    """
    template = request.template
    url = request.url
    target: bytes = request.extensions.get("target") or url.raw_path
    if proxy_lines is None:
        if template is not None and "target" not in request.extensions:
            return b"%b %b%b" % (request.method.encode("ascii"), target, head_end(request, template))
        return encode_request_head(request.method, target, request.headers.raw)
    if "target" not in request.extensions:
        target = b"%b://%b%b" % (url.raw_scheme, url.origin.netloc, target)
    return encode_request_head(request.method, target, [*request.headers.raw, *proxy_lines])

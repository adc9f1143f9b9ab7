"""What following a redirect sends: pure rules.

Source: RFC 9110 §15.4; the Fetch standard's practice for 301 and 302 with POST.
"""

from __future__ import annotations

from crawler.errors import InvalidURL, RemoteProtocolError, UnsupportedProtocol
from crawler.models import URL, Headers, Request, Response
from crawler.models.content import EMPTY_STREAM, ByteStream

STATUSES = frozenset({301, 302, 303, 307, 308})


def redirect_request(request: Request, response: Response) -> Request:
    """The request that following `response`, a redirect with a Location, sends.

    `Authorization` is dropped where the origin changes, except for the upgrade of the same host from http to https; so
    are the headers named by the extension `secret_headers`. Where an auth says by the extension `credentials_of` what
    another host is to get, it gets that, though not by going from https to http.
    A `Referer` of the caller's is dropped on the way from https to http (RFC 9110 §10.1.3).
    `Cookie` is dropped always: the client rebuilds it from its jar for the new URL.

    Raises:
        RemoteProtocolError: The Location is no URL.
        UnsupportedProtocol: It leads elsewhere than to http or https.
    """
    method = _method(request, response.status_code)
    url = _url(request, response)
    headers = _headers(request, url, method)
    stream = request.stream if method == request.method else EMPTY_STREAM
    following = Request(method, url, headers=headers, stream=stream, extensions=request.extensions)
    if isinstance(stream, ByteStream):
        following.read()
    return following


def _method(request: Request, status: int) -> str:
    method = request.method
    if status == 303 and method != "HEAD":
        return "GET"
    if status == 302 and method not in ("HEAD", "QUERY"):
        return "GET"
    if status == 301 and method == "POST":
        return "GET"
    return method


def _url(request: Request, response: Response) -> URL:
    location = response.headers["Location"]
    try:
        url = URL(location)
        if url.scheme not in ("", "http", "https"):
            raise UnsupportedProtocol(
                f"The redirect leads to a URL of the scheme {url.scheme[:80]!r}, which is neither http nor https.",
                request=request,
            )
        if url.scheme and not url.host:  # "https:///path": the host is the one that was asked
            url = url.copy_with(host=request.url.host)
        if url.is_relative_url:
            url = request.url.join(url)
    except (InvalidURL, ValueError) as exc:
        raise RemoteProtocolError(
            f"Invalid URL in the Location header {location[:200]!r}: {exc}", request=request
        ) from exc
    if request.url.fragment and not url.fragment:
        url = url.copy_with(fragment=request.url.fragment)
    return url


def _headers(request: Request, url: URL, method: str) -> Headers:
    headers = request.headers.copy()
    if url.origin is not request.url.origin and url.origin != request.url.origin:
        headers.pop("Proxy-Authorization", None)
        if not _is_https_upgrade(request.url, url):
            headers.pop("Authorization", None)
            for name in request.extensions.get("secret_headers", ()):
                headers.pop(name, None)
        if (request.url.scheme, url.scheme) == ("https", "http"):
            headers.pop("Referer", None)
        elif "credentials_of" in request.extensions:
            headers.update(request.extensions["credentials_of"](url))
        headers["Host"] = url.netloc.decode("ascii")
    if method != request.method and method == "GET":
        for name in [name for name in headers if name.startswith("content-") or name == "transfer-encoding"]:
            del headers[name]
    headers.pop("Cookie", None)
    return headers


def _is_https_upgrade(old: URL, new: URL) -> bool:
    before, after = old.origin, new.origin
    return (before.host, before.scheme, before.port, after.scheme, after.port) == (after.host, "http", 80, "https", 443)

"""Revalidation: `/cache`, `/cache/{seconds}`, `/etag/{tag}`; and `/response-headers`, which says what it is told."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from crawler.testbed.conditional import LAST_MODIFIED, etag_matches, is_not_modified
from crawler.testbed.echo import echo
from crawler.testbed.exchange import BadRequest, json_response, raw_headers

_CACHE_ETAG: Final = '"testbed-cache-1"'
_TAG: Final = re.compile(r"[!#-~]+")  # RFC 9110 §8.8.3, ASCII only
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection", "content-encoding", "upgrade"})


def _validated(request: Request, headers: dict[str, str]) -> Response:
    if is_not_modified(request, headers["etag"]):
        return Response(b"", 304, headers)
    response = echo(request)
    response.headers.update(headers)
    return response


async def _cache(request: Request) -> Response:
    """304 for a request with a validator of ours, else an echo with `ETag` and `Last-Modified`."""
    return _validated(request, {"etag": _CACHE_ETAG, "last-modified": LAST_MODIFIED})


async def _cache_for(request: Request) -> Response:
    seconds: int = request.path_params["seconds"]
    headers = {"cache-control": f"public, max-age={seconds}", "etag": _CACHE_ETAG, "last-modified": LAST_MODIFIED}
    return _validated(request, headers)


async def _etag(request: Request) -> Response:
    """An echo under that tag: 412 if `If-Match` does not name it, 304 if `If-None-Match` does."""
    tag = request.path_params["tag"]
    if not _TAG.fullmatch(tag):
        raise BadRequest(f"expected a tag in printable ASCII without quotes, got {tag!r}")
    etag = f'"{tag}"'
    match = request.headers.get("if-match")
    if match is not None and not etag_matches(match, etag, weak=False):
        return Response(b"", 412, {"etag": etag})
    if is_not_modified(request, etag):
        return Response(b"", 304, {"etag": etag})
    response = echo(request)
    response.headers["etag"] = etag
    return response


async def _response_headers(request: Request) -> Response:
    """Answer with a header line per query parameter, in order, repeated ones repeated; none that frames the message."""
    response = json_response({"headers": raw_headers(request)})
    for name, value in request.query_params.multi_items():
        if not _TOKEN.fullmatch(name) or name.lower() in _FRAMING:
            raise BadRequest(f"{name!r} is no header name, or one that frames the message")
        if any(character < " " and character != "\t" for character in value) or value != value.strip():
            raise BadRequest(f"{value!r} is no header value")
        try:
            line = name.lower().encode(), value.encode("latin-1")
        except UnicodeEncodeError:
            line = name.lower().encode(), value.encode()
        if line[0] == b"content-type":
            response.raw_headers[:] = [pair for pair in response.raw_headers if pair[0] != b"content-type"]
        response.raw_headers.append(line)
    return response


def routes() -> list[BaseRoute]:
    """Return the routes of this file."""
    return [
        Route("/cache", _cache),
        Route("/cache/{seconds:int}", _cache_for),
        Route("/etag/{tag}", _etag, methods=["GET", "PUT", "PATCH", "DELETE"]),
        Route("/response-headers", _response_headers),
    ]

"""Cookies: shown, set and deleted, with a redirect to `/cookies` after each change."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from crawler.testbed.exchange import BadRequest, json_response

_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 6265 §4.1.1, by way of RFC 9110's token
_VALUE: Final = re.compile(r"[!#-+\--:<-\[\]-~]*")  # cookie-octet


async def _show(request: Request) -> Response:
    return json_response({"cookies": request.cookies})


def _changed(lines: list[tuple[str, str]]) -> Response:
    response = Response(b"", 302, {"location": "/cookies"})
    for name, rest in lines:
        if not _NAME.fullmatch(name):
            raise BadRequest(f"expected a cookie name, got {name!r}")
        response.raw_headers.append((b"set-cookie", f"{name}={rest}; Path=/".encode("latin-1")))
    return response


async def _set(request: Request) -> Response:
    """Set a cookie for each query parameter."""
    pairs = request.query_params.multi_items()
    for _, value in pairs:
        if not _VALUE.fullmatch(value):
            raise BadRequest(f"expected a cookie value, got {value!r}")
    return _changed(pairs)


async def _delete(request: Request) -> Response:
    """Delete the cookies named in the query; all that came, if none is named."""
    names = list(request.query_params) or list(request.cookies)
    return _changed([(name, "; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT") for name in names])


def routes() -> list[BaseRoute]:
    """Return the routes of this file."""
    return [Route("/cookies", _show), Route("/cookies/set", _set), Route("/cookies/delete", _delete)]

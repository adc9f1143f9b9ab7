"""Redirects: `/redirect/{n}` and its relatives, `/redirect-to`, `/redirect-loop`."""

from __future__ import annotations

from urllib.parse import urlencode

from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from crawler.testbed.echo import ALL_METHODS
from crawler.testbed.exchange import BadRequest, whole_number


def _redirect(request: Request, location: str) -> Response:
    status = whole_number(request, "status", 302, 399, minimum=300)
    return Response(b"", status, {"location": location})


def _next(request: Request, family: str) -> str:
    """Return the path after this hop: one less, at the end the plain echo; `status` is carried along."""
    n: int = request.path_params["n"]
    status = request.query_params.get("status")
    query = f"?{urlencode({'status': status})}" if status else ""
    return f"/{family}/{n - 1}{query}" if n > 1 else "/get"


async def _relative(request: Request) -> Response:
    return _redirect(request, _next(request, "relative-redirect"))


async def _plain(request: Request) -> Response:
    return _redirect(request, _next(request, "redirect"))


async def _absolute(request: Request) -> Response:
    return _redirect(request, absolute(request, _next(request, "absolute-redirect")))


async def _to(request: Request) -> Response:
    """Redirect to `?url=`, taken as it is."""
    url = request.query_params.get("url")
    if url is None:
        raise BadRequest("expected url=")
    if not all(" " < character < "\x7f" for character in url):  # goes into a header line: no line ends, ASCII only
        raise BadRequest("expected url= in ASCII, without blanks and control characters")
    return _redirect(request, url)


async def _loop(request: Request) -> Response:
    return _redirect(request, "/redirect-loop")


def absolute(request: Request, path: str) -> str:
    """Return an absolute URL on the host the request named."""
    base = URL(scope=request.scope)
    return f"{base.scheme}://{base.netloc}{path}"


def routes() -> list[BaseRoute]:
    """Return the routes of this file."""
    return [
        Route("/redirect/{n:int}", _plain, methods=ALL_METHODS),
        Route("/relative-redirect/{n:int}", _relative, methods=ALL_METHODS),
        Route("/absolute-redirect/{n:int}", _absolute, methods=ALL_METHODS),
        Route("/redirect-to", _to, methods=ALL_METHODS),
        Route("/redirect-loop", _loop, methods=ALL_METHODS),
    ]

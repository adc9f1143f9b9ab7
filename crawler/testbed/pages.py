"""Single documents: `/`, `/json`, `/html`, `/xml`, `/uuid`, `/links/{n}`, `/links/{n}/{i}`."""

from __future__ import annotations

import uuid
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from crawler.testbed.exchange import BadRequest, json_response

MAX_LINKS: Final = 10_000

_JSON: Final = {
    "title": "A walk along the coast",
    "date": "2024-01-01",
    "stops": [{"name": "Harbour", "km": 0.0}, {"name": "Lighthouse", "km": 4.5}, {"name": "Old mill", "km": 9.25}],
    "is_open": True,
    "notes": None,
}
_HTML: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>A walk along the coast</title>
<meta name="description" content="Nine kilometres from the harbour to the old mill."></head>
<body><h1>A walk along the coast</h1>
<p>From the harbour the path climbs to the lighthouse and follows the cliff to the old mill.</p>
<ul><li>Harbour</li><li>Lighthouse</li><li>Old mill</li></ul></body></html>
"""
_XML: Final = """<?xml version="1.0" encoding="UTF-8"?>
<walk date="2024-01-01"><title>A walk along the coast</title>
<stop km="0.0">Harbour</stop><stop km="4.5">Lighthouse</stop><stop km="9.25">Old mill</stop></walk>
"""
_EXAMPLES: Final = """
/get /post /put /patch /delete /anything /headers /user-agent /ip /upload
/status/418 /delay/200ms /stream/3 /drip?duration=1 /sse
/bytes/1000 /range/1000 /stream-bytes/1000 /cut/1000
/redirect/3 /relative-redirect/3 /absolute-redirect/3 /redirect-to?url=/get /redirect-loop
/cookies /cookies/set?k=v /cookies/delete
/basic-auth/user/password /digest-auth/auth/user/password /bearer
/gzip /deflate /br /zstd /encoding/shift_jis
/flaky?fail=2&key=a /limited?rate=5 /stats
/cache /cache/60 /etag/a /response-headers?x-a=b
/links/10 /uuid /json /html /xml /robots.txt /sitemap.xml /site/
"""


async def _index(request: Request) -> Response:
    """List the endpoints, each with an example."""
    items = "".join(f'<li><a href="{path.replace("&", "&amp;")}">{path}</a></li>\n' for path in _EXAMPLES.split())
    return HTMLResponse(f"<!doctype html><title>crawler testbed</title><h1>crawler testbed</h1><ul>\n{items}</ul>\n")


async def _json(request: Request) -> Response:
    return json_response(_JSON)


async def _html(request: Request) -> Response:
    return HTMLResponse(_HTML)


async def _xml(request: Request) -> Response:
    return Response(_XML, media_type="application/xml")


async def _uuid(request: Request) -> Response:
    return json_response({"uuid": str(uuid.uuid4())})


async def _links(request: Request) -> Response:
    """A page with links to its `n` sisters; `/links/{n}` is the first of them."""
    n: int = request.path_params["n"]
    here: int = request.path_params.get("i", 0)
    if n > MAX_LINKS or here >= max(n, 1):
        raise BadRequest(f"expected at most {MAX_LINKS} links and a page below that number")
    items = "".join(f'<a href="/links/{n}/{i}">page {i}</a>\n' for i in range(n) if i != here)
    return HTMLResponse(f"<!doctype html><title>Page {here} of {n}</title>\n{items}")


def routes() -> list[BaseRoute]:
    """Return the routes of this file."""
    return [
        Route("/", _index),
        Route("/json", _json),
        Route("/html", _html),
        Route("/xml", _xml),
        Route("/uuid", _uuid),
        Route("/links/{n:int}", _links),
        Route("/links/{n:int}/{i:int}", _links),
    ]

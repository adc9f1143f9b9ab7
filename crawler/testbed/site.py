"""A small shop to crawl and scrape, under `/site/`, with `robots.txt` and `sitemap.xml`.

    /site/ ── category/{slug}?page=1…3 ── product/{sku} ── image/{sku}.png
       ├──── about            old-about ──301──▶ about
       ├──── missing          404: the broken link
       ├──── login            linked with rel=nofollow only
       ├──── search?q=        meta robots: noindex, nofollow
       └──── private/{n}      disallowed in robots.txt; each page links to the next, without end

Every page has an ETag and answers `If-None-Match` with 304. Products link to each other with `?ref=related`; their
canonical link names the address without it. All links stay on the host the request named.
"""

from __future__ import annotations

import functools
import hashlib
import struct
import zlib
from html import escape
from typing import Final

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from crawler.testbed.catalog import CATEGORIES, CURRENCY, PAGE_SIZE, PRODUCTS, Product, in_category, page_count
from crawler.testbed.conditional import LAST_MODIFIED, is_not_modified
from crawler.testbed.redirects import absolute

_DATE: Final = "2024-01-01"
_RELATED: Final = 3


def _answer(request: Request, body: bytes, media_type: str, status: int = 200) -> Response:
    """Answer with validators; 304 where the client has this very body."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    headers = {"etag": etag, "last-modified": LAST_MODIFIED}
    if status == 200 and is_not_modified(request, etag):
        return Response(b"", 304, headers)
    return Response(body, status, headers, media_type)


def _page(
    request: Request,
    title: str,
    body: str,
    *,
    canonical: str | None = None,
    description: str = "",
    head: str = "",
    status: int = 200,
) -> Response:
    """Answer with a page: `body` and `head` are HTML, everything else is text."""
    if canonical is not None:
        head += f'<link rel="canonical" href="{escape(absolute(request, canonical))}">\n'
    if description:
        head += f'<meta name="description" content="{escape(description)}">\n'
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f"<title>{escape(title)} | Testbed Shop</title>\n"
        f'{head}</head>\n<body><nav><a href="/site/">Home</a> <a href="/site/about">About</a></nav>\n'
        f"<main><h1>{escape(title)}</h1>\n{body}</main></body></html>\n"
    )
    return _answer(request, page.encode(), "text/html", status)


async def _home(request: Request) -> Response:
    items = "".join(
        f'<li><a class="category" href="/site/category/{slug}">{escape(title)}</a></li>\n'
        for slug, title in CATEGORIES.items()
    )
    body = (
        f"<ul>\n{items}</ul>\n"
        '<p><a href="/site/old-about">About us (moved)</a> <a href="/site/missing">A broken link</a>\n'
        '<a href="/site/login" rel="nofollow">Log in</a> <a href="/site/search?q=tea">Search</a>\n'
        '<a href="/site/private/1">Internal</a> <a href="mailto:shop@testbed.invalid">Write to us</a>\n'
        '<a href="http://offsite.invalid/" rel="nofollow external">Elsewhere</a></p>\n'
    )
    return _page(request, "Home", body, canonical="/site/", description="A shop of sixty things that do not exist.")


def _card(product: Product) -> str:
    return (
        f'<li class="product" data-sku="{product.sku}"><a href="{product.path}">{escape(product.name)}</a> '
        f'<span class="price">{product.price} {CURRENCY}</span></li>\n'
    )


async def _category(request: Request) -> Response:
    slug = request.path_params["slug"]
    page = request.query_params.get("page", "1")
    last = page_count(slug) if slug in CATEGORIES else 0
    if not (page.isascii() and page.isdigit() and 1 <= int(page[:9]) <= last):
        return await _missing(request)
    number = int(page)
    path = f"/site/category/{slug}"

    def link(to: int, relation: str, tag: str) -> str:
        href = path if to == 1 else f"{path}?page={to}"
        text = f"{relation}</a>" if tag == "a" else ""
        return f'<{tag} rel="{relation}" href="{href}">{text}\n'

    neighbours = [(to, relation) for to, relation in ((number - 1, "prev"), (number + 1, "next")) if 1 <= to <= last]
    cards = "".join(_card(product) for product in in_category(slug)[PAGE_SIZE * (number - 1) : PAGE_SIZE * number])
    pager = "".join(link(to, relation, "a") for to, relation in neighbours)
    return _page(
        request,
        CATEGORIES[slug],
        f'<ul class="products">\n{cards}</ul>\n<p class="pager">{pager}page {number} of {last}</p>\n',
        canonical=path if number == 1 else f"{path}?page={number}",
        head="".join(link(to, relation, "link") for to, relation in neighbours),
    )


def _json_ld(request: Request, product: Product) -> str:
    """Return the product as schema.org wants it, safe inside a script element."""
    availability = "InStock" if product.is_available else "OutOfStock"
    data = {
        "@context": "https://schema.org",
        "@type": "Product",
        "sku": product.sku,
        "name": product.name,
        "description": product.description,
        "image": absolute(request, f"/site/image/{product.sku}.png"),
        "url": absolute(request, product.path),
        "offers": {
            "@type": "Offer",
            "price": product.price,
            "priceCurrency": CURRENCY,
            "availability": f"https://schema.org/{availability}",
        },
    }
    text = orjson.dumps(data).decode().replace("</", "<\\/")
    return f'<script type="application/ld+json">{text}</script>\n'


async def _product(request: Request) -> Response:
    product = PRODUCTS.get(request.path_params["sku"])
    if product is None:
        return await _missing(request)
    sisters = in_category(product.category)
    at = sisters.index(product)
    related = "".join(
        f'<li><a href="{sister.path}?ref=related">{escape(sister.name)}</a></li>\n'
        for sister in (sisters[(at + step) % len(sisters)] for step in range(1, _RELATED + 1))
    )
    stock = "In stock" if product.is_available else "Sold out"
    body = (
        f'<p>SKU <span class="sku">{product.sku}</span></p>\n'
        f'<p class="price">{product.price} {CURRENCY}</p>\n<p class="stock">{stock}</p>\n'
        f'<p class="description">{escape(product.description)}</p>\n'
        f'<img src="/site/image/{product.sku}.png" alt="{escape(product.name)}" width="16" height="16">\n'
        f'<p>In <a href="/site/category/{product.category}">{escape(CATEGORIES[product.category])}</a></p>\n'
        f'<ul class="related">\n{related}</ul>\n'
    )
    return _page(
        request,
        product.name,
        body,
        canonical=product.path,
        description=product.description,
        head=_json_ld(request, product),
    )


@functools.lru_cache(maxsize=len(PRODUCTS))
def product_image(sku: str) -> bytes:
    """Return a product's picture: a PNG of 16 by 16 pixels in a colour of its own; the same bytes with every zlib.

    Source: PNG specification (third edition) §5.3 (chunks), §9.2 (filter type 0).
    """

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    colour = hashlib.sha256(sku.encode()).digest()[:3]
    header = struct.pack(">IIBBBBB", 16, 16, 8, 2, 0, 0, 0)  # 8 bits per channel, RGB
    pixels = zlib.compress((b"\0" + colour * 16) * 16, level=0)  # stored: no two of them compress alike
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


async def _image(request: Request) -> Response:
    sku = request.path_params["sku"]
    if sku not in PRODUCTS:
        return await _missing(request)
    return _answer(request, product_image(sku), "image/png")


async def _about(request: Request) -> Response:
    return _page(request, "About", "<p>This shop sells nothing, reliably.</p>\n", canonical="/site/about")


async def _old_about(request: Request) -> Response:
    return Response(b"", 301, {"location": "/site/about"})


async def _login(request: Request) -> Response:
    return _page(request, "Log in", "<p>No link without rel=nofollow leads here.</p>\n")


async def _search(request: Request) -> Response:
    query = request.query_params.get("q", "").lower()
    cards = "".join(_card(product) for product in PRODUCTS.values() if query and query in product.name.lower())
    robots = '<meta name="robots" content="noindex, nofollow">\n'
    return _page(request, "Search", f'<ul class="products">\n{cards}</ul>\n', head=robots)


async def _private(request: Request) -> Response:
    n: int = request.path_params["n"]
    return _page(request, f"Internal {n}", f'<a href="/site/private/{n + 1}">next</a>\n')


async def _missing(request: Request) -> Response:
    return _page(request, "Not found", "<p>There is no such page.</p>\n", status=404)


async def _robots(request: Request) -> Response:
    """Everyone may go anywhere but `/site/private/`; `badbot` nowhere."""
    sitemap = absolute(request, "/sitemap.xml")
    text = f"User-agent: *\nDisallow: /site/private/\n\nUser-agent: badbot\nDisallow: /\n\nSitemap: {sitemap}\n"
    return PlainTextResponse(text)


def sitemap_paths() -> list[str]:
    """Return the paths in `sitemap.xml`: home, about, the first page of each category, every product."""
    categories = [f"/site/category/{slug}" for slug in CATEGORIES]
    return ["/site/", "/site/about", *categories, *(product.path for product in PRODUCTS.values())]


async def _sitemap(request: Request) -> Response:
    entries = "".join(
        f"<url><loc>{escape(absolute(request, path))}</loc><lastmod>{_DATE}</lastmod></url>\n"
        for path in sitemap_paths()
    )
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{entries}</urlset>\n'
    )
    return _answer(request, text.encode(), "application/xml")


def routes() -> list[BaseRoute]:
    """Return the routes of this file."""
    return [
        Route("/robots.txt", _robots),
        Route("/sitemap.xml", _sitemap),
        Route("/site/", _home),
        Route("/site/category/{slug}", _category),
        Route("/site/product/{sku}", _product),
        Route("/site/image/{sku}.png", _image),
        Route("/site/about", _about),
        Route("/site/old-about", _old_about),
        Route("/site/login", _login),
        Route("/site/search", _search),
        Route("/site/private/{n:int}", _private),
        Route("/site/{path:path}", _missing),
    ]

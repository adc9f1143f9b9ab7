"""The shop: what a crawler finds there."""

from __future__ import annotations

import html
import json
import re
import zlib
from typing import Any
from urllib.parse import urljoin, urlsplit

from crawler.testbed.catalog import CATEGORIES, PRODUCTS, page_count
from crawler.testbed.site import product_image, sitemap_paths

Ask = Any  # the `Asker` of conftest.py


def links(text: str, *, nofollow: bool = False) -> list[str]:
    """Return the hrefs of a page's anchors, without those marked nofollow unless asked for."""
    anchors = re.findall(r"<a ([^>]*)>", text)
    wanted = [anchor for anchor in anchors if nofollow or 'rel="nofollow' not in anchor]
    return [html.unescape(match[1]) for anchor in wanted if (match := re.search(r'href="([^"]*)"', anchor))]


def test_a_crawl_finds_every_product(ask: Ask) -> None:
    """Following links from home, without the disallowed area, reaches all 60 products and one broken link."""
    queue, seen, statuses = ["/site/"], {"/site/"}, {}
    while queue:
        path = queue.pop()
        reply = ask(path)
        statuses[path] = reply.status
        found = links(reply.text) if reply.status == 200 else [reply.headers["location"] or ""]
        for href in found:
            target = urljoin(path, href.partition("?ref=")[0])
            if target.startswith("/site/") and not target.startswith("/site/private/") and target not in seen:
                seen.add(target)
                queue.append(target)
    products = {path for path in statuses if path.startswith("/site/product/")}
    assert products == {product.path for product in PRODUCTS.values()}
    assert len(products) == 60
    assert [path for path, status in statuses.items() if status == 404] == ["/site/missing"]
    assert [path for path, status in statuses.items() if status == 301] == ["/site/old-about"]
    assert "/site/login" not in statuses


def test_a_product_page_can_be_scraped(ask: Ask) -> None:
    """Price, SKU, meta description, canonical link and JSON-LD agree with the catalogue."""
    product = PRODUCTS["LAM-003"]
    text = ask(f"{product.path}?ref=related").text
    ld = json.loads(re.findall(r'<script type="application/ld\+json">(.*?)</script>', text)[0])
    assert (ld["sku"], ld["name"], ld["offers"]["price"]) == (product.sku, product.name, product.price)
    assert ld["offers"]["priceCurrency"] == "EUR"
    assert f'<p class="price">{product.price} EUR</p>' in text
    assert f'<span class="sku">{product.sku}</span>' in text
    assert f'<meta name="description" content="{html.escape(product.description)}">' in text
    assert f'<link rel="canonical" href="{ask.bed.url}{product.path}">' in text


def test_pagination(ask: Ask) -> None:
    """Pages of a category link to their neighbours; a page behind the last is missing."""
    assert page_count("tea") == 3
    first, last = ask("/site/category/tea").text, ask("/site/category/tea?page=3").text
    assert 'rel="next" href="/site/category/tea?page=2"' in first
    assert 'rel="prev"' not in first
    assert 'rel="prev" href="/site/category/tea?page=2"' in last
    assert 'rel="next"' not in last
    assert [first.count('class="product"'), last.count('class="product"')] == [4, 2]
    for path in ("tea?page=4", "tea?page=0", "tea?page=x", "nonsense"):
        assert ask(f"/site/category/{path}").status == 404


def test_pages_are_revalidated(ask: Ask) -> None:
    """Each kind of page answers 304 to its own tag; a 404 has none that counts."""
    for path in ("/site/", "/site/about", "/site/category/mugs", "/site/product/TEA-001", "/site/image/TEA-001.png"):
        etag = ask(path).headers["etag"]
        assert ask(path, headers={"If-None-Match": etag}).status == 304
    assert ask("/site/missing", headers={"If-None-Match": "*"}).status == 404


def test_images_are_valid_and_differ() -> None:
    """Each picture is a PNG whose chunks check, in a colour of its own."""
    image = product_image("TEA-001")
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    at = 8
    while at < len(image):
        length = int.from_bytes(image[at : at + 4], "big")
        chunk = image[at + 4 : at + 8 + length]
        assert int.from_bytes(image[at + 8 + length : at + 12 + length], "big") == zlib.crc32(chunk)
        at += 12 + length
    assert at == len(image)
    assert len({product_image(sku) for sku in PRODUCTS}) == len(PRODUCTS)


def test_robots_and_sitemap(ask: Ask) -> None:
    """robots.txt disallows the endless area and names the sitemap, whose pages all exist."""
    robots = ask("/robots.txt").text
    assert "Disallow: /site/private/\n" in robots
    assert f"Sitemap: {ask.bed.url}/sitemap.xml" in robots
    locations = re.findall(r"<loc>(.*?)</loc>", ask("/sitemap.xml").text)
    assert len(locations) == 2 + len(CATEGORIES) + len(PRODUCTS)
    assert [urlsplit(location).path for location in locations] == sitemap_paths()
    assert {ask(path).status for path in sitemap_paths()} == {200}


def test_the_private_area_has_no_end(ask: Ask) -> None:
    """Each page of the disallowed area links to the next: who goes in does not come out."""
    assert "/site/private/8" in links(ask("/site/private/7").text)


def test_search_is_not_to_be_indexed(ask: Ask) -> None:
    """The search page finds and asks robots to stay away."""
    text = ask("/site/search?q=lamp").text
    assert text.count('class="product"') == 10
    assert '<meta name="robots" content="noindex, nofollow">' in text

"""Bodies to decode: content codings (`/gzip`, `/deflate`, `/br`, `/zstd`) and charsets (`/encoding/{charset}`).

The codings are sent whatever `Accept-Encoding` says: that is what they are for.
"""

from __future__ import annotations

import codecs
import gzip
import importlib
import zlib
from collections.abc import Callable
from typing import Final, cast

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from crawler.testbed.echo import http_version
from crawler.testbed.exchange import BadRequest, raw_headers, whole_number

MAX_PADDING: Final = 64 * 1024 * 1024
Compress = Callable[[bytes], bytes]


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


def _br(data: bytes) -> bytes:
    return _imported("compress", "brotli", "brotlicffi")(data)


def _zstd(data: bytes) -> bytes:
    return _imported("compress", "compression.zstd", "backports.zstd")(data)


def _imported(function: str, *modules: str) -> Compress:
    """Return a function of the first of these modules that is installed."""
    for name in modules[:-1]:
        try:
            return cast("Compress", getattr(importlib.import_module(name), function))
        except ImportError:
            continue
    return cast("Compress", getattr(importlib.import_module(modules[-1]), function))


def _raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush()


def _coded(request: Request, coding: str, compress: Compress) -> Response:
    """Answer with a small echo in that coding; `?pad=` adds so many bytes of blanks, which nearly vanish in it."""
    pad = whole_number(request, "pad", 0, MAX_PADDING)
    value = {
        "coding": coding,
        "method": request.method,
        "headers": dict(raw_headers(request)),
        "http_version": http_version(request),
    }
    headers = {"content-encoding": coding, "vary": "accept-encoding"}
    return Response(compress(orjson.dumps(value) + b" " * pad), 200, headers, "application/json")


async def _gzipped(request: Request) -> Response:
    return _coded(request, "gzip", _gzip)


async def _deflated(request: Request) -> Response:
    """With zlib's frame, as RFC 9110 §8.4.1.2 wants; bare with `?raw=1`, as some servers send it."""
    return _coded(request, "deflate", _raw_deflate if request.query_params.get("raw") == "1" else zlib.compress)


async def _brotli(request: Request) -> Response:
    return _coded(request, "br", _br)


async def _zstandard(request: Request) -> Response:
    return _coded(request, "zstd", _zstd)


JAPANESE: Final = "こんにちは世界、プログラミング入門の日本語テキスト。"
WESTERN: Final = "Zürich, café, Ærø – naïve façade, 20 €"
LATIN: Final = "Zürich, café, Ærø, naïve façade, 20 £"
RUSSIAN: Final = "Съешь же ещё этих мягких французских булок"
CHINESE: Final = "快速的棕色狐狸跳过懒狗"

CHARSETS: Final[dict[str, tuple[str, str, str | None, str | None]]] = {
    # path: (text, codec of the bytes, charset of Content-Type, charset of <meta>)
    "utf-8": (JAPANESE, "utf-8", "utf-8", None),
    "utf-8-sig": (JAPANESE, "utf-8-sig", None, None),
    "utf-16": (JAPANESE, "utf-16", "utf-16", None),
    "latin-1": (LATIN, "latin-1", "iso-8859-1", None),
    "windows-1252": (WESTERN, "cp1252", "windows-1252", None),
    "shift_jis": (JAPANESE, "shift_jis", "shift_jis", None),
    "euc-jp": (JAPANESE, "euc_jp", "euc-jp", None),
    "koi8-r": (RUSSIAN, "koi8_r", "koi8-r", None),
    "windows-1251": (RUSSIAN, "cp1251", "windows-1251", None),
    "gb18030": (CHINESE, "gb18030", "gb18030", None),
    "none": (JAPANESE, "utf-8", None, None),
    "none-latin-1": (LATIN, "latin-1", None, None),
    "meta": (JAPANESE, "shift_jis", None, "shift_jis"),
    "wrong": (LATIN, "latin-1", "utf-8", None),
    "wrong-meta": (JAPANESE, "utf-8", "utf-8", "iso-8859-1"),
    "unknown": (JAPANESE, "utf-8", "x-no-such-charset", None),
}
"""The pages of `/encoding/{charset}`. The last six: nothing said, said in the page only, said falsely, nonsense."""


def encoded_page(name: str) -> tuple[str, bytes, str]:
    """Return a page of `/encoding`: its text, its bytes and its `Content-Type`.

    Raises:
        KeyError: No page has that name.
    """
    text, codec, label, meta = CHARSETS[name]
    tag = f'<meta charset="{meta}">' if meta else ""
    page = f"<!doctype html><html><head>{tag}<title>{name}</title></head><body><p>{text}</p></body></html>\n"
    return page, codecs.encode(page, codec), f"text/html; charset={label}" if label else "text/html"


async def _encoding(request: Request) -> Response:
    name = request.path_params["charset"].lower()
    if name not in CHARSETS:
        raise BadRequest(f"expected one of {', '.join(CHARSETS)}, got {name}")
    _, body, content_type = encoded_page(name)
    return Response(body, 200, {"content-type": content_type})  # starlette would add a charset to a media_type


def routes() -> list[BaseRoute]:
    """Return the routes of this file."""
    return [
        Route("/gzip", _gzipped),
        Route("/deflate", _deflated),
        Route("/br", _brotli),
        Route("/zstd", _zstandard),
        Route("/encoding/{charset}", _encoding),
    ]

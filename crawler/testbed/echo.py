"""Endpoints that answer with what they received: `/get`, `/post`, `/anything`, `/headers`, `/ip`, `/user-agent`."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final
from urllib.parse import parse_qsl

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from crawler.testbed.exchange import MAX_BODY_BYTES, Body, body_of, json_response, raw_headers

Multi = dict[str, str | list[str]]
"""Names to values; a list where a name came more than once."""

ALL_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_DISPOSITION: Final = re.compile(r';\s*(name|filename)="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_BOUNDARY: Final = re.compile(r';\s*boundary=(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)


def _gather(pairs: list[tuple[str, str]]) -> Multi:
    multi: Multi = {}
    for name, value in pairs:
        before = multi.get(name)
        if before is None:
            multi[name] = value
        elif isinstance(before, list):
            before.append(value)
        else:
            multi[name] = [before, value]
    return multi


def _text(data: bytes, content_type: str) -> str:
    """Return bytes as text, or as a `data:` URL where they are no UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        media_type = content_type.partition(";")[0].strip() or "application/octet-stream"
        return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def parse_multipart(data: bytes, content_type: str) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Split a `multipart/form-data` body into its fields and its files, each as (name, text).

    Source: RFC 7578; RFC 2046 §5.1.1 for the delimiters.
    """
    match = _BOUNDARY.search(content_type)
    if match is None:
        return [], []
    fields: list[tuple[str, str]] = []
    files: list[tuple[str, str]] = []
    delimiter = b"\r\n--" + (match[1] or match[2]).encode("latin-1")
    for part in (b"\r\n" + data).split(delimiter)[1:-1]:
        head, _, value = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = {
            name.strip().lower(): line.strip()
            for name, _, line in (text.partition(":") for text in head.decode("utf-8", "replace").split("\r\n"))
        }
        parameters = {key.lower(): text for key, text in _DISPOSITION.findall(headers.get("content-disposition", ""))}
        target = files if "filename" in parameters else fields
        target.append((parameters.get("name", ""), _text(value, headers.get("content-type", ""))))
    return fields, files


def describe_body(body: Body, content_type: str) -> dict[str, object]:
    """Return the `data`, `form`, `files` and `json` of an echo; only those that fit the content type are filled."""
    data, form, files, json = "", {}, {}, None
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded":
        form = _gather(parse_qsl(body.data.decode("utf-8", "replace"), keep_blank_values=True))
    elif media_type == "multipart/form-data":
        fields, uploads = parse_multipart(body.data, content_type)
        form, files = _gather(fields), _gather(uploads)
    else:
        data = _text(body.data, content_type)
        try:
            json = orjson.loads(body.data)
        except orjson.JSONDecodeError:
            json = None
    return {"data": data, "form": form, "files": files, "json": json}


def http_version(request: Request) -> str:
    """Return `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`."""
    return f"HTTP/{request.scope['http_version']}"


def _origin(request: Request) -> str:
    return request.client.host if request.client else ""


def echo(request: Request) -> Response:
    """Answer with the whole request as JSON.

    Keys: method, url, args, headers, data, form, files, json, origin, http_version. Text that is no UTF-8 comes as a
    `data:` URL. 413 for a body above `MAX_BODY_BYTES`.
    """
    body = body_of(request)
    if body.is_cut:
        return json_response({"error": f"only {MAX_BODY_BYTES} bytes can be echoed", "size": body.size}, 413)
    return json_response(
        {
            "method": request.method,
            "url": str(request.url),
            "args": _gather(request.query_params.multi_items()),
            "headers": _headers(request),
            **describe_body(body, request.headers.get("content-type", "")),
            "origin": _origin(request),
            "http_version": http_version(request),
        }
    )


def _headers(request: Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in raw_headers(request):
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def _echo(request: Request) -> Response:
    return echo(request)


async def _show_headers(request: Request) -> Response:
    return json_response({"headers": _headers(request), "raw": raw_headers(request)})


async def _user_agent(request: Request) -> Response:
    return json_response({"user-agent": request.headers.get("user-agent")})


async def _ip(request: Request) -> Response:
    return json_response({"origin": _origin(request)})


async def _upload(request: Request) -> Response:
    """Read a body of any size piece by piece; answer with its size and SHA-256."""
    digest, size = hashlib.sha256(), 0
    async for piece in request.stream():
        digest.update(piece)
        size += len(piece)
    return json_response({"size": size, "sha256": digest.hexdigest()})


def routes() -> list[BaseRoute]:
    """Return the routes of this file."""
    return [
        Route("/get", _echo, methods=["GET"]),
        Route("/post", _echo, methods=["POST"]),
        Route("/put", _echo, methods=["PUT"]),
        Route("/patch", _echo, methods=["PATCH"]),
        Route("/delete", _echo, methods=["DELETE"]),
        Route("/anything", _echo, methods=ALL_METHODS),
        Route("/anything/{path:path}", _echo, methods=ALL_METHODS),
        Route("/headers", _show_headers),
        Route("/user-agent", _user_agent),
        Route("/ip", _ip),
        Route("/upload", _upload, methods=["POST", "PUT"]),
    ]

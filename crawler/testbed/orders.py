"""An API of orders, as business APIs are: a token endpoint, and answers in pages that follow a cursor.

    POST /api/token                client credentials ─▶ {"access_token": …, "expires_in": 3600}
    POST /api/orders/search        {"customer": 7, "cursor": …} ─▶ {"orders": […], "next_cursor": …, "total": 26}
    GET  /api/orders/{customer}    ?offset=&limit= ─▶ the same orders, with their number in `total`

Customer n has n * 13 % 97 orders, always the same. Both want a token that was given out here and has not expired; one
that asks for the scope `short` lives for one request.

Source: RFC 6749 §4.4 (client credentials), §5.2 (refusals); RFC 6750 §3 (challenges).
"""

from __future__ import annotations

import base64
import binascii
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, unquote_plus

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from crawler.testbed.exchange import BadRequest, body_of, json_response
from crawler.testbed.memory import BoundedDict

MAX_PAGE: Final = 200
_FIRST: Final = datetime(2024, 1, 1, tzinfo=UTC)
_CURRENCIES: Final = ("EUR", "EUR", "GBP", None)


def orders_of(customer: int) -> list[dict[str, Any]]:
    """Return all orders of a customer."""
    return [
        {
            "id": f"O-{customer:04d}-{n:03d}",
            "total": {"amount": f"{(customer * 31 + n * 17) % 5000 / 100 + 1:.2f}", "currency": _CURRENCIES[n % 4]},
            "created_at": (_FIRST + timedelta(hours=customer % 24, days=n)).isoformat(),
        }
        for n in range(customer * 13 % 97)
    ]


class Orders:
    """The API with the tokens it gave out."""

    def __init__(self) -> None:
        self._uses: BoundedDict[float] = BoundedDict()  # token -> requests it is still good for

    async def give_token(self, request: Request) -> Response:
        """Give a token to whoever names a client and a secret, by Basic auth or in the form."""
        form = {name: values[0] for name, values in parse_qs(body_of(request).data.decode("utf-8", "replace")).items()}
        client, secret = _basic(request.headers.get("authorization", "")) or (
            form.get("client_id", ""),
            form.get("client_secret", ""),
        )
        if form.get("grant_type") != "client_credentials":
            return json_response({"error": "unsupported_grant_type"}, 400)
        if not client or not secret or secret == "wrong":
            return json_response({"error": "invalid_client"}, 401, {"www-authenticate": 'Basic realm="testbed"'})
        token, scope = secrets.token_urlsafe(24), form.get("scope", "")
        self._uses[token] = 1 if scope == "short" else float("inf")
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": 3600, "scope": scope}
        return json_response(answer, 200, {"cache-control": "no-store"})

    async def search(self, request: Request) -> Response:
        """Answer with the page of orders that a cursor stands for."""
        if (refused := self._refused(request)) is not None:
            return refused
        try:
            asked = orjson.loads(body_of(request).data)
            customer, cursor = asked["customer"], asked.get("cursor")
            start = 0 if cursor is None else int(base64.urlsafe_b64decode(cursor))
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError, binascii.Error):
            raise BadRequest('expected {"customer": number, "cursor": one of ours}') from None
        if not isinstance(customer, int):
            raise BadRequest("the customer is no number")
        size = _number(request, "page_size", 10)
        orders = orders_of(customer)
        end = start + size
        following = base64.urlsafe_b64encode(str(end).encode()).decode() if end < len(orders) else None
        return json_response({"orders": orders[start:end], "next_cursor": following, "total": len(orders)})

    async def listing(self, request: Request) -> Response:
        """Answer with orders by offset and limit."""
        if (refused := self._refused(request)) is not None:
            return refused
        orders = orders_of(request.path_params["customer"])
        offset, limit = _number(request, "offset", 0), _number(request, "limit", 10)
        return json_response({"orders": orders[offset : offset + limit], "total": len(orders)})

    def _refused(self, request: Request) -> Response | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        uses = self._uses.get(token, 0) if scheme.lower() == "bearer" else 0
        if uses <= 0:
            error = ', error="invalid_token"' if token else ""
            return json_response(
                {"error": "invalid_token"}, 401, {"www-authenticate": f'Bearer realm="testbed"{error}'}
            )
        self._uses[token] = uses - 1
        return None


def _basic(value: str) -> tuple[str, str] | None:
    scheme, _, text = value.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client, _, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(client), unquote_plus(secret)


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequest(f"expected a number for {name}, got {text[:20]}")
    return min(int(text), MAX_PAGE) if name != "offset" else int(text)


def routes() -> list[BaseRoute]:
    """Return the routes of this file, with no token given out yet."""
    orders = Orders()
    return [
        Route("/api/token", orders.give_token, methods=["POST"]),
        Route("/api/orders/search", orders.search, methods=["POST"]),
        Route("/api/orders/{customer:int}", orders.listing),
    ]

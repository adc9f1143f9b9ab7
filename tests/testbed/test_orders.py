"""An API with a token endpoint and pages."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from crawler.testbed.orders import orders_of

Ask = Any  # the `Asker` of conftest.py

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ASKING = b"grant_type=client_credentials&client_id=i&client_secret=s"


def token(ask: Ask, body: bytes = ASKING) -> dict[str, str]:
    """The header with a token that was just given out."""
    answer = ask("/api/token", method="POST", body=body, headers=FORM).json()
    return {"Authorization": f"Bearer {answer['access_token']}"}


def test_orders_in_pages(ask: Ask) -> None:
    """The cursors of the answers lead through all orders, each once."""
    header, found, cursor = token(ask), [], None
    while True:
        body = orjson.dumps({"customer": 4, "cursor": cursor})
        page = ask("/api/orders/search?page_size=20", method="POST", body=body, headers=header).json()
        found += page["orders"]
        assert page["total"] == 52
        if (cursor := page["next_cursor"]) is None:
            break
    assert found == orders_of(4)
    assert len({order["id"] for order in found}) == 52


def test_orders_by_offset(ask: Ask) -> None:
    """The same orders."""
    page = ask("/api/orders/4?offset=50&limit=10", headers=token(ask)).json()
    assert page == {"orders": orders_of(4)[50:], "total": 52}


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer nonsense"}, {"Authorization": "Basic eDp5"}])
def test_only_tokens_given_out_here_pass(ask: Ask, header: dict[str, str]) -> None:
    """Others are challenged."""
    reply = ask("/api/orders/4", headers=header)
    assert reply.status == 401
    assert reply.headers["www-authenticate"].startswith('Bearer realm="testbed"')


def test_a_short_token(ask: Ask) -> None:
    """Is good for one request, so that clients have to get the next."""
    header = token(ask, ASKING + b"&scope=short")
    assert [ask("/api/orders/4", headers=header).status for _ in range(2)] == [200, 401]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"grant_type=password", 400),
        (b"grant_type=client_credentials", 401),
        (b"grant_type=client_credentials&client_id=i&client_secret=wrong", 401),
    ],
)
def test_refused_token_requests(ask: Ask, body: bytes, status: int) -> None:
    """With the words of RFC 6749 section 5.2."""
    reply = ask("/api/token", method="POST", body=body, headers=FORM)
    assert reply.status == status
    assert "error" in reply.json()


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"customer": "4"}', b'{"customer": 4, "cursor": "%"}'])
def test_bad_questions(ask: Ask, body: bytes) -> None:
    """400, with a line that says what was expected."""
    assert ask("/api/orders/search", method="POST", body=body, headers=token(ask)).status == 400

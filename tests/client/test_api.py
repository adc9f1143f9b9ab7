"""The top-level functions: one request each, through a client that lives as long."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import crawler
from crawler.testbed import Testbed

BODILESS: list[Any] = [crawler.get, crawler.options, crawler.delete]
WITH_BODY: list[Any] = [crawler.post, crawler.put, crawler.patch]


@pytest.mark.parametrize("function", BODILESS + WITH_BODY, ids=lambda function: function.__name__)
def test_each_verb_has_a_function(bed: Testbed, function: Any) -> None:
    """With the options that all share."""
    options = {
        "params": {"a": "1"},
        "headers": {"X-Own": "yes"},
        "cookies": {"c": "d"},
        "auth": ("u", "p"),
        "timeout": 10.0,
        "follow_redirects": True,
        "trust_env": False,
    }

    answer = function(f"{bed.url}/anything", **options).json()

    assert answer["method"] == function.__name__.upper()
    assert answer["args"] == {"a": "1"}
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    assert (headers["x-own"], headers["cookie"], headers["authorization"]) == ("yes", "c=d", "Basic dTpw")


@pytest.mark.parametrize("function", WITH_BODY, ids=lambda function: function.__name__)
@pytest.mark.parametrize(
    ("options", "part", "value"),
    [
        ({"content": b"raw"}, "data", "raw"),
        ({"data": {"a": ["1", "2"]}}, "form", {"a": ["1", "2"]}),
        ({"files": {"f": b"content"}}, "files", {"f": "content"}),
        ({"json": {"a": None}}, "json", {"a": None}),
    ],
)
def test_bodies_of_every_kind(bed: Testbed, function: Any, options: dict[str, Any], part: str, value: Any) -> None:
    """POST, PUT and PATCH take them."""
    assert function(f"{bed.url}/anything", **options).json()[part] == value


def test_head_and_request_and_query(bed: Testbed) -> None:
    """HEAD has no body; `request` takes any method; QUERY sends one."""
    assert crawler.head(f"{bed.url}/get").content == b""
    assert crawler.request("delete", f"{bed.url}/anything").json()["method"] == "DELETE"
    assert crawler.query(f"{bed.url}/anything", content=b"select").request.method == "QUERY"


def test_the_options_of_the_client_are_passed_on(bed: Testbed) -> None:
    """A proxy that is not there is asked in vain."""
    with pytest.raises(crawler.ConnectError):
        crawler.get(f"{bed.url}/get", proxy="http://127.0.0.1:1")
    with pytest.raises(crawler.ReadTimeout):
        crawler.get(f"{bed.url}/delay/5", timeout=0.05)
    assert crawler.get(f"{bed.url}/redirect/1").status_code == 302
    assert [step.status_code for step in crawler.get(f"{bed.url}/redirect/2", follow_redirects=True).history] == [
        302
    ] * 2


def test_stream_leaves_the_body_to_the_block(bed: Testbed) -> None:
    """And closes response and client at its end."""
    with crawler.stream("GET", f"{bed.url}/stream/3") as response:
        assert not response.is_closed
        assert len(list(response.iter_lines())) == 3
    with crawler.stream("POST", f"{bed.url}/post", json={"a": 1}) as response:
        pass
    assert response.is_closed
    with pytest.raises(crawler.StreamClosed):
        response.read()


def test_awaiting_a_response_says_what_to_do_instead(bed: Testbed) -> None:
    """`await crawler.get(...)` stands in many tutorials; neither a hang nor a riddle."""

    async def main() -> None:
        await crawler.get(f"{bed.url}/get")  # type: ignore[misc]  # the very mistake

    with pytest.raises(TypeError, match=r"crawler\.AsyncClient\(\)"):
        asyncio.run(main())


def test_a_url_without_scheme_is_told() -> None:
    """What people type."""
    with pytest.raises(crawler.UnsupportedProtocol, match="http://"):
        crawler.get("example.com")

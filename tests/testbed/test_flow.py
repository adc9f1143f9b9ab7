"""Statuses, delays, streams, events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from crawler.testbed.exchange import MAX_WAIT_S, BadRequest, duration

Ask = Any  # the `Asker` of conftest.py


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("200ms", 0.2), ("1.5", 1.5), ("2s", 2.0), (".5s", 0.5), ("0", 0.0), ("1m", 60.0), ("900000", MAX_WAIT_S)],
)
def test_durations(text: str, seconds: float) -> None:
    """Numbers are seconds, units are understood, the cap holds."""
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "abc", "-1", "1h", "1 s", "nan", "inf", "1e3", "٣"])
def test_no_durations(text: str) -> None:
    """Anything else is refused, also what `float()` or Unicode would take."""
    with pytest.raises(BadRequest, match="duration"):
        duration(text)


@pytest.mark.parametrize("status", [200, 201, 404, 418, 429, 500, 503, 599, 299])
def test_statuses_with_a_body(ask: Ask, status: int) -> None:
    """The status asked for comes, with a line that names it."""
    reply = ask(f"/status/{status}")
    assert reply.status == status
    assert reply.text.startswith(f"{status} ")


@pytest.mark.parametrize("status", [204, 304])
def test_statuses_without_a_body(ask: Ask, status: int) -> None:
    """204 and 304 have no body."""
    reply = ask(f"/status/{status}")
    assert (reply.status, reply.body) == (status, b"")


def test_statuses_that_need_a_header_have_it(ask: Ask) -> None:
    """Redirects lead to `/get`, 401 names a scheme, `retry_after` is passed on."""
    assert ask("/status/301").headers["location"] == "/get"
    assert ask("/status/401").headers["www-authenticate"].startswith("Basic ")
    assert ask("/status/503?retry_after=7").headers["retry-after"] == "7"


@pytest.mark.parametrize("status", ["100", "0", "1000"])
def test_impossible_statuses(ask: Ask, status: str) -> None:
    """What is no final status is a mistake of the request."""
    assert ask(f"/status/{status}").status == 400


def test_values_that_would_break_a_header_line_are_refused(ask: Ask) -> None:
    """No line feed gets into a header, whatever the parameter."""
    for path in ("/status/503?retry_after=a%0d%0ab", "/flaky?retry_after=a%0ab", "/redirect-to?url=a%0d%0ab:c"):
        assert ask(path).status == 400


def test_delay_echoes(ask: Ask) -> None:
    """After its wait `/delay` answers as `/get` does."""
    assert ask("/delay/10ms?x=1").json()["args"] == {"x": "1"}
    assert ask("/delay/soon").status == 400


def test_stream(ask: Ask) -> None:
    """`n` lines of JSON in chunks."""
    reply = ask("/stream/4?delay=1ms")
    assert [json.loads(line)["id"] for line in reply.text.splitlines()] == [0, 1, 2, 3]
    assert reply.headers["transfer-encoding"] == "chunked"


def test_drip(ask: Ask) -> None:
    """The announced number of bytes, one by one."""
    reply = ask("/drip?numbytes=5&duration=20ms&delay=1ms&code=201")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (201, b"*****", "5")
    assert ask("/drip?numbytes=0").body == b""
    assert ask("/drip?numbytes=-1").status == 400
    assert ask("/drip?code=42").status == 400


def test_sse(ask: Ask) -> None:
    """Events with ids; the last has a type, every third two lines of data."""
    reply = ask("/sse?n=4")
    assert reply.headers["content-type"].startswith("text/event-stream")
    blocks = reply.text.strip().split("\n\n")
    assert blocks == [
        ": testbed\nretry: 100",
        'id: 1\ndata: {"n": 1}',
        'id: 2\ndata: {"n": 2}',
        'id: 3\ndata: {"n": 3}\ndata: second line',
        'id: 4\nevent: done\ndata: {"n": 4}',
    ]


def test_sse_continues(ask: Ask) -> None:
    """`Last-Event-ID` continues behind that event."""
    text = ask("/sse?n=3", headers={"Last-Event-ID": "2"}).text
    assert "id: 3\n" in text
    assert "id: 2\n" not in text


def test_stats_count(ask: Ask) -> None:
    """Requests are counted per path, and DELETE starts anew."""
    ask("/stats", "DELETE")
    for _ in range(3):
        ask("/status/204")
    stats = ask("/stats").json()
    assert stats["paths"]["/status/204"] == 3
    assert stats["requests"] == 4
    assert stats["in_flight"] == 1
    assert ask.bed.app.stats.paths["/status/204"] == 3

"""Refusals with state."""

from __future__ import annotations

import email.utils
from typing import Any

import pytest

from crawler.testbed.limits import TokenBucket
from crawler.testbed.memory import BoundedDict

Ask = Any  # the `Asker` of conftest.py


def test_flaky_fails_and_then_does_not(ask: Ask) -> None:
    """The first two requests of a key get 503 with Retry-After, the third 200; keys are apart."""
    replies = [ask("/flaky?fail=2&key=one") for _ in range(3)]
    assert [reply.status for reply in replies] == [503, 503, 200]
    assert replies[0].headers["retry-after"] == "1"
    assert replies[2].json() == {"key": "one", "attempt": 3}
    assert ask("/flaky?fail=1&key=two").status == 503


def test_flaky_chooses_its_refusal(ask: Ask) -> None:
    """Another status, a date, or no Retry-After."""
    reply = ask("/flaky?key=a&status=429&retry_after=date:60")
    assert reply.status == 429
    assert email.utils.parsedate_to_datetime(reply.headers["retry-after"]).year >= 2024
    assert ask("/flaky?key=b&retry_after=").headers["retry-after"] is None
    assert ask("/flaky?key=c&retry_after=-5").headers["retry-after"] == "-5"


@pytest.mark.parametrize(
    "query", ["fail=x", "status=100", "retry_after=date:x", "retry_after=date:1e30", "status=9999"]
)
def test_flaky_refuses_nonsense(ask: Ask, query: str) -> None:
    """Parameters that mean nothing are answered with 400."""
    assert ask(f"/flaky?{query}").status == 400


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    """Two at once, then one per half second; time is only a number."""
    bucket = TokenBucket(rate=2, burst=2, now=100.0)
    assert [bucket.take(100.0), bucket.take(100.0)] == [0.0, 0.0]
    assert bucket.take(100.0) == pytest.approx(0.5)
    assert bucket.take(100.25) == pytest.approx(0.25)
    assert bucket.take(100.5) == 0.0
    assert bucket.remaining == 0


def test_a_bucket_never_holds_more_than_its_burst() -> None:
    """A long rest does not save up."""
    bucket = TokenBucket(rate=10, burst=3, now=0.0)
    assert [bucket.take(1_000.0) for _ in range(3)] == [0.0] * 3
    assert bucket.take(1_000.0) > 0


def test_limited(ask: Ask) -> None:
    """Above the bucket comes 429 with a whole-second Retry-After and the state of the limit."""
    path = "/limited?rate=0.01&burst=2&key=k"
    replies = [ask(path) for _ in range(3)]
    assert [reply.status for reply in replies] == [200, 200, 429]
    assert [reply.headers["ratelimit-remaining"] for reply in replies] == ["1", "0", "0"]
    assert replies[2].headers["ratelimit-limit"] == "2"
    assert 90 <= int(replies[2].headers["retry-after"]) <= 100
    assert replies[2].headers["retry-after"] == replies[2].headers["ratelimit-reset"]
    assert ask("/limited?rate=0.01&burst=2&key=other").status == 200


@pytest.mark.parametrize("rate", ["0", "-1", "x", "nan", "inf"])
def test_limited_refuses_nonsense(ask: Ask, rate: str) -> None:
    """A rate that is none is answered with 400."""
    assert ask(f"/limited?rate={rate}").status == 400


def test_a_bounded_dict_forgets_the_oldest() -> None:
    """Above its size the key that was new first goes; writing a known key drops none."""
    keys = BoundedDict[int](2)
    keys["a"], keys["b"] = 1, 2
    keys["a"] = 3
    assert keys == {"a": 3, "b": 2}
    keys["c"] = 4
    assert keys == {"b": 2, "c": 4}

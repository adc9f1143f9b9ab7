"""Servers that refuse at first: `/flaky` and `/limited`, with state per key."""

from __future__ import annotations

import email.utils
import math
import time
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from crawler.testbed.echo import ALL_METHODS
from crawler.testbed.exchange import BadRequest, header_value, json_response, whole_number
from crawler.testbed.memory import BoundedDict

MAX_COUNT: Final = 1_000_000


class TokenBucket:
    """Allows `burst` requests at once and `rate` per second in the long run.

    Args:
        rate: Tokens per second, above 0.
        burst: Tokens it holds at most, and at the start; at least 1.
        now: Monotonic time in seconds.
    """

    __slots__ = ("_burst", "_rate", "_tokens", "_updated")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._updated = now

    def take(self, now: float) -> float:
        """Take a token; return 0.0 if there was one, else the seconds until there is."""
        self._tokens = min(self._burst, self._tokens + (now - self._updated) * self._rate)
        self._updated = now
        if self._tokens >= 1:
            self._tokens -= 1
            return 0.0
        return (1 - self._tokens) / self._rate

    @property
    def remaining(self) -> int:
        """Whole tokens left after the last `take()`."""
        return int(self._tokens)


def _retry_after(text: str) -> str:
    """Return the value of `Retry-After`: what was asked for, or an HTTP date for `date:SECONDS`."""
    if text.startswith("date:"):
        try:
            return email.utils.formatdate(time.time() + float(text[5:]), usegmt=True)
        except (ValueError, OverflowError, OSError):
            raise BadRequest(f"expected retry_after=date:SECONDS, got {text!r}") from None
    return header_value(text)


class Flaky:
    """`/flaky?fail=2&key=k`: the first `fail` requests of a key get 503 with `Retry-After`, later ones 200.

    `status=` chooses another status, `retry_after=` another value (seconds, `date:2` for an HTTP date, any text, or
    empty for no such header).
    """

    def __init__(self) -> None:
        self._counts: BoundedDict[int] = BoundedDict()

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        fail = whole_number(request, "fail", 2, MAX_COUNT)
        status = whole_number(request, "status", 503, 599, minimum=200)
        retry_after = _retry_after(request.query_params.get("retry_after", "1"))
        key = request.query_params.get("key", "")
        count = self._counts.get(key, 0) + 1
        self._counts[key] = count
        if count > fail:
            return json_response({"key": key, "attempt": count})
        headers = {"retry-after": retry_after} if retry_after else {}
        return json_response({"key": key, "attempt": count, "fails_left": fail - count}, status, headers)


class Limited:
    """`/limited?rate=5&burst=5&key=k`: a token bucket per key; above it 429 with `Retry-After` and the limit's state.

    The headers `RateLimit-Limit`, `-Remaining` and `-Reset` (seconds) come with each answer. `Retry-After` is in whole
    seconds, rounded up, as HTTP has no smaller unit.
    """

    def __init__(self) -> None:
        self._buckets: BoundedDict[TokenBucket] = BoundedDict()

    async def handle(self, request: Request) -> Response:
        """Answer one request."""
        try:
            rate = float(request.query_params.get("rate", "5"))
        except ValueError:
            rate = 0.0
        if not 0.001 <= rate <= MAX_COUNT:
            raise BadRequest(f"expected rate= in requests per second from 0.001 to {MAX_COUNT}")
        burst = whole_number(request, "burst", math.ceil(rate), MAX_COUNT, minimum=1)
        key = f"{request.query_params.get('key', '')} {rate} {burst}"
        now = time.monotonic()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = TokenBucket(rate, burst, now)
        wait_s = bucket.take(now)
        headers = {
            "ratelimit-limit": str(burst),
            "ratelimit-remaining": str(bucket.remaining),
            "ratelimit-reset": str(math.ceil(wait_s)),
        }
        if wait_s == 0.0:
            return json_response({"allowed": True}, 200, headers)
        headers["retry-after"] = str(math.ceil(wait_s))
        return json_response({"allowed": False, "wait_s": round(wait_s, 3)}, 429, headers)


def routes() -> list[BaseRoute]:
    """Return the routes of this file, with fresh counters and buckets."""
    return [
        Route("/flaky", Flaky().handle, methods=ALL_METHODS),
        Route("/limited", Limited().handle, methods=ALL_METHODS),
    ]

"""`RateLimit` fields of all ages."""

from __future__ import annotations

import pytest

from crawler.fanout.rate_limit import parse_rate_limit

CASES = [
    ([("RateLimit", '"default";r=0;t=30')], 30.0),
    ([("RateLimit", '"default";r=5;t=30')], None),
    ([("RateLimit", '"burst";r=9;t=1, "daily";r=0;t=600')], 600.0),
    ([("RateLimit", "limit=10, remaining=0, reset=7")], 7.0),
    ([("RateLimit", "limit=10, remaining=1, reset=7")], None),
    ([("RateLimit-Remaining", "0"), ("RateLimit-Reset", "12")], 12.0),
    ([("ratelimit-remaining", "0")], None),
    ([("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1700000060")], 60.0),
    ([("X-Ratelimit-Remaining", "0"), ("X-Ratelimit-Reset", "1600000000")], 0.0),
    ([("X-RateLimit-Remaining", "-1"), ("X-RateLimit-Reset", "9")], None),
    ([("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "9" * 400)], None),
    ([("Referrer-Policy", "no-referrer"), ("", "x")], None),
    ([("RateLimit", "\xff\x00;;;=,=")], None),
]


@pytest.mark.parametrize(("headers", "seconds"), CASES)
def test_what_is_said_about_the_pause(headers: list[tuple[str, str]], seconds: float | None) -> None:
    """A pause only if nothing remains; seconds or an instant; nonsense says nothing."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]

    assert parse_rate_limit(raw, lambda: 1_700_000_000.0) == seconds

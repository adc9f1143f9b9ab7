"""`RateLimit` fields: how long until a host that has no request left gives us new ones.

    RateLimit: "default";r=0;t=30             draft-ietf-httpapi-ratelimit-headers, from -08 on
    RateLimit: limit=10, remaining=0, reset=30        the same, up to -07
    RateLimit-Remaining: 0, RateLimit-Reset: 30       up to -06; seconds
    X-RateLimit-Remaining: 0, X-RateLimit-Reset: …    before any draft; seconds, or seconds since 1970

They count only when nothing remains: a host that says "3 left" wants no pause yet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

_EPOCH: Final = 1e9  # a reset beyond it is no number of seconds to wait, but an instant
_STARTS: Final = frozenset(b"rRxX")
_PAIR: Final = re.compile(r"(?:^|[;,\s])(r|t|remaining|reset)\s*=\s*([0-9]{1,12})", re.ASCII | re.IGNORECASE)


def parse_rate_limit(headers: Iterable[tuple[bytes, bytes]], wall: Callable[[], float]) -> float | None:
    """Give the seconds to wait, by the fields of a response; `None` if something remains or nothing is said.

    Args:
        headers: The fields as they came.
        wall: Gives seconds since 1970; asked only if needed.
    """
    found: dict[str, str] | None = None
    for name, value in headers:
        # Most responses have no such field, and most names do not begin like one.
        if name and name[0] in _STARTS and b"ratelimit" in (lower := name.lower()):
            if found is None:
                found = {}
            found.setdefault(lower.decode("ascii", "replace").removeprefix("x-"), value.decode("latin-1"))
    if found is None:
        return None
    remaining, reset = _both(found)
    if remaining != 0 or reset is None:
        return None
    return max(0.0, reset - wall()) if reset > _EPOCH else float(reset)


def _both(found: dict[str, str]) -> tuple[int | None, int | None]:
    """What remains, and when it is reset. Of several policies the one that has nothing left counts."""
    if "ratelimit" in found:
        for policy in re.split(r",(?=\s*\")", found["ratelimit"]):
            pairs = {key.lower(): int(number) for key, number in _PAIR.findall(policy)}
            remaining = pairs.get("r", pairs.get("remaining"))
            if remaining == 0:
                return 0, pairs.get("t", pairs.get("reset"))
        return None, None
    return _number(found.get("ratelimit-remaining")), _number(found.get("ratelimit-reset"))


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 12 else None

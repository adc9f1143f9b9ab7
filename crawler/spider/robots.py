"""robots.txt: what a host asks of robots, read as RFC 9309 has it. Pure: text in, answers out.

The rules are matched by `protego`. What is no robots.txt (an HTML page that some hosts answer with) asks for nothing.
"""

from __future__ import annotations

import re
from typing import Any, Final

MAX_SIZE: Final = 500 * 1024
"""Bytes that are read; the rest is ignored (RFC 9309 §2.5)."""

MAX_REDIRECTS: Final = 5
"""Redirects followed on the way to it (RFC 9309 §2.3.1.2)."""

MAX_SITEMAPS: Final = 1000
"""Sitemaps taken from one file."""

_HTML = re.compile(rb"\A\s*(?:<!--.*?-->\s*)?<(?:!doctype|html|head|body|\?xml)\b", re.IGNORECASE | re.DOTALL)


class RobotsRules:
    """The rules of one robots.txt.

    Args:
        body: The file, or as much of it as was read; b"" asks for nothing.

    Attributes:
        sitemaps: Addresses of the sitemaps it names, as they stand there.
    """

    __slots__ = ("_rules", "sitemaps")

    def __init__(self, body: bytes = b"") -> None:
        text = clean(body)
        self._rules = _parse(text) if text.strip() else None
        self.sitemaps: tuple[str, ...] = ()
        if self._rules is not None:
            self.sitemaps = tuple(dict.fromkeys(list(self._rules.sitemaps)[:MAX_SITEMAPS]))

    def allows(self, url: str, agent: str) -> bool:
        """Whether a robot of this name may fetch a URL."""
        return self._rules is None or bool(self._rules.can_fetch(url, agent))

    def interval(self, agent: str) -> float | None:
        """Seconds between requests by `Crawl-delay` or `Request-rate`, the longer of both; `None` without either."""
        if self._rules is None:
            return None
        found = [delay for delay in (_delay(self._rules, agent), _rate(self._rules, agent)) if delay is not None]
        return max(found, default=None)


def clean(body: bytes) -> str:
    """The text of a robots.txt: at most `MAX_SIZE` bytes, whole lines only; empty for an HTML page."""
    if len(body) > MAX_SIZE:
        body = body[:MAX_SIZE]
        body = body[: max(body.rfind(b"\n"), body.rfind(b"\r")) + 1]
    body = body.removeprefix(b"\xef\xbb\xbf")
    if _HTML.match(body[:1024]):
        return ""
    return body.decode("utf-8", "replace").replace("\x00", "")


def _parse(text: str) -> Any:  # protego has no types
    from protego import Protego

    return Protego.parse(text)


def _delay(rules: Any, agent: str) -> float | None:
    delay = rules.crawl_delay(agent)
    return float(delay) if isinstance(delay, int | float) and 0 < delay < float("inf") else None


def _rate(rules: Any, agent: str) -> float | None:
    rate = rules.request_rate(agent)
    if rate is None or rate.requests <= 0 or rate.seconds <= 0:
        return None
    return float(rate.seconds) / float(rate.requests)

"""Traps: sites without end, made by calendars, session numbers or links that grow with each page.

Each rule looks at the URL alone, so the same URL is always judged alike, but the last, which counts: of URLs that
differ in numbers only (`/day/2026/11/21?view=3`), so many are fetched and no more.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

MAX_TEMPLATES: Final = 100_000
"""Forms of URLs counted; when there are more, those that were seen once only are forgotten."""

_VARIABLE = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9A-Fa-f]{16,}|[0-9]+")
_VALUES = re.compile(r"=[^&]*")


@dataclass(frozen=True, slots=True)
class TrapLimits:
    """What a URL may look like; `None` is no limit.

    Attributes:
        max_url_length: Characters.
        max_query_params: Parameters in its query.
        max_repeat: Times that one path segment may stand in it.
        max_per_template: URLs that differ in numbers and query values only.
    """

    max_url_length: int = 2083
    max_query_params: int = 20
    max_repeat: int = 3
    max_per_template: int | None = 10_000


class Traps:
    """Tells traps, and counts what it told by reason.

    Args:
        limits: See `TrapLimits`.

    Attributes:
        counts: Reason → URLs refused.
    """

    def __init__(self, limits: TrapLimits = TrapLimits()) -> None:
        self.limits = limits
        self.counts: Counter[str] = Counter()
        self._templates: Counter[str] = Counter()

    def refusal(self, url: str) -> str | None:
        """Say why a URL looks like a trap; `None` if it does not. A URL that passes counts: ask once for each."""
        found = self._reason(url)
        if found is None:
            return None
        reason, message = found
        self.counts[reason] += 1
        return message

    def _reason(self, url: str) -> tuple[str, str] | None:
        limits = self.limits
        if len(url) > limits.max_url_length:
            return "url_length", f"a URL of {len(url)} characters, more than {limits.max_url_length}"
        origin_end = url.find("/", url.find("://") + 3)
        target = url[origin_end:] if origin_end >= 0 else "/"
        path, _, query = target.partition("?")
        if query and (count := query.count("&") + 1) > limits.max_query_params:
            return "query_params", f"{count} query parameters, more than {limits.max_query_params}"
        if path.count("/") > limits.max_repeat:
            segment, times = _most_frequent(path)
            if times > limits.max_repeat:
                return "repeat", f"{segment[:40]!r} stands {times} times in its path, more than {limits.max_repeat}"
        if limits.max_per_template is not None and self._is_used_up(url, limits.max_per_template):
            return "template", f"more than {limits.max_per_template} URLs that differ in numbers only"
        return None

    def _is_used_up(self, url: str, limit: int) -> bool:
        path, mark, query = url.partition("?")
        template = _VARIABLE.sub("0", path) + mark + _VALUES.sub("=", query)
        seen = self._templates[template]
        if seen >= limit:
            return True
        if not seen and len(self._templates) > MAX_TEMPLATES:
            self._templates = Counter({form: count for form, count in self._templates.items() if count > 1})
            if len(self._templates) > MAX_TEMPLATES:
                self._templates.clear()
        self._templates[template] = seen + 1
        return False


def _most_frequent(path: str) -> tuple[str, int]:
    counts = Counter(segment for segment in path.split("/") if segment)
    return counts.most_common(1)[0] if counts else ("", 0)

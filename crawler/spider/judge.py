"""Which links of a crawl are fetched: their one form, scope, traps and budgets. No I/O.

    link ─▶ normal form ─▶ scope ─▶ traps ─▶ depth ─▶ budgets ─▶ given, once
                              └────────┴─ refused: a record with the reason, once
                                                  └───────┴─ counted only

Whether a URL is in scope and no trap is a matter of the URL alone, so it is judged once, and its refusal can be a
record. Depth, `nofollow` and budgets are matters of where it stands and when: another page may still lead to it, so
they are counted.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from crawler.spider.errors import SelectorTimeout
from crawler.spider.gate import origin_of
from crawler.spider.normalize import Normalizer
from crawler.spider.scope import Scope
from crawler.spider.traps import Traps

MAX_REMEMBERED: Final = 100_000
"""Links whose verdicts are remembered, some 40 MB at most; then all are forgotten. The frontier drops what is given
twice."""

MAX_REFUSED: Final = 100_000
"""Refused links that become records; those after are counted only."""


MAX_COUNTED: Final = 2_000_000
"""Pages that are counted once for sure, some 60 bytes each; later ones may count twice against the budgets."""


class Verdict:
    """What was said of a URL.

    Attributes:
        url: Its normal form; `None` if it is none.
        refused: Kind and reason, if it is not to be fetched.
        is_given: It was given to the frontier by a page.
    """

    __slots__ = ("is_given", "refused", "url")

    def __init__(self, url: str | None, refused: tuple[str, str] | None) -> None:
        self.url = url
        self.refused = refused
        self.is_given = False


class Judge:
    """Judges links.

    Args:
        scope, traps, normalizer: What they say.
        max_pages: Pages of the crawl, `None` is no limit.
        max_pages_per_host: Pages of each origin.

    Attributes:
        counts: Reason → links not given: `out_of_scope`, `trap`, `depth`, `nofollow`, `max_pages`,
            `max_pages_per_host`, `not_http`, `duplicate`.
        pages: Pages given.
    """

    def __init__(
        self,
        scope: Scope,
        traps: Traps,
        normalizer: Normalizer,
        max_pages: int | None = None,
        max_pages_per_host: int | None = None,
    ) -> None:
        self.scope = scope
        self.traps = traps
        self.normalizer = normalizer
        self.counts: Counter[str] = Counter()
        self.pages = 0
        self._max_pages = max_pages
        self._max_pages_per_host = max_pages_per_host
        self._per_host: Counter[str] = Counter()
        self._verdicts: dict[str, Verdict] = {}
        self._refused = 0
        self._spent: set[int] = set()

    def is_given(self, url: str) -> bool:
        """Whether a page gave this URL to the frontier already, for sure: most links of a crawl are such."""
        known = self._verdicts.get(url)
        return known is not None and known.is_given

    def verdict(self, url: str) -> Verdict:
        """Judge an absolute URL by itself."""
        known = self._verdicts.get(url)
        if known is not None:
            return known
        normal = self.normalizer.normalize(url)
        if normal is None:
            verdict = Verdict(None, None)
        elif normal != url and (known := self._verdicts.get(normal)) is not None:
            verdict = known
        else:
            verdict = Verdict(normal, self._refusal(normal))
        if len(self._verdicts) >= MAX_REMEMBERED:
            self._verdicts.clear()
        self._verdicts[url] = verdict
        if normal is not None and normal != url:
            self._verdicts[normal] = verdict
        return verdict

    def _refusal(self, url: str) -> tuple[str, str] | None:
        try:
            reason = self.scope.refusal(url)
        except SelectorTimeout as error:
            return "trap", str(error)
        if reason is not None:
            return "out_of_scope", reason
        reason = self.traps.refusal(url)
        return None if reason is None else ("trap", reason)

    def add_seed(self, url: str) -> None:
        """Have a URL, and what the scope says of it, belong to the crawl."""
        self.scope.add_seed(url)
        # Those that were refused may belong now.
        self._verdicts = {link: verdict for link, verdict in self._verdicts.items() if verdict.refused is None}

    def may_record_refusal(self) -> bool:
        """Whether one more refused link becomes a record."""
        self._refused += 1
        return self._refused <= MAX_REFUSED

    def spend(self, url: str) -> bool:
        """Take one page from the budgets, once for each URL; false, and counted, if there is none left."""
        if hash(url) in self._spent:
            return True
        if self._max_pages is not None and self.pages >= self._max_pages:
            self.counts["max_pages"] += 1
            return False
        host = _host(url)
        if self._max_pages_per_host is not None and self._per_host[host] >= self._max_pages_per_host:
            self.counts["max_pages_per_host"] += 1
            return False
        self._count(url, host)
        return True

    def _count(self, url: str, host: str) -> None:
        self.pages += 1
        self._per_host[host] += 1
        if len(self._spent) < MAX_COUNTED:
            self._spent.add(hash(url))

    def count_page(self, url: str) -> None:
        """Count a page that an earlier run was given, whatever the budgets say."""
        self._count(url, _host(url))

    def forget_pages(self) -> None:
        """Begin to count pages anew."""
        self.pages = 0
        self._per_host.clear()
        self._spent.clear()


def _host(url: str) -> str:
    """The origin of a normal URL."""
    end = url.find("/", 8)
    return url[:end] if end >= 0 else origin_of(url) or url

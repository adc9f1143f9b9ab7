"""What a crawl is about: which URLs belong to it, whatever page they stand on.

| preset | belongs |
|---|---|
| `page` | the seeds alone |
| `prefix` | what is below a seed's folder, on its host |
| `host` | the seed's host and port; `www.` before it makes no difference, http and https neither |
| `domain` | the registrable domain (Public Suffix List) and all hosts below it |
| `any` | everything |

`include` then keeps those alone that match one of its patterns, `exclude` takes away; seeds belong always.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal, get_args

from crawler.errors import InvalidURL
from crawler.models import URL
from crawler.models.public_suffixes import registrable_domain
from crawler.spider.patterns import url_pattern

Preset = Literal["page", "prefix", "host", "domain", "any"]
MAX_ORIGINS: Final = 10_000
"""Origins of which it is remembered whether they belong."""

PRESETS: Final[tuple[str, ...]] = get_args(Preset)


class Scope:
    """The scope of a crawl; see the module's text.

    Args:
        preset: See there.
        seeds: Normalised URLs it begins with.
        include, exclude: Patterns (`crawler.spider.patterns`).

    Raises:
        BadExpression: A pattern does not compile.
    """

    def __init__(
        self,
        preset: Preset = "host",
        seeds: Iterable[str] = (),
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
    ) -> None:
        self.preset: Preset = preset
        self._include = [(text, url_pattern(text)) for text in include]
        self._exclude = [(text, url_pattern(text)) for text in exclude]
        self._seeds: set[str] = set()
        self._hosts: set[str] = set()
        self._domains: set[str] = set()
        self._prefixes: set[tuple[str, str]] = set()
        self._origins: dict[str, bool] = {}
        for seed in seeds:
            self.add_seed(seed)

    def add_seed(self, url: str) -> None:
        """Have a URL belong, and what the preset says of it."""
        try:
            parsed = URL(url)
            host = _host(parsed)
        except (InvalidURL, ValueError):
            return  # it will have a failed record
        self._origins.clear()
        self._seeds.add(url)
        self._hosts.add(host)
        self._domains.add(registrable_domain(parsed.origin.host))
        folder = parsed.raw_path.decode("ascii").partition("?")[0].rpartition("/")[0] + "/"
        self._prefixes.add((host, folder))

    def refusal(self, url: str) -> str | None:
        """Say why a normalised URL does not belong; `None` if it does.

        Raises:
            SelectorTimeout: A pattern took too long.
        """
        if url in self._seeds:
            return None
        for text, matches in self._exclude:
            if matches(url):
                return f"excluded by {text}"
        if not self._is_within(url):
            return f"outside the scope `{self.preset}` of the seeds"
        if self._include and not any(matches(url) for _, matches in self._include):
            return "matches no pattern of `include`"
        return None

    def _is_within(self, url: str) -> bool:
        if self.preset == "any":
            return True
        if self.preset == "page":
            return False
        if self.preset == "prefix":
            parsed = URL(url)
            host, path = _host(parsed), parsed.raw_path.decode("ascii")
            return any(host == seed and path.startswith(folder) for seed, folder in self._prefixes)
        prefix = url[: url.find("/", 8)]  # scheme and authority: a crawl has few, and links without end
        known = self._origins.get(prefix)
        if known is None:
            parsed = URL(url)
            if self.preset == "domain":
                known = registrable_domain(parsed.origin.host) in self._domains
            else:
                known = _host(parsed) in self._hosts
            if len(self._origins) >= MAX_ORIGINS:
                self._origins.clear()
            self._origins[prefix] = known
        return known


def _host(url: URL) -> str:
    """Host and port, without `www.`; the default ports of http and https are one."""
    netloc = url.origin.netloc.decode("ascii")
    return netloc.removeprefix("www.")

"""The gate that asks robots.txt: the engine's `Gate` (`crawler.fanout.pages`).

    admit ──unknown host──▶ UNKNOWN ─▶ prepare: GET /robots.txt, at most three tries ─▶ admit again

| answer | what follows (RFC 9309 §2.3.1) |
|---|---|
| 2xx | its rules count for `cache` seconds |
| up to five redirects | are followed, wherever they lead |
| 4xx, but 429 | no rules: all is allowed |
| 5xx, 429, no answer | all is denied for ten minutes; then a copy counts that is not older than a day |
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import anyio
import anyio.to_thread

from crawler.errors import HTTPError, InvalidURL, StreamError
from crawler.fanout.pages import UNKNOWN, Unknown
from crawler.models import URL
from crawler.spider.errors import RobotsDenied, RobotsUnavailable
from crawler.spider.normalize import absolute
from crawler.spider.robots import MAX_REDIRECTS, MAX_SIZE, RobotsRules

if TYPE_CHECKING:
    from crawler.fanout.fetch import HTTPClient
    from crawler.fanout.plan import Item
    from crawler.models import Response

MAX_HOSTS: Final = 20_000
"""Hosts whose rules are kept; those asked least lately are fetched again."""

TRIES: Final = 3
"""Tries for one robots.txt."""

DENY_SECONDS: Final = 600.0
"""For which a host is not asked whose robots.txt cannot be had."""

STALE_SECONDS: Final = 86_400.0
"""Up to which an old copy counts."""

FETCH_SECONDS: Final = 60.0
"""For one try, redirects included."""

_PARSE_INLINE: Final = 32 * 1024
_NO_RULES: Final = RobotsRules()

OnUnavailable = Literal["deny", "allow", "stale"]


@dataclass(frozen=True, slots=True)
class RobotsSettings:
    """How robots.txt is obeyed.

    Attributes:
        obey: Keep to it; if false, it is read for its sitemaps alone, if at all.
        agent: Our name in it.
        max_crawl_delay: Longest interval kept between requests, in seconds, whatever it asks for.
        on_unavailable: What a robots.txt that cannot be had means; `stale` takes an old copy at once, else denies.
        cache: Seconds for which rules count.
    """

    obey: bool = True
    agent: str = "crawler"
    max_crawl_delay: float = 60.0
    on_unavailable: OnUnavailable = "deny"
    cache: float = 86_400.0


class _Host:
    """What is known of one host.

    Attributes:
        rules: What counts; `None` if there is nothing.
        expires: When to ask again.
        is_available: Whether it answered when asked last.
        copy, copied: The last rules that came, and when.
        failures: Times in a row that it did not answer.
        sitemaps: Absolute addresses of its sitemaps.
    """

    __slots__ = ("copied", "copy", "expires", "failures", "is_available", "rules", "sitemaps")

    def __init__(self) -> None:
        self.rules: RobotsRules | None = None
        self.expires = 0.0
        self.is_available = True
        self.copy: RobotsRules | None = None
        self.copied = 0.0
        self.failures = 0
        self.sitemaps: tuple[str, ...] = ()


class RobotsGate:
    """Lets those requests go that robots.txt allows.

    Args:
        settings: See `RobotsSettings`.
        sitemap_origins: Origins (`https://h`) whose sitemaps are wanted; where robots.txt names none, `/sitemap.xml` is
            looked for.
        pause: Least seconds between two requests to a host, for those made here one after the other.
        clock: Monotonic seconds.
        key_of: Names the host of a URL as the engine does, where that is neither by origin nor by host.

    Attributes:
        clamped: Origin → seconds it asked for, where that was more than `max_crawl_delay`.
    """

    def __init__(
        self,
        settings: RobotsSettings = RobotsSettings(),
        *,
        sitemap_origins: Collection[str] = (),
        pause: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
        key_of: Callable[[str], str] | None = None,
    ) -> None:
        self.settings = settings
        self._key_of = key_of
        self._sitemap_origins = set(sitemap_origins)
        self._pause = pause
        self._clock = clock
        self._hosts: OrderedDict[str, _Host] = OrderedDict()
        self._intervals: dict[str, float] = {}
        self.clamped: dict[str, float] = {}

    # -- the engine's questions ---------------------------------------------------------------------------------------

    def admit(self, item: Item) -> Exception | Unknown | None:
        """Say whether a request may go out; `UNKNOWN` until its host's robots.txt is known."""
        origin = origin_of(item.url)
        if origin is None:
            return None  # it fails by itself
        if not self.settings.obey and origin not in self._sitemap_origins:
            return None
        host = self._hosts.get(origin)
        if host is None or host.expires <= self._clock():
            return UNKNOWN
        self._hosts.move_to_end(origin)
        return self._judge(host, item.url) if self.settings.obey else None

    def _judge(self, host: _Host, url: str) -> Exception | None:
        if host.rules is None:
            return RobotsUnavailable("its robots.txt cannot be had, so it may not be fetched")
        if not host.rules.allows(url, self.settings.agent):
            return RobotsDenied(f"robots.txt denies it to {self.settings.agent}")
        return None

    async def prepare(self, item: Item, client: HTTPClient) -> None:
        """Fetch the robots.txt of a host."""
        origin = origin_of(item.url)
        if origin is None:
            return
        host = self._hosts.get(origin) or _Host()
        body = await self._fetch_often(client, f"{origin}/robots.txt")
        now = self._clock()
        if body is None:
            self._miss(host, now)
        else:
            rules = (
                RobotsRules(body) if len(body) <= _PARSE_INLINE else await anyio.to_thread.run_sync(RobotsRules, body)
            )
            host.rules = host.copy = rules
            host.copied, host.expires = now, now + self.settings.cache
            host.is_available, host.failures = True, 0
            self._note_interval(origin, rules)
        if origin in self._sitemap_origins:
            await self._find_sitemaps(origin, host, client)
        self._hosts[origin] = host
        if len(self._hosts) > MAX_HOSTS:
            self._hosts.popitem(last=False)

    def _miss(self, host: _Host, now: float) -> None:
        """Note that a robots.txt could not be had."""
        host.failures += 1
        host.is_available = False
        host.expires = now + DENY_SECONDS
        has_copy = host.copy is not None and now - host.copied <= STALE_SECONDS
        mode = self.settings.on_unavailable
        if mode == "allow":
            host.rules = _NO_RULES
        elif has_copy and (mode == "stale" or host.failures > 1):
            host.rules = host.copy
        else:
            host.rules = None

    def interval(self, host: str) -> float | None:
        """Give the seconds that robots.txt asks for between two requests, as far as they are kept."""
        return self._intervals.get(host) if self.settings.obey else None

    def _note_interval(self, origin: str, rules: RobotsRules) -> None:
        asked = rules.interval(self.settings.agent)
        name = URL(origin).origin.host
        if asked is None:
            self._intervals.pop(origin, None)
            return
        if asked > self.settings.max_crawl_delay:
            self.clamped[origin] = asked
        kept = min(asked, self.settings.max_crawl_delay)
        self._intervals[origin] = kept
        self._intervals[name] = max(kept, self._intervals.get(name, 0.0))
        if self._key_of is not None and (key := self._key_of(origin)) != name:
            self._intervals[key] = max(kept, self._intervals.get(key, 0.0))

    def fields(self, item: Item) -> Mapping[str, object]:
        """Give `robots` of the record: allowed, denied, unavailable, ignored."""
        return {"robots": self.verdict(item)}

    def verdict(self, item: Item) -> str | None:
        """Say in one word what robots.txt says of a request; `None` if it was not asked."""
        if not self.settings.obey:
            return "ignored"
        origin = origin_of(item.url)
        host = self._hosts.get(origin) if origin is not None else None
        if host is None:
            return None
        if host.rules is None or not host.is_available:
            return "unavailable"
        return "allowed" if host.rules.allows(item.url, self.settings.agent) else "denied"

    def told(self) -> dict[str, object]:
        """Say which hosts asked for a longer delay than is kept; for the summary of the run."""
        return {"clamped_delays": dict(self.clamped)}

    # -- sitemaps -----------------------------------------------------------------------------------------------------

    def want_sitemaps(self, origin: str) -> None:
        """Have the sitemaps of a further origin found, if it was not asked yet."""
        self._sitemap_origins.add(origin)

    def sitemaps(self, origin: str) -> tuple[str, ...]:
        """Give the sitemaps found of an origin."""
        host = self._hosts.get(origin)
        return () if host is None else host.sitemaps

    async def _find_sitemaps(self, origin: str, host: _Host, client: HTTPClient) -> None:
        named = host.copy.sitemaps if host.copy is not None else ()
        links = [absolute(url, origin + "/") for url in named]
        host.sitemaps = tuple(dict.fromkeys(link for link in links if link is not None))
        if host.sitemaps or not host.is_available:
            return
        await anyio.sleep(self._pause)
        guess = f"{origin}/sitemap.xml"
        response = await self._send(client, "HEAD", guess)
        if (
            response is not None
            and response.status_code == 200
            and "html" not in response.headers.get("content-type", "")
        ):
            host.sitemaps = (guess,)

    # -- fetching -----------------------------------------------------------------------------------------------------

    async def _fetch_often(self, client: HTTPClient, url: str) -> bytes | None:
        """Fetch a robots.txt; b"" if there is none, `None` if it cannot be had."""
        for number in range(TRIES):
            if number:
                await anyio.sleep(max(self._pause, 0.25 * 2**number))
            with anyio.move_on_after(FETCH_SECONDS):
                body = await self._fetch(client, url)
                if body is not None:
                    return body
        return None

    async def _fetch(self, client: HTTPClient, url: str) -> bytes | None:
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._send(client, "GET", url)
            if response is None:
                return None
            status = response.status_code
            if status in (301, 302, 303, 307, 308) and (location := response.headers.get("location")):
                target = absolute(location, url)
                if target is None:
                    return b""
                url = target
                continue
            if status >= 500 or status == 429:
                return None
            return b"" if status >= 300 else bytes(response.extensions["crawler.robots"])
        return b""  # more redirects than one follows: as if there were none

    async def _send(self, client: HTTPClient, method: str, url: str) -> Response | None:
        """Send a request and read as much of the answer as counts; `None` if there is none."""
        try:
            request = client.build_request(method, url)
            response = await client.send(request, stream=True, follow_redirects=False)
        except (HTTPError, InvalidURL, OSError):
            return None
        body = bytearray()
        try:
            if response.status_code < 300 and method == "GET":
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > MAX_SIZE:
                        break
        except (HTTPError, StreamError, OSError):
            return None
        finally:
            await response.aclose()
        response.extensions["crawler.robots"] = bytes(body)
        return response


def origin_of(url: str) -> str | None:
    """The origin of a URL as text, `https://h:81`; `None` for what is no http(s) URL."""
    try:
        origin = URL(url).origin
    except (InvalidURL, ValueError):
        return None
    return f"{origin.scheme}://{origin.netloc.decode('ascii')}" if origin.scheme in ("http", "https") else None

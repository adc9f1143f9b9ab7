"""Hosts by their address (`per_host.by: ip`): names are looked up before their requests are handed out.

    lease of an unknown name ─▶ set aside (parking) ─▶ looked up ─▶ stands among those of its address

So a look-up takes no slot and no turn. The first of a name's addresses counts, and counts for the whole run: politeness
must not jump between the addresses of one name. A name that cannot be looked up counts as a host of its own for a
while; its requests go out and fail by themselves, with the right kind and the retries that belong to it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from crawler.errors import ConnectError, ConnectTimeout
from crawler.fanout.hosts import host_key
from crawler.net.resolve import learn_addresses, literal_address

if TYPE_CHECKING:
    from crawler.net import Names

PENDING: Final = "?"
"""Begins the key of a host whose address is not known yet."""

MAX_NAMES: Final = 100_000
"""Names whose addresses are kept; the one known longest is forgotten first, and looked up again if need be."""

MAX_SHARED: Final = 100
"""Names of one address whose wishes for an interval count."""

AT_ONCE: Final = 32
FAILED_S: Final = 30.0
TIMEOUT_S: Final = 10.0

Resolve = Callable[[str], Awaitable[str | None]]
"""Gives the address of a name, `None` if it has none or nobody says so."""


class Addresses:
    """Which address a host has.

    Args:
        resolve: Looks a name up.
        clock: Monotonic seconds.
    """

    def __init__(self, resolve: Resolve, clock: Callable[[], float] = monotonic) -> None:
        self._resolve = resolve
        self._clock = clock
        self._known: dict[str, tuple[str, float]] = {}  # name -> key and until when it counts
        self._names: dict[str, list[str]] = {}  # address -> names, the first ones
        self._asked: set[str] = set()
        self._queue: deque[str] = deque()
        self._has_work: anyio.Event | None = None

    def key_of(self, url: str) -> str:
        """Give the key of a URL's host: its address, or `?name` if that is to be looked up first."""
        name = host_key(url, "host")
        if not name or literal_address(name, 0) is not None:
            return name
        known = self._known.get(name)
        if known is None or known[1] <= self._clock():
            return PENDING + name
        return known[0]

    def want(self, key: str) -> None:
        """Have the name of a pending key looked up."""
        name = key.removeprefix(PENDING)
        if name not in self._asked:
            self._asked.add(name)
            self._queue.append(name)
            if self._has_work is not None:
                self._has_work.set()

    async def serve(self, tell: Callable[[str, str], None]) -> None:
        """Look up what is wanted until cancelled.

        Args:
            tell: Is told of each pending key and the key that takes its place.
        """
        places = anyio.Semaphore(AT_ONCE)

        async def look_up(name: str) -> None:
            try:
                tell(PENDING + name, await self._find(name))
            finally:
                self._asked.discard(name)
                places.release()

        async with anyio.create_task_group() as group:
            while True:
                while self._queue:
                    await places.acquire()
                    group.start_soon(look_up, self._queue.popleft())
                self._has_work = anyio.Event()
                await self._has_work.wait()

    async def find(self, url: str) -> str:
        """Give the key of a URL's host, and look it up if need be."""
        key = self.key_of(url)
        return await self._find(key.removeprefix(PENDING)) if key.startswith(PENDING) else key

    async def _find(self, name: str) -> str:
        address = await self._resolve(name)
        if name in self._known:
            del self._known[name]  # so that the order stays that of age
        elif len(self._known) >= MAX_NAMES:
            gone = next(iter(self._known))
            key, _ = self._known.pop(gone)
            if gone in (names := self._names.get(key, [])):
                names.remove(gone)
        if address is None:
            self._known[name] = (name, self._clock() + FAILED_S)
            return name
        self._known[name] = (address, math.inf)
        names = self._names.setdefault(address, [])
        if name not in names and len(names) < MAX_SHARED:
            names.append(name)
        return address

    def widest(self, interval: Callable[[str], float | None]) -> Callable[[str], float | None]:
        """Make of a gate's intervals by name those by address: the longest that a name of it wants."""

        def of_address(key: str) -> float | None:
            wanted = [seconds for name in (key, *self._names.get(key, ())) if (seconds := interval(name)) is not None]
            return max(wanted, default=None)

        return of_address


def system_addresses(names: Names | None) -> Resolve:
    """Look names up as the client does: the same threads, so that nobody asks twice at the same time, same families.

    Args:
        names: As of the client.
    """
    from crawler.net import Names, Route

    route = Route(names=Names() if names is None else names)
    cache = route.new_cache()

    async def resolve(name: str) -> str | None:
        def ask() -> str | None:
            answer = route.lookups.wait(name, 0, monotonic() + TIMEOUT_S)
            try:
                found = learn_addresses(cache, name, 0, answer, monotonic())
            except (ConnectError, ConnectTimeout):
                return None
            return found[0].host if found else None

        return await anyio.to_thread.run_sync(ask, abandon_on_cancel=True)

    return resolve

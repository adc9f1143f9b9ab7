"""What the parts of a run want of each other, whether they are in one process or in several.

Run ─┬─ Books       where work comes from and goes to:  the ledger, or a pipe to the process that keeps it
     ├─ Workforce   who does it:                        the engine, or a crew of processes
     └─ Queues      where it waits for its host:        the turns, or shares of what each process has
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Collection
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from crawler.fanout.frontier import Finished
    from crawler.fanout.host_table import HostRow
    from crawler.fanout.result import Result


class Workforce(Protocol):
    """Who does the work of a run; see `crawler.fanout.workers.Engine`."""

    @property
    def waiting(self) -> int:
        """Results that wait for their next try."""

    async def run(self) -> None:
        """Work until there is none left, or until stopped, cancelled or failed; raises what was given to `fail`."""

    def stop(self) -> None:
        """Begin no further attempt; those under way may end."""

    def pause(self, is_paused: bool) -> None:
        """Begin no further attempt for now, or go on."""

    def cancel(self) -> None:
        """Cancel the attempts under way, too."""

    def fail(self, error: Exception) -> None:
        """End everything at once; `run` raises `error`."""


class Books(Protocol):
    """Where the work of a run comes from, and where it is recorded; see `crawler.fanout.ledger.Ledger`.

    Attributes:
        deliver: Takes the results of requests that may not go out.
    """

    deliver: Callable[[Result], Awaitable[None] | None]

    @property
    def is_exhausted(self) -> bool:
        """Whether every request was handed out and there will be no more."""

    @property
    def is_starved(self) -> bool:
        """Whether there is nothing to hand out, though the input has not ended."""

    @property
    def is_behind(self) -> bool:
        """Whether finished requests pile up."""

    def take(self) -> Result | None:
        """Give a request as a result to be filled; its target is its `Lease`."""

    async def feed(self, wake: Callable[[], None]) -> None:
        """Fetch work until there is no more."""

    async def claim(self, name: str, owner: bytes) -> bool:
        """Reserve a file name for a request; whether it is that request's now."""

    def record(self, finished: Finished) -> Awaitable[None] | None:
        """Take a finished request; gives something to await when there are too many."""

    async def keep_committing(self) -> None:
        """Pass on what is finished, again and again, until cancelled."""

    async def commit(self) -> None:
        """Pass on what is finished now."""


class Hungry(Protocol):
    """A host that has room for more of its requests."""

    @property
    def key(self) -> str:
        """Its name."""


_H = TypeVar("_H")


class Queues(Protocol[_H]):
    """Where requests wait for their hosts, as the ledger sees it; see `crawler.fanout.turns.Turns`.

    Attributes:
        waiting: Requests that wait.
        hungry: Hosts that want more.
        on_hungry: Called when there is another.
    """

    waiting: int
    hungry: deque[_H]
    on_hungry: Callable[[], None]

    @property
    def changed(self) -> Collection[str]:
        """Hosts of which there is more to be remembered, by key."""

    def take_changed(self, now: float) -> list[HostRow]:
        """Give what is to be remembered of them."""

    def room(self, key: str, rank: int = 0) -> int | None:
        """Give how many more requests of a host should wait; `None` if any number may."""

    def put(self, result: Result, now: float, *, is_first: bool) -> None:
        """Let a request wait for its host."""

    def note_more(self, key: str, now: float) -> None:
        """Note that the frontier passed over a request of this host."""

    def appetite(self, host: _H) -> int:
        """Give how many more a hungry host should get."""

    def note_fed(self, host: _H, *, is_all: bool) -> None:
        """Note that a hungry host was given what came; `is_all` if there is no more of it."""

"""Happy Eyeballs: which of a host's addresses to try now, and which one wins.

A dead route (mostly IPv6) would otherwise eat the whole connect timeout before the next address is tried. So the
attempts overlap: the next one starts when the last has had its head start, or at once when an attempt fails.

    addresses   a ──────────────────────────────x          (silent)
    0.25 s          b ────────x failed                      (refused: c need not wait)
                              c ───────✓ won                a is aborted by the caller

No I/O and no clock: the network asks `step(now)`, does as told, and reports `failed` or `won`.

    race = Race(interleave(addresses))
    while True:
        match race.step(now()):
            case Start(address): ...   # begin to connect, then ask again
            case Wait(until): ...      # until an attempt ends, or the instant `until` (None: only the former)
            case Lost(errors): raise most_telling(errors)

Source: RFC 8305 §5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from crawler.errors import TransportError
from crawler.net.resolve import Address

HEAD_START_S: Final = 0.25
"""The recommended "Connection Attempt Delay" of RFC 8305 §8."""


@dataclass(frozen=True, slots=True)
class Start:
    """Begin to connect to `address` now."""

    address: Address


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for an attempt to end, but not past `until` (monotonic seconds; None: no address is left)."""

    until: float | None


@dataclass(frozen=True, slots=True)
class Lost:
    """Every attempt has failed.

    Attributes:
        errors: One per address, in the order of failing; empty if there was no address at all.
    """

    errors: tuple[TransportError, ...]


class Race:
    """The attempts to connect to one host; for one use.

    Args:
        addresses: In the order to try them, see `interleave`; each at most once.
        head_start_s: Seconds that an attempt has for itself before the next begins.
    """

    __slots__ = ("_addresses", "_errors", "_head_start_s", "_next_at", "_running", "_started", "_winner")

    def __init__(self, addresses: Sequence[Address], head_start_s: float = HEAD_START_S) -> None:
        self._addresses = tuple(dict.fromkeys(addresses))
        self._head_start_s = head_start_s
        self._started = 0  # addresses before this index have been begun
        self._running: dict[Address, None] = {}  # in the order of starting
        self._errors: list[TransportError] = []
        self._next_at = float("-inf")
        self._winner: Address | None = None

    def step(self, now: float) -> Start | Wait | Lost:
        """Say what to do at `now`; ask again after a `Start`, after the end of an attempt, and at `Wait.until`."""
        if self._winner is not None:
            return Wait(None)
        has_more = self._started < len(self._addresses)
        if has_more and (now >= self._next_at or not self._running):
            address = self._addresses[self._started]
            self._started += 1
            self._running[address] = None
            self._next_at = now + self._head_start_s
            return Start(address)
        if self._running:
            return Wait(self._next_at if has_more else None)
        return Lost(tuple(self._errors))

    def failed(self, address: Address, error: TransportError) -> None:
        """Note that an attempt has ended without a connection: the next may start at once.

        What an aborted loser says after the race is won does not count.
        """
        if self._winner is None:
            del self._running[address]
            self._errors.append(error)
            self._next_at = float("-inf")

    def won(self, address: Address) -> tuple[Address, ...]:
        """Note that an attempt has connected; gives the attempts still running, for the caller to abort.

        The first one wins. Where two connect in the same turn, the second is told by getting itself back: close it.
        """
        if self._winner is not None:
            return (address,)
        self._winner = address
        losers = tuple(other for other in self._running if other != address)
        self._running.clear()
        return losers

    @property
    def running(self) -> tuple[Address, ...]:
        """The attempts under way, oldest first; what the caller aborts when it gives up or is cancelled."""
        return tuple(self._running)


# What helps most to know stands first: a peer that answered "no" says more than a missing route of one family.
_TELLING = ("too_many_files", "connect_refused", "connect_reset", "timeout_connect", "connect_unreachable")


def most_telling(errors: Sequence[TransportError]) -> TransportError:
    """Choose the error that stands for a lost race: the earliest of the most informative kind.

    Raises:
        ValueError: There is no error to choose from.
    """
    return min(errors, key=lambda error: _TELLING.index(error.kind) if error.kind in _TELLING else len(_TELLING))

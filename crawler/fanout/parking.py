"""Requests that were passed over because enough of their host wait already: eight bytes each.

The frontier hands out requests in order. If the first million of them belong to one host that may be asked once a
second, the others must not wait for it: its requests are passed over, their numbers are kept here, and the frontier
is asked for them by number when the host has need of them.
"""

from __future__ import annotations

from array import array
from typing import Final

MAX_PARKED: Final = 1_000_000
"""Requests that may be passed over, 8 MB. With so many, nothing new is looked at until their hosts need them."""

_SHIFT: Final = 44  # numbers below 2**44, ranks above: one integer sorts by both
_LOW: Final = (1 << _SHIFT) - 1
_MAX_RANK: Final = (1 << (63 - _SHIFT)) - 1  # beyond it ranks count as equal here


class Parking:
    """Numbers of requests by host, each host's in the order of rank and number.

    Attributes:
        count: Numbers in it.
    """

    def __init__(self) -> None:
        self._lots: dict[str, array[int]] = {}
        self._heads: dict[str, int] = {}  # how many of a lot were taken already
        self._unsorted: set[str] = set()
        self.count = 0

    @property
    def is_full(self) -> bool:
        """Whether no more should be passed over."""
        return self.count >= MAX_PARKED

    def park(self, host: str, rank: int, number: int) -> None:
        """Keep a number."""
        lot = self._lots.get(host)
        if lot is None:
            lot = self._lots[host] = array("q")
        packed = (max(-_MAX_RANK, min(rank, _MAX_RANK)) << _SHIFT) | number
        if lot and packed < lot[-1]:
            self._unsorted.add(host)
        lot.append(packed)
        self.count += 1

    def recall(self, host: str, n: int) -> list[int]:
        """Give the first up to `n` numbers of a host, and keep them no longer."""
        lot = self._lots.get(host)
        if lot is None:
            return []
        head = self._heads.get(host, 0)
        if host in self._unsorted:
            lot = self._lots[host] = array("q", sorted(lot[head:]))
            self._unsorted.discard(host)
            head = 0
        taken = [packed & _LOW for packed in lot[head : head + n]]
        head += len(taken)
        self.count -= len(taken)
        if head == len(lot):
            del self._lots[host]
            head = 0
        elif 2 * head > len(lot):
            del lot[:head]
            head = 0
        if head:
            self._heads[host] = head
        else:
            self._heads.pop(host, None)
        return taken

    def move(self, before: str, host: str) -> bool:
        """Give the numbers of one host to another; whether there were any."""
        lot = self._lots.pop(before, None)
        if lot is None:
            return False
        del lot[: self._heads.pop(before, 0)]
        is_unsorted = before in self._unsorted
        self._unsorted.discard(before)
        known = self._lots.setdefault(host, lot)
        if known is not lot:
            known.extend(lot)
        if known is not lot or is_unsorted:
            self._unsorted.add(host)
        return True

    def has(self, host: str) -> bool:
        """Whether there are numbers of a host."""
        return host in self._lots

"""Counters of what a testbed was asked, for tests of clients: how often each path, how many at once."""

from __future__ import annotations

from collections import Counter
from typing import Final

MAX_PATHS: Final = 100_000
"""Paths counted one by one; requests for further ones count in the sums only."""


class Stats:
    """What was asked since the start or the last `clear()`.

    Written by the server's thread alone; reading from another one is safe, and exact when nothing is under way.

    Attributes:
        requests: Requests begun.
        in_flight: Requests begun and not yet answered whole.
        peak_in_flight: The most that were in flight at once.
        paths: Requests per path (decoded, without query), for the first `MAX_PATHS` paths.
    """

    __slots__ = ("in_flight", "paths", "peak_in_flight", "requests")

    def __init__(self) -> None:
        self.in_flight = 0
        self.requests = 0
        self.peak_in_flight = 0
        self.paths: Counter[str] = Counter()

    def begin(self, path: str) -> None:
        """Count a request that begins."""
        self.requests += 1
        self.in_flight += 1
        self.peak_in_flight = max(self.peak_in_flight, self.in_flight)
        if path in self.paths or len(self.paths) < MAX_PATHS:
            self.paths[path] += 1

    def end(self) -> None:
        """Count the end of a request."""
        self.in_flight -= 1

    def clear(self) -> None:
        """Start from zero; requests in flight stay counted as such."""
        self.requests = 0
        self.peak_in_flight = self.in_flight
        self.paths.clear()

    def as_dict(self) -> dict[str, object]:
        """Return the counters as `/stats` shows them."""
        return {
            "requests": self.requests,
            "in_flight": self.in_flight,
            "peak_in_flight": self.peak_in_flight,
            "paths": dict(self.paths),
        }

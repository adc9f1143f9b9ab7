"""Slowness on purpose, and against it: a cap on the bytes of a whole job, and the least speed of one download."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from crawler.errors import TransportError


class TooSlow(TransportError):
    """A download came slower than `timeout.min_speed` for `timeout.min_speed_for`."""

    kind = "too_slow"


class Bandwidth:
    """Bytes per second for all bodies together: whoever received waits until that much was due.

    Each piece takes its place in one line, so streams share the rate in the order they receive. The wait comes after
    the bytes: meanwhile nothing more is read, and the socket's window slows the server down.

    Args:
        per_second: Bytes; `None` is no cap.
        clock: Monotonic seconds.

    Attributes:
        is_capped: There is a cap.
    """

    def __init__(self, per_second: float | None, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._clock = clock
        self.is_capped = per_second is not None
        self._due = 0.0  # the instant at which all that came would have come at that rate

    def reserve(self, size: int, now: float) -> float:
        """Book `size` bytes and give the seconds to wait for."""
        if self._per_second is None:
            return 0.0
        self._due = max(self._due, now) + size / self._per_second
        return self._due - now

    async def pace(self, size: int) -> float:
        """Wait as long as `size` bytes that came are worth; gives the seconds waited."""
        if self._per_second is None:
            return 0.0
        seconds = self.reserve(size, self._clock())
        if seconds > 0.001:
            await anyio.sleep(seconds)
        return seconds


class SpeedWatch:
    """Ends a download that is too slow, also one from which nothing comes at all. A context manager around it.

    Bytes are counted in windows of `seconds`: one that ends before it has its share of bytes ends the download. A
    window that has them early makes room for the next at once.

    Args:
        per_second: Bytes; `None` watches nothing.
        seconds: Length of the window.
        clock: Monotonic seconds.

    Raises:
        TooSlow: At the end of the block, if it was cut off.
    """

    def __init__(self, per_second: float | None, seconds: float, clock: Callable[[], float]) -> None:
        self._share = None if per_second is None else per_second * seconds
        self._per_second = per_second
        self._seconds = seconds
        self._clock = clock
        self._bytes = 0
        self._scope = anyio.CancelScope()

    def __enter__(self) -> SpeedWatch:
        if self._share is not None:
            self._scope.deadline = self._clock() + self._seconds
            self._scope.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if self._share is None:
            return False
        is_ours = self._scope.__exit__(kind, error, trace)  # type: ignore[arg-type]
        if is_ours and self._scope.cancelled_caught:
            assert self._per_second is not None
            raise TooSlow(
                f"{self._bytes} bytes in {self._seconds:g} s, expected at least {self._per_second:g} a second"
            )
        return bool(is_ours)

    def count(self, size: int) -> None:
        """Note bytes that came."""
        if self._share is None:
            return
        self._bytes += size
        if self._bytes >= self._share:
            self._bytes = 0
            self._scope.deadline = self._clock() + self._seconds

    def excuse(self, seconds: float) -> None:
        """Note a wait that was ours (for the disk, for the cap of the job)."""
        if self._share is not None and seconds > 0:
            self._scope.deadline += seconds

"""When a run ends before its list does: the limits of `stop`. Decides; the run does the stopping."""

from __future__ import annotations

from collections import deque

from crawler.fanout.plan import StopLimits


class StopRules:
    """Counts what happens in one run and says when it is enough.

    Attributes:
        hit: Which limit was reached first, as `name: value`; `None` while all hold.
    """

    def __init__(self, limits: StopLimits) -> None:
        self._limits = limits
        self._begun = self._failures = self._in_a_row = 0
        is_windowed = limits.failure_ratio is not None
        self._window: deque[bool] | None = deque(maxlen=limits.failure_ratio_window) if is_windowed else None
        self._failed_in_window = 0
        self.hit: str | None = None

    def begin(self) -> bool:
        """Note that a request begins; whether it is the last one."""
        self._begun += 1
        limit = self._limits.requests
        return limit is not None and self._begun >= limit and self._note("requests", limit)

    def reach_requests(self) -> None:
        """Note that as many requests began as may, where somebody else counts them."""
        self._note("requests", self._limits.requests)

    def receive(self, total: int) -> bool:
        """Note how many bytes of bodies came in all; whether that is enough."""
        limit = self._limits.bytes
        return limit is not None and total >= limit and self._note("bytes", limit)

    def pass_time(self) -> bool:
        """Note that the time is over."""
        return self._note("after", f"{self._limits.after:g} s")

    def run_out_of_memory(self) -> bool:
        """Note that holding back did not help."""
        return self._note("memory", self._limits.memory)

    def finish(self, is_failed: bool) -> bool:
        """Note a request with its final outcome; whether that is enough."""
        limits = self._limits
        self._in_a_row = self._in_a_row + 1 if is_failed else 0
        if is_failed:
            self._failures += 1
            if limits.failures is not None and self._failures >= limits.failures:
                return self._note("failures", limits.failures)
            if limits.consecutive_failures is not None and self._in_a_row >= limits.consecutive_failures:
                return self._note("consecutive_failures", limits.consecutive_failures)
        window = self._window
        if window is None or limits.failure_ratio is None:
            return False
        if len(window) == limits.failure_ratio_window:
            self._failed_in_window -= window[0]
        window.append(is_failed)
        self._failed_in_window += is_failed
        if len(window) < limits.failure_ratio_window:
            return False  # the end of the run judges short lists
        if self._failed_in_window <= limits.failure_ratio * len(window):
            return False
        return self._note("failure_ratio", f"{self._failed_in_window / len(window):.3g} of the last {len(window)}")

    def are_tolerable(self, failed: int, done: int) -> bool:
        """Whether so many failures of so many requests leave a run a success."""
        ratio = self._limits.failure_ratio
        return not failed or (ratio is not None and failed <= ratio * done)

    def _note(self, name: str, value: object) -> bool:
        if self.hit is None:
            self.hit = f"{name}: {value}"
        return True

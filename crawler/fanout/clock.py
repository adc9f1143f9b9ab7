"""The clock an event loop sleeps by."""

from __future__ import annotations

import time
from collections.abc import Callable

import sniffio


def loop_clock() -> Callable[[], float]:
    """Give the monotonic clock of the running event loop, as a plain function.

    `anyio.current_time()` asks at each call which loop runs (1.5 µs); this asks once. Under trio it is trio's own
    clock, which tests replace to make hours pass in no time.
    """
    if sniffio.current_async_library() == "trio":
        import trio

        return trio.current_time
    return time.monotonic

"""The event loop of the command line: uvloop where there is one (not on Windows).

Only the command line chooses; the library never changes the loop of a program that uses it.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in a fresh event loop."""
    gc.freeze()  # what was made until now, modules most of all, stays: nobody need look through it for garbage
    if sys.platform == "win32":
        return asyncio.run(work)
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)

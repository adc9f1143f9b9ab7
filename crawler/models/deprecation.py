"""Warnings that point at the line of the caller, however deep inside the library they arise."""

from __future__ import annotations

import sys
import warnings
from types import FrameType
from typing import Final

# Between a caller and us: `with client.stream(...)` enters through contextlib.
_PASSED_OVER: Final = frozenset({"crawler", "contextlib"})


def warn_deprecated(message: str) -> None:
    """Warn of a deprecated use; the warning names the nearest line outside the library.

    A coroutine that was given to a task of its own has no caller any more; there the event loop is named.
    """
    frame: FrameType | None = sys._getframe(1)
    level = 2
    while frame is not None and _is_passed_over(frame):
        frame = frame.f_back
        level += 1
    warnings.warn(message, DeprecationWarning, stacklevel=level)


def _is_passed_over(frame: FrameType) -> bool:
    name: str = frame.f_globals.get("__name__", "")
    return name.partition(".")[0] in _PASSED_OVER

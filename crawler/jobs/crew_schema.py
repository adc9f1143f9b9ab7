"""The key `workers`: how many processes fetch."""

from __future__ import annotations

import os
from typing import Annotated, Final, Literal

from crawler.jobs.fields import Reader, loosen, show

MAX_WORKERS: Final = 256


def _parse_workers(value: object) -> int | str:
    number = loosen(value)
    if number == "auto":
        return "auto"
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MAX_WORKERS:
        raise ValueError(f"expected a whole number between 1 and {MAX_WORKERS}, or auto, not {show(value)}")
    return number


Workers = Annotated[
    int | Literal["auto"],
    Reader(_parse_workers, {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MAX_WORKERS}, {"const": "auto"}]}),
]


def cores(workers: int | Literal["auto"]) -> int:
    """Give how many processes `workers` means: `auto` is one for each core that this process may use."""
    if workers != "auto":
        return workers
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

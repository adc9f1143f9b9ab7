"""How much of its memory a run uses, and when it must hold back: before the system ends it, not after.

The limit is the container's (cgroup v2) where there is one, else the machine's. What the kernel can take back at once
(cached files) does not count, as in Kubernetes' working set; a run that downloads fills the cache and is fine.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PATIENCE_S: Final = 30.0
"""Seconds that a run holds back before it gives up: what is in flight may end and free what it holds."""

_CGROUP: Final = Path("/sys/fs/cgroup")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


def memory_share(others: int = 0) -> float | None:
    """Give the share of the memory limit that is used; `None` where the system does not tell.

    Args:
        others: Bytes that other processes of the run use; the control group, where there is one, has them in it.
    """
    group = _group()
    if group is not None and (limit := _number(group / "memory.max")) is not None:
        used = _number(group / "memory.current")
        return None if used is None else max(0, used - _cached(group)) / limit
    used, total = resident(), _total()
    return None if used is None or not total else (used + others) / total


class MemoryWatch:
    """Says what a run is to do about its memory.

    Args:
        limit: Share of the limit from which it holds back.
        patience: Seconds after which holding back has not helped.
    """

    def __init__(self, limit: float, patience: float = PATIENCE_S) -> None:
        self._limit = limit
        self._patience = patience
        self._since: float | None = None

    def is_too_much(self, share: float | None) -> bool:
        """Whether no new request may begin; once over the limit, until it is a tenth below it."""
        return share is not None and share >= (self._limit if self._since is None else 0.9 * self._limit)

    def note(self, share: float | None, now: float) -> bool:
        """Take a look at monotonic time `now`; gives whether holding back has not helped and the run must end."""
        if not self.is_too_much(share):
            self._since = None
            return False
        if self._since is None:
            self._since = now
        return now - self._since >= self._patience

    @property
    def is_holding_back(self) -> bool:
        """Whether no new request may begin."""
        return self._since is not None


def _group() -> Path | None:
    """The control group of this process; inside a container it is the root of what is mounted."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    path = next((line.removeprefix("0::/") for line in lines if line.startswith("0::/")), None)
    if path is None:
        return None
    for group in (_CGROUP / path, _CGROUP):
        if (group / "memory.max").exists():
            return group
    return None


def _number(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _cached(group: Path) -> int:
    try:
        rows = (group / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(row.split()[1]) for row in rows if row.startswith("inactive_file ")), 0)


def resident() -> int | None:
    """Give the bytes of memory that this process holds; `None` where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except OSError:
        return None


def _total() -> int | None:
    try:
        return os.sysconf("SC_PHYS_PAGES") * _PAGE
    except (AttributeError, ValueError, OSError):
        return None

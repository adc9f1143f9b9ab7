"""Room on the disk: downloads wait while there is too little, and go on when there is enough.

A guard is asked before each write. It looks at the file system only after so many bytes or seconds that the limit
cannot be passed unseen, so asking costs nothing. Whoever finds too little room waits, and so do all who come after; one
of them looks again and again. With no room for ten minutes the run ends (exit code 4), and loses nothing by it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread

LOOK_EVERY_S: Final = 5.0
LOOK_WHILE_WAITING_S = 1.0
WAIT_FOR_ROOM_S: Final = 600.0
_LEAST_ROOM: Final = 1024 * 1024
"""Without a limit of the job: what must be free before a write that found no room is tried again."""


class DiskGuard:
    """Watches the file system of a folder.

    Args:
        folder: Any path on it.
        least_free: Bytes that stay free; `None` waits only where a write finds no room at all.
        clock: Monotonic seconds.
        tell: Called with a sentence when it begins to wait, and with `None` when there is room again.
        patience: Seconds after which waiting ends with an error.
    """

    def __init__(
        self,
        folder: Path,
        least_free: int | None,
        clock: Callable[[], float],
        tell: Callable[[str | None], None] | None = None,
        *,
        patience: float = WAIT_FOR_ROOM_S,
    ) -> None:
        self._folder = folder
        self._least_free = least_free
        self._clock = clock
        self._tell = tell
        self._patience = patience
        self._unseen = 0  # bytes that may be written before the next look
        self._next_look = 0.0
        self._room: anyio.Event | None = None  # set when there is room again; there while somebody waits

    async def admit(self, size: int) -> float:
        """Wait until `size` more bytes may be written; gives the seconds waited.

        Raises:
            OSError: ENOSPC, after ten minutes without room.
        """
        if self._least_free is None and self._room is None:
            return 0.0
        self._unseen -= size
        if self._room is None and self._unseen >= 0 and self._clock() < self._next_look:
            return 0.0
        if self._room is None and await self._has_room():
            return 0.0
        return await self.wait(f"less than {_size(self._least_free or 0)} free")

    async def wait(self, reason: str = "the disk is full") -> float:
        """Wait until there is room; gives the seconds waited.

        Raises:
            OSError: ENOSPC, after ten minutes without it.
        """
        began = self._clock()
        if self._room is not None:
            with anyio.move_on_after(self._patience):
                await self._room.wait()
                return self._clock() - began
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._room = anyio.Event()
        if self._tell is not None:
            self._tell(f"paused: {reason} at {self._folder}; goes on when there is room")
        try:
            while True:
                await anyio.sleep(LOOK_WHILE_WAITING_S)
                if await self._has_room():
                    break
                if self._clock() - began > self._patience:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            self._room.set()  # also when cancelled: whoever still finds no room begins to look
            self._room = None
            if self._tell is not None:
                self._tell(None)
        return self._clock() - began

    async def _has_room(self) -> bool:
        """Look, off the event loop, as a network's file system may take its time."""
        found = await anyio.to_thread.run_sync(os.statvfs, self._folder)
        free = found.f_bavail * found.f_frsize
        self._next_look = self._clock() + LOOK_EVERY_S
        # Half of what is there: other streams book the other half before the next look counts.
        self._unseen = max(0, free - (self._least_free or 0)) // 2
        return free > (_LEAST_ROOM if self._least_free is None else self._least_free)


def is_full(error: OSError) -> bool:
    """Whether room would help against an error."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _size(n: int) -> str:
    for unit, size in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if n >= size:
            return f"{n / size:.3g} {unit}"
    return f"{n} bytes"

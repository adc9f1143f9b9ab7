"""One run per state folder: a lock that dies with its holder, however it dies.

The lock is the kernel's, on an open file; what the file says is only for the message to the second run. So a stale
file never blocks anybody, and nothing has to be cleaned up.
"""

from __future__ import annotations

import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

from crawler.fanout.errors import StateLocked, output_error

if sys.platform == "win32":
    import msvcrt

    def _try_lock(fd: int) -> None:
        os.lseek(fd, 1 << 30, os.SEEK_SET)  # beyond the text, which must stay readable
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _try_lock(fd: int) -> None:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


class StateLock:
    """Holds the lock from construction to `release` or the end of the process.

    Raises:
        StateLocked: Another process holds it; the message says which.
        OutputError: The lock file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise output_error(str(path), error) from error
        try:
            _try_lock(self._fd)
        except (BlockingIOError, PermissionError) as error:
            holder = os.read(self._fd, 200).decode("utf-8", "replace").strip()
            os.close(self._fd)
            who = f" ({holder})" if holder else ""
            raise StateLocked(f"another run holds {path.parent}{who}; wait for its end, or stop it") from error
        except OSError as error:
            os.close(self._fd)
            raise output_error(str(path), error) from error
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        started = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        os.write(self._fd, f"process {os.getpid()} on {socket.gethostname()} since {started}\n".encode())

    def release(self) -> None:
        """Let the next run in."""
        os.close(self._fd)

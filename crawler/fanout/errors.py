"""What stops a whole run, each with its exit code (job-example §9). One failed URL is never one of these."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import ClassVar


class RunError(Exception):
    """A run cannot start, or cannot go on. The message is for people: what, where, what to do next.

    Attributes:
        exit_code: What the command line ends with.
    """

    exit_code: ClassVar[int] = 7


class StateLocked(RunError):
    """Another run holds the state; it is left alone."""

    exit_code = 6


class StateDamaged(RunError):
    """The state or a file it vouches for cannot be trusted; nothing was changed."""

    exit_code = 2


class StateChanged(RunError):
    """The state was made by another job: one whose requests are made in another way; nothing was changed."""

    exit_code = 2


class OutputError(RunError):
    """An output or the state cannot be written: no space, no permission, no such folder. Resumable."""

    exit_code = 4


class OutputClosed(OutputError):
    """Whoever read the records from standard output has gone away: as a pipe ends other programs, 128 + SIGPIPE."""

    exit_code = 141


class HostSuspended(Exception):
    """A request was not sent, as its host wants no more of them in this run."""

    kind: ClassVar[str] = "host_suspended"


class RedirectBlocked(Exception):
    """A redirect was not followed, as the job does not allow where it leads."""

    kind: ClassVar[str] = "redirect_blocked"


_ADVICE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space or raise the quota",
    errno.EACCES: "make it writable for this user, or choose another folder",
    errno.EPERM: "make it writable for this user, or choose another folder",
    errno.EROFS: "choose a folder on a file system that can be written",
    errno.EMFILE: "raise the limit of open files (ulimit -n) or lower the concurrency",
    errno.ENFILE: "close other programs or lower the concurrency",
    errno.ENOENT: "put the folder back, or choose another",
    errno.ENOTDIR: "a file stands where a folder is needed; choose another folder",
}


def output_error(what: str, error: Exception) -> OutputError:
    """Say what could not be written, why, and what helps; the same command then goes on."""
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        advice = _ADVICE.get(error.errno or 0, "check the disk")
    else:
        reason, advice = str(error), "check the disk"
    return OutputError(f"cannot write {what}: {reason}; {advice}, then run the same command again to go on")


_DISK_CODES = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}


def state_error(path: Path, error: sqlite3.Error) -> RunError:
    """Translate what SQLite said about a state file: the disk's fault, or the file's."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest are details of the same code
    if code in _DISK_CODES:
        return output_error(str(path), error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StateLocked(f"{path} is being used by another program: {error}")
    return StateDamaged(f"{path} cannot be trusted: {error}; move it away to begin anew, or restore a copy")

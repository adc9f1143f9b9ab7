"""The part of a download on the disk: `NAME.part` and `NAME.part.json` beside it. Blocking, for threads.

    open ──▶ write_at … note ──▶ publish ──▶ NAME              the part is whole and right
       ▲                    └──▶ keep_bad ──▶ NAME.bad         it is whole and wrong
       └── leave ◀──────────┘                                  interrupted: it stays for the next try
                            └──▶ discard                       of no use

Everything happens relative to the descriptor of the folder, and follows no links. A part that somebody else has open
(another run on the same folder) is refused.
"""

from __future__ import annotations

import contextlib
import os
import stat
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

from crawler.fanout.checksums import Digests
from crawler.fanout.paths import PART_SUFFIX, FileExists, Folder, check_replaceable, shorten
from crawler.fanout.resume import MAX_NOTE_BYTES, PartNote, decode_note

NOTE_SUFFIX: Final = ".part.json"
BAD_SUFFIX: Final = ".bad"
READ_SIZE: Final = 1024 * 1024

Parts = tuple[str, ...]


class SyncError(OSError):
    """What was written may not be on the disk, and a second try would not tell (`fsync` reports a loss once)."""


class PartOnDisk:
    """The place of one download.

    Args:
        folder: The folder of files.
        parts: Folders and name below it.
        create: Make the folders that are missing.

    Attributes:
        parts: As given.
        fd: Descriptor of the part, -1 while it is not open.
        length: Bytes of the part when it was opened.

    Raises:
        FileExists: A component is a link or no folder.
        OSError: The disk refuses, or a folder is missing.
    """

    def __init__(self, folder: Folder, parts: Parts, *, create: bool = True) -> None:
        self.parts = parts
        self.fd = -1
        self.length = 0
        self._folder = folder
        self._name = parts[-1]
        self._part = self._name + PART_SUFFIX
        self._note = shorten(self._name, 240) + NOTE_SUFFIX
        self._parent = folder.open_parent(parts, create=create)

    # -- looking ------------------------------------------------------------------------------------------------------

    def existing(self) -> os.stat_result | None:
        """Give what stands under the final name; `None` if there is nothing or a link, which a rename replaces.

        Raises:
            FileExists: It is no ordinary file of ours.
        """
        check_replaceable(self._parent, self._name)
        try:
            found = os.stat(self._name, dir_fd=self._parent, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return found if stat.S_ISREG(found.st_mode) else None

    def open_existing(self) -> int:
        """Open the file under the final name for reading; the caller closes it."""
        return os.open(self._name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=self._parent)

    def read_note(self) -> PartNote | None:
        """Read the note beside the part; `None` if there is none, or no sound one, or no part."""
        try:
            os.stat(self._part, dir_fd=self._parent, follow_symlinks=False)
            fd = os.open(self._note, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._parent)
        except OSError:
            return None
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return None
            return decode_note(file.read(MAX_NOTE_BYTES))

    # -- opening ------------------------------------------------------------------------------------------------------

    def open_again(self) -> bool:
        """Open the part that is there, to go on with it; false if it is not what we left."""
        try:
            fd = os.open(self._part, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=self._parent)
        except OSError:
            return False
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            os.close(fd)
            return False
        self._hold(fd)
        self.fd, self.length = fd, found.st_size
        return True

    def open_new(self) -> None:
        """Make an empty part in the place of any that is there.

        Raises:
            FileExists: The part, or what stands under the final name, is not ours to replace.
        """
        if self.fd >= 0:
            os.ftruncate(self.fd, 0)
        else:
            fd = self._folder.open_part(self._parent, self._name)
            self._hold(fd)
            self.fd = fd
        self.length = 0
        self._unlink(self._note)

    def _hold(self, fd: int) -> None:
        """Keep other processes off this part, for as long as it is open."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            raise FileExists(f"{self._part!r} is being written by another run") from error
        except OSError:
            pass  # a file system without locks

    # -- writing ------------------------------------------------------------------------------------------------------

    def reserve(self, size: int) -> None:
        """Have the file system keep room for the whole file, where it can.

        Raises:
            OSError: There is not so much room.
        """
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(self.fd, 0, size)

    def note(self, note: PartNote, *, sync: bool) -> None:
        """Put the note beside the part, in one step; with `sync`, after the part's bytes have reached the disk."""
        if sync:
            _sync(self.fd)
        new = self._note + "~"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        fd = os.open(new, flags, 0o644, dir_fd=self._parent)
        try:
            write_all(fd, note.encode(), 0)
        finally:
            os.close(fd)
        os.rename(new, self._note, src_dir_fd=self._parent, dst_dir_fd=self._parent)

    def prefix_sha256(self, end: int) -> str:
        """Hash the first `end` bytes of the part."""
        digests = Digests()
        read_into(self.fd, digests, 0, end)
        return digests.sha256

    # -- ending -------------------------------------------------------------------------------------------------------

    def publish(self, parts: Parts, length: int, modified_ns: int | None, *, fsync: bool) -> None:
        """Give the part its final name: its length, its time, data to the disk, rename, folder to the disk.

        A failed fsync is final: what the kernel dropped a second fsync would not bring back.

        Raises:
            FileExists: Under the final name stands something that is not ours to replace.
            OSError: The disk refuses.
        """
        if os.fstat(self.fd).st_size != length:
            os.ftruncate(self.fd, length)
        if modified_ns is not None:
            os.utime(self.fd, ns=(modified_ns, modified_ns))
        if fsync:
            _sync(self.fd)
        parent = self._parent if parts[:-1] == self.parts[:-1] else self._folder.open_parent(parts)
        try:
            check_replaceable(parent, parts[-1])
            os.rename(self._part, parts[-1], src_dir_fd=self._parent, dst_dir_fd=parent)
            if fsync:
                os.fsync(parent)
            self._unlink(parts[-1] + BAD_SUFFIX, parent)
        finally:
            if parent != self._parent:
                os.close(parent)
        self._unlink(self._note)
        self.leave()

    def keep_bad(self) -> None:
        """Leave the part as `NAME.bad`, for people to look at."""
        with contextlib.suppress(OSError):
            check_replaceable(self._parent, self._name + BAD_SUFFIX)
            os.rename(self._part, self._name + BAD_SUFFIX, src_dir_fd=self._parent, dst_dir_fd=self._parent)
        self.discard()

    def discard(self) -> None:
        """Remove part and note; that it fails is not worth another error."""
        self._unlink(self._part)
        self._unlink(self._note)
        self.leave()

    def leave(self) -> None:
        """Close what is open; the part stays. Idempotent."""
        fd, self.fd = self.fd, -1
        parent, self._parent = self._parent, -1
        for one in (fd, parent):
            if one >= 0:
                os.close(one)

    def _unlink(self, name: str, parent: int | None = None) -> None:
        with contextlib.suppress(OSError, ValueError):
            os.unlink(name, dir_fd=self._parent if parent is None else parent)


def _sync(fd: int) -> None:
    try:
        os.fsync(fd)
    except OSError as error:
        raise SyncError(error.errno, error.strerror) from error


def write_all(fd: int, data: bytes | memoryview, at: int) -> None:
    """Write all of it at a position; the system may take less at a time."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, at)
        rest, at = rest[written:], at + written


def read_into(fd: int, digests: Digests, start: int, end: int) -> None:
    """Hash bytes `start` to `end` of a file.

    Raises:
        EOFError: It is shorter.
    """
    while start < end:
        data = os.pread(fd, min(READ_SIZE, end - start), start)
        if not data:
            raise EOFError
        digests.update(data)
        start += len(data)


@lru_cache(maxsize=1)
def boot_name() -> str:
    """Name the time since this machine was started; empty where that cannot be told, so that nothing matches."""
    try:
        return sha256(Path("/proc/sys/kernel/random/boot_id").read_bytes()).hexdigest()[:16]
    except OSError:
        return ""

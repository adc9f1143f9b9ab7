"""A body becomes a file: `NAME.part`, large writes off the event loop, fsync, rename.

A final name appears by the rename of a whole, synced file in the same folder and in no other way. Pieces are
collected to 256 KiB before they are handed to a thread, and the next waits until that one is written: that is the
back-pressure to the socket, and larger writes were measured to be slower, not faster.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Protocol

import anyio
import anyio.to_thread
import sniffio

from crawler.errors import RequestError
from crawler.fanout.kinds import classify
from crawler.fanout.paths import (
    PART_SUFFIX,
    Folder,
    PathError,
    check_replaceable,
    collision_key,
    numbered,
    safe_parts,
)
from crawler.fanout.spread import Spread

WRITE_SIZE: Final = 256 * 1024
_MAX_SAME_NAME: Final = 10_000

Claim = Callable[[str, bytes], Awaitable[bool]]
"""Reserves a file name for one request: (name, owner) → whether it is the owner's now."""


class DiskError(RequestError):
    """The disk refused a body: a matter of this machine, not of the URL. `kind` says how (`disk_full`, `io_error`)."""


@contextlib.contextmanager
def translated(parts: tuple[str, ...]) -> Iterator[None]:
    """Turn what the system says about a file into a `DiskError`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise DiskError(f"{'/'.join(parts)}: {reason}", kind=classify(error)) from error


class _AsyncFile(Protocol):
    def write(self, data: memoryview, /) -> Awaitable[int]: ...


class BodyFiles:
    """The folder of bodies: gives each request the name of its own and writes what comes.

    Args:
        folder: Where they lie.
        claim: Reserves names, so that no two requests share a file, also not across runs.
        fsync: Wait for the disk before the final name appears.

    Attributes:
        folder, claim: As given.
    """

    def __init__(self, folder: Folder, claim: Claim, *, fsync: bool) -> None:
        self.folder = self._folder = folder
        self.claim = self._claim = claim
        self._fsync = fsync
        self._spread = Spread(folder)

    async def name(self, wished: str, owner: bytes) -> tuple[str, ...]:
        """Find the safe name for a wished-for path: the first of `a`, `a~2`, `a~3` … that is nobody else's, in a
        sub-folder if its folder has its fill (`crawler.fanout.spread`).

        Raises:
            PathError: Nothing safe can be made of it, or ten thousand others wished for the same.
            OSError: A folder cannot be read.
        """
        return (await self.next_name(wished, owner, 1))[0]

    async def next_name(self, wished: str, owner: bytes, first: int) -> tuple[tuple[str, ...], int]:
        """Find the first such name from the `first`-th on; gives its number, too.

        Raises:
            PathError: As `name`.
        """
        parts = safe_parts(wished)
        for number in range(first, _MAX_SAME_NAME):
            candidate = numbered(parts, number)
            if not await self._claim(collision_key(candidate), owner):
                continue
            place = await self._spread.place(candidate)
            if place == candidate or await self._claim(collision_key(place), owner):
                return place, number
        raise PathError(f"{_MAX_SAME_NAME} files want the name {'/'.join(parts)!r}")

    async def forget(self, wished: str, owner: bytes) -> None:
        """Remove the temporary file that a killed run left of a body; that it fails is not worth another error."""
        with contextlib.suppress(RequestError, OSError, ValueError):
            await anyio.to_thread.run_sync(self._forget, await self.name(wished, owner))

    def _forget(self, parts: tuple[str, ...]) -> None:
        parent = self._folder.open_parent(parts, create=False)
        try:
            os.unlink(parts[-1] + PART_SUFFIX, dir_fd=parent)
        finally:
            os.close(parent)

    async def write_whole(self, parts: tuple[str, ...], data: bytes) -> None:
        """Write a body that is in memory: one visit to a thread does it all.

        Raises:
            DiskError, FileExists: It could not be written.
        """
        with translated(parts):
            await anyio.to_thread.run_sync(self._write_whole, parts, data)

    def _write_whole(self, parts: tuple[str, ...], data: bytes) -> None:
        part = PartFile(self._folder, parts, fsync=self._fsync)
        try:
            part.write_now(data)
            part.publish()
        except BaseException:
            part.discard()
            raise

    async def open(self, parts: tuple[str, ...]) -> StreamedFile:
        """Begin a body that comes piece by piece.

        Raises:
            DiskError, FileExists: Its file cannot be made.
        """
        with translated(parts):
            part = await anyio.to_thread.run_sync(lambda: PartFile(self._folder, parts, fsync=self._fsync))
        try:
            return StreamedFile(part, await _open_async(part.fd), parts)
        except BaseException:
            part.discard()
            raise

    def close(self) -> None:
        """Let go of the folder."""
        self._folder.close()


class PartFile:
    """The temporary file of one body; blocking, for threads. Ends by `publish` or `discard`.

    Attributes:
        fd: Its descriptor.
    """

    def __init__(self, folder: Folder, parts: tuple[str, ...], *, fsync: bool) -> None:
        self._name = parts[-1]
        self._fsync = fsync
        self._parent = folder.open_parent(parts)
        try:
            self.fd = folder.open_part(self._parent, self._name)
        except BaseException:
            os.close(self._parent)
            raise

    def write_now(self, data: bytes) -> None:
        """Write all of it; the system may take less at a time."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.fd, rest) :]

    def publish(self) -> None:
        """Give the file its final name: data to the disk, rename, folder to the disk.

        A failed fsync is final: what the kernel dropped a second fsync would not bring back.
        """
        if self._fsync:
            os.fsync(self.fd)
        check_replaceable(self._parent, self._name)
        os.rename(self._name + PART_SUFFIX, self._name, src_dir_fd=self._parent, dst_dir_fd=self._parent)
        if self._fsync:
            os.fsync(self._parent)
        self._close()

    def discard(self) -> None:
        """Remove the temporary file; a failure to do so is not worth another error. Idempotent."""
        if self.fd >= 0:
            with contextlib.suppress(OSError):
                os.unlink(self._name + PART_SUFFIX, dir_fd=self._parent)
            self._close()

    def _close(self) -> None:
        fd, self.fd = self.fd, -1
        os.close(fd)
        os.close(self._parent)


class StreamedFile:
    """A body on its way to the disk. Ends by `publish` or `discard`."""

    def __init__(self, part: PartFile, file: _AsyncFile, parts: tuple[str, ...]) -> None:
        self._part = part
        self._parts = parts
        self._file = file
        self._buffer = bytearray()

    async def write(self, data: bytes) -> None:
        """Take a piece; waits for the disk whenever 256 KiB have come together."""
        self._buffer += data
        if len(self._buffer) >= WRITE_SIZE:
            await self._flush()

    async def publish(self) -> None:
        """Write what is left and give the file its final name."""
        await self._flush()
        with translated(self._parts):
            await anyio.to_thread.run_sync(self._part.publish)

    def discard(self) -> None:
        """Remove the temporary file; synchronous, so that it works while being cancelled."""
        self._part.discard()

    async def _flush(self) -> None:
        data, self._buffer = self._buffer, bytearray()
        # Shielded: a cancelled wait would leave the thread writing to a descriptor that is about to be closed.
        with anyio.CancelScope(shield=True), translated(self._parts):
            rest = memoryview(data)
            while rest:
                rest = rest[await self._file.write(rest) :]


async def _open_async(fd: int) -> _AsyncFile:
    """Wrap a descriptor, unbuffered; `aiofiles` knows asyncio only. The descriptor stays the caller's to close."""
    if sniffio.current_async_library() == "asyncio":
        import aiofiles

        return await aiofiles.open(fd, "wb", buffering=0, closefd=False)
    return await anyio.open_file(fd, "wb", buffering=0, closefd=False)

"""A stream of bytes on its way into a part: collected, written and hashed in a thread, with a checkpoint now and then.

    write(piece) … ──256 KiB──▶ thread: write, hash, maybe note ──▶ …
                     one such hand-over is under way at most; the next waits for it, and that is the back-pressure

The bytes of a hand-over are written and hashed in one visit to a thread: two visits, or `aiofiles` and hashing in the
loop, cost the loop more (docs/performance.md has the figures). Larger hand-overs were measured to be slower.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable
from typing import Final

import anyio

from crawler.fanout.checksums import Digests
from crawler.fanout.disk import DiskGuard, is_full
from crawler.fanout.partfile import PartOnDisk, SyncError, write_all
from crawler.fanout.resume import PartNote, advance
from crawler.fanout.threads import Threads

WRITE_SIZE: Final = 256 * 1024
MAX_PIECES: Final = 256
"""Pieces of a hand-over at most, so that many tiny ones do not add up to much more memory than their bytes."""
CHECKPOINT: Final = 64 * 1024 * 1024
"""Bytes after which a part is brought to the disk, and the note says so: what a power cut may cost."""
MARK: Final = 8 * 1024 * 1024
"""Bytes after which the note of a reserved part says how far it got: what a kill may cost, as its length says
nothing."""


class PartWriter:
    """Writes one stretch of a part.

    Args:
        part: Open.
        note: Beside it; kept up to date.
        at: Position of the first byte.
        digests: Hash what is written; `None` for a segment, whose bytes do not come in order.
        threads, guard: Do the work; wait for room.
        fsync: Bring the part to the disk at each checkpoint.

    Attributes:
        at: Position behind what was handed to `write`.
        waited: Seconds spent waiting for room.
    """

    def __init__(
        self,
        part: PartOnDisk,
        note: PartNote,
        at: int,
        digests: Digests | None,
        threads: Threads,
        guard: DiskGuard,
        *,
        fsync: bool,
    ) -> None:
        self._part = part
        self._note = note
        self._digests = digests
        self._threads = threads
        self._guard = guard
        self._fsync = fsync
        self._pieces: list[bytes] = []
        self._size = 0
        self._under_way: Awaitable[None] | None = None
        self._batch: list[bytes] = []
        self._batch_at = at  # where the batch under way begins
        self.at = at
        self.written = at
        """Position behind what is written."""
        self.waited = 0.0

    async def write(self, piece: bytes) -> None:
        """Take a piece; waits for the disk if that is slower.

        Raises:
            OSError: The disk refuses; for want of room, after waiting for it.
        """
        self._pieces.append(piece)
        self._size += len(piece)
        self.at += len(piece)
        if self._size >= WRITE_SIZE or len(self._pieces) >= MAX_PIECES:
            await self._hand_over()

    async def flush(self) -> None:
        """Have everything written that was taken.

        Raises:
            OSError: The disk refuses.
        """
        if self._pieces:
            await self._hand_over()
        await self._finish()

    async def settle(self, *, save: bool) -> None:
        """Wait until no thread works on the part, whatever comes of it; for the way out.

        Args:
            save: Write what was taken, if the disk lets us; nobody waits for room now.
        """
        with anyio.CancelScope(shield=True), contextlib.suppress(OSError):
            if (under_way := self._under_way) is not None:
                self._under_way = None
                await under_way
            if save and self._pieces and not self._batch:
                self._batch, self._pieces, self._batch_at = self._pieces, [], self.written
                await self._threads.start(self._write_batch)

    async def _hand_over(self) -> None:
        await self._finish()
        self.waited += await self._guard.admit(self._size)
        self._batch, self._pieces, self._size = self._pieces, [], 0
        self._batch_at = self.written
        self._under_way = self._threads.start(self._write_batch)

    async def _finish(self) -> None:
        """Wait for the hand-over under way; without room, until there is some."""
        while self._under_way is not None:
            try:
                # Shielded: a cancelled wait would leave the thread writing to a descriptor that is about to be closed.
                with anyio.CancelScope(shield=True):
                    await self._under_way
                self._under_way = None
            except OSError as error:
                self._under_way = None
                if not is_full(error) or isinstance(error, SyncError):
                    raise
                self.waited += await self._guard.wait()
                self._under_way = self._threads.start(self._write_batch)

    def _write_batch(self) -> None:
        """In a thread. Again after an error: the same bytes to the same place, and hashed once."""
        batch = self._batch
        if not batch:
            return
        data = batch[0] if len(batch) == 1 else b"".join(batch)
        write_all(self._part.fd, data, self._batch_at)
        end = self._batch_at + len(data)
        self._batch, self.written = [], end
        if self._digests is not None:
            self._digests.update(data)
            try:
                self._mark(end)
            except OSError as error:
                if not is_full(error) or isinstance(error, SyncError):
                    raise
                # No room for a note of some hundred bytes: the next hand-over will wait for it.

    def _mark(self, end: int) -> None:
        note = self._note
        if note.validator is None:
            return  # nobody will go on with it
        if end - note.synced >= CHECKPOINT:
            assert self._digests is not None
            done = None if note.done is None else end
            note = advance(note, synced=end, sha256=self._digests.sha256, done=done)
            self._part.note(note, sync=self._fsync)
        elif note.done is not None and end - note.done >= MARK:
            note = advance(note, done=end)
            self._part.note(note, sync=False)
        self._note = note

    def mark_now(self) -> None:
        """Note how far it got; for a reserved part that is left. Blocking, a small file."""
        if self._note.done is not None and self._note.validator is not None and self._digests is not None:
            self._note = advance(self._note, done=self.written)
            self._part.note(self._note, sync=False)

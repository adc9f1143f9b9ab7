"""One download after the other: where to, whether at all, from which byte on, whether it is right, and then its name.

    name ─▶ is it there? ──yes, and right──▶ unchanged
              │no
              ▼
            part and note? ─▶ request (Range, If-Range) ─▶ judge ─▶ receive ─▶ verify ─▶ publish
              (resume)                                       │                   │
                                                  another version: again    wrong: .bad, again

The order of things on the disk: note, bytes, fsync, rename, fsync of the folder, then the record. So a kill at any
point leaves a part that the same command goes on with, or a whole file that it finds to be right.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import anyio

from crawler.errors import RequestError
from crawler.fanout.checksums import Sums
from crawler.fanout.download_state import Download, Send, Workshop, part_name
from crawler.fanout.download_transfer import Transfer
from crawler.fanout.files import translated
from crawler.fanout.kinds import family
from crawler.fanout.names import PROVISIONAL_FOLDER
from crawler.fanout.partfile import PartOnDisk, Parts, SyncError
from crawler.fanout.resume import ChangedDuringResume, RangeMismatch
from crawler.fanout.segments import SegmentRefused

if TYPE_CHECKING:
    from crawler.fanout.frontier import Lease
    from crawler.fanout.result import Result


_RESUMABLE_FAMILIES: Final = frozenset({"dns", "connect", "tls", "proxy", "protocol", "transfer"})
_RESUMABLE: Final = frozenset({"rate_limited", "http_5xx", "host_suspended"})
"""Failures that say nothing against the part there is."""


class Downloads:
    """Downloads files as a policy says.

    Args:
        shop: Tools and rules.
        load_sums: Gives the list of checksums of the job; asked by `prepare`.

    Attributes:
        has_remains: A request that failed may have left something on the disk; see `forget`.
    """

    has_remains: Final = True

    def __init__(self, shop: Workshop, load_sums: Callable[[], Awaitable[Sums]] | None = None) -> None:
        self._shop = shop
        self._load_sums = load_sums
        self._sums: Sums | None = None

    async def fetch(self, result: Result, send: Send) -> bool:
        """Make one attempt at a download and write into the result what became of it.

        Returns:
            Whether the response was used; one that was not is judged by its status.

        Raises:
            ChecksumMismatch, SizeMismatch, RangeMismatch, ChangedDuringResume: It is not what it must be.
            CheckFailed: A check of the job says so.
            ResponseTooLarge, TooSlow, PathError, FileExists: As they say.
            DiskError: The disk failed; what is there stays, if it can be trusted.
            RequestError: The body did not come whole.
        """
        download = Download(self._shop, result, self._sums)
        with translated((result.url,)):
            try:
                return await Transfer(download, send).run()
            except SegmentRefused as error:
                result.response = error.response
                result.path = None
                return False
            except (SyncError, RangeMismatch, ChangedDuringResume):
                download.is_kept = False  # nobody knows what of the part is on the disk, or whether it is right
                result.path = None
                raise
            except BaseException:
                result.path = None  # there is no file of that name
                raise
            finally:
                with anyio.CancelScope(shield=True):
                    await download.leave()

    async def forget(self, lease: Lease, kind: str) -> None:
        """Remove the part of a request that failed for good; one that a later run can go on with stays."""
        shop = self._shop
        is_good = kind in _RESUMABLE or family(kind) in _RESUMABLE_FAMILIES
        # What cannot be removed, or never had a name, is not worth another error.
        with contextlib.suppress(RequestError, OSError, ValueError):
            await shop.threads.run(_remove_part, shop, await part_name(shop, lease), is_good)

    async def prepare(self) -> None:
        """Read the list of checksums; once, before the first download.

        Raises:
            SumsError: It cannot be had.
        """
        if self._load_sums is not None:
            self._sums = await self._load_sums()

    def close(self) -> None:
        """Let go of threads and folder."""
        self._shop.threads.close()
        try:
            if self._shop.pack is not None:
                self._shop.pack.close()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        with contextlib.suppress(OSError):  # it is not there, or not empty
            os.rmdir(self._shop.files.folder.path / PROVISIONAL_FOLDER)
        self._shop.files.close()


def _remove_part(shop: Workshop, parts: Parts, is_good: bool) -> None:
    """In a thread; of good parts those go that nothing says enough of to go on with."""
    try:
        part = PartOnDisk(shop.files.folder, parts, create=False)
    except FileNotFoundError:
        return
    if is_good and part.read_note() is not None:
        part.leave()
    else:
        part.discard()

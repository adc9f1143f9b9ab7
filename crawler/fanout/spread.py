"""No folder above 10,000 entries: what would be too many goes to sub-folders, `img/~3f/1.jpg` instead of `img/1.jpg`.

Small runs keep the names that people expect. A folder that has its fill keeps what is in it; every further name goes
to the sub-folder that its hash says, so a request that comes again finds its file again. Sub-folders fill up the same
way.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from crawler.fanout.paths import PART_SUFFIX, FileExists

if TYPE_CHECKING:
    from crawler.fanout.paths import Folder

MOST_NAMES = 8000
"""Names after which a folder has its fill; beside them it has parts, their notes, and up to 256 sub-folders."""
_MOST_FOLDERS: Final = 10_000
"""Folders whose counts are remembered, a few megabytes; another one is counted again."""

Parts = tuple[str, ...]


class Spread:
    """Counts the names in the folders below one, and finds room for further ones.

    Args:
        folder: The one.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._counts: OrderedDict[Parts, int] = OrderedDict()
        self._looking = anyio.Lock()  # held while a thread looks and counts

    async def place(self, parts: Parts) -> Parts:
        """Give the place of a name: itself, or where it goes as a folder on its way has its fill.

        Raises:
            OSError: A folder cannot be read.
        """
        folder = parts[:-1]
        if self._looking.locked() or self._counts.get(folder, MOST_NAMES) >= MOST_NAMES:
            async with self._looking:
                return await anyio.to_thread.run_sync(self._place, parts)
        self._counts[folder] += 1  # a folder that is known, and so are those above it
        return parts

    def _place(self, parts: Parts) -> Parts:
        """In a thread."""
        place: Parts = ()
        for part in parts[:-1]:
            place = self._step(place, part, "")
        return self._step(place, parts[-1], PART_SUFFIX)

    def _step(self, folder: Parts, name: str, suffix: str) -> Parts:
        """Go one name down: where it is already, where there is room, or where its hash says."""
        digest = blake2b(name.casefold().encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        for depth in range(0, len(digest), 2):
            count = self._count(folder)
            is_there = (*folder, name) in self._counts or (count > 0 and self._is_there(folder, name, suffix))
            if is_there or count < MOST_NAMES:
                self._counts[folder] = count + (not is_there)
                return (*folder, name)
            folder = (*folder, f"~{digest[depth : depth + 2]}")
        return (*folder, name)

    def _count(self, folder: Parts) -> int:
        count = self._counts.get(folder)
        if count is None:
            count = self._counts[folder] = self._look(folder)
            if len(self._counts) > _MOST_FOLDERS:
                self._counts.popitem(last=False)
        return count

    def _look(self, folder: Parts) -> int:
        try:
            fd = self._folder.open_parent((*folder, ""), create=False)
        except (FileNotFoundError, FileExists):  # whoever writes there will say what stands in the way
            return 0
        try:
            with os.scandir(fd) as entries:
                return sum(1 for _ in entries)
        finally:
            os.close(fd)

    def _is_there(self, folder: Parts, name: str, suffix: str) -> bool:
        try:
            fd = self._folder.open_parent((*folder, ""), create=False)
        except (FileNotFoundError, FileExists):
            return False
        try:
            return any(_exists(fd, one) for one in {name, name + suffix})
        finally:
            os.close(fd)


def _exists(parent: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=parent, follow_symlinks=False)
    except OSError:
        return False
    return True

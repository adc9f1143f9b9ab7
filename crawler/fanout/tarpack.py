"""Many files in few: tar archives of `KEY.ext` with a `KEY.json` beside each, as WebDataset readers want them.

    000000.tar  000000.jsonl        a full archive and its index
    000001.tar.part                 the one that grows; a kill leaves it, and the next run goes on with it

A file is appended with its JSON at once; what a kill cut off in the middle is cut away at the next start, and the
files that are there are known by their requests (`Packed.request`): a file whose record got lost is not fetched again.
An archive that is full, or that a run ends with, gets its end, its index and its name, in this order.
"""

from __future__ import annotations

import errno
import os
import re
import tarfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import anyio
import orjson

from crawler.fanout.disk import DiskGuard, is_full
from crawler.fanout.download_policy import PackPolicy
from crawler.fanout.partfile import READ_SIZE, write_all
from crawler.fanout.paths import PART_SUFFIX, safe_part, shorten
from crawler.fanout.threads import Threads

KNOWN_AGAIN: Final = 20_000
"""Files of the newest archives that are known by their requests: more than can lack their records after a kill."""
_ARCHIVE = re.compile(r"(\d{6})\.tar(\.part)?")
_BLOCK: Final = 512
_END: Final = bytes(2 * _BLOCK)


@dataclass(frozen=True, slots=True)
class Packed:
    """One file of an archive, as its JSON file and the index have it.

    Attributes:
        member: Its name in the archive.
        request: Fingerprint of its request.
        url, key, status, content_type, sha256, bytes, meta: As in its record.
    """

    member: str
    request: str
    url: str
    key: str | None
    status: int
    content_type: str | None
    sha256: str
    bytes: int
    meta: dict[str, object] | None


def pack_key(key: str) -> str:
    """Give the name of a row's files in an archive: safe, and without a dot, where readers end the name.

    Numbers get leading zeros, so that they sort.
    """
    if key.isascii() and key.isdigit():
        return key.zfill(8)
    return shorten(safe_part(key or "_").replace(".", "_"), 80)


class TarPack:
    """The archives of a run.

    Args:
        folder: Where they lie.
        policy: How large they become.
        threads, guard: Do the work; wait for room.
        fsync: Bring an archive to the disk before it gets its name.

    Raises:
        OSError: The folder cannot be read.
    """

    def __init__(self, folder: Path, policy: PackPolicy, threads: Threads, guard: DiskGuard, *, fsync: bool) -> None:
        self._folder = folder
        self._policy = policy
        self._threads = threads
        self._guard = guard
        self._fsync = fsync
        self._lock = anyio.Lock()
        self._known: dict[str, tuple[str, Packed]] = {}
        self._fd = -1
        self._size = 0
        self._entries: list[Packed] = []
        self._number = 0
        self._recover()

    def find(self, request: str) -> tuple[str, Packed] | None:
        """Give path (`ARCHIVE!MEMBER`) and facts of a request's file, if it is in one of the newest archives."""
        return self._known.get(request)

    async def add(self, packed: Packed, body: bytes | int) -> str:
        """Append a file; gives its path.

        Args:
            packed: The facts.
            body: The file, or the descriptor of one of `packed.bytes` bytes.

        Raises:
            OSError: The disk refuses; for want of room, after waiting for it.
        """
        async with self._lock:
            await self._guard.admit(packed.bytes)
            while True:
                try:
                    return await self._threads.run(self._append, packed, body)
                except OSError as error:
                    if not is_full(error):
                        raise
                await self._guard.wait()

    def close(self) -> None:
        """Give the archive that grows its end and its name; an empty one goes. Blocking."""
        if self._fd >= 0:
            self._finish()

    # -- in a thread --------------------------------------------------------------------------------------------------

    def _append(self, packed: Packed, body: bytes | int) -> str:
        if self._fd < 0:
            self._begin()
        start = at = self._size
        try:
            at = self._put(packed.member, packed.bytes, body, at)
            facts = orjson.dumps(asdict(packed), option=orjson.OPT_APPEND_NEWLINE)
            at = self._put(packed.member.partition(".")[0] + ".json", len(facts), facts, at)
        except BaseException:
            os.ftruncate(self._fd, start)
            raise
        self._size = at
        self._entries.append(packed)
        path = f"{self._number:06d}.tar!{packed.member}"
        if len(self._entries) >= self._policy.items or self._size >= self._policy.size:
            self._finish()
        return path

    def _put(self, name: str, size: int, body: bytes | int, at: int) -> int:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, int(time.time()), 0o644
        header = info.tobuf(tarfile.PAX_FORMAT)
        write_all(self._fd, header, at)
        at += len(header)
        if isinstance(body, bytes):
            write_all(self._fd, body, at)
        else:
            for offset in range(0, size, READ_SIZE):
                data = os.pread(body, min(READ_SIZE, size - offset), offset)
                if not data:
                    raise OSError(errno.EIO, "a file became shorter while it was packed")
                write_all(self._fd, data, at + offset)
        padding = -size % _BLOCK
        write_all(self._fd, bytes(padding), at + size)
        return at + size + padding

    def _begin(self) -> None:
        self._entries, self._size = [], 0
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        self._fd = os.open(self._path(".tar" + PART_SUFFIX), flags, 0o644)

    def _finish(self) -> None:
        fd, self._fd = self._fd, -1
        try:
            write_all(fd, _END, self._size)
            if self._fsync:
                os.fsync(fd)
        finally:
            os.close(fd)
        if not self._entries:
            os.unlink(self._path(".tar" + PART_SUFFIX))
            return
        index = self._path(".jsonl")
        new = index.with_name(index.name + PART_SUFFIX)
        new.write_bytes(b"".join(orjson.dumps(asdict(one), option=orjson.OPT_APPEND_NEWLINE) for one in self._entries))
        os.rename(new, index)
        os.rename(self._path(".tar" + PART_SUFFIX), self._path(".tar"))
        if self._fsync:
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        self._know(self._entries)
        self._number += 1

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self._number:06d}{suffix}"

    # -- at the start -------------------------------------------------------------------------------------------------

    def _recover(self) -> None:
        """Find the newest archives, and go on with the one that a kill left."""
        found = {int(m[1]): m[2] is not None for p in self._folder.iterdir() if (m := _ARCHIVE.fullmatch(p.name))}
        for number in sorted(found, reverse=True):
            if len(self._known) >= KNOWN_AGAIN:
                break
            self._number = number
            if found[number]:
                self._reopen()
            else:
                self._know(read_index(self._path(".jsonl")))
        self._number = max(found, default=-1) + 1
        if found and found[max(found)]:
            self._number -= 1

    def _reopen(self) -> None:
        """Cut away what is not whole; an older one than the newest (a folder was copied together) is finished."""
        self._fd = os.open(self._path(".tar" + PART_SUFFIX), os.O_RDWR | os.O_NOFOLLOW)
        self._entries, self._size = [], 0
        for packed, end in scan(self._fd):
            self._entries.append(packed)
            self._size = end
        os.ftruncate(self._fd, self._size)
        self._know(self._entries)

    def _know(self, entries: list[Packed]) -> None:
        for packed in entries:
            self._known[packed.request] = (f"{self._number:06d}.tar!{packed.member}", packed)


def scan(fd: int) -> Iterator[tuple[Packed, int]]:
    """Give the files of an archive that are there whole with their JSON, and where each pair ends."""
    at = 0
    while len(header := os.pread(fd, _BLOCK, at)) == _BLOCK:
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.HeaderError:
            return
        body = at + _BLOCK
        at = body + info.size + -info.size % _BLOCK
        if not info.name.endswith(".json") or not info.isreg():
            continue
        data = os.pread(fd, info.size + -info.size % _BLOCK, body)
        packed = decode_packed(data[: info.size]) if len(data) == at - body else None
        if packed is None:
            continue  # a JSON file of the user's, or the torn end
        yield packed, at


def read_index(path: Path) -> list[Packed]:
    """Read an index; what is no line of one is passed over."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    return [packed for line in lines if (packed := decode_packed(line)) is not None]


def decode_packed(data: bytes) -> Packed | None:
    """Read the facts of a file; `None` if they are none."""
    try:
        return Packed(**orjson.loads(data))
    except (orjson.JSONDecodeError, TypeError):
        return None


_EXTENSIONS: Final = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/gif": "gif",
    "image/webp": "webp",
    "application/json": "json_",
    "text/html": "html",
    "text/plain": "txt",
    "application/pdf": "pdf",
    "audio/mpeg": "mp3",
    "video/mp4": "mp4",
}


def extension_of(url_ext: str, content_type: str | None) -> str:
    """Give the extension of a file in an archive, without its dot: by its URL, else by its media type, else `bin`.

    Never `json`, which is the name of the facts beside it.
    """
    ext = url_ext.lstrip(".").lower()
    if re.fullmatch(r"[a-z0-9_]{1,10}", ext) is None:
        ext = _EXTENSIONS.get((content_type or "").partition(";")[0].strip().lower(), "bin")
    return "json_" if ext == "json" else ext

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
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime
from typing import TYPE_CHECKING, Final

import anyio

from crawler.errors import RequestError, ResponseTooLarge
from crawler.fanout.bandwidth import Bandwidth, SpeedWatch
from crawler.fanout.checksums import Checksum, Digests, Sums, server_checksums
from crawler.fanout.disk import DiskGuard, is_full
from crawler.fanout.download_policy import DownloadPolicy
from crawler.fanout.files import BodyFiles, translated
from crawler.fanout.ids import fingerprint_text
from crawler.fanout.names import PROVISIONAL_FOLDER, fill_late
from crawler.fanout.partfile import BAD_SUFFIX, PartOnDisk, Parts, SyncError, boot_name, read_into, write_all
from crawler.fanout.paths import FileExists, collision_key, url_path
from crawler.fanout.plan import BodyPolicy, Item
from crawler.fanout.record import mask
from crawler.fanout.resume import (
    Answer,
    ChangedDuringResume,
    PartNote,
    RangeMismatch,
    advance,
    judge,
    note_of,
    parse_content_range,
    plan_resume,
    range_headers,
)
from crawler.fanout.segments import Release, SegmentRefused, Segments, cut, spans_of, unfinished
from crawler.fanout.tarpack import Packed, TarPack, extension_of, pack_key
from crawler.fanout.threads import Threads
from crawler.fanout.writer import PartWriter

if TYPE_CHECKING:
    from crawler.fanout.frontier import Lease
    from crawler.fanout.result import Result
    from crawler.models import Request, Response

SLICE: Final = 64 * 1024 * 1024
"""Bytes hashed per visit to a thread when a part or file is read again: what a cancelled download may wait for."""
_DRAINED: Final = 64 * 1024
"""Of a body that nobody wants: read, so that its connection can be used again; of a larger one the connection goes."""
_HASHED_AT_ONCE: Final = 32 * 1024
"""Bytes that are hashed in the event loop, some 20 µs; a visit to a thread costs more."""

Headers = tuple[tuple[str, str], ...]
Send = Callable[["Request"], Awaitable["Response"]]
Build = Callable[[Item], "Request"]


class ChecksumMismatch(RequestError):
    """The file is not the one that was to be downloaded."""

    kind = "checksum_mismatch"


class SizeMismatch(RequestError):
    """The file has another size than it must have."""

    kind = "size_mismatch"


@dataclass(frozen=True, slots=True)
class Workshop:
    """What all downloads of a run share."""

    policy: DownloadPolicy
    body: BodyPolicy
    files: BodyFiles
    threads: Threads
    guard: DiskGuard
    bandwidth: Bandwidth
    clock: Callable[[], float]
    build: Build
    take_slot: Callable[[Result], Release | None]
    pack: TarPack | None = None

    @property
    def is_provisional(self) -> bool:
        """Whether parts lie under provisional names."""
        return self.policy.has_late_names or self.pack is not None


class Downloads:
    """Downloads files as a policy says.

    Args:
        shop: Tools and rules.
        load_sums: Gives the list of checksums of the job; asked by `prepare`.
    """

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
            ResponseTooLarge, TooSlow, PathError, FileExists: As they say.
            DiskError: The disk failed; what is there stays, if it can be trusted.
            RequestError: The body did not come whole.
        """
        transfer = Transfer(self._shop, result, self._sums)
        with translated((result.url,)):
            try:
                return await transfer.run(send)
            except SegmentRefused as error:
                result.response = error.response
                result.path = None
                return False
            except (SyncError, RangeMismatch, ChangedDuringResume):
                transfer.spoil()
                result.path = None
                raise
            except BaseException:
                result.path = None  # there is no file of that name
                raise
            finally:
                with anyio.CancelScope(shield=True):
                    await transfer.leave()

    async def forget(self, lease: Lease) -> None:
        """Remove the part of a request that failed for good."""
        shop = self._shop
        # What cannot be removed, or never had a name, is not worth another error.
        with contextlib.suppress(RequestError, OSError, ValueError):
            await shop.threads.run(_remove_part, shop, await part_name(shop, lease))

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


async def part_name(shop: Workshop, lease: Lease) -> Parts:
    """Give the name under which the part of a request lies: its final one, or a provisional one."""
    if shop.is_provisional:
        return (PROVISIONAL_FOLDER, lease.fp.hex())
    return await shop.files.name(wished_name(lease.item), lease.fp)


def wished_name(item: Item) -> str:
    """Give the name an item asks for; without one, that of its URL."""
    return url_path(mask(item.url)) if item.path is None else item.path


def _remove_part(shop: Workshop, parts: Parts) -> None:
    try:
        PartOnDisk(shop.files.folder, parts, create=False).discard()
    except FileNotFoundError:
        return


class Transfer:
    """One attempt at one download.

    Args:
        shop: Tools and rules.
        result: Of the request; its target is a `Lease`.
        sums: Checksums of the job's list.
    """

    def __init__(self, shop: Workshop, result: Result, sums: Sums | None) -> None:
        self._shop = shop
        self._policy = shop.policy
        self._result = result
        self._lease: Lease = result.target
        self._item: Item = self._lease.item
        self._parts: Parts = ()
        self._part: PartOnDisk | None = None
        self._note: PartNote | None = None
        self._writer: PartWriter | None = None
        self._is_kept = False  # the part on the disk is worth something to the next try
        self._expected = self._expect(sums)
        self._digests = self._new_digests()
        self._response: Response | None = None
        self._spans: PartNote | None = None  # of a part that was begun in segments
        self._send: Send | None = None

    def _expect(self, sums: Sums | None) -> tuple[Checksum, ...]:
        """What the file must come to, by its row or else by the job's list."""
        item = self._item
        if item.checksums or sums is None:
            return item.checksums
        names = [url_path(item.url).partition("?")[0]]
        return sums.find(*([item.path] if item.path is not None else []), *names)

    def _new_digests(self, more: tuple[Checksum, ...] = ()) -> Digests:
        return Digests([name for name, _ in (*self._expected, *more)])

    # -- the way ------------------------------------------------------------------------------------------------------

    async def run(self, send: Send) -> bool:
        """Do it; see `Downloads.fetch`."""
        result, shop = self._result, self._shop
        self._send = send
        result.request = shop.build(self._item)  # also where none is sent: it gives the record its URL
        if shop.pack is not None and (packed := shop.pack.find(fingerprint_text(self._lease.fp))) is not None:
            self._keep_packed(*packed)
            return True
        found = await self._look()
        headers: Headers = ()
        if found is not None:
            condition = await self._spare(found)
            if condition is None:
                return True
            headers = condition
        start = await self._open_part()
        if start is not None:
            assert self._note is not None
            headers = range_headers(self._note, start)
        elif self._spans is not None:
            first = next(span for span in self._spans.spans if span.at < span.end)
            headers = range_headers(self._spans, first.at, first.end)
        if headers:
            result.request = shop.build(replace(self._item, headers=(*self._item.headers, *headers)))
        response = result.response = self._response = await send(result.request)
        status = response.status_code
        if status == 304:
            if found is not None:
                await self._keep_found(found)
                return True
            result.path = None  # a condition of the job's own held: there is no body
            return False
        if status >= 400 and (not self._is_kept or status != 416):
            result.path = None
            await self._drop_body()
            return False
        if found is not None and self._is_same(found):
            await self._keep_found(found)
            return True
        if self._spans is not None and await self._go_on_in_segments(self._spans):
            return True
        if start is None:
            if status == 206:
                raise RangeMismatch("the server sent a part of the file (206), though the whole was asked for")
            await self._receive(self._begin_note(), 0)
        else:
            await self._go_on(start)
        return True

    async def _go_on_in_segments(self, note: PartNote) -> bool:
        """Go on with every span; false if the whole file came instead."""
        response = self._response
        assert response is not None
        todo = [span for span in note.spans if span.at < span.end]
        if judge(note, todo[0].at, response.status_code, response.headers, todo[0].end) is not Answer.GO_ON:
            return False
        if _coding(response) is not None:
            raise RangeMismatch("the rest of the file came with a content coding")
        self._result.resumed_from = sum(span.at - span.start for span in note.spans)
        slots = self._take_slots(min(len(todo), self._policy.segments) - 1)
        await self._in_segments(note, slots, self._expected)
        return True

    async def _go_on(self, start: int) -> None:
        assert self._note is not None
        assert self._response is not None
        response = self._response
        answer = judge(self._note, start, response.status_code, response.headers)
        if answer is Answer.RESTART:
            self._digests = self._new_digests()
            await self._receive(self._begin_note(), 0)
            return
        if answer is Answer.GO_ON and _coding(response) is not None:
            raise RangeMismatch("the rest of the file came with a content coding")
        self._is_kept = True
        self._result.resumed_from = start
        if answer is Answer.COMPLETE:
            await self._drop_body()
            await self._finish(start, self._expected)
        else:
            await self._receive(self._note, start)

    # -- what is there ------------------------------------------------------------------------------------------------

    async def _look(self) -> os.stat_result | None:
        """Choose the name, open the part there is, and give the finished file there is."""
        shop, lease = self._shop, self._lease
        if shop.is_provisional:
            self._parts = await part_name(shop, lease)
            await shop.threads.run(self._look_for_part)
            return None
        number = 1
        while True:
            self._parts, number = await shop.files.next_name(wished_name(self._item), lease.fp, number)
            self._result.path = "/".join(self._parts)
            found = await shop.threads.run(self._look_for_part)
            if found is None or self._policy.if_exists != "rename" or await self._is_ours():
                return found
            await self._close_part()
            number += 1

    def _look_for_part(self) -> os.stat_result | None:
        """In a thread."""
        try:
            part = self._part = PartOnDisk(self._shop.files.folder, self._parts, create=False)
        except FileNotFoundError:
            return None
        self._note = part.read_note() if self._policy.resume else None
        return None if self._shop.is_provisional else part.existing()

    async def _is_ours(self) -> bool:
        """Whether the file under the final name is one that we wrote for this very request: a kill came before the
        record.

        `_publish` claims a second name for it. Asking is claiming for nobody: that fails only if it was claimed.
        """
        return not await self._shop.files.claim("//" + collision_key(self._parts), b"")

    async def _spare(self, found: os.stat_result) -> Headers | None:
        """Decide about a file that is there: `None` if it stays, else the headers of the request that replaces it."""
        match self._policy.if_exists:
            case "overwrite":
                return ()
            case "skip":
                self._keep(found.st_size)
                return None
            case "fail" | "rename":
                if not await self._is_ours():
                    raise FileExists(f"{self._result.path} exists already")
                self._keep(found.st_size)
                return None
        if self._item.size not in (None, found.st_size):
            return ()
        if self._expected:
            digests = await self._hash_found(found)
            if digests.mismatch(self._expected) is not None:
                return ()
            self._keep(found.st_size, digests)
            return None
        if self._note is not None:
            return ()  # a newer version of it was on its way already
        return (("If-Modified-Since", formatdate(found.st_mtime, usegmt=True)),)

    def _is_same(self, found: os.stat_result) -> bool:
        """Whether the answer shows the file that is there, though the server did not care for the condition."""
        response = self._response
        assert response is not None
        if self._policy.if_exists != "verify" or self._expected or response.status_code != 200:
            return False
        modified = _instant(response.headers.get("last-modified"))
        return modified == int(found.st_mtime) and _length(response) == found.st_size

    async def _keep_found(self, found: os.stat_result) -> None:
        await self._drop_body()
        self._keep(found.st_size, await self._hash_found(found))

    def _keep(self, size: int, digests: Digests | None = None) -> None:
        result = self._result
        result.is_unchanged = True
        result.bytes = size
        if digests is not None:
            result.sha256 = digests.sha256
            result.checksum_ok = True if self._expected else None

    async def _hash_found(self, found: os.stat_result) -> Digests:
        assert self._part is not None
        digests = self._new_digests()
        fd = await self._shop.threads.run(self._part.open_existing)
        try:
            await self._read(fd, digests, 0, found.st_size)
        except EOFError:
            pass  # it became shorter while we read: the checksum will say so
        finally:
            os.close(fd)
        return digests

    async def _read(self, fd: int, digests: Digests, start: int, end: int) -> None:
        for begin in range(start, end, SLICE):
            await self._shop.threads.run(read_into, fd, digests, begin, min(begin + SLICE, end))

    async def _open_part(self) -> int | None:
        """Open the part that is there and give the number of bytes of it that are good; `None` if it is of no use."""
        part, note = self._part, self._note
        if part is None or note is None:
            return None
        if not await self._shop.threads.run(part.open_again):
            return None
        start = plan_resume(note, fingerprint_text(self._lease.fp), part.length, boot_name())
        if start is None:
            self._spans = unfinished(note, fingerprint_text(self._lease.fp), part.length, boot_name())
            self._is_kept = self._spans is not None
            return None
        try:
            if note.sha256 is not None and note.synced <= start:
                await self._read(part.fd, self._digests, 0, note.synced)
                if self._digests.sha256 != note.sha256:
                    raise EOFError
                await self._read(part.fd, self._digests, note.synced, start)
            else:
                await self._read(part.fd, self._digests, 0, start)
        except EOFError:  # something wrote to it
            self._digests = self._new_digests()
            return None
        self._is_kept = True
        return start

    # -- the body -----------------------------------------------------------------------------------------------------

    def _begin_note(self) -> PartNote:
        """The note of a download that begins with this response; of a coded body nothing could be gone on with."""
        response = self._response
        assert response is not None
        self._is_kept = False
        note = note_of(response.headers, fingerprint_text(self._lease.fp), _length(response), boot_name())
        if _coding(response) is not None or not self._policy.resume:
            return advance(note, validator=None)
        return note

    async def _receive(self, note: PartNote, start: int) -> None:
        response = self._response
        assert response is not None
        total = note.total if start == 0 else parse_content_range(response.headers.get("content-range", ""))[2]
        self._check_length(note.total if total is None else total)
        expected = self._expected
        said = server_checksums(response.headers.raw, response.status_code, is_coded=_coding(response) is not None)
        if start == 0:
            self._digests = self._new_digests(said)
            expected = (*expected, *said)
        else:
            expected = (*expected, *(one for one in said if one[0] in self._digests))
        if response.is_closed:
            data = response.content if self._shop.body.decode else b"".join(response.stream)  # type: ignore[arg-type]
            self._shop_count(len(data), start)
            await self._take_whole(note, start, data, expected)
            return
        n = cut(note, response.headers, self._policy.segments, self._policy.segment_min_size) if start == 0 else 1
        if response.status_code == 200 and (slots := self._take_slots(n - 1)):
            assert note.total is not None
            note = advance(note, spans=spans_of(note.total, len(slots) + 1))
            await self._insist(lambda: self._make_part(note, None))
            self._is_kept = True
            await self._in_segments(note, slots, expected)
            return
        held = await self._stream(response, note, start)
        if self._writer is None:
            await self._take_whole(note, start, held, expected)
            return
        await self._writer.flush()
        await self._finish(self._writer.written, expected)

    async def _take_whole(self, note: PartNote, start: int, data: bytes, expected: tuple[Checksum, ...]) -> None:
        """A body that is in memory: written at once, unless it is the end of a part."""
        if start:
            self._writer = self._new_writer(note, start)
            await self._writer.write(data)
            await self._writer.flush()
            await self._finish(self._writer.written, expected)
            return
        if len(data) <= _HASHED_AT_ONCE:
            self._digests.update(data)
        else:
            await self._shop.threads.run(self._digests.update, data)
        await self._finish(len(data), expected, data)

    async def _stream(self, response: Response, note: PartNote, start: int) -> bytes:
        """Receive the body: into the part, or into memory as long as it is small; gives what is in memory."""
        shop, policy = self._shop, self._policy
        limit = shop.body.memory_limit
        is_capped = shop.bandwidth.is_capped
        held: list[bytes] = []
        size = start
        if start or (note.total is not None and note.total > limit):
            await self._begin_part(note, start)
        writer = self._writer
        pieces = response.aiter_bytes() if shop.body.decode else response.aiter_raw()
        with SpeedWatch(policy.min_speed, policy.min_speed_for, shop.clock) as watch:
            async for piece in pieces:
                size += len(piece)
                self._shop_count(len(piece), size - len(piece))
                watch.count(len(piece))
                if is_capped:
                    watch.excuse(await shop.bandwidth.pace(len(piece)))
                if writer is None:
                    held.append(piece)
                    if size <= limit:
                        continue
                    await self._begin_part(note, 0)
                    writer = self._writer
                    assert writer is not None
                    held, taken = [], held
                    for one in taken:
                        await writer.write(one)
                    continue
                waited = writer.waited
                await writer.write(piece)
                if writer.waited != waited:
                    watch.excuse(writer.waited - waited)
        return held[0] if len(held) == 1 else b"".join(held)

    def _take_slots(self, n: int) -> list[Release]:
        """Take up to `n` slots for more requests to this host."""
        slots: list[Release] = []
        while len(slots) < n and (release := self._shop.take_slot(self._result)) is not None:
            slots.append(release)
        return slots

    async def _in_segments(self, note: PartNote, slots: list[Release], expected: tuple[Checksum, ...]) -> None:
        """Fetch all spans of a part, the first with the response at hand; then as for any other file."""
        shop, part, result = self._shop, self._part, self._result
        assert part is not None
        assert note.total is not None
        assert self._response is not None
        result.bytes = sum(span.at - span.start for span in note.spans)
        with SpeedWatch(self._policy.min_speed, self._policy.min_speed_for, shop.clock) as watch:
            segments = Segments(
                note, part, self._ask, self._span_writer, shop.threads, shop.bandwidth, watch, self._count_span
            )
            try:
                await segments.run(self._response, slots)
            finally:
                more = sum(response.num_bytes_downloaded for response in segments.responses)
                result.attempt_bytes_wire += more
                result.bytes_wire += more
        self._digests = self._new_digests(expected)
        await self._read(part.fd, self._digests, 0, note.total)
        await self._finish(note.total, expected)

    async def _ask(self, note: PartNote, start: int, end: int) -> Response:
        assert self._send is not None
        headers = range_headers(note, start, end)
        return await self._send(self._shop.build(replace(self._item, headers=(*self._item.headers, *headers))))

    def _span_writer(self, start: int) -> PartWriter:
        shop = self._shop
        assert self._part is not None
        return PartWriter(self._part, PartNote(""), start, None, shop.threads, shop.guard, fsync=shop.body.fsync)

    def _count_span(self, size: int) -> None:
        self._result.bytes += size

    def _shop_count(self, size: int, before: int) -> None:
        """Count bytes that came, behind those that were there."""
        self._result.bytes = before + size
        most = self._shop.body.max_size
        if most is not None and before + size > most:
            self._is_kept = False
            raise ResponseTooLarge(f"the file is larger than {most} bytes")

    def _check_length(self, total: int | None) -> None:
        """Refuse a file whose length is wrong before it is received."""
        most = self._shop.body.max_size
        if total is not None and most is not None and total > most:
            self._is_kept = False
            raise ResponseTooLarge(f"the file has {total} bytes, and at most {most} are wanted")
        wanted = self._item.size
        if total is not None and wanted is not None and total != wanted and self._policy.on_mismatch == "fail":
            self._is_kept = False
            raise SizeMismatch(f"the file has {total} bytes, expected {wanted}")

    def _new_writer(self, note: PartNote, start: int) -> PartWriter:
        shop = self._shop
        assert self._part is not None
        return PartWriter(self._part, note, start, self._digests, shop.threads, shop.guard, fsync=shop.body.fsync)

    async def _begin_part(self, note: PartNote, start: int) -> None:
        if start == 0:
            total = note.total if self._policy.preallocate else None
            if total:
                note = advance(note, done=0)
            await self._insist(lambda: self._make_part(note, total))
            self._is_kept = note.validator is not None
        self._writer = self._new_writer(note, start)

    def _make_part(self, note: PartNote, reserved: int | None) -> None:
        """In a thread."""
        part = self._part
        if part is None:
            part = self._part = PartOnDisk(self._shop.files.folder, self._parts)
        part.open_new()
        if reserved:
            part.reserve(reserved)
        if note.validator is not None:
            part.note(note, sync=False)

    async def _insist(self, work: Callable[[], None]) -> None:
        """Do something on the disk; without room, again when there is some."""
        while True:
            try:
                await self._shop.threads.run(work)
                return
            except OSError as error:
                if not is_full(error):
                    raise
            await self._shop.guard.wait()

    # -- the end ------------------------------------------------------------------------------------------------------

    async def _finish(self, length: int, expected: tuple[Checksum, ...], data: bytes | None = None) -> None:
        """Verify the file and give it its name; `data` is the file itself, if it is in memory."""
        result = self._result
        result.bytes = length
        result.sha256 = self._digests.sha256
        wanted = self._item.size
        if wanted is not None and length != wanted:
            await self._refuse(SizeMismatch(f"the file has {length} bytes, expected {wanted}"), data)
        problem = self._digests.mismatch(expected)
        result.checksum_ok = problem is None if expected else None
        if problem is not None:
            await self._refuse(ChecksumMismatch(problem), data)
        if self._shop.pack is not None:
            await self._pack(self._shop.pack, length, data)
            return
        parts = await self._final_name()
        if parts is None:
            return
        await self._claim_for_us(parts)
        if data is None:
            await self._shop.threads.run(self._publish, parts, length)
        else:
            await self._shop.guard.admit(length)
            await self._insist(lambda: self._write_whole(parts, data))
        self._part = None

    def _keep_packed(self, path: str, packed: Packed) -> None:
        """A file that is in an archive already: a kill came before its record."""
        result = self._result
        result.is_unchanged = True
        result.path, result.sha256, result.bytes = path, packed.sha256, packed.bytes

    async def _pack(self, pack: TarPack, length: int, data: bytes | None) -> None:
        """Append the file to an archive."""
        result, response, item = self._result, self._response, self._item
        assert response is not None
        assert result.sha256 is not None
        content_type = response.headers.get("content-type")
        basename = url_path(item.url).partition("?")[0].rpartition("/")[2]
        extension = extension_of(basename.rpartition(".")[2] if "." in basename else "", content_type)
        packed = Packed(
            member=f"{await self._pack_name()}.{extension}",
            request=fingerprint_text(self._lease.fp),
            url=mask(item.url),
            key=item.key,
            status=response.status_code,
            content_type=content_type,
            sha256=result.sha256,
            bytes=length,
            meta=item.meta,
        )
        if data is None:
            assert self._part is not None
            result.path = await pack.add(packed, self._part.fd)
            self._is_kept = False
        else:
            result.path = await pack.add(packed, data)

    async def _pack_name(self) -> str:
        """A name that is no other file's in any archive."""
        key = pack_key(self._item.key or self._lease.fp.hex())
        number = 1
        while True:
            name = key if number == 1 else f"{key}~{number}"
            if await self._shop.files.claim(f"tar!{name.casefold()}", self._lease.fp):
                return name
            number += 1

    async def _final_name(self) -> Parts | None:
        """Give the final name; `None` if under a name that is known only now there is a file that stays."""
        result = self._result
        if not self._policy.has_late_names:
            return self._parts
        response = self._response
        assert response is not None
        assert result.sha256 is not None
        values = {
            "sha256": result.sha256,
            "status": str(response.status_code),
            "date": datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%d"),
        }
        wished = fill_late(wished_name(self._item), values)
        number = 1
        while True:
            parts, number = await self._shop.files.next_name(wished, self._lease.fp, number)
            result.path = "/".join(parts)
            found = await self._shop.threads.run(self._existing, parts)
            if found is None or self._policy.if_exists == "overwrite":
                return parts
            if self._policy.if_exists == "skip" or await self._shop.threads.run(self._is_equal, parts, found):
                self._keep(found.st_size, self._digests)
                self._is_kept = False
                return None
            if self._policy.if_exists == "fail":
                raise FileExists(f"{result.path} exists already")
            if self._policy.if_exists == "verify":
                return parts
            number += 1

    def _existing(self, parts: Parts) -> os.stat_result | None:
        """In a thread: what stands under a name."""
        try:
            place = PartOnDisk(self._shop.files.folder, parts, create=False)
        except FileNotFoundError:
            return None
        try:
            return place.existing()
        finally:
            place.leave()

    def _is_equal(self, parts: Parts, found: os.stat_result) -> bool:
        """In a thread: whether the file under a name has the same bytes."""
        if found.st_size != self._result.bytes:
            return False
        place = PartOnDisk(self._shop.files.folder, parts, create=False)
        try:
            fd = place.open_existing()
        finally:
            place.leave()
        try:
            digests = Digests()
            read_into(fd, digests, 0, found.st_size)
            return digests.sha256 == self._result.sha256
        except EOFError:
            return False
        finally:
            os.close(fd)

    async def _claim_for_us(self, parts: Parts) -> None:
        """Leave a mark that the file that will be there is ours; see `_is_ours`."""
        if self._policy.if_exists in ("fail", "rename"):
            await self._shop.files.claim("//" + collision_key(parts), self._lease.fp)

    def _publish(self, parts: Parts, length: int) -> None:
        """In a thread."""
        assert self._part is not None
        self._part.publish(parts, length, self._modified_ns(), fsync=self._shop.body.fsync)

    def _write_whole(self, parts: Parts, data: bytes) -> None:
        """In a thread, again and again until there is room: the whole file at once."""
        part = self._part
        if part is None or part.parts != parts:
            if part is not None:
                part.discard()
            part = self._part = PartOnDisk(self._shop.files.folder, parts)
        part.open_new()
        write_all(part.fd, data, 0)
        self._publish(parts, len(data))

    def _modified_ns(self) -> int | None:
        assert self._response is not None
        modified = _instant(self._response.headers.get("last-modified")) if self._policy.mtime else None
        return None if modified is None else modified * 1_000_000_000

    async def _refuse(self, error: RequestError, data: bytes | None) -> None:
        """Put a file that is wrong aside, as the policy says, and raise why."""
        if self._policy.on_mismatch != "fail" and self._shop.pack is None:
            if data is not None:
                await self._insist(lambda: self._write_part(data))
            if self._part is not None:
                part, self._part = self._part, None
                await self._shop.threads.run(part.keep_bad)
                error.args = (f"{error}; kept as {'/'.join(part.parts)}{BAD_SUFFIX}",)
        self._is_kept = False
        raise error

    def _write_part(self, data: bytes) -> None:
        """In a thread: a file in memory into its part."""
        if self._part is None:
            self._part = PartOnDisk(self._shop.files.folder, self._parts)
        self._part.open_new()
        write_all(self._part.fd, data, 0)

    def spoil(self) -> None:
        """Note that nobody knows what of the part is on the disk: it must not stay."""
        self._is_kept = False

    async def leave(self) -> None:
        """End the attempt, however it ended: no thread works on the part, nothing is open; the part stays if it is of
        use."""
        if self._response is not None and not self._response.is_closed:
            await self._response.aclose()
        if self._writer is not None:
            await self._writer.settle(save=self._is_kept)
        await self._close_part()

    async def _close_part(self) -> None:
        part, self._part = self._part, None
        if part is None:
            return
        if part.fd < 0:
            part.leave()
        elif self._is_kept:
            if self._writer is not None:
                self._writer.mark_now()
            part.leave()
        else:
            await self._shop.threads.run(part.discard)

    async def _drop_body(self) -> None:
        """Read a little body to its end, leave a large one."""
        response = self._response
        assert response is not None
        if response.is_closed:
            return
        size = 0
        async for piece in response.aiter_raw():
            size += len(piece)
            if size > _DRAINED:
                break
        await response.aclose()


def _coding(response: Response) -> str | None:
    """The content coding of a body; `None` if there is none."""
    coding: str = response.headers.get("content-encoding", "").strip().lower()
    return None if coding in ("", "identity") else coding


def _length(response: Response) -> int | None:
    """The length of a file by the head of its response."""
    text: str = response.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and _coding(response) is None else None


def _instant(date: str | None) -> int | None:
    """An HTTP date as seconds since 1970."""
    if date is None:
        return None
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except (TypeError, ValueError, OverflowError):
        return None

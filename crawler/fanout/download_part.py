"""The part of a download: found, opened again, begun, filled."""

from __future__ import annotations

import os

from crawler.fanout.download_existing import is_ours
from crawler.fanout.download_state import Download, part_name
from crawler.fanout.heads import coding_of, length_of
from crawler.fanout.ids import fingerprint_text
from crawler.fanout.names import wished_name
from crawler.fanout.partfile import PartOnDisk, boot_name
from crawler.fanout.resume import PartNote, advance, note_of, plan_resume
from crawler.fanout.segments import unfinished
from crawler.fanout.writer import PartWriter


async def look(download: Download) -> os.stat_result | None:
    """Choose the name, find the part there is, and give the finished file there is.

    Raises:
        PathError, FileExists: There is no name for it, or something stands there.
        OSError: The disk refuses.
    """
    shop, lease = download.shop, download.lease
    if shop.is_provisional:
        download.parts = await part_name(shop, lease)
        await shop.threads.run(_look, download)
        return None
    number = 1
    while True:
        download.parts, number = await shop.files.next_name(wished_name(download.item), lease.fp, number)
        download.result.path = "/".join(download.parts)
        found = await shop.threads.run(_look, download)
        if found is None or download.policy.if_exists != "rename" or await is_ours(download):
            return found
        await download.close_part()
        number += 1


def _look(download: Download) -> os.stat_result | None:
    """In a thread."""
    shop = download.shop
    try:
        part = download.part = PartOnDisk(shop.files.folder, download.parts, create=False)
    except FileNotFoundError:
        return None
    download.note = part.read_note() if download.policy.resume else None
    return None if shop.is_provisional else part.existing()


async def open_again(download: Download) -> tuple[int | None, PartNote | None]:
    """Open the part that is there.

    Returns:
        The number of bytes of it that are good, or the note of one that was begun in segments; two times `None` if it
        is of no use.
    """
    shop, part, note = download.shop, download.part, download.note
    if part is None or note is None:
        return None, None
    if not await shop.threads.run(part.open_again):
        return None, None
    request = fingerprint_text(download.lease.fp)
    start = plan_resume(note, request, part.length, boot_name())
    if start is None:
        spans = unfinished(note, request, part.length, boot_name())
        download.is_kept = spans is not None
        return None, spans
    try:
        if note.sha256 is not None and note.synced <= start:
            await shop.read(part.fd, download.digests, 0, note.synced)
            if download.digests.sha256 != note.sha256:
                raise EOFError
            await shop.read(part.fd, download.digests, note.synced, start)
        else:
            await shop.read(part.fd, download.digests, 0, start)
    except EOFError:  # something wrote to it
        download.digests = download.new_digests()
        return None, None
    download.is_kept = True
    return start, None


def begin_note(download: Download) -> PartNote:
    """Give the note of a download that begins with this response; of a coded body nothing could be gone on with."""
    response = download.response
    download.is_kept = False
    note = note_of(response.headers, fingerprint_text(download.lease.fp), length_of(response), boot_name())
    if coding_of(response) is not None or not download.policy.resume:
        return advance(note, validator=None)
    return note


async def begin_part(download: Download, note: PartNote, start: int) -> PartWriter:
    """Give what fills the part from `start` on; from 0 on, the part is a new one.

    Raises:
        OSError: The disk refuses; for want of room, after waiting for it.
    """
    if start == 0:
        total = note.total if download.policy.preallocate else None
        if total:
            note = advance(note, done=0)
        await download.shop.insist(lambda: make_part(download, note, total))
        download.is_kept = note.validator is not None
    writer = download.writer = new_writer(download, note, start)
    return writer


def make_part(download: Download, note: PartNote, reserved: int | None) -> None:
    """In a thread: a new part, with its note beside it if it can be gone on with."""
    part = download.part
    if part is None:
        part = download.part = PartOnDisk(download.shop.files.folder, download.parts)
    part.open_new()
    if reserved:
        part.reserve(reserved)
    if note.validator is not None:
        part.note(note, sync=False)


def new_writer(download: Download, note: PartNote, start: int) -> PartWriter:
    """Give what fills the open part from `start` on."""
    shop, part = download.shop, download.part
    assert part is not None
    return PartWriter(part, note, start, download.digests, shop.threads, shop.guard, fsync=shop.body.fsync)


def span_writer(download: Download, start: int) -> PartWriter:
    """Give what fills a segment of the open part; the whole is hashed later."""
    shop, part = download.shop, download.part
    assert part is not None
    return PartWriter(part, PartNote(""), start, None, shop.threads, shop.guard, fsync=shop.body.fsync)

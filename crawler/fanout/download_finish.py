"""The end of a download: is the file right, and then its name, or its place in an archive."""

from __future__ import annotations

import os

from crawler.errors import RequestError, ResponseTooLarge
from crawler.fanout.bodies import page_of
from crawler.fanout.checks import CheckFailed, Judge
from crawler.fanout.checksums import Checksum
from crawler.fanout.download_existing import claim_for_us
from crawler.fanout.download_naming import final_name
from crawler.fanout.download_packing import pack_file
from crawler.fanout.download_state import Download
from crawler.fanout.heads import instant_of
from crawler.fanout.partfile import BAD_SUFFIX, PartOnDisk, Parts, write_all


class ChecksumMismatch(RequestError):
    """The file is not the one that was to be downloaded."""

    kind = "checksum_mismatch"


class SizeMismatch(RequestError):
    """The file has another size than it must have."""

    kind = "size_mismatch"


async def finish(download: Download, length: int, expected: tuple[Checksum, ...], data: bytes | None = None) -> None:
    """Verify the file and give it its name.

    Args:
        length: Of the file.
        expected: What its digests must be.
        data: The file itself, if it is in memory and not in the part.

    Raises:
        ChecksumMismatch, SizeMismatch, CheckFailed: It is not what it must be.
        PathError, FileExists: There is no name for it.
        OSError: The disk refuses; for want of room, after waiting for it.
    """
    result, shop = download.result, download.shop
    result.bytes = length
    result.sha256 = download.digests.sha256
    wanted = download.item.size
    if wanted is not None and length != wanted:
        await _refuse(download, SizeMismatch(f"the file has {length} bytes, expected {wanted}"), data)
    problem = download.digests.mismatch(expected)
    result.checksum_ok = problem is None if expected else None
    if problem is not None:
        await _refuse(download, ChecksumMismatch(problem), data)
    if download.judge is not None:
        await _judge(download, download.judge, length, data)
    if shop.pack is not None:
        await pack_file(download, shop.pack, length, data)
        return
    parts = await final_name(download)
    if parts is None:
        return
    await claim_for_us(download, parts)
    if data is None:
        await shop.threads.run(_publish, download, parts, length)
    else:
        await shop.guard.admit(length)
        await shop.insist(lambda: _write_whole(download, parts, data))
    download.part = None


async def _judge(download: Download, judge: Judge, length: int, data: bytes | None) -> None:
    """Ask the checks about the whole file, before it has a name; for its text it is read again."""
    shop, hold = download.shop, download.shop.body.hold or 0
    try:
        if judge.needs_body and data is None and length <= hold:
            data = await shop.threads.run(_read_part, download, length)
        body = None if data is None or len(data) > hold else page_of(download.response, data, shop.body)
        judge.whole(length, body, hold)
    except (CheckFailed, ResponseTooLarge):
        download.is_kept = False
        raise


def _read_part(download: Download, length: int) -> bytes:
    """In a thread."""
    assert download.part is not None
    return os.pread(download.part.fd, length, 0)


def _publish(download: Download, parts: Parts, length: int) -> None:
    """In a thread."""
    assert download.part is not None
    download.part.publish(parts, length, _modified_ns(download), fsync=download.shop.body.fsync)


def _write_whole(download: Download, parts: Parts, data: bytes) -> None:
    """In a thread, again and again until there is room: the whole file at once."""
    part = download.part
    if part is None or part.parts != parts:
        if part is not None:
            part.discard()
        part = download.part = PartOnDisk(download.shop.files.folder, parts)
    part.open_new()
    write_all(part.fd, data, 0)
    _publish(download, parts, len(data))


def _modified_ns(download: Download) -> int | None:
    modified = instant_of(download.response.headers.get("last-modified")) if download.policy.mtime else None
    return None if modified is None else modified * 1_000_000_000


async def _refuse(download: Download, error: RequestError, data: bytes | None) -> None:
    """Put a file that is wrong aside, as the policy says, and raise why."""
    shop = download.shop
    if download.policy.on_mismatch != "fail" and shop.pack is None:
        if data is not None:
            await shop.insist(lambda: _write_part(download, data))
        if download.part is not None:
            part, download.part = download.part, None
            await shop.threads.run(part.keep_bad)
            error.args = (f"{error}; kept as {'/'.join(part.parts)}{BAD_SUFFIX}",)
    download.is_kept = False
    raise error


def _write_part(download: Download, data: bytes) -> None:
    """In a thread: a file in memory into its part."""
    if download.part is None:
        download.part = PartOnDisk(download.shop.files.folder, download.parts)
    download.part.open_new()
    write_all(download.part.fd, data, 0)

"""A file that is there already: whether it stays, by `if_exists`, its checksums, and what the server says of it."""

from __future__ import annotations

import contextlib
import os
from email.utils import formatdate

from crawler.fanout.checksums import Digests
from crawler.fanout.download_state import Download, Headers
from crawler.fanout.heads import instant_of, length_of
from crawler.fanout.partfile import Parts
from crawler.fanout.paths import FileExists, collision_key


async def is_ours(download: Download) -> bool:
    """Whether the file under the final name is one that we wrote for this very request: a kill came before the record.

    `claim_for_us` claims a second name for it. Asking is claiming for nobody: that fails only if it was claimed.
    """
    return not await download.shop.files.claim(_mark(download.parts), b"")


async def claim_for_us(download: Download, parts: Parts) -> None:
    """Leave a mark that the file that will be there is ours; see `is_ours`."""
    if download.policy.if_exists in ("fail", "rename"):
        await download.shop.files.claim(_mark(parts), download.lease.fp)


def _mark(parts: Parts) -> str:
    return "//" + collision_key(parts)


async def spare(download: Download, found: os.stat_result) -> Headers | None:
    """Decide about a file that is there: `None` if it stays, else the headers of the request that replaces it.

    Raises:
        FileExists: It is not ours, and the policy says `fail`.
    """
    match download.policy.if_exists:
        case "overwrite":
            return ()
        case "skip":
            download.keep(found.st_size)
            return None
        case "fail" | "rename":
            if not await is_ours(download):
                raise FileExists(f"{download.result.path} exists already")
            download.keep(found.st_size)
            return None
    if download.item.size not in (None, found.st_size):
        return ()
    if download.expected:
        digests = await _hash(download, found)
        if digests.mismatch(download.expected) is not None:
            return ()
        download.keep(found.st_size, digests)
        return None
    if download.note is not None:
        return ()  # a newer version of it was on its way already
    return (("If-Modified-Since", formatdate(found.st_mtime, usegmt=True)),)


def is_same(download: Download, found: os.stat_result) -> bool:
    """Whether the answer shows the file that is there, though the server did not care for the condition."""
    response = download.response
    if download.policy.if_exists != "verify" or download.expected or response.status_code != 200:
        return False
    modified = instant_of(response.headers.get("last-modified"))
    return modified == int(found.st_mtime) and length_of(response) == found.st_size


async def keep_found(download: Download, found: os.stat_result) -> None:
    """Leave the file that is there: the server says that it did not change."""
    await download.drop_body()
    download.keep(found.st_size, await _hash(download, found))


async def _hash(download: Download, found: os.stat_result) -> Digests:
    shop, part = download.shop, download.part
    assert part is not None
    digests = download.new_digests()
    fd = await shop.threads.run(part.open_existing)
    try:
        with contextlib.suppress(EOFError):  # it became shorter while we read: the checksum will say so
            await shop.read(fd, digests, 0, found.st_size)
    finally:
        os.close(fd)
    return digests

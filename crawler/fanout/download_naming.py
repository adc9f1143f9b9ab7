"""The final name of a download, where only the finished file tells it."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from crawler.fanout.checksums import Digests
from crawler.fanout.disposition import suggested_name
from crawler.fanout.download_state import Download
from crawler.fanout.names import fill_late, wished_name
from crawler.fanout.partfile import PartOnDisk, Parts, read_into
from crawler.fanout.paths import FileExists, url_path
from crawler.fanout.record import mask


async def final_name(download: Download) -> Parts | None:
    """Give the final name; `None` if under a name that is known only now there is a file that stays.

    Raises:
        PathError: There is no name for it.
        FileExists: It is taken, and the policy says `fail`.
    """
    result, shop = download.result, download.shop
    if not download.policy.has_late_names:
        return download.parts
    assert result.sha256 is not None
    values = {
        "sha256": result.sha256,
        "status": str(download.response.status_code),
        "disposition": suggested_name(download.response.headers.get("content-disposition", "")) or _url_name(download),
        "date": datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m-%d"),
    }
    wished = fill_late(wished_name(download.item), values)
    if_exists, number = download.policy.if_exists, 1
    while True:
        parts, number = await shop.files.next_name(wished, download.lease.fp, number)
        result.path = "/".join(parts)
        found = await shop.threads.run(_existing, download, parts)
        if found is None or if_exists == "overwrite":
            return parts
        if if_exists == "skip" or await shop.threads.run(_is_equal, download, parts, found):
            download.keep(found.st_size, download.digests)
            download.is_kept = False
            return None
        if if_exists == "fail":
            raise FileExists(f"{result.path} exists already")
        if if_exists == "verify":
            return parts
        number += 1


def _url_name(download: Download) -> str:
    return url_path(mask(download.item.url)).partition("?")[0].rpartition("/")[2]


def _existing(download: Download, parts: Parts) -> os.stat_result | None:
    """In a thread: what stands under a name."""
    try:
        place = PartOnDisk(download.shop.files.folder, parts, create=False)
    except FileNotFoundError:
        return None
    try:
        return place.existing()
    finally:
        place.leave()


def _is_equal(download: Download, parts: Parts, found: os.stat_result) -> bool:
    """In a thread: whether the file under a name has the same bytes."""
    if found.st_size != download.result.bytes:
        return False
    place = PartOnDisk(download.shop.files.folder, parts, create=False)
    try:
        fd = place.open_existing()
    finally:
        place.leave()
    try:
        digests = Digests()
        read_into(fd, digests, 0, found.st_size)
        return digests.sha256 == download.result.sha256
    except EOFError:
        return False
    finally:
        os.close(fd)

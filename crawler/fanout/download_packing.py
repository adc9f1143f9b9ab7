"""Downloads that end in an archive: what is there of them already, and how a file gets in."""

from __future__ import annotations

from crawler.fanout.download_state import Download
from crawler.fanout.ids import fingerprint_text
from crawler.fanout.paths import url_path
from crawler.fanout.record import mask
from crawler.fanout.tarpack import Packed, TarPack, extension_of, pack_key


def is_packed(download: Download) -> bool:
    """Whether the file is in an archive already, as a kill came before its record; then the result says so."""
    pack = download.shop.pack
    known = None if pack is None else pack.find(fingerprint_text(download.lease.fp))
    if known is None:
        return False
    result = download.result
    path, packed = known
    result.is_unchanged = True
    result.path, result.sha256, result.bytes = path, packed.sha256, packed.bytes
    return True


async def pack_file(download: Download, pack: TarPack, length: int, data: bytes | None) -> None:
    """Append the file to an archive.

    Raises:
        OSError: The disk refuses; for want of room, after waiting for it.
    """
    result, response, item = download.result, download.response, download.item
    assert result.sha256 is not None
    content_type = response.headers.get("content-type")
    basename = url_path(item.url).partition("?")[0].rpartition("/")[2]
    extension = extension_of(basename.rpartition(".")[2] if "." in basename else "", content_type)
    packed = Packed(
        member=f"{await _name(download)}.{extension}",
        request=fingerprint_text(download.lease.fp),
        url=mask(item.url),
        key=item.key,
        status=response.status_code,
        content_type=content_type,
        sha256=result.sha256,
        bytes=length,
        meta=item.meta,
    )
    if data is None:
        assert download.part is not None
        result.path = await pack.add(packed, download.part.fd)
        download.is_kept = False
    else:
        result.path = await pack.add(packed, data)


async def _name(download: Download) -> str:
    """A name that is no other file's in any archive."""
    lease = download.lease
    key = pack_key(download.item.key or lease.fp.hex())
    number = 1
    while True:
        name = key if number == 1 else f"{key}~{number}"
        if await download.shop.files.claim(f"tar!{name.casefold()}", lease.fp):
            return name
        number += 1

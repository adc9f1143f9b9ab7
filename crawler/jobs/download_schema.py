"""The keys that say where bodies are written and how files are downloaded, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel

from crawler.jobs import units
from crawler.jobs.fields import Bool, PathText, Reader, Size, SizeOrNull, TemplateText, Text, choice, loosen, whole
from crawler.jobs.section import SECTION


def _parse_byte_rate(value: object) -> int:
    got = loosen(value)
    size = units.parse_size(got.removesuffix("/s") if isinstance(got, str) else got)
    if size == 0:
        raise ValueError("0 is no limit one can keep")
    return size


_BYTE_RATE = Reader(
    _parse_byte_rate,
    {
        "anyOf": [
            {"type": "string", "pattern": units.SIZE_PATTERN.removesuffix("$") + "(?:/s)?$"},
            {"type": "integer", "minimum": 1},
        ]
    },
)
ByteRateOrNull = Annotated[int | None, _BYTE_RATE.or_null()]
"""Bytes per second, as `20MiB/s`."""

IfExists = Literal["verify", "skip", "overwrite", "rename", "fail"]
OnMismatch = Literal["retry_then_fail", "fail", "keep_bad"]


class Download(BaseModel):
    """Where files are written; and with `kind: download`, how they are downloaded."""

    model_config = SECTION

    dir: PathText | None = None
    """Folder; default `out/<name>/files`. Nothing is written outside it."""
    path: TemplateText | None = None
    """Name of each file below `dir`; default from the URL."""
    fsync: Bool = True
    """Wait for the disk before a file gets its final name."""
    if_exists: Annotated[IfExists, choice("verify", "skip", "overwrite", "rename", "fail")] = "verify"
    """A file that is there already: keep it if it is right; keep it; replace it; take another name; fail."""
    resume: Bool = True
    """Go on where an interrupted download stopped, if the file is still the same on the server."""
    segments: Annotated[int, whole(1, 16)] = 1
    """Parts of a large file that are fetched at once; each counts as a request of its host."""
    segment_min_size: Size = 8 * 1024 * 1024
    """Smallest part."""
    preallocate: Bool = False
    """Reserve the room of a file before it is written."""
    mtime: Bool = True
    """Give each file the time of its last change on the server."""
    checksums_from: PathText | None = None
    """A list of checksums as `sha256sum` writes it: a file, relative to the job file, or a URL."""
    on_mismatch: Annotated[OnMismatch, choice("retry_then_fail", "fail", "keep_bad")] = "retry_then_fail"
    """A file that is not what it should be: once more, then fail; fail; fail and keep it as `NAME.bad`."""
    max_size: SizeOrNull = None
    """Larger files fail with `too_large`; null is no limit."""
    pack: Annotated[Literal["none", "tar"], choice("none", "tar")] = "none"
    """Files into tar archives of many, with a JSON file beside each."""
    pack_items: Annotated[int, whole(1, 1_000_000)] = 10_000
    """Files per archive."""
    pack_size: Size = 1024**3
    """Bytes per archive, after which the next one begins."""


class Checksums(BaseModel):
    """What the file of one URL must come to."""

    model_config = SECTION

    sha256: Text | None = None
    """SHA-256 of the file, with `kind: download`."""
    sha512: Text | None = None
    """SHA-512 of the file."""
    sha1: Text | None = None
    """SHA-1 of the file."""
    md5: Text | None = None
    """MD5 of the file."""
    blake2b: Text | None = None
    """BLAKE2b-512 of the file."""
    crc32c: Text | None = None
    """CRC-32C of the file; needs the extra `crc32c`."""
    size: Annotated[int | None, whole(0).or_null()] = None
    """Bytes of the file, with `kind: download`."""

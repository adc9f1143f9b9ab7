"""From the keys of a job to the engine's `DownloadPolicy`, and from a row to what its file must come to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from crawler.fanout.checksums import ALGORITHMS, Checksum, parse_checksum
from crawler.fanout.download_policy import DownloadPolicy, PackPolicy
from crawler.fanout.names import LATE_NAMES
from crawler.jobs.schema import JobFile


def download_of(model: JobFile, base: Path) -> DownloadPolicy | None:
    """Say how files are downloaded; `None` for a job that downloads none.

    Args:
        model: The checked job.
        base: Folder that `checksums_from` starts at.
    """
    if model.kind != "download":
        return None
    download, source = model.download, model.download.checksums_from
    return DownloadPolicy(
        if_exists=download.if_exists,
        resume=download.resume,
        segments=download.segments,
        segment_min_size=download.segment_min_size,
        preallocate=download.preallocate,
        mtime=download.mtime,
        on_mismatch=download.on_mismatch,
        checksums_from=source if source is None or "://" in source else base / source,
        has_late_names=download.path is not None and not LATE_NAMES.isdisjoint(download.path.names),
        pack=PackPolicy(download.pack_items, download.pack_size) if download.pack == "tar" else None,
        min_speed=model.timeout.min_speed,
        min_speed_for=model.timeout.min_speed_for,
    )


def once_of(model: JobFile) -> frozenset[str]:
    """Say which errors are worth one more try from the first byte."""
    again = model.kind == "download" and model.download.on_mismatch == "retry_then_fail"
    return frozenset(
        {"range_mismatch", "changed_during_resume"} | ({"checksum_mismatch", "size_mismatch"} if again else set())
    )


def client_headers_of(model: JobFile) -> tuple[tuple[str, str], ...]:
    """Headers of every download: files as they are, since a content coding would make checksums and ranges moot."""
    given = {name.lower() for name in model.request.headers}
    return () if model.kind != "download" or "accept-encoding" in given else (("Accept-Encoding", "identity"),)


def checks_of(values: Mapping[str, object]) -> tuple[tuple[Checksum, ...], int | None]:
    """Give the checksums and the size that a row says its file has; empty cells say nothing.

    Raises:
        ValueError: One is no checksum, or the size no number.
    """
    checksums = tuple(
        parse_checksum(algorithm, str(value))
        for algorithm in ALGORITHMS
        if (value := values.get(algorithm)) is not None and str(value).strip()
    )
    size = values.get("size")
    if size is None or not str(size).strip():
        return checksums, None
    text = str(size).strip()
    if isinstance(size, bool) or not (text.isascii() and text.isdigit()):
        raise ValueError(f"the size {text[:40]!r} is no whole number of bytes")
    return checksums, int(text)

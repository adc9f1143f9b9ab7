"""How files are downloaded: what a plan says beside where they go (`BodyPolicy`). Values only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class PackPolicy:
    """Files go into tar archives instead of the folder, `KEY.ext` with a `KEY.json` beside each.

    Attributes:
        items: Files per archive.
        size: Bytes per archive, after which no further file begins.
    """

    items: int = 10_000
    size: int = 1024**3


@dataclass(frozen=True, slots=True)
class DownloadPolicy:
    """How a run downloads files. Sizes are bytes, durations seconds.

    Attributes:
        if_exists: What becomes of a file that is there already: `verify` keeps it if its checksums are right, or if
            the server says that it did not change; `skip` keeps it, `overwrite` replaces it, `rename` takes another
            name, `fail` fails.
        resume: Go on where an interrupted download stopped.
        segments: Parts of a large file that are fetched at once, at most; each counts as a request of its host.
        segment_min_size: Smallest such part.
        preallocate: Reserve the room of a file before it is written.
        mtime: Give a file the time at which it was last changed on the server.
        on_mismatch: What becomes of a file that is not what it should be: `retry_then_fail` and `keep_bad` leave it
            as `NAME.bad`, `fail` removes it. (The one further try of `retry_then_fail` is `RetryPolicy.once`.)
        checksums_from: A file of checksums, or the URL of one; see `crawler.fanout.checksums.parse_sums`.
        has_late_names: File names hold `{sha256}` or another field of `crawler.fanout.names.LATE_NAMES`.
        pack: Pack into archives.
        min_speed: Bytes per second below which a download is broken off (`too_slow`).
        min_speed_for: For so long.
    """

    if_exists: Literal["verify", "skip", "overwrite", "rename", "fail"] = "verify"
    resume: bool = True
    segments: int = 1
    segment_min_size: int = 8 * 1024 * 1024
    preallocate: bool = False
    mtime: bool = True
    on_mismatch: Literal["retry_then_fail", "fail", "keep_bad"] = "retry_then_fail"
    checksums_from: Path | str | None = None
    has_late_names: bool = False
    pack: PackPolicy | None = None
    min_speed: float | None = None
    min_speed_for: float = 30.0

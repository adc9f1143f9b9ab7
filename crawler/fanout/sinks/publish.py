"""The last step of an output that is collected first: the final thing appears whole, under its name, at once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

from crawler.fanout.errors import OutputError
from crawler.fanout.record import mask
from crawler.fanout.sinks.parts import Part

Render = Callable[[Path, int, Path], None]
"""Makes the final file of the first bytes of a file of collected rows: (collected, bytes, final)."""

_APPEARS_WHOLE: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "memory", "http", "https"})
"""Stores where an object is there when its upload has ended, and not before; elsewhere a rename sees to that."""


class Publisher(Protocol):
    """Makes the final thing of what was collected."""

    def exists(self, target: str) -> bool:
        """Whether something of that name is there."""

    def publish(self, collected: Path, size: int, target: str) -> None:
        """Make it of the first `size` bytes, in the place of what was there; either it is there whole, or as before.

        Raises:
            OSError, OutputError: It could not be.
        """

    def describe(self, part: Part, rows: int, with_digest: bool) -> dict[str, object]:
        """Give the part's row of the summary."""


class LocalPublisher:
    """Renders into a file of this machine: under another name first, synced, then renamed."""

    def __init__(self, render: Render) -> None:
        self._render = render

    def exists(self, target: str) -> bool:
        """Whether there is such a file."""
        return os.path.lexists(target)

    def publish(self, collected: Path, size: int, target: str) -> None:
        """Render, sync, rename."""
        new = Path(target + ".new")
        new.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._render(collected, size, new)
            sync_file(new)
            os.replace(new, target)
        except BaseException:
            with contextlib.suppress(OSError):
                new.unlink()
            raise

    def describe(self, part: Part, rows: int, with_digest: bool) -> dict[str, object]:
        """Give the part's row of the summary."""
        from crawler.fanout.sinks.file_sink import digest_of

        path = Path(part.target)
        size = path.stat().st_size if path.exists() else 0
        digest = digest_of(part.target) if with_digest else None
        return {"path": part.target, "rows": rows, "bytes": size, "sha256": digest}


class RemotePublisher:
    """Uploads to wherever `fsspec` reaches: `s3://`, `gs://`, `sftp://`, `memory://` …

    Args:
        render: Makes what is uploaded; without it that is what was collected, byte by byte.
    """

    def __init__(self, render: Render | None = None) -> None:
        self._render = render
        self._sizes: dict[str, int] = {}

    def exists(self, target: str) -> bool:
        """Whether there is such an object."""
        with _translated(target):
            fs, path = _open(target)
            return bool(fs.exists(path))

    def publish(self, collected: Path, size: int, target: str) -> None:
        """Upload; where half an upload can be seen, under another name first."""
        if self._render is None:
            os.truncate(collected, size)
            return self._upload(collected, target)
        rendered = collected.with_suffix(".new")
        try:
            self._render(collected, size, rendered)
            self._upload(rendered, target)
        finally:
            rendered.unlink(missing_ok=True)

    def _upload(self, file: Path, target: str) -> None:
        with _translated(target):
            fs, path = _open(target)
            with contextlib.suppress(NotImplementedError, PermissionError, FileExistsError):
                fs.makedirs(fs._parent(path), exist_ok=True)  # a store of objects has no folders to make
            names = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
            if names & _APPEARS_WHOLE:
                fs.put_file(str(file), path)
            else:
                fs.put_file(str(file), path + ".part")
                fs.mv(path + ".part", path)
        self._sizes[target] = file.stat().st_size

    def describe(self, part: Part, rows: int, with_digest: bool) -> dict[str, object]:
        """Give the part's row of the summary; a digest would need to fetch it again."""
        return {"path": mask(part.target), "rows": rows, "bytes": self._sizes.get(part.target), "sha256": None}


def sync_file(path: Path) -> None:
    """Wait until a file is on the disk."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _open(target: str) -> tuple[Any, str]:
    import fsspec.core

    found: tuple[Any, str] = fsspec.core.url_to_fs(target)
    return found


@contextlib.contextmanager
def _translated(target: str) -> Iterator[None]:
    """Each store has exceptions of its own: all of them end the run as a disk does, resumable."""
    try:
        yield
    except OutputError:
        raise
    except Exception as error:
        reason = mask(str(error) or type(error).__name__)
        raise OutputError(
            f"cannot write {mask(target)}: {reason}; check the store and its credentials, then run the same command "
            "again to go on"
        ) from error

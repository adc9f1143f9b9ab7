"""Outputs that are to be replaced by a copy beside them; see `reopen`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from crawler.fanout.errors import output_error
from crawler.fanout.sinks.parts import Part

COPY_SUFFIX: Final = ".retry"


class Rewrite(NamedTuple):
    """An output and its copy.

    Attributes:
        name: Of the output in the state.
        size, rows: Bytes and records of the copy.
        parts: Its parts, as they will begin.
        paths: The files that have a copy beside them.
    """

    name: str
    size: int
    rows: int
    parts: Sequence[Part]
    paths: Sequence[str]


def put_in_place(names: Sequence[str]) -> None:
    """Rename each copy over its output; one that is not there was renamed before. Synced, so that it stays so.

    Raises:
        OutputError: The disk refuses.
    """
    for name in names:
        path = Path(name)
        copy = path.with_name(path.name + COPY_SUFFIX)
        try:
            if copy.exists():
                os.replace(copy, path)
                _sync_folder(path.parent)
        except OSError as error:
            raise output_error(name, error) from error


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # folders cannot be opened there, and renames are written through
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)

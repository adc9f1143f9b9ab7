"""`request.body_file`: the same body for every request, from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from crawler.jobs.lines import InputError
from crawler.jobs.requests import BodyFile
from crawler.jobs.schema import JobFile

MAX_BYTES: Final = 1024 * 1024
"""It stands in the state once for each request."""


def read_body_file(model: JobFile, base: Path) -> BodyFile | None:
    """Read the file; the content type goes by its suffix. `None` if the job has none.

    Args:
        model: The job.
        base: Folder of the job file.

    Raises:
        InputError: It cannot be read or is too large.
    """
    if model.request.body_file is None:
        return None
    import mimetypes

    path = base / model.request.body_file
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise InputError(f"{path} is larger than {MAX_BYTES // 1024} KiB, which a body of many requests may have")
    return BodyFile(content, mimetypes.guess_type(path.name)[0] or "application/octet-stream")

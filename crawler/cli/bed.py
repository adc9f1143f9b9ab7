"""The embedded testbed for the time of one run (`testbed: true` in a job)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from crawler.cli.exits import CommandError

PORT_FILE: Final = "testbed-port"


@contextlib.contextmanager
def testbed_for_run(wanted: bool, state_dir: Path | None) -> Iterator[str | None]:
    """Run the testbed during the block and give its address; `None` if none is wanted.

    The port is a free one the first time and remembered in the state folder: the URLs of a run must be the same when it
    is gone on with, or they would all be new ones.

    Raises:
        CommandError: The port this run began with is taken now.
    """
    if not wanted:
        yield None
        return
    from crawler.testbed import ListenError, Testbed

    remembered = _remembered_port(state_dir)
    bed = Testbed(port=remembered)
    try:
        bed.start()
    except ListenError as error:
        raise CommandError(
            f"this run began with the testbed on port {remembered}, and cannot have it now: {error.strerror}.\n"
            "Free the port, or begin again with --fresh."
        ) from error
    try:
        if not remembered and state_dir is not None:
            _remember_port(state_dir, urlsplit(bed.url).port)
        yield bed.url
    finally:
        bed.stop()


def _remembered_port(state_dir: Path | None) -> int:
    if state_dir is None:
        return 0
    try:
        return int((state_dir / PORT_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _remember_port(state_dir: Path, port: int | None) -> None:
    with contextlib.suppress(OSError):  # the run itself finds out whether the folder can be written, and says so
        state_dir.mkdir(parents=True, exist_ok=True)
        (state_dir / PORT_FILE).write_text(f"{port}\n", encoding="ascii")

"""Where the log of a run goes: standard error or a file, as text or as JSON lines, written by a thread of its own."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from pathlib import Path
from queue import SimpleQueue
from typing import Literal

from crawler.fanout.attempt_log import LOGGER
from crawler.fanout.errors import output_error

Level = Literal["debug", "info", "warning", "error"]


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, message, and the facts of the line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """`2026-11-21T06:50:01.120Z WARNING timeout_read, attempt 1 of https://…`"""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; a message never spreads over lines."""
        return f"{_instant(record)} {record.levelname} {record.getMessage()}".replace("\n", " ")


class _Stderr(logging.StreamHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Writes to what standard error is at the moment: a live bar takes its place while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; a closed standard error is no reason to fail."""
        self.stream = sys.stderr
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # the name is logging's
        """Nobody reads it any more; the run goes on."""


@contextmanager
def logging_to(file: Path | None, form: Literal["text", "json"], level: Level) -> Iterator[None]:
    """Write the log while the block runs.

    Args:
        file: Appended to; `None` is standard error.
        form: `text` or `json`.
        level: Lines below it are left out.

    Raises:
        OutputError: The file cannot be written.
    """
    try:
        handler: logging.Handler = _Stderr() if file is None else _file(file)
    except OSError as error:
        raise output_error(str(file), error) from error
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
    entry = QueueHandler(queue)
    listener = QueueListener(queue, handler)
    before = LOGGER.level, LOGGER.propagate
    LOGGER.setLevel(level.upper())
    LOGGER.propagate = False
    LOGGER.addHandler(entry)
    listener.start()
    try:
        yield
    finally:
        LOGGER.removeHandler(entry)
        LOGGER.level, LOGGER.propagate = before
        listener.stop()
        handler.close()


def _file(path: Path) -> logging.FileHandler:
    path.parent.mkdir(parents=True, exist_ok=True)
    return logging.FileHandler(path, encoding="utf-8", errors="replace")


def _instant(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""Log lines as JSON objects on standard error: what a container's log is made of."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Final

import orjson


class JsonLines(logging.Formatter):
    """One JSON object per line; whatever a text holds (line breaks, terminal codes), it stays inside its string."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, object] = {
            "time": moment,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        extra = getattr(record, "fields", None)
        if isinstance(extra, dict):
            line.update(extra)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


TALKATIVE: Final = ("crawler.service",)
"""What tells of everything; the rest of the package only of trouble, as the client has a line for each request."""


def log_to_stderr() -> None:
    """Send the log of this package to standard error."""
    stream = logging.StreamHandler(sys.stderr)
    stream.setFormatter(JsonLines())
    root = logging.getLogger("crawler")
    root.handlers[:] = [stream]
    root.setLevel(logging.WARNING)
    root.propagate = False
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.INFO)

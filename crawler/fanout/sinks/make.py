"""The sink for an output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from crawler.fanout.sinks.file_sink import FileSink
from crawler.fanout.sinks.sink import Sink
from crawler.fanout.sinks.stdout import StdoutSink

if TYPE_CHECKING:
    from crawler.fanout.plan import Output


def make_sink(output: Output, state_dir: Path | None = None) -> Sink:
    """Choose the sink for an output.

    Args:
        output: What is wanted.
        state_dir: Folder for what is collected before it is published.
    """
    if str(output.path) == "-":
        return StdoutSink(output)
    return FileSink(output)

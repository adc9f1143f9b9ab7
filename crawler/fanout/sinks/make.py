"""The sink for an output."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.fanout.sinks.fields import columns_of
from crawler.fanout.sinks.file_sink import FileSink
from crawler.fanout.sinks.parquet import ParquetFile
from crawler.fanout.sinks.parts import COLLECTED
from crawler.fanout.sinks.publish import LocalPublisher, RemotePublisher
from crawler.fanout.sinks.sink import Sink
from crawler.fanout.sinks.stdout import StdoutSink
from crawler.fanout.sinks.warc import WarcSink

if TYPE_CHECKING:
    from crawler.fanout.plan import Output


def make_sink(output: Output, state_dir: Path | None = None) -> Sink:
    """Choose the sink for an output.

    Args:
        output: What is wanted.
        state_dir: Folder for what is collected before it is published; without one, that is done beside the output or
            in the system's folder for temporary files.
    """
    if output.is_stdout:
        return StdoutSink(output)
    folder = _folder(output, state_dir)
    if output.format == "parquet":
        render = ParquetFile(columns_of(output), "zst").render
        final = RemotePublisher(render) if output.remote else LocalPublisher(render)
        return FileSink(output, publisher=final, folder=folder, compression="zst")
    publisher = RemotePublisher() if output.remote else None
    if output.format == "warc":
        return WarcSink(output, publisher=publisher, folder=folder)
    return FileSink(output, publisher=publisher, folder=folder)


def _folder(output: Output, state_dir: Path | None) -> Path:
    if state_dir is not None:
        return state_dir / COLLECTED
    if output.is_local:
        return output.path.parent
    import tempfile

    return Path(tempfile.gettempdir()) / f"crawler-{os.getpid()}"

"""Where records go: one file of this folder per format, and what they have in common.

sink.py ◀─ file_sink.py (rows as lines, in parts) ◀─ lines.py (jsonl, csv, sha256sums), compress.py
        ◀─ stdout.py                              ◀─ rows.py (which rows), fields.py (which fields)
"""

from __future__ import annotations

from crawler.fanout.sinks.file_sink import FileSink
from crawler.fanout.sinks.lines import encode_line
from crawler.fanout.sinks.make import make_sink
from crawler.fanout.sinks.parts import MemoryLog, Part, PartLog
from crawler.fanout.sinks.sink import (
    Sink,
    append_records,
    cut_back,
    finish_all,
    marks_of,
    settle_all,
    stage_records,
    write_records,
)
from crawler.fanout.sinks.stdout import StdoutSink

__all__ = [
    "FileSink",
    "MemoryLog",
    "Part",
    "PartLog",
    "Sink",
    "StdoutSink",
    "append_records",
    "cut_back",
    "encode_line",
    "finish_all",
    "make_sink",
    "marks_of",
    "settle_all",
    "stage_records",
    "write_records",
]

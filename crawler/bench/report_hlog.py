"""The histograms in full, as a log of HdrHistogram (`.hlog`, format V2), for its viewers and for merging by others.

    #[StartTime: 1795246800.000 (seconds since epoch), 2026-11-21T07:40:00+00:00]
    Tag=async/response_time,0.412,2.001,51.200,HISTFAAAA…        begun, seconds it took, longest in ms, histogram

A line is one arm's round, so a reader can take rounds apart or add them up. Values are whole nanoseconds with three
digits. The encoder is our own: the format is a page, and the `hdrhistogram` package, which checks it in the tests,
brings setuptools with it at run time.

Source: github.com/HdrHistogram/HdrHistogram, `HistogramLogWriter` (the lines) and `AbstractHistogram` (the encoding).
"""

from __future__ import annotations

import re
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from datetime import datetime
from struct import pack
from typing import Final

from crawler.bench.result import BenchResult, HistogramLine
from crawler.bench.sample import Sample

_ENCODING: Final = 0x1C849303 | 0x10
_COMPRESSED: Final = 0x1C849304 | 0x10
_DIGITS: Final = 3
_HALF: Final = 1024  # half of the 2,048 sub-buckets that three digits take
_HALF_BITS: Final = 10
_LOWEST_NS: Final = 1
_HIGHEST_NS: Final = 4096 * 10**9  # as far as `Histogram` goes
_NOT_IN_TAGS: Final = re.compile(r"[\s,]+")


def hlog_text(result: BenchResult) -> str:
    """Write the log: a head of comments, then a line per arm, round and quantity, by time."""
    started = datetime.fromisoformat(result.started_at)
    zero = started.timestamp()
    name = " ".join(result.name.split())
    lines = [
        f"#[Benchmark {name}, crawler {result.environment.crawler}; nanoseconds, a line per arm and round]",
        "#[Histogram log format version 1.3]",
        f"#[StartTime: {zero:.3f} (seconds since epoch), {started.isoformat()}]",
        f"#[BaseTime: {zero:.3f} (seconds since epoch)]",
        '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"',
    ]
    for row in sorted(result.histograms, key=lambda row: row.begun):
        begun = max(0.0, row.begun - zero)
        lines.append(f"Tag={row.tag},{begun:.3f},{row.duration:.3f},{1000 * row.longest:.3f},{row.encoded}")
    return "\n".join(lines) + "\n"


def lines_of(arm: str, sample: Sample) -> Iterator[HistogramLine]:
    """Give the lines of an arm's round, one for each quantity that has samples. Tags have neither commas nor blanks."""
    name = _NOT_IN_TAGS.sub(";", arm)
    quantities = {"response_time": sample.response, "service_time": sample.service, "send_delay": sample.delay}
    quantities |= {f"phase/{phase}": histogram for phase, histogram in sample.phases.items()}
    for quantity, histogram in (quantities | {"loop_lag": sample.lag}).items():
        if histogram.count:
            encoded = encode(histogram.middles())
            yield HistogramLine(f"{name}/{quantity}", sample.begun, sample.duration, histogram.max, encoded)


def encode(samples: Iterable[tuple[float, int]]) -> str:
    """Encode counts of durations in seconds as a compressed V2 histogram in base64."""
    counts: dict[int, int] = {}
    for seconds, count in samples:
        index = _index(min(_HIGHEST_NS, max(_LOWEST_NS, round(seconds * 1e9))))
        counts[index] = counts.get(index, 0) + count
    payload = b"".join(_payload(counts))
    head = pack(">IIIIQQd", _ENCODING, len(payload), 0, _DIGITS, _LOWEST_NS, _HIGHEST_NS, 1.0)
    packed = zlib.compress(head + payload)
    return b64encode(pack(">II", _COMPRESSED, len(packed)) + packed).decode("ascii")


def _index(value: int) -> int:
    """The place of a value in the array of counts: buckets double in width, each has 1,024 places that are new."""
    bucket = max(0, value.bit_length() - _HALF_BITS - 1)
    return (bucket << _HALF_BITS) + (value >> bucket)


def _payload(counts: dict[int, int]) -> Iterator[bytes]:
    """Counts in their order as zigzag LEB128; a run of zeros is one negative number, none stands at the end."""
    place = 0
    for index in sorted(counts):
        if index > place:
            yield _leb128(2 * (index - place) - 1)
        yield _leb128(2 * counts[index])
        place = index + 1


def _leb128(number: int) -> bytes:
    """Seven bits a byte, the lowest first. The format's ninth byte has eight; no count of ours gets there."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)

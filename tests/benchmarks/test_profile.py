"""Where the profile books a sample."""

from __future__ import annotations

import asyncio

import crawler
from benchmarks.loads import Sample
from benchmarks.profile import LOOP, Sampler, function_of, report


def test_a_function_belongs_to_its_room() -> None:
    """Ours to the rooms, the event loop's to itself, all others to other Python."""
    assert function_of(crawler.Headers.__init__.__code__)[:2] == ("models", "models/headers.py")
    assert function_of(asyncio.run.__code__)[0] == LOOP
    assert function_of(test_a_function_belongs_to_its_room.__code__)[0] == "other Python"


def test_the_report_tells_microseconds_of_a_request() -> None:
    """Seconds of CPU become microseconds per request, summed by room, file, function and line."""
    sampler = Sampler()
    code = crawler.Headers.__init__.__code__
    sampler.lines[code, 10] = 0.002
    sampler.lines[code, 11] = 0.001
    sampler.within[code] = 0.004

    said = report(sampler, Sample(requests=1000, seconds=1.0, cpu_s=0.005), rows=5)

    assert "1,000 requests, 1,000 req/s, 5.0 µs of CPU each" in said
    assert "3.00 µs  models\n" in said
    assert "3.00 µs  (  4.00)  models/headers.py Headers.__init__" in said
    assert "2.00 µs  models/headers.py:10" in said

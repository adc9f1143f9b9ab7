"""The log of histograms, as the reader of HdrHistogram's own Python package sees it."""

from __future__ import annotations

import random
from contextlib import closing
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from hypothesis import given
from hypothesis import strategies as st

from crawler.bench import Arm, BenchPlan, BenchResult, Executor
from crawler.bench.assemble import Assembly
from crawler.bench.histogram import Histogram
from crawler.bench.report_hlog import encode
from crawler.bench.reports import render
from crawler.bench.sample import Sample
from tests.bench.examples import result

BEGUN = 1_795_246_800.0
STARTED = "2026-11-21T07:40:00.000Z"


def measured() -> tuple[BenchResult, Histogram]:
    """Two rounds of one arm, and all their response times in one histogram."""
    plan = BenchPlan(
        ("http://127.0.0.1/",), (Arm("a[vus=1,http_version=2]"),), Executor("closed", requests=1), rounds=2
    )
    assembly, everything, rng = Assembly(plan), Histogram(), random.Random(4)
    for number in range(2):
        sample = Sample(begun=BEGUN + 10 * number, duration=2.5, requests=5000)
        for _ in range(5000):
            sample.response.add(rng.lognormvariate(-6, 1))
        sample.phases["ttfb"] = Histogram()
        sample.phases["ttfb"].add(0.002, 7)
        everything.merge(sample.response)
        assembly.add(plan.arms[0], number, sample)
    return assembly.result(result().environment, STARTED, STARTED), everything


def read(path: Path) -> list[HdrHistogram]:
    reader = HistogramLogReader(str(path), HdrHistogram(1, 4096 * 10**9, 3))
    found = []
    with closing(reader.input_file):  # it never closes it itself
        while (histogram := reader.get_next_interval_histogram()) is not None:
            found.append(histogram)
    return found


def test_others_read_the_same_percentiles(tmp_path: Path) -> None:
    """A line per round and quantity with its tag and times; added up they give our percentiles, within three digits."""
    found, everything = measured()
    path = tmp_path / "result.hlog"
    path.write_text(render("hlog", found), encoding="utf-8")
    lines = read(path)
    name = "a[vus=1;http_version=2]"
    assert [line.get_tag() for line in lines] == [f"{name}/response_time", f"{name}/phase/ttfb"] * 2
    assert [line.get_start_time_stamp() for line in lines] == [
        pytest.approx(1000 * (BEGUN + x)) for x in (0, 0, 10, 10)
    ]
    assert lines[0].get_end_time_stamp() - lines[0].get_start_time_stamp() == pytest.approx(2500)
    total = HdrHistogram(1, 4096 * 10**9, 3)
    for line in lines[::2]:
        total.add(line)
    assert total.get_total_count() == everything.count == 10_000
    for q in (1, 50, 90, 99, 99.9, 100):
        assert total.get_value_at_percentile(q) / 1e9 == pytest.approx(everything.percentile(q), rel=0.002)
    assert total.get_mean_value() / 1e9 == pytest.approx(everything.mean, rel=0.002)


def test_the_longest_stands_in_milliseconds() -> None:
    """The third field of a line, as other writers of the format have it."""
    found, _ = measured()
    first = next(line for line in render("hlog", found).splitlines() if line.startswith("Tag="))
    longest = found.histograms[0].longest
    assert first.split(",")[1:4] == ["0.000", "2.500", f"{1000 * longest:.3f}"]


def test_a_result_without_histograms_is_an_empty_log(tmp_path: Path) -> None:
    """Read again from its JSON a result has none: the head alone."""
    path = tmp_path / "empty.hlog"
    path.write_text(render("hlog", result()), encoding="utf-8")
    assert read(path) == []
    assert "histograms" not in measured()[0].to_json()


@given(st.dictionaries(st.floats(1e-9, 4096), st.integers(1, 2**32 - 1), max_size=20))
def test_any_counts_come_back(samples: dict[float, int]) -> None:
    """From a nanosecond to more than an hour, from one to four thousand million: value and count survive."""
    decoded = HdrHistogram.decode(encode(samples.items()))
    assert decoded.get_total_count() == sum(samples.values())
    for seconds in samples:
        assert decoded.get_count_at_value(max(1, round(seconds * 1e9))) >= samples[seconds]

"""Lines that are written without a record say the same, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import ReadTimeout
from crawler.fanout import Item
from crawler.fanout.plan import Output
from crawler.fanout.record import Recorder
from crawler.fanout.record_lines import MAX_KNOWN, LineRecorder
from crawler.fanout.result import Result
from crawler.fanout.sinks import encode_line
from crawler.fanout.sinks.rows import wants_lines
from crawler.models import Request, Response
from crawler.net.timing import TIMING, ConnectTiming, Timing

NAMES = ["Content-Type", "content-type", "Content-Length", "ETag", "eTag", "Last-Modified", "Content-Encoding", "X-A"]
VALUES = ["12", "99999999999999999999", "+1", "", 'W/"a\\"', "\xe9", "text/HTML", "text/html; charset=UTF-8", "a/b;q"]
SECONDS = st.floats(min_value=0, max_value=1e4) | st.sampled_from([0.0, 1e-6, 4.9e-7, 5e-7, 1.2e-5, 0.1 + 0.2])

results: st.SearchStrategy[dict[str, Any]] = st.builds(
    dict,
    url=st.sampled_from(
        ["http://h/a?b=1", "http://u:p@h/", "http://h/?token=x", 'http://h/a"b\\', "http://h/\u00e9", "https://h/"]
    ),
    status=st.sampled_from([200, 204, 299, 304]),
    reason=st.sampled_from([b"OK", b"", b'"', b"\xff"]),
    version=st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2"]),
    fields=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=5),
    are_lines=st.booleans(),
    is_new=st.booleans(),
    phases=st.tuples(*[SECONDS] * 6),
    times=st.tuples(*[SECONDS] * 4),
    key=st.none() | st.text(max_size=5),
    sizes=st.tuples(st.integers(0, 2**62), st.integers(0, 2**62)),
    sha256=st.none() | st.just("ab" * 32),
)


def result_of(case: dict[str, Any]) -> Result:
    """The result of a case."""
    item = Item(case["url"], key=case["key"])
    result = Result(item, 0, case["key"], 1.0)
    dns, connect, tls, send, ttfb, receive = case["phases"]
    started, took, more, wait = case["times"]
    result.begin(started)
    result.request = Request("GET", item.url)
    opening = ConnectTiming()
    opening.dns, opening.connect, opening.tls = dns, connect, tls
    timing = Timing(opening if case["is_new"] else None, send, ttfb, receive, 3, ("127.0.0.1", 80))
    fields = [(name.encode(), value.encode("latin-1")) for name, value in case["fields"]]
    raw = b"".join(b"%b: %b\r\n" % field for field in fields) if case["are_lines"] else fields
    extensions = {"http_version": case["version"], "reason_phrase": case["reason"], TIMING: timing}
    result.response = Response.from_wire(case["status"], raw, b"", extensions, result.request)
    result.ended = started + took + more
    result.host_wait = wait
    result.bytes, result.bytes_wire = case["sizes"]
    result.sha256 = case["sha256"]
    result.account()
    return result


@given(results, st.booleans())
def test_lines_are_records(case: dict[str, Any], has_secret: bool) -> None:
    """A line is what the record would have been written as; what is odd is left to the record."""
    recorder = Recorder("01RUN", 'j"ob', "w\u00e9", 1.7e9, ["b=1"] if has_secret else [])
    lines = LineRecorder(recorder)
    for _ in range(2):  # the second time by what is known
        result = result_of(case)
        line = lines.line(result, result.target)
        if line is not None:
            assert line == encode_line(recorder.record(result_of(case), result.target))


def plain() -> dict[str, Any]:
    """A case without anything odd."""
    return {
        "url": "http://h/a?b=1",
        "status": 200,
        "reason": b"OK",
        "version": b"HTTP/1.1",
        "fields": [("Content-Type", "text/html; charset=UTF-8"), ("Content-Length", "12"), ("ETag", '"1"')],
        "are_lines": True,
        "is_new": False,
        "phases": (0.0, 0.0, 0.0, 0.0, 0.001, 0.002),
        "times": (5.0, 0.01, 0.0, 0.0),
        "key": "7",
        "sizes": (12, 12),
        "sha256": None,
    }


def test_ordinary_successes_have_lines() -> None:
    """They are the point of it; whatever has more to say goes the other way."""
    lines = LineRecorder(Recorder("01RUN", "job", "main", 1.7e9))
    result = result_of(plain())
    assert lines.line(result, result.target) is not None
    for change in ({"meta": {"a": 1}}, {"depth": 0}, {"page": 1}, {"discovered_by": "seed"}, {"parent": "b2:1"}):
        assert lines.line(result, Item("http://h/", **change)) is None
    result.body = b"x"
    assert lines.line(result, result.target) is None
    result.body = None
    result.fail(ReadTimeout("late"))
    assert lines.line(result, result.target) is None


def test_what_is_kept_is_bounded() -> None:
    """Connections and types come and go; their texts do not pile up, and stay right."""
    recorder = Recorder("01RUN", "job", "main", 1.7e9)
    lines = LineRecorder(recorder)
    for number in range(MAX_KNOWN + 5):
        case = plain() | {"fields": [("Content-Type", f"text/{number}")], "reason": b"OK %d" % number}
        result = result_of(case)
        assert lines.line(result, result.target) == encode_line(recorder.record(result, result.target))
    assert len(lines._types) <= MAX_KNOWN
    assert len(lines._answers) <= MAX_KNOWN


def test_only_plain_outputs_take_lines() -> None:
    """An output that looks into records, or wants other rows, has them made."""
    plain = Output(Path("a.jsonl"))
    assert wants_lines([plain, Output(Path("b.jsonl.gz"))])
    for other in (
        Output(Path("a.csv"), format="csv"),
        Output(Path("a.jsonl"), fields=("url",)),
        Output(Path("a.jsonl"), where="status == `200`"),
        Output(Path("a.jsonl"), records="attempts"),
        Output(Path("a.warc"), format="warc"),
    ):
        assert not wants_lines([plain, other])

"""Files in parts at once: whole in the end, within the limits of host and run, and gone on with span by span."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crawler.fanout import HostLimits, Item, Plan, Politeness
from crawler.fanout.plan import CircuitPolicy
from crawler.fanout.resume import PartNote, Span
from crawler.fanout.segments import cut, spans_of, unfinished
from crawler.models import Headers
from crawler.testbed.raw import RawConnection, RawServer
from tests.peers.downloads import DATA, ETAG, SHA256, download, files, head, plan_of

MIN = 256 * 1024


class RangeServer:
    """Serves ranges of the file, and counts how many at once.

    Attributes:
        most: Requests at once, at most.
        ranges: What was asked for.
        broken: How many responses still break off half-way.
    """

    def __init__(self, *, tag: str = ETAG, broken: int = 0, accepts: str = "Accept-Ranges: bytes") -> None:
        self.most = self._now = 0
        self.ranges: list[tuple[int, int] | None] = []
        self.broken = broken
        self._lines = (tag, accepts)
        self._lock = threading.Lock()

    def __call__(self, connection: RawConnection) -> None:
        while True:
            request = connection.read_request()
            match = re.search(rb"(?i)range: bytes=(\d+)-(\d*)", request)
            start, end = (0, len(DATA)) if match is None else (int(match[1]), int(match[2] or len(DATA) - 1) + 1)
            with self._lock:
                self._now += 1
                self.most = max(self.most, self._now)
                self.ranges.append(None if match is None else (start, end))
                is_broken = self.broken > 0 and match is not None
                self.broken -= is_broken
            try:
                lines = self._lines
                if match is None:
                    connection.send(head("200 OK", len(DATA), *lines))
                else:
                    line = f"Content-Range: bytes {start}-{end - 1}/{len(DATA)}"
                    connection.send(head("206 Partial Content", end - start, line, *lines))
                stop = (start + end) // 2 if is_broken else end
                connection.send(DATA[start:stop], piece_bytes=32_768, pause_s=0.001)
            finally:
                with self._lock:
                    self._now -= 1
            if is_broken:
                return


@contextmanager
def served(behaviour: RangeServer) -> Iterator[str]:
    """Run it."""
    with RawServer(behaviour) as server:
        yield server.url + "/a.bin"


def segmented(folder: Path, per_host: int = 4, **policy: Any) -> Plan:
    """A plan with segments."""
    plan = plan_of(folder, segments=4, segment_min_size=MIN, **policy)
    politeness = Politeness(limits=HostLimits(concurrency=per_host), circuit=CircuitPolicy(failures=None))
    return Plan(**{**{name: getattr(plan, name) for name in plan.__slots__}, "politeness": politeness})


@pytest.mark.anyio
@pytest.mark.parametrize(("per_host", "most"), [(4, 4), (2, 2), (1, 1)])
async def test_parts_come_at_once_within_the_limits(tmp_path: Path, per_host: int, most: int) -> None:
    """Never more requests to the host than it may have, and the file is whole."""
    server = RangeServer()
    with served(server) as url:
        outcome, (record,) = await download(segmented(tmp_path, per_host), Item(url, path="a.bin"))

    assert outcome.exit_code == 0, record
    assert record["sha256"] == SHA256
    assert files(tmp_path) == {"a.bin": len(DATA)}
    assert len(server.ranges) == most
    assert server.most <= max(most, 1)


@pytest.mark.anyio
async def test_each_part_goes_on(tmp_path: Path) -> None:
    """Spans that broke off are gone on with where they stopped, not from their beginning."""
    server = RangeServer(broken=2)
    with served(server) as url:
        outcome, (record,) = await download(segmented(tmp_path), Item(url, path="a.bin"))

    assert outcome.exit_code == 0, record
    assert (record["sha256"], record["bytes"]) == (SHA256, len(DATA))
    assert record["resumed_from"] > 0
    starts = {span.start for span in spans_of(len(DATA), 4)}
    assert any(asked is not None and asked[0] not in starts for asked in server.ranges)
    assert files(tmp_path) == {"a.bin": len(DATA)}


@pytest.mark.anyio
@pytest.mark.parametrize("behaviour", [{"tag": 'ETag: W/"v1"'}, {"accepts": "Accept-Ranges: none"}, {"tag": "X: y"}])
async def test_servers_that_promise_nothing_are_asked_once(tmp_path: Path, behaviour: dict[str, str]) -> None:
    """Without a strong tag and `Accept-Ranges` a file comes in one piece."""
    server = RangeServer(tag=behaviour.get("tag", ETAG), accepts=behaviour.get("accepts", "Accept-Ranges: bytes"))
    with served(server) as url:
        _, (record,) = await download(segmented(tmp_path), Item(url, path="a.bin"))

    assert record["sha256"] == SHA256
    assert server.ranges == [None]


def test_a_file_is_cut_into_spans_without_gaps() -> None:
    """Whatever the numbers, the spans are the file."""
    for total in (1, 7, 100, 2**20 + 3):
        for n in (1, 2, 3, 16):
            spans = spans_of(total, n)
            assert [span.start for span in spans[1:]] == [span.end for span in spans[:-1]]
            assert (spans[0].start, spans[-1].end) == (0, total)
    note = PartNote("", validator='"x"', total=100)
    assert cut(note, Headers({"accept-ranges": "bytes"}), 4, 30) == 3
    assert cut(note, Headers({"accept-ranges": "bytes"}), 4, 99) == 1


def test_notes_with_spans() -> None:
    """Only those of this boot and request, and with the bytes they speak of."""
    note = PartNote("r", validator='"x"', total=10, boot="b", spans=(Span(0, 5, 5), Span(5, 10, 7)))

    assert unfinished(note, "r", 7, "b") == note
    assert unfinished(note, "r", 6, "b") is None
    assert unfinished(note, "q", 7, "b") is None
    assert unfinished(note, "r", 7, "c") is None
    whole = PartNote("r", validator='"x"', total=10, boot="b", spans=(Span(0, 5, 5), Span(5, 10, 10)))
    again = unfinished(whole, "r", 10, "b")
    assert again is not None
    assert again.spans[1] == Span(5, 10, 9)

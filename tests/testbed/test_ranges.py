"""Downloads: validators, ranges, breaking off."""

from __future__ import annotations

import http.client
from typing import Any

import pytest

from crawler.testbed import content
from crawler.testbed.ranges import RangeNotSatisfiable, parse_range

Ask = Any  # the `Asker` of conftest.py

N = 200_000

RANGES = [
    # header, start, stop
    ("bytes=0-99", 0, 100),
    ("bytes=100-", 100, N),
    ("bytes=-7", N - 7, N),
    ("bytes=0-0", 0, 1),
    (f"bytes={N - 1}-", N - 1, N),
    (f"bytes=10-{N * 2}", 10, N),
    (f"bytes=-{N * 2}", 0, N),
    ("BYTES = 65535-65537", 65_535, 65_538),
]


@pytest.mark.parametrize("path", ["/bytes", "/range"])
def test_a_whole_body(ask: Ask, path: str) -> None:
    """200 with length, strong tag, date, and the bytes of the seed."""
    reply = ask(f"{path}/{N}?seed=s")
    assert (reply.status, reply.body) == (200, content(N, "s"))
    assert reply.headers["content-length"] == str(N)
    assert reply.headers["accept-ranges"] == "bytes"
    assert reply.headers["etag"].startswith('"')
    assert reply.headers["last-modified"] == "Mon, 01 Jan 2024 00:00:00 GMT"


@pytest.mark.parametrize(("header", "start", "stop"), RANGES)
def test_ranges(ask: Ask, header: str, start: int, stop: int) -> None:
    """206 with the stretch and its place."""
    reply = ask(f"/range/{N}", headers={"Range": header})
    assert (reply.status, reply.body) == (206, content(N)[start:stop])
    assert reply.headers["content-range"] == f"bytes {start}-{stop - 1}/{N}"


@pytest.mark.parametrize("header", [f"bytes={N}-", "bytes=-0", f"bytes={N}-{N}"])
def test_unsatisfiable_ranges(ask: Ask, header: str) -> None:
    """416 with the true size."""
    reply = ask(f"/range/{N}", headers={"Range": header})
    assert (reply.status, reply.body, reply.headers["content-range"]) == (416, b"", f"bytes */{N}")


@pytest.mark.parametrize("header", ["bytes=5-2", "bytes=0-1,3-4", "lines=1-2", "bytes=-", "bytes=a-b", "nonsense"])
def test_other_ranges_are_ignored(header: str) -> None:
    """Several ranges, other units and nonsense get the whole body."""
    assert parse_range(header, N) is None


def test_no_byte_of_an_empty_body_can_be_had() -> None:
    """Every range of an empty body is unsatisfiable."""
    for header in ("bytes=0-", "bytes=-1"):
        with pytest.raises(RangeNotSatisfiable):
            parse_range(header, 0)


def test_if_range(ask: Ask) -> None:
    """The range counts if tag or date are exactly the current ones, else the whole body comes."""
    etag = ask(f"/bytes/{N}", "HEAD").headers["etag"]
    date = "Mon, 01 Jan 2024 00:00:00 GMT"
    for condition, status in ((etag, 206), (date, 206), (f"W/{etag}", 200), ('"other"', 200)):
        assert ask(f"/bytes/{N}", headers={"Range": "bytes=5-", "If-Range": condition}).status == status


def test_not_modified(ask: Ask) -> None:
    """304 for the current tag, in a list, weak or `*`; and for a date not before the last change."""
    etag = ask("/bytes/10").headers["etag"]
    for value in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        reply = ask("/bytes/10", headers={"If-None-Match": value})
        assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", etag)
    assert ask("/bytes/10", headers={"If-None-Match": '"x"'}).status == 200
    assert ask("/bytes/10", headers={"If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT"}).status == 304
    assert ask("/bytes/10", headers={"If-Modified-Since": "Sun, 31 Dec 2023 23:59:59 GMT"}).status == 200
    assert ask("/bytes/10", headers={"If-Modified-Since": "yesterday"}).status == 200


def test_tags_differ_with_length_and_seed(ask: Ask) -> None:
    """Another body has another tag."""
    tags = {ask(path, "HEAD").headers["etag"] for path in ("/bytes/10", "/bytes/11", "/bytes/10?seed=1")}
    assert len(tags) == 3


def test_head(ask: Ask) -> None:
    """HEAD has the headers of the GET and no body, also for a terabyte-like size at once."""
    reply = ask("/bytes/100000000000?seed=1", "HEAD")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "100000000000")


def test_the_end_of_a_huge_body_costs_nothing(ask: Ask) -> None:
    """A range far out is made without what stands before it."""
    reply = ask("/bytes/100000000000", headers={"Range": "bytes=-5"})
    assert reply.headers["content-range"] == "bytes 99999999995-99999999999/100000000000"
    assert len(reply.body) == 5


def test_too_many_bytes(ask: Ask) -> None:
    """A size above the limit is a mistake of the request."""
    assert ask("/bytes/1000000000000").status == 400


def test_empty(ask: Ask) -> None:
    """Zero bytes are a body."""
    reply = ask("/bytes/0")
    assert (reply.status, reply.body, reply.headers["content-length"]) == (200, b"", "0")


def test_stream_bytes_has_no_length(ask: Ask) -> None:
    """`/stream-bytes` is chunked and has the same bytes."""
    reply = ask(f"/stream-bytes/{N}?seed=q")
    assert reply.headers["content-length"] is None
    assert reply.headers["transfer-encoding"] == "chunked"
    assert reply.body == content(N, "q")


def test_cut_breaks_off_and_resumes(ask: Ask) -> None:
    """The first two requests break off after 1000 bytes of what they asked for; the third has the rest."""
    path = "/cut/5000?after=1000&times=2&key=resume"
    have = b""
    for _ in range(2):
        with pytest.raises(http.client.IncompleteRead) as caught:
            ask(path, headers={"Range": f"bytes={len(have)}-"})
        have += caught.value.partial
    assert have == content(2_000)
    reply = ask(path, headers={"Range": "bytes=2000-"})
    assert (reply.status, have + reply.body) == (206, content(5_000))


def test_cut_leaves_short_bodies_and_head_alone(ask: Ask) -> None:
    """What ends before the cut comes whole, and HEAD does not count."""
    assert ask("/cut/100?after=100&key=short").body == content(100)
    assert ask("/cut/100?after=10&key=head", "HEAD").status == 200
    with pytest.raises(http.client.IncompleteRead):
        ask("/cut/100?after=10&key=head")

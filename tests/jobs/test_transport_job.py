"""From the keys of connections to options of the client."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from crawler.jobs import Job, JobError, load_job
from crawler.models import Timeout
from crawler.net import Streams


@pytest.fixture
def job(tmp_path: Path) -> Callable[[str], Job]:
    """Makes a job of one URL with the keys in a text."""

    def make(text: str) -> Job:
        path = tmp_path / "job.yaml"
        path.write_text(f"urls: [https://a.example/]\n{text}\n")
        return load_job(path)

    return make


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Timeout(30.0, connect=10.0, pool=None, total=120.0, dns=5.0, tls=10.0, ttfb=30.0)),
        (
            "timeout: {dns: null, tls: null, read: 5s, total: null}",
            Timeout(5.0, connect=10.0, pool=None, ttfb=5.0),
        ),
        (
            "timeout: {dns: 1s, connect: 2s, tls: 3s, ttfb: 1m, read: 5s, total: 2m}",
            Timeout(5.0, connect=2.0, pool=None, total=120.0, dns=1.0, tls=3.0, ttfb=60.0),
        ),
    ],
)
def test_timeouts(job: Callable[[str], Job], text: str, expected: Timeout) -> None:
    """Each phase has its own; the first byte is like the others unless the job says otherwise."""
    assert job(text).plan().timeout == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("http: {keepalive: 3s}", None),
        ("http: {streams_per_connection: 7}", Streams(7, 1 << 20)),
        ("http: {window: 4MiB}", Streams(100, 4 << 20)),
    ],
)
def test_streams(job: Callable[[str], Job], text: str, expected: Streams | None) -> None:
    """Only where the job says something of them."""
    assert job(text).plan().client.streams == expected


@pytest.mark.parametrize("window", ["1KiB", "4GiB", "much", "0"])
def test_impossible_windows(job: Callable[[str], Job], window: str) -> None:
    """Are refused at their place."""
    with pytest.raises(JobError, match=r"http\.window"):
        job(f"http: {{window: {window}}}")

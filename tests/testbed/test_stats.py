"""The counters."""

from __future__ import annotations

import pytest

from crawler.testbed import stats as module
from crawler.testbed.stats import Stats


def test_the_peak_is_the_most_at_once() -> None:
    """Requests in flight go up and down, the peak stays until it is cleared."""
    stats = Stats()
    for path in "ab":
        stats.begin(path)
    stats.end()
    stats.begin("a")
    assert (stats.requests, stats.in_flight, stats.peak_in_flight) == (3, 2, 2)
    assert stats.paths == {"a": 2, "b": 1}
    stats.clear()
    assert stats.as_dict() == {"requests": 0, "in_flight": 2, "peak_in_flight": 2, "paths": {}}


def test_paths_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the bound new paths count in the sum only; known ones go on."""
    monkeypatch.setattr(module, "MAX_PATHS", 2)
    stats = Stats()
    for path in "abcca":
        stats.begin(path)
    assert (stats.requests, stats.paths) == (5, {"a": 2, "b": 1})

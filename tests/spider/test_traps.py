"""Traps."""

from __future__ import annotations

import pytest

from crawler.spider import traps
from crawler.spider.traps import TrapLimits, Traps

TRAPS = [
    ("http://h/" + "a" * 2083, "url_length"),
    ("http://h/?" + "&".join(f"p{n}=1" for n in range(21)), "query_params"),
    ("http://h/a/b/a/b/a/b/a/b", "repeat"),
    ("http://h/x/x/x/x", "repeat"),
]


@pytest.mark.parametrize(("url", "reason"), TRAPS)
def test_each_reason_is_counted(url: str, reason: str) -> None:
    """What looks like a trap is refused, and counted by its reason."""
    judge = Traps()

    assert judge.refusal(url) is not None
    assert judge.counts == {reason: 1}


def test_ordinary_urls_pass() -> None:
    """Dates, short repetitions and long but allowed URLs are no traps."""
    judge = Traps()

    for url in (
        "http://h",
        "http://h/",
        "http://h/2026/01/01/01",
        "http://h/?" + "a=1&" * 19 + "a=1",
        "http://h/" + "a" * 2000,
    ):
        assert judge.refusal(url) is None
    assert not judge.counts


def test_a_calendar_ends() -> None:
    """URLs that differ in numbers and values only are fetched so many times."""
    judge = Traps(TrapLimits(max_per_template=3))

    passed = [url for n in range(10) if judge.refusal(url := f"http://h/day/{n}/view?s={n}ab") is None]

    assert len(passed) == 3
    assert judge.refusal("http://h/day/1/list") is None, "another form has its own count"
    assert Traps(TrapLimits(max_per_template=None)).refusal("http://h/1") is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forms that were seen once are forgotten when there are too many, those that count stay."""
    monkeypatch.setattr(traps, "MAX_TEMPLATES", 10)
    judge = Traps(TrapLimits(max_per_template=2))
    for name in ("often", "often"):
        assert judge.refusal(f"http://h/{name}") is None
    for n in range(50):
        judge.refusal("http://h/" + "z" * n)

    assert judge.refusal("http://h/often") is not None

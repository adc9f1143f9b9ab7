"""Judging links: one verdict per URL, budgets, and bounded memory."""

from __future__ import annotations

import pytest

from crawler.spider import judge as judge_module
from crawler.spider.judge import Judge
from crawler.spider.normalize import Normalizer
from crawler.spider.scope import Scope
from crawler.spider.traps import TrapLimits, Traps


def judge_of(**budgets: int) -> Judge:
    """A judge of one host."""
    return Judge(Scope("host", ["http://h/"]), Traps(TrapLimits(max_per_template=2)), Normalizer(), **budgets)


def test_ways_of_writing_share_a_verdict() -> None:
    """What normalises to the same URL is judged, and counted against traps, once."""
    judge = judge_of()

    same = {id(judge.verdict(url)) for url in ("http://h/1", "HTTP://H:80/1#x", "http://h/./1")}

    assert len(same) == 1
    assert judge.verdict("http://h/2").refused is None
    assert judge.verdict("http://h/3").refused == ("trap", "more than 2 URLs that differ in numbers only")
    assert judge.verdict("http://other/").refused == ("out_of_scope", "outside the scope `host` of the seeds")
    assert judge.verdict("http://[bad/").url is None


def test_budgets() -> None:
    """Pages are counted in all and per host; what is over is counted by reason."""
    judge = judge_of(max_pages=3, max_pages_per_host=2)

    spent = [judge.spend(f"http://{host}/{n}") for host in "ab" for n in range(3)]

    assert spent == [True, True, False, True, False, False]
    assert judge.counts == {"max_pages_per_host": 1, "max_pages": 2}
    assert judge.spend("http://a/0"), "a page that was counted costs nothing more"
    assert judge.pages == 3


def test_a_new_seed_changes_verdicts() -> None:
    """What was out of scope belongs once the scope has grown."""
    judge = judge_of()
    assert judge.verdict("http://new/a").refused is not None

    judge.add_seed("http://new/")

    assert judge.verdict("http://new/a").refused is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Verdicts are forgotten when there are too many; refusals become records up to a number."""
    monkeypatch.setattr(judge_module, "MAX_REMEMBERED", 10)
    monkeypatch.setattr(judge_module, "MAX_REFUSED", 2)
    judge = judge_of()
    for n in range(100):
        judge.verdict("http://h/" + "x" * n)

    assert len(judge._verdicts) <= 11
    assert [judge.may_record_refusal() for _ in range(3)] == [True, True, False]


def test_a_pattern_that_runs_away_refuses_the_url() -> None:
    """A URL that cannot be judged in time is taken for a trap."""
    judge = Judge(Scope("any", exclude=[r"re:^http://h/(\w|\w\w|\w+)*-$"]), Traps(), Normalizer())

    refused = judge.verdict("http://h/" + "a" * 200).refused

    assert refused is not None
    assert refused[0] == "trap"

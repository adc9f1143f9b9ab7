"""Requests that get no turn in time: on trio's clock, which jumps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crawler.fanout import HostLimits, Item, Politeness
from tests.fanout.test_run_hosts import Hosts, play, records


def outcomes(folder: Path) -> dict[str, tuple[str, Any]]:
    """Outcome and error kind of each URL."""
    return {
        record["url"]: (record["outcome"], record["error"] and record["error"]["kind"]) for record in records(folder)
    }


def test_waiting_for_a_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One start in ten seconds, and no patience for more than 25: the rest fails unsent, and the run does not wait."""
    client = Hosts()
    options: dict[str, Any] = {
        "queue": 25.0,
        "politeness": Politeness(limits=HostLimits(concurrency=4, rate=0.1, jitter=0.0)),
    }
    items = [Item(f"http://slow.test/{number}") for number in range(8)]

    outcome = play(tmp_path, client, items, monkeypatch, **options)

    assert len(client.starts["slow.test"]) == 3
    found = outcomes(tmp_path)
    assert len(found) == 8
    assert sorted(found.values()).count(("failed", "deadline")) == 5
    assert client.starts["slow.test"][-1] - client.starts["slow.test"][0] <= 25.0
    assert outcome.exit_code == 1


def test_waiting_for_a_slot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One at a time, ten seconds each; what comes too late to its slot is not sent."""
    client = Hosts(took=10.0)
    items = [Item(f"http://h{number}.test/") for number in range(6)]

    play(tmp_path, client, items, monkeypatch, queue=25.0, concurrency=1)

    assert sum(map(len, client.starts.values())) == 3
    assert sorted(outcomes(tmp_path).values()).count(("failed", "deadline")) == 3


def test_retries_wait_as_long_as_they_have_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is for the first turn alone."""
    client = Hosts(lambda url, number: 503 if number == 1 else 200)
    play(tmp_path, client, [Item("http://a.test/")], monkeypatch, queue=0.2)

    assert outcomes(tmp_path) == {"http://a.test/": ("ok", None)}

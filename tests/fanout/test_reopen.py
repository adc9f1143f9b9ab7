"""What failed goes back on the list, and each URL keeps one record, whatever happens in between."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import anyio
import pytest

from crawler.fanout import CircuitPolicy, Item, Output, Plan, Politeness, RetryPolicy, Run
from crawler.fanout import database as database_module
from crawler.fanout.errors import StateDamaged, StateLocked
from crawler.fanout.lock import StateLock
from crawler.fanout.reopen import NothingToRetry, reopen
from crawler.fanout.run import STATE_FILE
from tests.peers.clients import ScriptedClient

STATUSES = (200, 404, 500, 503)


def plan_of(folder: Path) -> Plan:
    """A plan with two outputs, without retries."""
    return Plan(
        "job",
        outputs=(Output(folder / "a.jsonl"), Output(folder / "b.jsonl")),
        state_dir=folder / "state",
        retry=RetryPolicy(attempts=1),
        politeness=Politeness(circuit=CircuitPolicy(failures=None)),
        input_id="list",
    )


def run(folder: Path, *, is_healed: bool = False) -> tuple[int, ScriptedClient]:
    """Run 40 URLs, a quarter of each status; gives the exit code."""
    client = ScriptedClient(lambda url, number: 200 if is_healed else STATUSES[int(url.rpartition("/")[2]) % 4])
    items = [Item(f"http://h.example/{number}", key=str(number)) for number in range(40)]
    outcome = anyio.run(Run(plan_of(folder), items, client=client).execute)
    return outcome.exit_code, client


def again(folder: Path, **chosen: Any) -> int:
    """Put failures back."""
    return reopen(plan_of(folder), state_file=folder / "state" / STATE_FILE, **chosen)


def records(path: Path) -> list[dict[str, Any]]:
    """All records; fails on a torn line."""
    data = path.read_bytes()
    assert not data or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def check_all_ok(folder: Path) -> None:
    """Both outputs have one good record for each URL."""
    for name in ("a.jsonl", "b.jsonl"):
        assert Counter(record["key"] for record in records(folder / name)) == Counter(map(str, range(40)))
        assert {record["outcome"] for record in records(folder / name)} == {"ok"}
    assert not list(folder.glob("*.retry"))


@pytest.mark.parametrize(
    ("chosen", "n"),
    [
        ({}, 30),
        ({"kinds": ["http_5xx"]}, 20),
        ({"kinds": ["http_*"], "statuses": ["404", "503"]}, 20),
        ({"statuses": ["5xx"]}, 20),
        ({"statuses": ["410"]}, 0),
        ({"kinds": ["timeout_*"]}, 0),
    ],
)
def test_what_is_chosen_is_tried_again(tmp_path: Path, chosen: dict[str, Any], n: int) -> None:
    """Only that, and its new record takes the place of the old one."""
    assert run(tmp_path)[0] == 1

    assert again(tmp_path, **chosen) == n
    assert len(records(tmp_path / "a.jsonl")) == len(records(tmp_path / "b.jsonl")) == 40 - n
    code, client = run(tmp_path, is_healed=True)

    assert client.begun == n
    assert code == (0 if n == 30 else 1)
    for name in ("a.jsonl", "b.jsonl"):
        assert Counter(record["key"] for record in records(tmp_path / name)) == Counter(map(str, range(40)))


class Crash(BaseException):
    """The end of the process."""


@pytest.mark.parametrize("step", range(6))
def test_killed_at_each_step_it_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Before the commit nothing has happened, after it the next opening finishes; no record is lost or doubled."""
    run(tmp_path)
    calls = 0
    steps = [("os", "fsync"), ("os", "replace"), ("database", "put_in_place"), ("frontier", "_save")]

    def dying(real: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == step + 1:
                raise Crash
            return real(*args, **kwargs)

        return call

    owners = {"database": database_module, "frontier": database_module.DatabaseFrontier}
    for owner, name in steps:
        if owner == "os":
            monkeypatch.setattr(f"crawler.fanout.rewrite.os.{name}", dying(getattr(__import__("os"), name)))
        else:
            monkeypatch.setattr(owners[owner], name, dying(getattr(owners[owner], name)))
    with pytest.raises(Crash):
        again(tmp_path)
    monkeypatch.undo()

    left = again(tmp_path)
    assert left in (0, 30)
    code, client = run(tmp_path, is_healed=True)

    assert (code, client.begun) == (0, 30)
    check_all_ok(tmp_path)


def test_a_run_goes_on_where_a_retry_was_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run itself puts the copies in place."""
    run(tmp_path)

    def die(names: object) -> None:
        raise Crash

    monkeypatch.setattr(database_module, "put_in_place", die)
    with pytest.raises(Crash):
        again(tmp_path)
    monkeypatch.undo()
    assert len(records(tmp_path / "a.jsonl")) == 40

    code, client = run(tmp_path, is_healed=True)

    assert (code, client.begun) == (0, 30)
    check_all_ok(tmp_path)


def test_what_cannot_be_retried_is_told(tmp_path: Path) -> None:
    """No run, records that went to standard output, a state that is held, a damaged file: nothing is changed."""
    with pytest.raises(NothingToRetry, match="no run"):
        again(tmp_path)
    run(tmp_path)
    plan = Plan("job", outputs=(Output(Path("-")),), state_dir=tmp_path / "state")
    with pytest.raises(NothingToRetry, match="standard output"):
        reopen(plan, state_file=tmp_path / "state" / STATE_FILE)

    lock = StateLock(tmp_path / "state" / "lock")
    with pytest.raises(StateLocked):
        again(tmp_path)
    lock.release()

    data = (tmp_path / "a.jsonl").read_bytes()
    (tmp_path / "a.jsonl").write_bytes(b"x" * len(data))
    with pytest.raises(StateDamaged, match=r"a\.jsonl"):
        again(tmp_path)

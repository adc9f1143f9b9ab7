"""A whole run: records, resume, stop, abort, a disk that fails, a state that is held."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

import crawler
from crawler.fanout import (
    BodyPolicy,
    CircuitPolicy,
    Item,
    Outcome,
    Output,
    OutputError,
    Plan,
    Politeness,
    RetryPolicy,
    Run,
    StateLocked,
)
from crawler.fanout.lock import StateLock
from tests.peers.clients import ScriptedClient

FAST = RetryPolicy(base=0.001, max_backoff=0.002)


def plan_of(folder: Path, **changes: Any) -> Plan:
    """A durable plan below a folder, with changes."""
    settings: dict[str, Any] = {
        "name": "job",
        "outputs": (Output(folder / "out.jsonl"),),
        "state_dir": folder / "state",
        "concurrency": 8,
        "retry": FAST,
        "politeness": Politeness(circuit=CircuitPolicy(failures=None)),
        "grace": 5.0,
    }
    return Plan(**{**settings, **changes})


def items(n: int) -> list[Item]:
    """Make `n` items with keys."""
    return [Item(f"http://h{number % 3}.example/{number}", key=str(number)) for number in range(n)]


def records(folder: Path) -> list[dict[str, Any]]:
    """Read the records; the file ends with a whole line."""
    data = (folder / "out.jsonl").read_bytes()
    assert not data or data.endswith(b"\n")
    return [json.loads(line) for line in data.splitlines()]


def keys(folder: Path) -> list[int]:
    """The keys of all records, sorted."""
    return sorted(int(record["key"]) for record in records(folder))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition of another task's making."""
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110 -- nobody sets an event for counters
            await anyio.sleep(0.001)


def balance(run: Run) -> bool:
    """Whether submitted = done + failed + pending + skipped, as the counters say."""
    stats = run.stats
    return stats.submitted == sum(stats.counts.values()) + stats.pending and stats.pending >= 0


@pytest.mark.anyio
@pytest.mark.parametrize("is_durable", [True, False])
async def test_every_url_has_one_record(tmp_path: Path, is_durable: bool) -> None:
    """Good, bad, flaky and doubled: each request ends in one record, and the summary counts them."""

    def script(url: str, number: int) -> Any:
        if url.endswith("1"):
            return 404
        if url.endswith("2"):
            return crawler.ConnectError("refused") if number < 3 else 200
        return crawler.ReadTimeout("slow") if url.endswith("3") else 200

    client = ScriptedClient(script)
    plan = plan_of(tmp_path, state_dir=tmp_path / "state" if is_durable else None)
    run = Run(plan, [*items(100), *items(20), Item("http://[nonsense", key="100")], client=client)

    outcome = await run.execute()

    assert (outcome.state, outcome.exit_code) == ("finished", 1)
    assert keys(tmp_path) == list(range(101))
    by_key = {int(record["key"]): record for record in records(tmp_path)}
    assert by_key[12]["attempts"] == 3
    assert by_key[12]["attempt_errors"] == ["connect_refused"] * 2
    assert (by_key[13]["outcome"], by_key[13]["attempts"]) == ("failed", 4)
    assert by_key[100]["error"]["kind"] == "invalid_url"
    assert by_key[100]["url"] == "http://[nonsense"
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary == outcome.summary
    assert summary["counts"] == {"ok": 80, "failed": 21, "skipped": 0, "unchanged": 0, "cancelled": 0}
    assert (summary["duplicates"], summary["submitted"], summary["pending"]) == (20, 101, 0)
    assert summary["retries"]["n"] == 10 * 2 + 10 * 3
    assert summary["outputs"][0]["rows"] == 101
    assert (run.stats.in_flight, run.stats.waiting) == (0, 0)
    assert run.stats.is_total_known


@pytest.mark.anyio
async def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    """Run again, nothing is fetched, nothing is written twice, the exit code stays."""
    plan = plan_of(tmp_path, input_id="v1")
    first = await Run(plan, items(20), client=ScriptedClient()).execute()
    client = ScriptedClient()

    def never() -> Iterator[Item]:
        yield from items(1 // client.begun)  # raises as soon as it is read

    second = await Run(plan, never(), client=client).execute()

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert client.begun == 0
    assert keys(tmp_path) == list(range(20))
    assert second.summary["earlier"] == 20


@pytest.mark.anyio
async def test_new_rows_of_a_changed_input_are_fetched(tmp_path: Path) -> None:
    """A longer list under another name, or without one, adds only what is new."""
    await Run(plan_of(tmp_path, input_id="v1"), items(20), client=ScriptedClient()).execute()

    for input_id in ("v2", None):
        client = ScriptedClient()
        outcome = await Run(plan_of(tmp_path, input_id=input_id), items(30), client=client).execute()
        assert client.begun == (10 if input_id else 0)
        assert outcome.exit_code == 0

    assert keys(tmp_path) == list(range(30))


@pytest.mark.anyio
@pytest.mark.parametrize("reason", ["interrupted", "terminated", "requested"])
async def test_stop_drains_and_the_next_run_goes_on(tmp_path: Path, reason: Any) -> None:
    """What is in flight ends and is recorded, the rest stays pending; together both runs fetch each URL once."""
    client = ScriptedClient()

    def stopping() -> Iterator[Item]:
        for number, item in enumerate(items(3000)):
            yield item
            if number == 1500:
                anyio.from_thread.run_sync(run.stop, reason)

    run = Run(plan_of(tmp_path), stopping(), client=client)
    first = await run.execute()

    assert first.exit_code == {"interrupted": 130, "terminated": 143, "requested": 3}[reason]
    assert first.state == ("stopped" if reason == "requested" else "interrupted")
    assert len(records(tmp_path)) == run.stats.ok == client.ended
    assert balance(run)

    again = Run(plan_of(tmp_path), items(3000), client=client)
    second = await again.execute()

    assert second.exit_code == 0
    assert keys(tmp_path) == list(range(3000))
    assert set(client.tries.values()) == {1}


@pytest.mark.anyio
async def test_grace_ends(tmp_path: Path) -> None:
    """What is still in flight when the grace is over is cut off and stays pending."""
    client = ScriptedClient(lambda url, number: 3600.0 if url.endswith("/3") else 200)
    run = Run(plan_of(tmp_path, grace=0.05), items(10), client=client)

    async with anyio.create_task_group() as group:

        async def stop_soon() -> None:
            await until(lambda: run.stats.done == 9)
            run.stop()

        group.start_soon(stop_soon)
        outcome = await run.execute()

    assert (outcome.state, outcome.exit_code) == ("interrupted", 130)
    assert keys(tmp_path) == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert (run.stats.pending, run.stats.in_flight, client.in_flight) == (1, 0, 0)


@pytest.mark.anyio
async def test_abort_is_at_once_and_loses_nothing(tmp_path: Path) -> None:
    """Requests in flight are cancelled, finished ones are recorded, and the next run finishes."""
    client = ScriptedClient(lambda url, number: 200 if run.is_stopping or not url.endswith("7") else 3600.0)
    run = Run(plan_of(tmp_path), items(100), client=client)

    async with anyio.create_task_group() as group:

        async def abort_soon() -> None:
            await until(lambda: run.stats.in_flight == 8)
            run.stop()
            run.abort()

        group.start_soon(abort_soon)
        outcome = await run.execute()

    assert outcome.exit_code == 130
    assert len(records(tmp_path)) == run.stats.done
    assert client.in_flight == 0
    assert balance(run)
    assert (await Run(plan_of(tmp_path), items(100), client=client).execute()).exit_code == 0
    assert keys(tmp_path) == list(range(100))


@pytest.mark.anyio
async def test_stopped_before_it_began(tmp_path: Path) -> None:
    """A signal that comes before the first request ends the run without one."""
    client = ScriptedClient()
    run = Run(plan_of(tmp_path), items(5), client=client)
    run.stop()

    outcome = await run.execute()

    assert (outcome.exit_code, client.begun) == (130, 0)
    assert run.is_stopping


@pytest.mark.anyio
async def test_cancelling_execute_commits_what_is_finished(tmp_path: Path) -> None:
    """A cancelled caller leaves whole records and a state that goes on."""
    client = ScriptedClient(lambda url, number: 3600.0 if url.endswith("9") and number == 1 else 200)

    with anyio.move_on_after(0.3):
        await Run(plan_of(tmp_path), items(50), client=client).execute()

    done = keys(tmp_path)
    assert 0 < len(done) < 50
    assert client.in_flight == 0
    assert (await Run(plan_of(tmp_path), items(50), client=client).execute()).exit_code == 0
    assert keys(tmp_path) == list(range(50))


@pytest.mark.anyio
async def test_a_second_run_on_the_same_state_is_refused(tmp_path: Path) -> None:
    """Exit code 6, and nothing is fetched."""
    (tmp_path / "state").mkdir()
    lock = StateLock(tmp_path / "state" / "lock")
    client = ScriptedClient()

    with pytest.raises(StateLocked) as caught:
        await Run(plan_of(tmp_path), items(5), client=client).execute()
    lock.release()

    assert caught.value.exit_code == 6
    assert client.begun == 0


@pytest.mark.anyio
@pytest.mark.parametrize("what", ["outputs", "state_dir", "body"])
async def test_folders_that_cannot_be_are_found_before_the_first_request(tmp_path: Path, what: str) -> None:
    """A file in the place of a folder is told with its name, exit code 4."""
    (tmp_path / "file").write_text("in the way")
    bad = tmp_path / "file" / "x"
    changes: dict[str, Any] = {
        "outputs": (Output(bad),),
        "state_dir": bad,
        "body": BodyPolicy(keep="file", directory=bad),
    }
    client = ScriptedClient()

    with pytest.raises(OutputError, match="file/x") as caught:
        await Run(plan_of(tmp_path, **{what: changes[what]}), items(5), client=client).execute()

    assert caught.value.exit_code == 4
    assert client.begun == 0


@pytest.mark.anyio
@pytest.mark.parametrize("where", ["records", "bodies"])
async def test_a_full_disk_stops_the_run_resumably(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """Exit code 4 with a reason; no URL is failed for it; with space again, the same run finishes."""
    plan = plan_of(tmp_path, body=BodyPolicy(keep="file", directory=tmp_path / "files", fsync=False))
    real = os.write
    written = 0

    def write(fd: int, data: Any) -> int:
        nonlocal written
        written += len(data)
        if written > (2000 if where == "records" else 150):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(fd, data)

    monkeypatch.setattr(f"crawler.fanout.{'sinks.file_sink' if where == 'records' else 'files'}.os.write", write)
    run = Run(plan, items(60), client=ScriptedClient())
    outcome = await run.execute()
    monkeypatch.undo()

    assert (outcome.state, outcome.exit_code) == ("stopped", 4)
    assert "No space left on device; free some space" in outcome.message
    assert run.stats.failed == 0
    assert (await Run(plan, items(60), client=ScriptedClient()).execute()).exit_code == 0
    assert keys(tmp_path) == list(range(60))


@pytest.mark.anyio
async def test_what_the_items_raise_comes_out(tmp_path: Path) -> None:
    """A broken input ends the run with its own error; what was read before is fetched or pending, never lost."""

    def broken() -> Iterator[Item]:
        yield from items(700)
        raise LookupError("row 701 is broken")

    with pytest.raises(LookupError, match="row 701"):
        await Run(plan_of(tmp_path), broken(), client=ScriptedClient()).execute()

    client = ScriptedClient()
    assert (await Run(plan_of(tmp_path), items(700), client=client).execute()).exit_code == 0
    assert keys(tmp_path) == list(range(700))


@pytest.mark.anyio
async def test_items_may_come_slowly(tmp_path: Path) -> None:
    """Rows of an async generator are fetched as they come, without waiting for a batch of them."""
    client = ScriptedClient()

    async def slowly() -> AsyncIterator[Item]:
        for number, item in enumerate(items(5)):
            yield item
            await until(partial(client.has_ended, number + 1))

    outcome = await Run(plan_of(tmp_path), slowly(), client=client).execute()

    assert outcome.exit_code == 0
    assert keys(tmp_path) == list(range(5))


@pytest.mark.anyio
async def test_the_books_balance_all_the_time(tmp_path: Path) -> None:
    """At every request: submitted = outcomes + pending, and in flight is what the client sees."""
    seen = 0

    def script(url: str, number: int) -> Any:
        nonlocal seen
        seen += 1
        assert balance(run)
        assert run.stats.in_flight == client.in_flight
        return crawler.ConnectError("x") if number < 2 and url.endswith("5") else 200

    client = ScriptedClient(script)
    run = Run(plan_of(tmp_path), items(1200), client=client)

    outcome = await run.execute()

    assert outcome.exit_code == 0
    assert seen == 1320


@pytest.mark.anyio
async def test_the_request_is_made_as_the_item_says(tmp_path: Path) -> None:
    """Method, headers and body reach the client; the file's name is the item's wish, made safe."""
    client = ScriptedClient()
    item = Item("http://h.example/x", method="PUT", headers=(("X-A", "1"),), body=b"data", key="1", path="../d/f.txt")
    policy = BodyPolicy(keep="file", directory=tmp_path / "files")

    outcome = await Run(plan_of(tmp_path, body=policy), [item], client=client).execute()

    assert outcome.exit_code == 0
    assert client.last is not None
    assert (client.last.method, client.last.headers["x-a"], client.last.content) == ("PUT", "1", b"data")
    assert records(tmp_path)[0]["path"] == "d/f.txt"
    assert (tmp_path / "files" / "d" / "f.txt").read_bytes() == b"body"


@pytest.mark.anyio
async def test_files_keep_their_names_across_runs(tmp_path: Path) -> None:
    """Two requests that wish for one name get two files, also when a later run brings the second."""
    policy = BodyPolicy(keep="file", directory=tmp_path / "files")
    outcome: Outcome
    for number in range(2):
        client = ScriptedClient(lambda url, _: url.encode())
        item = Item(f"http://h.example/{number}", key=str(number), path="same.txt")
        outcome = await Run(plan_of(tmp_path, body=policy), [item], client=client).execute()
        assert outcome.exit_code == 0

    assert [record["path"] for record in records(tmp_path)] == ["same.txt", "same~2.txt"]
    assert (tmp_path / "files" / "same.txt").read_bytes() == b"http://h.example/0"
    assert (tmp_path / "files" / "same~2.txt").read_bytes() == b"http://h.example/1"

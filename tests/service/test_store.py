"""The service's database: durable, one decision per slot, and no step that the table of states does not have."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crawler.service.errors import NoSuchRun, NotPossible, StoreDamaged
from crawler.service.states import ENDED, FOLLOWERS, State
from crawler.service.store import KEPT_SLOTS, NewRun, Store

NOW = 1_780_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new one."""
    store = Store(tmp_path / "service.sqlite3")
    yield store
    store.close()


def test_a_run_goes_its_way(store: Store) -> None:
    """Queued, running, paused, on again, finished; with the instants of first start and end."""
    run = store.add(NewRun("prices", "api"), NOW)
    store.move(run.id, State.RUNNING, NOW + 1)
    store.move(run.id, State.PAUSED, NOW + 2)
    store.move(run.id, State.QUEUED, NOW + 3)
    store.move(run.id, State.RUNNING, NOW + 4)
    done = store.move(run.id, State.FINISHED, NOW + 5, exit_code=0, progress={"done": 3}, outputs=[{"path": "a"}])

    assert (done.started, done.ended, done.exit_code) == (NOW + 1, NOW + 5, 0)
    assert done.progress == {"done": 3}
    assert done.outputs == ({"path": "a"},)


@pytest.mark.parametrize("state", sorted(ENDED))
def test_what_has_ended_stays_so(store: Store, state: State) -> None:
    """No step leads out of an end."""
    run = store.add(NewRun("prices", state=state) if state in FOLLOWERS[State.QUEUED] else NewRun("prices"), NOW)
    if run.state is not state:
        store.move(run.id, State.RUNNING, NOW)
        store.move(run.id, state, NOW)

    for follower in State:
        with pytest.raises(NotPossible):
            store.move(run.id, follower, NOW)


def test_a_slot_is_decided_once(store: Store) -> None:
    """A second decision about it gives no run, also after the first run was removed."""
    store.note_job("prices", "digest", NOW)
    made = store.decide("prices", NOW + 60, [NewRun("prices", slot=100), NewRun("prices", slot=200)], NOW)
    store.remove(made[0].id)

    assert store.decide("prices", NOW + 60, [NewRun("prices", slot=100), NewRun("prices", slot=300)], NOW) != []
    assert sorted(run.slot or 0 for run in store.runs()) == [200, 300]


def test_decided_slots_are_forgotten_in_bounds(store: Store) -> None:
    """The newest thousand are kept."""
    store.note_job("prices", "digest", NOW)
    for number in range(0, KEPT_SLOTS + 50, 10):
        runs = [NewRun("prices", slot=slot, state=State.SKIPPED) for slot in range(number, number + 10)]
        store.decide("prices", NOW, runs, NOW)

    assert store.decide("prices", NOW, [NewRun("prices", slot=KEPT_SLOTS)], NOW) == []
    assert len(store.decide("prices", NOW, [NewRun("prices", slot=1)], NOW)) == 1


def test_a_schedule_that_changed_begins_anew(store: Store) -> None:
    """The same one goes on where it stood."""
    assert store.note_job("prices", "one", NOW) == NOW
    store.decide("prices", NOW + 600, [], NOW)

    assert store.note_job("prices", "one", NOW + 1000) == NOW + 600
    assert store.note_job("prices", "two", NOW + 2000) == NOW + 2000


def test_a_repeated_request_gets_the_same_run(store: Store) -> None:
    """Its key makes it one."""
    first = store.add(NewRun("prices", "api", request_key="k1"), NOW)
    again = store.add(NewRun("prices", "api", request_key="k1"), NOW + 1)

    assert first.id == again.id
    assert store.counts()["queued"] == 1


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    """All of it or none of it, nested ones included."""

    def add_and_fail() -> None:
        with store.transaction():
            store.add(NewRun("prices"), NOW)
            store.run("nobody")

    with pytest.raises(NoSuchRun):
        add_and_fail()

    assert store.runs() == []


def test_runs_are_paged(store: Store) -> None:
    """The newest first, each page before the last of the one before."""
    ids = [store.add(NewRun("prices"), NOW + number).id for number in range(5)]
    page = store.runs(limit=2)
    rest = store.runs(before=page[-1].id, limit=10)

    assert [run.id for run in (*page, *rest)] == ids[::-1]


def test_a_service_that_was_killed_goes_on(store: Store) -> None:
    """Running and interrupted runs are queued again, one that was to be stopped is, paused ones stay."""
    names = {}
    for name, state in [("a", State.RUNNING), ("b", State.INTERRUPTED), ("c", State.RUNNING), ("d", State.PAUSED)]:
        run = store.add(NewRun(name), NOW)
        store.move(run.id, State.RUNNING, NOW)
        if state is not State.RUNNING:
            store.move(run.id, state, NOW)
        names[name] = run.id
    store.update(names["c"], wanted="stopped")
    store.take_over(NOW + 10)

    states = {name: store.run(run_id).state for name, run_id in names.items()}
    assert states == {"a": State.QUEUED, "b": State.QUEUED, "c": State.STOPPED, "d": State.PAUSED}
    assert store.run(names["a"]).resumes == 1


def test_messages_wait_until_they_are_sent(store: Store) -> None:
    """A message is there until it is settled, and comes again when it should."""
    run = store.add(NewRun("prices"), NOW)
    store.add_notice(run, 0, {"events": ["failed"]}, NOW)
    (notice,) = store.due_notices(NOW)
    store.settle_notice(notice["id"], NOW + 30)

    assert store.due_notices(NOW + 29) == []
    (again,) = store.due_notices(NOW + 30)
    assert (again["tries"], again["body"]) == (1, {"events": ["failed"]})
    store.settle_notice(again["id"], None)
    assert store.due_notices(NOW + 99) == []


def test_the_audit_log_tells_who_did_what(store: Store) -> None:
    """The newest first, long words cut."""
    store.note("token", "cancel", "01RUN", NOW)
    store.note("token", "submit", "x" * 1000, NOW)

    latest, first = store.audit()
    assert (first["actor"], first["action"], first["target"]) == ("token", "cancel", "01RUN")
    assert len(latest["target"]) == 200


@pytest.mark.parametrize("content", [b"not a database at all, whatever it is", b"SQLite format 3\x00" + b"\xff" * 4096])
def test_a_broken_file_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    """The message names the file; nothing is begun anew silently."""
    path = tmp_path / "service.sqlite3"
    path.write_bytes(content)

    with pytest.raises(StoreDamaged, match=r"service\.sqlite3"):
        Store(path)
    assert path.read_bytes() == content


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """So is a database of another program."""
    path = tmp_path / "service.sqlite3"
    Store(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()

    with pytest.raises(StoreDamaged, match="version 99"):
        Store(path)


_WRITER = """
import sys
from pathlib import Path
from crawler.service.store import NewRun, Store
store = Store(Path(sys.argv[1]))
store.note_job("prices", "digest", 0.0)
for slot in range(1, 100_000):
    store.decide("prices", float(slot), [NewRun("prices", slot=slot)], float(slot))
    print(slot, flush=True)
"""


def test_what_was_committed_survives_a_kill(tmp_path: Path) -> None:
    """Each slot said to be decided is there, once, whenever the process dies."""
    path = tmp_path / "service.sqlite3"
    for stop_at in (3, 40):
        writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        said = 0
        for line in writer.stdout:
            said = int(line)
            if said >= stop_at:
                os.kill(writer.pid, signal.SIGKILL)
                break
        said = max([said, *map(int, writer.stdout.read().split())])
        writer.stdout.close()
        writer.wait()
        store = Store(path)
        slots = [run.slot for run in reversed(store.runs(limit=-1))]
        since = store.note_job("prices", "digest", 1.0)
        store.close()

        assert slots[:said] == list(range(1, said + 1))
        assert since >= said
        path.unlink()
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)

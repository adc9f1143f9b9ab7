"""The durable frontier: resume, refusal of what cannot be trusted, a disk that refuses."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from crawler.fanout import Item, Output, OutputError, StateDamaged
from crawler.fanout.database import FORMAT, DatabaseFrontier
from crawler.fanout.frontier import Finished, Lease
from crawler.fanout.sinks import FileSink, Sink


def items(n: int) -> list[Item]:
    """Make `n` different requests."""
    return [Item(f"http://h.example/{number}") for number in range(n)]


def filled(folder: Path, n: int = 10, done: int = 4, sinks: Sequence[Sink] | None = None) -> DatabaseFrontier:
    """A frontier of `n` requests of which `done` are done, with records in `out.jsonl`."""
    frontier = DatabaseFrontier(folder / "state.sqlite3")
    frontier.open([FileSink(Output(folder / "out.jsonl"))] if sinks is None else sinks)
    frontier.begin_input("list")
    frontier.add(items(n))
    for lease in frontier.lease(done):
        frontier.commit([Finished(lease.id, "ok", {"id": lease.id})])
    return frontier


def test_leases_are_pending_again_after_a_crash(tmp_path: Path) -> None:
    """What was leased and has no outcome is leased again by the next run; what is done is not."""
    frontier = filled(tmp_path)
    frontier.lease(3)
    frontier.close()

    again = DatabaseFrontier(tmp_path / "state.sqlite3")

    assert [lease.url for lease in again.lease(100)] == [item.url for item in items(10)[4:]]
    again.close()


def test_an_input_read_to_its_end_is_not_read_again(tmp_path: Path) -> None:
    """The same input goes on where reading stopped; another one, or one without a name, is read from the start."""
    frontier = filled(tmp_path)
    assert frontier.begin_input("list") == 10
    frontier.end_input()
    assert frontier.begin_input("list") is None

    assert frontier.begin_input("another") == 0
    added = frontier.add([*items(12), *items(2)])

    assert (added.new, added.duplicates) == (2, 2)
    assert frontier.begin_input(None) == 0
    assert frontier.begin_input(None) == 0
    frontier.close()


def test_the_tail_without_a_commit_is_cut_off(tmp_path: Path) -> None:
    """Records that no commit vouches for, whole or torn, are gone after the start."""
    filled(tmp_path).close()
    output = tmp_path / "out.jsonl"
    committed = output.read_bytes()
    output.write_bytes(committed + b'{"id":99}\n{"id":1')

    again = DatabaseFrontier(tmp_path / "state.sqlite3")
    again.open([FileSink(Output(output))])
    again.close()

    assert output.read_bytes() == committed


def test_records_of_others_before_ours_stay(tmp_path: Path) -> None:
    """A first run appends to a file that is there, and a crash before its first commit cuts back to exactly that."""
    output = tmp_path / "out.jsonl"
    output.write_bytes(b'{"other":1}\n')
    filled(tmp_path, done=0).close()
    with output.open("ab") as file:
        file.write(b'{"id":1}\n')

    filled(tmp_path, done=0).close()

    assert output.read_bytes() == b'{"other":1}\n'


def test_records_lost_in_a_power_cut_are_made_again(tmp_path: Path) -> None:
    """An output shorter than its commits takes their requests back to pending, and only those."""
    filled(tmp_path).close()
    output = tmp_path / "out.jsonl"
    whole = output.read_bytes()
    output.write_bytes(whole[: len(whole) // 2 + 3])

    again = DatabaseFrontier(tmp_path / "state.sqlite3")
    again.open([FileSink(Output(output))])

    assert output.read_bytes() == whole[: len(whole) // 2]
    assert again.counts()["ok"] == 2
    assert again.counts()["pending"] == 8
    again.close()


def test_an_output_that_is_gone_is_not_begun_anew(tmp_path: Path) -> None:
    """The message names the file and counts what is missing; nothing is created."""
    filled(tmp_path).close()
    output = tmp_path / "out.jsonl"
    output.unlink()

    again = DatabaseFrontier(tmp_path / "state.sqlite3")
    with pytest.raises(StateDamaged, match=r"out\.jsonl is gone, .* counts 4 records"):
        again.open([FileSink(Output(output))])
    again.close()

    assert not output.exists()


def test_an_output_changed_by_others_is_not_cut(tmp_path: Path) -> None:
    """Where no line ends at the committed offset, the file is left alone."""
    filled(tmp_path).close()
    output = tmp_path / "out.jsonl"
    changed = output.read_bytes()[:-1] + b"X and more\n"
    output.write_bytes(changed)

    again = DatabaseFrontier(tmp_path / "state.sqlite3")
    with pytest.raises(StateDamaged, match="another program wrote"):
        again.open([FileSink(Output(output))])
    again.close()

    assert output.read_bytes() == changed


@pytest.mark.parametrize("damage", ["empty", "text", "truncated", "flipped", "other database", "newer"])
def test_a_state_that_cannot_be_trusted_is_refused(tmp_path: Path, damage: str) -> None:
    """The error names the file, and the file is as it was: never silently begun anew."""
    filled(tmp_path, n=2000).close()
    state = tmp_path / "state.sqlite3"
    data = bytearray(state.read_bytes())
    match damage:
        case "empty":
            data.clear()
        case "text":
            data[:] = b"this is no database at all, but long enough to be one" * 100
        case "truncated":
            del data[len(data) // 2 :]
        case "flipped":
            for place in range(4096, len(data), 4096):
                data[place] ^= 0xFF  # the kind of each page
        case "other database" | "newer":
            with sqlite3.connect(state) as db:
                db.execute("PRAGMA application_id = 7" if damage != "newer" else "PRAGMA user_version = 99")
            db.close()
            data = bytearray(state.read_bytes())
    state.write_bytes(data)

    with pytest.raises(StateDamaged, match=r"state\.sqlite3"):
        DatabaseFrontier(state)

    assert state.read_bytes() == data


def test_a_state_of_the_first_format_is_gone_on_with(tmp_path: Path) -> None:
    """An older state is read as it is, and its number goes up, so that the older version leaves it alone."""
    filled(tmp_path).close()
    state = tmp_path / "state.sqlite3"
    with sqlite3.connect(state) as db:
        db.execute("PRAGMA user_version = 1")
    db.close()

    again = DatabaseFrontier(state)

    assert again.counts()["pending"] == 6
    again.close()
    with sqlite3.connect(state) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (FORMAT,)
    db.close()


def test_what_was_passed_over_is_not_looked_at_again(tmp_path: Path) -> None:
    """New requests that go first are looked at, and nothing else, however much waits behind them."""
    frontier = filled(tmp_path, n=2000, done=1)
    frontier.lease(5000, lambda lease: False)
    looked: list[str] = []

    def wanted(lease: Lease) -> bool:
        looked.append(lease.url)
        return True

    frontier.add([Item("http://h.example/first", priority=3), Item("http://h.example/last", priority=-3)])
    frontier.lease(10, wanted)

    assert looked == ["http://h.example/first", "http://h.example/last"]
    assert frontier.is_looked_through
    frontier.close()


def test_a_failed_commit_adds_nothing(tmp_path: Path) -> None:
    """Where records cannot be written, what was found is not added, and is added once by the commit that works."""
    sink = FullDisk(Output(tmp_path / "out.jsonl"))
    frontier = filled(tmp_path, done=1, sinks=[sink])
    (lease,) = frontier.lease(1)
    done = Finished(lease.id, "ok", {"id": lease.id}, [Item("http://h.example/child")])

    for _ in range(2):
        with pytest.raises(OutputError):
            frontier.commit([done])

    assert frontier.counts()["pending"] == 9
    sink.batches = -1
    assert frontier.commit([done]) == (1, 0)
    assert frontier.counts()["pending"] == 9
    frontier.close()


def test_a_state_left_half_made_is_no_obstacle(tmp_path: Path) -> None:
    """A process killed while it made the file leaves only a temporary one, which the next replaces."""
    (tmp_path / "state.sqlite3.new").write_bytes(b"half")

    filled(tmp_path).close()

    assert not (tmp_path / "state.sqlite3.new").exists()


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path: Path) -> None:
    """The state cannot be made: exit code 4, before anything is fetched."""
    with pytest.raises(OutputError):
        DatabaseFrontier(tmp_path / "missing" / "state.sqlite3")


class FullDisk(FileSink):
    """An output whose disk is full after the first batch, in the middle of a line."""

    batches = 0

    def append(self) -> None:
        self.batches += 1
        if self.batches > 1:
            data = self._staged[0].data
            assert isinstance(data, bytes)
            self._staged[0].data = data[:5]
        super().append()
        if self.batches > 1:
            raise OSError(28, "No space left on device")


def test_a_full_disk_commits_nothing(tmp_path: Path) -> None:
    """After the error the requests are still leased, and every output is as it was before the batch."""
    sinks = [FileSink(Output(tmp_path / "a.jsonl")), FullDisk(Output(tmp_path / "b.jsonl"))]
    frontier = filled(tmp_path, done=1, sinks=sinks)
    before = [(tmp_path / name).read_bytes() for name in ("a.jsonl", "b.jsonl")]
    leases = frontier.lease(5)

    with pytest.raises(OutputError, match="free some space"):
        frontier.commit([Finished(lease.id, "ok", {"id": lease.id}) for lease in leases])

    assert [(tmp_path / name).read_bytes() for name in ("a.jsonl", "b.jsonl")] == before
    assert (frontier.counts()["ok"], frontier.counts()["pending"]) == (1, 9)
    assert [sink.rows for sink in sinks] == [1, 1]
    assert len(frontier.lease(100)) == 4
    frontier.close()


def test_an_outcome_is_final(tmp_path: Path) -> None:
    """Settling a request twice is a bug that is seen at once, and changes nothing."""
    frontier = filled(tmp_path, done=0)
    (lease,) = frontier.lease(1)
    frontier.commit([Finished(lease.id, "ok", {})])

    with pytest.raises(StateDamaged, match="had an outcome already"):
        frontier.commit([Finished(lease.id, "failed", {})])

    assert (tmp_path / "out.jsonl").read_bytes() == b"{}\n"
    assert frontier.counts()["failed"] == 0
    frontier.close()

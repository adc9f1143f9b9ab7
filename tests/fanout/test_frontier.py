"""Both frontiers keep the same promises: each request once, nothing lost, records and outcomes together."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from crawler.fanout import Item, Output
from crawler.fanout.database import DatabaseFrontier
from crawler.fanout.frontier import Finished, Frontier, Lease, MemoryFrontier
from crawler.fanout.ids import fingerprint
from crawler.fanout.sinks import FileSink
from crawler.fanout.stats import OUTCOMES

Make = Callable[[], Frontier]


@pytest.fixture(params=["memory", "database"])
def frontier(request: pytest.FixtureRequest, tmp_path: Path) -> Frontier:
    """An empty frontier of each kind."""
    return MemoryFrontier() if request.param == "memory" else DatabaseFrontier(tmp_path / "state.sqlite3")


def finished(leases: Sequence[Lease], outcome: str = "ok") -> list[Finished]:
    """Pretend that leases came to an outcome."""
    return [Finished(lease.id, outcome, {"id": lease.id, "url": lease.url}) for lease in leases]


def lines(path: Path) -> list[dict[str, object]]:
    """Read the records of a file, which must end with a whole line."""
    data = path.read_bytes()
    assert not data or data.endswith(b"\n")
    return [orjson.loads(line) for line in data.splitlines()]


def test_each_request_is_kept_once(frontier: Frontier) -> None:
    """Duplicates, within a batch and across batches, are counted and not added."""
    frontier.begin_input(None)
    urls = ["http://h.example/a", "http://h.example/b", "http://H.example:80/a#x"]

    first = frontier.add([Item(url) for url in urls])
    second = frontier.add([Item(urls[1]), Item("http://h.example/c")])

    assert (first.new, first.duplicates) == (2, 1)
    assert (second.new, second.duplicates) == (1, 1)
    assert frontier.counts()["pending"] == 3


def test_items_come_back_as_they_were(frontier: Frontier) -> None:
    """Every field of an item survives, with its fingerprint."""
    frontier.begin_input(None)
    items = [
        Item("http://h.example/plain"),
        Item(
            "http://h.example/full",
            method="PUT",
            headers=(("X", "1"), ("X", "2")),
            body=b"\x00\xff",
            key="k7",
            meta={"a": [1, None, "ü"], "b": 2**70},
            priority=-3,
            path="d/f.bin",
            idempotent=False,
            depth=0,
            parent="b2:00",
            discovered_by="link",
            page=2,
            refused=("out_of_scope", "it is elsewhere"),
        ),
    ]

    frontier.add(items)
    leases = frontier.lease(10)

    assert [lease.item for lease in leases] == items
    assert [lease.fp for lease in leases] == [fingerprint(item) for item in items]


def test_high_priorities_go_first(frontier: Frontier) -> None:
    """By priority, then in input order; one that comes later overtakes what is not leased yet."""
    frontier.begin_input(None)
    frontier.add([Item(f"http://h.example/{n}", priority=n % 3) for n in range(6)])

    first = [lease.url[-1] for lease in frontier.lease(3)]
    frontier.add([Item("http://h.example/x", priority=9)])
    rest = [lease.url[-1] for lease in frontier.lease(9)]

    assert first == ["2", "5", "1"]
    assert rest == ["x", "4", "0", "3"]


def test_found_requests_come_with_the_record(frontier: Frontier, tmp_path: Path) -> None:
    """A commit adds what pages named, each once, by priority among what is pending; the rest is counted."""
    frontier.open([FileSink(Output(tmp_path / "out.jsonl"))])
    frontier.begin_input(None)
    frontier.add([Item(f"http://h.example/{n}") for n in range(4)])
    first, second = frontier.lease(2)
    found = [
        Item("http://h.example/0"),
        Item("http://h.example/last", priority=-1),
        Item("http://h.example/next", priority=1, depth=1, parent="b2:00", discovered_by="link"),
    ]

    added = frontier.commit(
        [Finished(first.id, "ok", {"id": 1}, found), Finished(second.id, "ok", {"id": 2}, found[1:])]
    )

    assert added == (2, 3)
    assert frontier.counts()["pending"] == 4
    leases = frontier.lease(9)
    assert [lease.url[17:] for lease in leases] == ["next", "2", "3", "last"]
    assert leases[0].item == found[2]
    frontier.close()


def test_commits_write_records_and_count(frontier: Frontier, tmp_path: Path) -> None:
    """A commit appends its records to every output and moves its requests to their outcomes."""
    sinks = [FileSink(Output(tmp_path / "a.jsonl")), FileSink(Output(tmp_path / "b.jsonl"))]
    frontier.open(sinks)
    frontier.begin_input(None)
    frontier.add([Item(f"http://h.example/{n}") for n in range(5)])
    leases = frontier.lease(5)

    frontier.commit(finished(leases[:2]))
    frontier.commit([*finished(leases[2:3], "failed"), *finished(leases[3:4], "skipped")])

    counts = frontier.counts()
    assert (counts["ok"], counts["failed"], counts["skipped"], counts["pending"]) == (2, 1, 1, 1)
    assert lines(tmp_path / "a.jsonl") == lines(tmp_path / "b.jsonl")
    assert [line["id"] for line in lines(tmp_path / "a.jsonl")] == [lease.id for lease in leases[:4]]
    frontier.close()


def test_names_belong_to_who_asked_first(frontier: Frontier) -> None:
    """A claimed name stays with its owner, who may ask again."""
    assert frontier.claim("a", b"1")
    assert not frontier.claim("a", b"2")
    assert frontier.claim("a", b"1")


class TwoFrontiers(RuleBasedStateMachine):
    """Drive a durable frontier through any order of steps and crashes, beside a plain model of what must hold."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        self.output = self.folder / "out.jsonl"
        self.submitted: dict[bytes, int] = {}  # with their priorities
        self.outcomes: dict[int, str] = {}
        self.leased: dict[int, Lease] = {}
        self.gone: set[bytes] = set()  # leased by this process, or settled
        self.prints: dict[int, bytes] = {}
        self.rng = random.Random(0)

    @initialize()
    def begin(self) -> None:
        self.start()
        self.frontier.begin_input("list")

    def start(self) -> None:
        self.gone = self.settled()
        self.frontier = DatabaseFrontier(self.folder / "state.sqlite3")
        self.frontier.open([FileSink(Output(self.output))])

    def settled(self) -> set[bytes]:
        return {self.prints[number] for number in self.outcomes}

    @rule(numbers=st.lists(st.integers(0, 30), max_size=8), priority=st.integers(-1, 1))
    def add(self, numbers: list[int], priority: int) -> None:
        items = [Item(f"http://h.example/{number}", priority=priority) for number in numbers]
        new = {fingerprint(item) for item in items} - set(self.submitted)

        added = self.frontier.add(items)

        assert added.new == len(new)
        assert added.new + added.duplicates == len(items)
        self.note(items)

    def note(self, items: list[Item]) -> None:
        for item in items:
            self.submitted.setdefault(fingerprint(item), item.priority)

    @rule(n=st.integers(1, 6))
    def lease(self, n: int) -> None:
        leases = self.frontier.lease(n)

        assert not {lease.id for lease in leases} & (set(self.leased) | set(self.outcomes))
        assert len(leases) == min(n, len(self.submitted) - len(self.leased) - len(self.outcomes))
        self.leased.update((lease.id, lease) for lease in leases)
        self.gone |= {lease.fp for lease in leases}
        self.prints.update((lease.id, lease.fp) for lease in leases)
        waiting = [priority for fp, priority in self.submitted.items() if fp not in self.gone]
        order = [(-lease.item.priority, lease.id) for lease in leases]
        assert order == sorted(order)
        assert not leases or not waiting or max(waiting) <= leases[-1].item.priority

    @precondition(lambda self: self.leased)
    @rule(
        n=st.integers(1, 6),
        outcome=st.sampled_from(OUTCOMES),
        links=st.lists(st.integers(0, 60), max_size=6),
        priority=st.integers(-2, 2),
    )
    def commit(self, n: int, outcome: str, links: list[int], priority: int) -> None:
        some = [self.leased.pop(number) for number in list(self.leased)[:n]]
        found = [Item(f"http://h.example/{link}", priority=priority) for link in links]
        new = {fingerprint(item) for item in found} - set(self.submitted)

        done = finished(some, outcome)
        added = self.frontier.commit([done[0]._replace(found=found), *done[1:]])

        assert added == (len(new), len(found) - len(new))
        self.outcomes.update((lease.id, outcome) for lease in some)
        self.note(found)

    @rule(torn=st.binary(max_size=20))
    def crash(self, torn: bytes) -> None:
        """The process ends in the middle of writing records; nothing was committed of them."""
        self.frontier.close()
        with self.output.open("ab") as file:
            file.write(torn)
        self.leased.clear()

        self.start()

        assert self.frontier.begin_input("list") is not None

    @rule(share=st.floats(0, 1))
    def lose_power(self, share: float) -> None:
        """The process ends, and the disk has lost the newest part of the records."""
        self.frontier.close()
        with self.output.open("rb+") as file:
            file.truncate(int(self.output.stat().st_size * share))
        self.leased.clear()

        self.start()

        kept = {int(str(line["id"])) for line in lines(self.output)}
        self.outcomes = {number: outcome for number, outcome in self.outcomes.items() if number in kept}
        self.gone = self.settled()

    @invariant()
    def the_books_balance(self) -> None:
        """Submitted = pending + outcomes, at every moment; one record per outcome."""
        if not hasattr(self, "frontier"):
            return
        counts = self.frontier.counts()
        assert sum(counts.values()) == len(self.submitted)
        for outcome in OUTCOMES:
            assert counts[outcome] == list(self.outcomes.values()).count(outcome)
        assert sorted(int(str(line["id"])) for line in lines(self.output)) == sorted(self.outcomes)

    def teardown(self) -> None:
        if hasattr(self, "frontier"):
            self.frontier.close()
        self._folder.cleanup()


TwoFrontiers.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestTwoFrontiers = TwoFrontiers.TestCase

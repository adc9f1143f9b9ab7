"""The table of what is measured, and its goals."""

from __future__ import annotations

from benchmarks.clients import AWAITED, BLOCKING, BYTES
from benchmarks.loads import Load, Sample
from benchmarks.programs import PROGRAMS
from benchmarks.rounds import Outcome
from benchmarks.rows import ROWS, UNITS


def test_every_arm_can_be_run() -> None:
    """Each arm names a client that has a function for its kind of load, or a program; labels are unique in a row."""
    for row in ROWS:
        labels = [arm.label for arm in row.arms]
        assert len(set(labels)) == len(labels)
        assert row.figure in UNITS
        for arm in row.arms:
            known = BLOCKING if arm.load.kind == "blocking" else AWAITED
            assert arm.load.kind == "import" or arm.load.client in {*known, *PROGRAMS}


def test_a_goal_compares_with_the_best_of_those_that_are_there() -> None:
    """A ratio is to the fastest that was measured; without any of them there is none."""
    row = next(row for row in ROWS if row.name == "get")
    rust = row.goals[0]
    outcome = Outcome(
        row, {"crawler": [Sample(300, 1, 1)], "wreq": [Sample(100, 1, 1)], "pyreqwest": [Sample(200, 1, 1)]}
    )

    assert rust.value(outcome.median) == 1.5
    del outcome.samples["pyreqwest"]
    assert rust.value(outcome.median) == 3.0
    del outcome.samples["wreq"]
    assert rust.value(outcome.median) is None


def test_a_goal_that_bounds_from_above_holds_below() -> None:
    """Memory and import time are better when they are less."""
    memory = next(row for row in ROWS if row.name == "memory").goals[0]

    assert memory.holds(119.0)
    assert not memory.holds(121.0)


def test_the_posted_value_is_of_the_size_that_the_table_says() -> None:
    """16 KiB of JSON, within 2 %."""
    assert abs(len(BYTES) - 16384) < 328


def test_a_load_survives_the_command_line_of_its_worker() -> None:
    """What `dump` writes, `parse` reads."""
    load = Load("aiohttp", "hold", tls=True, concurrency=5).at("https://127.0.0.1:1", "ca.pem", 0.5)

    assert Load.parse(load.dump()) == load
    assert load.url == "https://127.0.0.1:1/1k.bin"

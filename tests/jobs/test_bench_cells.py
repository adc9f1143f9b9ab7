from __future__ import annotations

from typing import Any

from crawler.jobs.bench_cells import Cell, count_cells, expand, matches
from crawler.jobs.bench_schema import Bench


def cells_of(**bench: Any) -> list[Cell]:
    """The cells of a benchmark, checked against their count."""
    model = Bench.model_validate(bench)
    cells = expand(model)
    assert count_cells(model) >= len(cells)
    return cells


def test_the_default_arms() -> None:
    """A benchmark that names no arms has one after the other, threads, and async."""
    cells = cells_of()
    assert [(cell.name, cell.engine, cell.vus, cell.http_version) for cell in cells] == [
        ("sync", "sync", 1, "1.1"),
        ("threads", "threads", 64, "1.1"),
        ("async", "async", 64, "1.1"),
    ]


def test_a_matrix_multiplies_what_it_speaks_to() -> None:
    """`sync` has one user, an arm's own value stays, streams are for HTTP/2; names hold the coordinates."""
    cells = cells_of(
        arms=[
            {"name": "sync", "engine": "sync"},
            {"name": "own", "vus": 7},
            {"name": "a"},
            {"name": "h2", "http_version": "2"},
        ],
        matrix={"vus": [1, 16], "streams_per_connection": [10, 100]},
    )
    assert [(cell.name, cell.vus, cell.streams_per_connection) for cell in cells] == [
        ("sync", 1, None),
        ("own", 7, None),
        ("a[vus=1]", 1, None),
        ("a[vus=16]", 16, None),
        ("h2[vus=1,streams_per_connection=10]", 1, 10),
        ("h2[vus=1,streams_per_connection=100]", 1, 100),
        ("h2[vus=16,streams_per_connection=10]", 16, 10),
        ("h2[vus=16,streams_per_connection=100]", 16, 100),
    ]
    assert cells[5].coordinates == (("vus", 1), ("streams_per_connection", 100))
    assert {cell.group for cell in cells} == {"sync", "own", "a", "h2"}


def test_versions_of_the_matrix() -> None:
    """The version is a coordinate like any other."""
    cells = cells_of(arms=[{"name": "a"}], matrix={"http_version": ["1.1", "2"]})
    assert [(cell.name, cell.http_version) for cell in cells] == [
        ("a[http_version=1.1]", "1.1"),
        ("a[http_version=2]", "2"),
    ]


def test_selectors() -> None:
    """A name in `thresholds` or `baseline` is a cell, an arm, or all."""
    cells = cells_of(arms=[{"name": "a"}], matrix={"vus": [1, 2]})
    assert all(matches(selector, cells) for selector in ("*", "a", "a[vus=2]"))
    assert not matches("a[vus=3]", cells)


def test_counting_needs_no_making() -> None:
    """A matrix of a million cells is counted at once."""
    numbers = list(range(1, 1001))
    model = Bench.model_validate(
        {"arms": [{"name": "a", "http_version": "2"}], "matrix": {"vus": numbers, "streams_per_connection": numbers}}
    )
    assert count_cells(model) == 1_000_000

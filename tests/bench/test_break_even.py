"""From how many requests at once an arm beats the baseline."""

from __future__ import annotations

import pytest

from crawler.bench import ArmResult, Speedup, Verdict
from crawler.bench.break_even import break_even
from tests.bench.examples import arm

LETTERS: dict[str, Verdict] = {"f": "faster", "s": "slower", "n": "no difference", "l": "client_limited"}
USERS = (1, 16, 64, 256)


def cells(letters: str, group: str = "async", baseline: str = "sync", **coordinates: str | int) -> list[ArmResult]:
    """Cells of an arm for 1, 16, 64 … users with these verdicts, the highest first: their order must not matter."""
    found = []
    for vus, letter in zip(USERS, letters, strict=False):
        speedup = Speedup(1, 1, 1, LETTERS[letter], 0.01, "rate", baseline)
        matrix = {"vus": vus, **coordinates}
        found.append(arm(f"{group}{matrix}", 1, 0.1, group=group, vus=vus, matrix=matrix, speedup=speedup))
    return found[::-1]


@pytest.mark.parametrize(
    ("letters", "vus", "below"),
    [
        ("nfff", 16, 1),
        ("ffff", 1, None),
        ("ssnn", None, 256),
        ("fsff", 64, 16),
        ("nffl", 16, 1),
        ("nllf", 256, 64),
        ("fffs", None, 256),
        ("nlll", None, 256),
    ],
)
def test_from_there_on_it_is_faster(letters: str, vus: int | None, below: int | None) -> None:
    """A win that does not last is none; a limited client does not break a line of wins, but begins none."""
    (found,) = break_even(cells(letters))
    assert (found.group, found.baseline, found.measured) == ("async", "sync", USERS)
    assert (found.vus, found.below) == (vus, below)


def test_each_line_of_the_matrix_is_its_own() -> None:
    """HTTP/1.1 and HTTP/2 break even apart, each arm in the order of the plan; what has no matrix has no answer."""
    h1, h2 = cells("nf", http_version="1.1"), cells("ff", http_version="2")
    found = break_even([arm("sync", 1, 0.1, "baseline"), *h1, *h2, arm("plain", 1, 0.1), *cells("f", "lone")])
    assert [(row.matrix, row.vus) for row in found] == [({"http_version": "1.1"}, 16), ({"http_version": "2"}, 1)]


def test_a_group_as_the_baseline() -> None:
    """If each cell is compared with one of its own, the group of those is named."""
    first, second = cells("f", baseline="threads[vus=1]"), cells("ff", baseline="threads[vus=16]")[:1]
    (found,) = break_even([*first, *second])
    assert found.baseline == "threads"

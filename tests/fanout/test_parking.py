"""Numbers of requests that were passed over."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from crawler.fanout.parking import Parking


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.integers(-1000, 1000), st.integers(1, 2**40)) | st.integers(1, 5),
        max_size=60,
    )
)
def test_each_host_gets_its_numbers_in_order(steps: list[tuple[str, int, int] | int]) -> None:
    """Against a plain list: by rank and number, each once, nothing lost."""
    parking = Parking()
    model: dict[str, list[tuple[int, int]]] = {"a": [], "b": []}
    for step in steps:
        if isinstance(step, tuple):
            host, rank, number = step
            parking.park(host, rank, number)
            model[host].append((rank, number))
            continue
        for host, rows in model.items():
            rows.sort()
            assert parking.has(host) is bool(rows)
            assert parking.recall(host, step) == [number for _, number in rows[:step]]
            del rows[:step]
        assert parking.count == sum(map(len, model.values()))


def test_extreme_priorities_are_kept_in_bounds() -> None:
    """A priority beyond what a packed number can say is an extreme one, not an error."""
    parking = Parking()
    parking.park("h", 10**9, 1)
    parking.park("h", -(10**9), 2)
    parking.park("h", 0, 3)

    assert parking.recall("h", 3) == [2, 3, 1]


def test_numbers_move_to_another_host() -> None:
    """What waited under one name stands among those of another, in the order of rank and number."""
    parking = Parking()
    for number in (1, 2, 3, 8):
        parking.park("?a", 0, number)
    for number in (4, 5):
        parking.park("1.1.1.1", 0, number)
    assert parking.recall("?a", 1) == [1]

    assert parking.move("?a", "1.1.1.1")
    assert not parking.move("?a", "1.1.1.1")
    assert not parking.has("?a")
    assert parking.recall("1.1.1.1", 10) == [2, 3, 4, 5, 8]
    assert parking.count == 0

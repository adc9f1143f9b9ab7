"""The collector's threshold is raised while engines run, and put back."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from crawler.fanout.collector import NEW_OBJECTS, relaxed_collector


@pytest.fixture(autouse=True)
def _usual_thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


def test_it_is_raised_and_put_back() -> None:
    """Also when the block fails."""
    with pytest.raises(ValueError, match="x"), relaxed_collector():  # noqa: PT012  # the block is what is tested
        assert gc.get_threshold() == (NEW_OBJECTS, 10, 10)
        raise ValueError("x")

    assert gc.get_threshold() == (700, 10, 10)


def test_overlapping_blocks_end_in_any_order() -> None:
    """The last one restores what the first one found."""
    first, second = relaxed_collector(), relaxed_collector()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold()[0] == NEW_OBJECTS
    second.__exit__(None, None, None)

    assert gc.get_threshold() == (700, 10, 10)


@pytest.mark.parametrize("own", [0, 2 * NEW_OBJECTS])
def test_a_collector_that_is_off_or_slower_is_left_alone(own: int) -> None:
    """The program knows better."""
    gc.set_threshold(own, 10, 10)
    with relaxed_collector():
        assert gc.get_threshold()[0] == own

    assert gc.get_threshold()[0] == own


def test_what_the_program_sets_meanwhile_stays() -> None:
    """Its thresholds are not overwritten at the end."""
    with relaxed_collector():
        gc.set_threshold(1234, 5, 5)

    assert gc.get_threshold() == (1234, 5, 5)

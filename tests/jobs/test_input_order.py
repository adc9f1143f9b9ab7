"""Samples and shuffles of lists that are never held."""

from __future__ import annotations

from itertools import count, islice

from crawler.jobs.input_order import sampled, shuffled


def test_a_sample_is_about_its_share_and_always_the_same() -> None:
    """The seed alone draws it."""
    rows = list(sampled(range(10_000), 0.3, 1))

    assert 2800 < len(rows) < 3200
    assert rows == list(sampled(range(10_000), 0.3, 1))
    assert rows != list(sampled(range(10_000), 0.3, 2))
    assert list(sampled(range(10), 1.0, 1)) == list(range(10))
    assert list(sampled(range(10), 0.0, 1)) == []


def test_a_shuffle_holds_no_more_than_its_window() -> None:
    """It gives rows of an endless list, each once, none from beyond the window."""
    numbers = count()
    rows = list(islice(shuffled(numbers, 50, 3), 500))

    assert next(numbers) <= 551
    assert len(set(rows)) == 500
    assert all(row <= place + 50 for place, row in enumerate(rows))
    assert rows != sorted(rows)


def test_a_shuffle_loses_nothing() -> None:
    """Also where the list is shorter than the window; the seed alone draws the order."""
    for n, window in ((7, 100), (100, 7), (0, 5)):
        rows = list(shuffled(range(n), window, 1))
        assert sorted(rows) == list(range(n))
        assert rows == list(shuffled(range(n), window, 1))

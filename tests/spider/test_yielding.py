"""The interval after which threads let go of Python's lock."""

from __future__ import annotations

import sys

from crawler.spider.yielding import INTERVAL_S, yielding_threads


def test_it_is_shorter_within_and_restored_after() -> None:
    """Blocks may lie within each other."""
    before = sys.getswitchinterval()

    with yielding_threads():
        with yielding_threads():
            assert sys.getswitchinterval() <= INTERVAL_S * 1.01
        assert sys.getswitchinterval() <= INTERVAL_S * 1.01

    assert sys.getswitchinterval() == before


def test_what_the_program_set_meanwhile_stays() -> None:
    """Nobody's own interval is overwritten."""
    before = sys.getswitchinterval()
    try:
        with yielding_threads():
            sys.setswitchinterval(0.05)

        assert abs(sys.getswitchinterval() - 0.05) < 0.001
    finally:
        sys.setswitchinterval(before)

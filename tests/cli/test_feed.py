"""Items that come when they come, read in a thread of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from itertools import count

import pytest

from crawler.cli.feed import Feed


async def _all(feed: Feed[int]) -> list[int]:
    return [item async for item in feed]


def test_all_items_come_in_order() -> None:
    """Also more of them than are read ahead."""
    assert asyncio.run(_all(Feed(range(5000)))) == list(range(5000))


def test_what_the_items_raise_is_raised() -> None:
    """A file that cannot be read ends the run with its own error."""

    def items() -> Iterator[int]:
        yield 1
        raise ValueError("line 2 is broken")

    with pytest.raises(ValueError, match="line 2"):
        asyncio.run(_all(Feed(items())))


def test_a_read_that_blocks_holds_up_nobody() -> None:
    """The first item is there before the second is known, and the end does not wait for it."""
    never = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        never.wait(30)
        yield 2

    async def first() -> int:
        async for item in Feed(items()):
            return item
        raise AssertionError

    assert asyncio.run(first()) == 1
    never.set()


def test_an_endless_input_is_read_only_a_little_ahead() -> None:
    """A pipe of millions of URLs does not end up in memory."""
    numbers = count()

    async def take_ten() -> list[int]:
        taken: list[int] = []
        async for item in Feed(numbers):
            taken.append(item)
            if len(taken) == 10:
                break
        return taken

    assert asyncio.run(take_ten()) == list(range(10))
    assert next(numbers) <= 2000

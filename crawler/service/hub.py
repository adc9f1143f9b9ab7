"""Who listens to what goes on: live events, handed to every listener as the same bytes.

A listener that reads too slowly loses the events in between, never the latest; it holds nobody up, and costs a bounded
number of small texts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

import orjson

from crawler.service.errors import TooMany

MAX_LISTENERS: Final = 1000
MAX_BEHIND: Final = 50
"""Events a slow listener may be behind before it loses the oldest."""
PING_S: Final = 15.0
"""A comment so often where nothing happens, so that dead connections are noticed."""
PING: Final = b": ping\n\n"


class _Listener:
    """One open stream."""

    __slots__ = ("events", "topic", "woken")

    def __init__(self, topic: str | None) -> None:
        self.topic = topic
        self.events: deque[bytes] = deque(maxlen=MAX_BEHIND)
        self.woken = asyncio.Event()


class Hub:
    """Passes events on; a topic is the id of a run."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()
        self._number = 0
        self._is_closed = False

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    def publish(self, topic: str, event: str, data: dict[str, Any]) -> None:
        """Tell everybody who listens to a run, or to all of them."""
        if not self._listeners:
            return
        message = self.encode(event, {"run": topic, **data})
        for listener in self._listeners:
            if listener.topic is None or listener.topic == topic:
                listener.events.append(message)
                listener.woken.set()

    def encode(self, event: str, data: dict[str, Any]) -> bytes:
        """One event as server-sent events are written (HTML Standard §9.2)."""
        self._number += 1
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self._number, event.encode(), orjson.dumps(data, default=str))

    async def listen(self, topic: str | None, first: bytes = b"") -> AsyncIterator[bytes]:
        """Give events until the hub closes or the run has ended (`event: end`).

        Args:
            topic: Id of a run; None is all of them.
            first: Sent at once: how things stand now.

        Raises:
            TooMany: Too many listen already.
        """
        if len(self._listeners) >= MAX_LISTENERS:
            raise TooMany(f"{MAX_LISTENERS} listeners are all that are served")
        listener = _Listener(topic)
        self._listeners.add(listener)
        try:
            if first:
                yield first
            while not self._is_closed:
                try:
                    async with asyncio.timeout(PING_S):
                        await listener.woken.wait()
                except TimeoutError:
                    yield PING
                    continue
                listener.woken.clear()
                batch = b"".join(listener.events)
                listener.events.clear()
                if batch:
                    yield batch
                if topic is not None and b"\nevent: end\n" in batch:
                    return
        finally:
            self._listeners.discard(listener)

    def close(self) -> None:
        """End every stream."""
        self._is_closed = True
        for listener in self._listeners:
            listener.woken.set()

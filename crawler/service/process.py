"""One process of a run, seen from the service: its start, its messages, its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from crawler.service.birth import Child, Nursery, pair
from crawler.service.worker import Order

MAX_LINE: Final = 1024 * 1024
LOG_FILE: Final = "run.log"

Message = dict[str, Any]


def _open_log(folder: Path) -> BinaryIO:
    folder.mkdir(parents=True, exist_ok=True)
    return open(folder / LOG_FILE, "ab")


class Process:
    """A process of a run; made by `start`.

    Attributes:
        heard: When it last said something, by the loop's clock.
        last: How the run ended, by its own words: `ended` or `refused`; None while it goes, and if it just died.
    """

    def __init__(
        self,
        child: Child,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_message: Callable[[Message], None],
    ) -> None:
        self._child = child
        self._reader = reader
        self._writer = writer
        self._on_message = on_message
        self.heard = asyncio.get_running_loop().time()
        self.last: Message | None = None

    @classmethod
    async def start(cls, order: Order, nursery: Nursery, on_message: Callable[[Message], None]) -> Process:
        """Start it and tell it what to do.

        Raises:
            OSError: The system has no room for it.
        """
        ours, theirs = pair()
        try:
            with theirs, _open_log(Path(order.folder)) as log:
                child = await nursery.bear(theirs, log, inline=order.inline)
            reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_LINE)
        except BaseException:
            ours.close()
            raise
        self = cls(child, reader, writer, on_message)
        self._send(orjson.dumps(asdict(order)))
        return self

    async def wait(self) -> int:
        """Pass messages on until it has ended; gives its exit code, negative for a signal."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ValueError, ConnectionError):  # a line without end; or killed with words unread
            async for line in self._reader:
                self.heard = loop.time()
                self._take(line)
        code = await self._child.wait()
        self._close()
        return code

    def _take(self, line: bytes) -> None:
        try:
            message = orjson.loads(line)
        except orjson.JSONDecodeError:
            return
        if isinstance(message, dict):
            if message.get("kind") in ("ended", "refused"):
                self.last = message
            self._on_message(message)

    def stop(self) -> None:
        """Have it end gracefully."""
        self._send(b"stop")

    def abort(self) -> None:
        """Have it end at once, its state in order."""
        self._send(b"abort")

    def kill(self) -> None:
        """End it, whatever it is doing."""
        self._child.kill()

    def _send(self, word: bytes) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.write(word + b"\n")

    def _close(self) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            self._writer.close()

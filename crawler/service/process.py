"""One process of a run, seen from the service: its start, its messages, its end."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from crawler.service.settings import worker_environment
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

    def __init__(self, process: asyncio.subprocess.Process, on_message: Callable[[Message], None]) -> None:
        self._process = process
        self._on_message = on_message
        self.heard = asyncio.get_running_loop().time()
        self.last: Message | None = None

    @classmethod
    async def start(cls, order: Order, on_message: Callable[[Message], None]) -> Process:
        """Start it and tell it what to do.

        Raises:
            OSError: The system has no room for it.
        """
        with _open_log(Path(order.folder)) as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "crawler.service.worker"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=worker_environment(inline=order.inline),
                limit=MAX_LINE,
                start_new_session=True,  # Ctrl-C at a terminal is for the service alone: it stops its runs in order
            )
        self = cls(process, on_message)
        self._send(orjson.dumps(asdict(order)))
        return self

    async def wait(self) -> int:
        """Pass messages on until it has ended; gives its exit code, negative for a signal."""
        assert self._process.stdout is not None
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ValueError):  # a line without end: it is not ours any more
            async for line in self._process.stdout:
                self.heard = loop.time()
                self._take(line)
        code = await self._process.wait()
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
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def _send(self, word: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, RuntimeError):
            self._process.stdin.write(word + b"\n")

    def _close(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, RuntimeError):
            self._process.stdin.close()

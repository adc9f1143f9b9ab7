"""How a process of a run is made: forked by the nursery where that is safe, else an interpreter of its own.

Either way it has one socket to the service as its standard input and output.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from typing import BinaryIO, Final, Protocol

import orjson

from crawler.service.nursery import MAX_MESSAGE
from crawler.service.settings import worker_environment

CAN_FORK: Final = sys.platform == "linux"
LOST: Final = -int(signal.SIGKILL)
"""Exit code that is told of a child whose nursery was lost: who killed the one may have killed the other."""

_log: Final = logging.getLogger("crawler.service.birth")


class Child(Protocol):
    """A process that was made."""

    async def wait(self) -> int:
        """Its exit code, negative for a signal."""
        ...

    def kill(self) -> None:
        """End it, whatever it is doing."""
        ...


class _Spawned:
    """An interpreter of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def wait(self) -> int:
        return await self._process.wait()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()


class _Forked:
    """A child of the nursery, known by a number of ours."""

    def __init__(self, nursery: Nursery, number: int) -> None:
        self._nursery = nursery
        self._number = number
        self.code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(self) -> int:
        return await self.code

    def kill(self) -> None:
        self._nursery.kill(self._number)


class Nursery:
    """Makes processes; begins with the first one, or with `open`, and begins again if it is lost."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._socket: socket.socket | None = None
        self._children: dict[int, _Forked] = {}
        self._number = 0

    async def open(self) -> None:
        """Start it, if this system has one and there is none."""
        if not CAN_FORK or self._socket is not None:
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        ours.setblocking(False)
        asyncio.get_running_loop().add_reader(ours.fileno(), self._hear, ours)
        with theirs:
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "crawler.service.nursery"),
                    stdin=theirs.fileno(),
                    stdout=asyncio.subprocess.DEVNULL,
                    env=worker_environment(inline=False),
                    start_new_session=True,
                )
            except BaseException:
                self._leave()
                raise

    async def close(self) -> None:
        """End it; its children go on until their own sockets are closed."""
        self._leave()
        if self._process is not None:
            await self._process.wait()

    async def bear(self, pipe: socket.socket, log: BinaryIO, *, inline: bool) -> Child:
        """Make a process.

        Args:
            pipe: Its standard input and output.
            log: Its standard error.
            inline: It gets nearly no environment.

        Raises:
            OSError: The system has no room for it.
        """
        if CAN_FORK:
            await self.open()
            with contextlib.suppress(OSError):
                return self._fork(pipe, log, inline=inline)
            _log.warning("the nursery does not answer; the run gets an interpreter of its own")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "crawler.service.worker"),
            stdin=pipe.fileno(),
            stdout=pipe.fileno(),
            stderr=log,
            env=worker_environment(inline=inline),
            start_new_session=True,  # Ctrl-C at a terminal is for the service alone: it stops its runs in order
        )
        return _Spawned(process)

    def _fork(self, pipe: socket.socket, log: BinaryIO, *, inline: bool) -> Child:
        assert self._socket is not None
        self._number += 1
        message = orjson.dumps({"id": self._number, "inline": inline})
        socket.send_fds(self._socket, [message], [pipe.fileno(), log.fileno()])
        child = self._children[self._number] = _Forked(self, self._number)
        return child

    def kill(self, number: int) -> None:
        """Have a child killed, if it still is one."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.send(orjson.dumps({"id": number, "kill": True}))

    def _hear(self, ours: socket.socket) -> None:
        try:
            data = ours.recv(MAX_MESSAGE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            _log.error("the nursery was lost; the next run begins another")
            self._leave()
            return
        message = orjson.loads(data)
        if "code" in message and (child := self._children.pop(message["id"], None)) is not None:
            child.code.set_result(message["code"])

    def _leave(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None
        for child in self._children.values():
            if not child.code.done():
                child.code.set_result(LOST)
        self._children.clear()


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a stream: ours, and the one for the process."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, theirs

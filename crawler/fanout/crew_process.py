"""A process of a run: fetches what it is given, says what came of it. It ends with the process that keeps the books.

line ─▶ PipeBooks ─▶ the engine, as in a run of one process ─▶ PipeBooks ─▶ line
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import sys
from typing import Any, Final

from crawler.fanout.crew_setup import Setup
from crawler.fanout.errors import OutputError, RunError
from crawler.fanout.frames import HEADER, frame
from crawler.fanout.line import Line

_LOST: Final = 3  # exit code of one whose run has ended without it


def main(fd: int, table: int) -> None:
    """Do what the process at the other end of a socket says; does not return.

    Args:
        fd: The socket.
        table: A file in shared memory for the numbers of the requests that are under way.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # who keeps the books says when to end
    sock = socket.socket(fileno=fd)
    sock.setblocking(True)
    setup = _read_setup(sock)
    if setup is None:
        os._exit(_LOST)
    code = _run(_serve(sock, table, setup))
    sys.stderr.flush()
    os._exit(code)  # nothing is left to be done, and threads may hang in a name server


def _read_setup(sock: socket.socket) -> Setup | None:
    """Read the first frame: the one that is not plain."""
    import marshal

    head = _read(sock, HEADER.size)
    if head is None or (data := _read(sock, HEADER.unpack(head)[0])) is None:
        return None
    _, (order,) = marshal.loads(data)
    setup = pickle.loads(order)  # of the process that started us
    assert isinstance(setup, Setup)
    return setup


def _read(sock: socket.socket, n: int) -> bytes | None:
    data = b""
    while len(data) < n:
        piece = sock.recv(n - len(data))
        if not piece:
            return None
        data += piece
    return data


async def _serve(sock: socket.socket, table: int, setup: Setup) -> int:
    from crawler.fanout.crew_worker import WorkerRun

    line = Line(sock)
    try:
        hands = setup.hands()
        run = WorkerRun(
            hands,
            line,
            table,
            takes_over=setup.takes_over,
            tells_attempts=setup.tells_attempts,
            hosts=setup.hosts,
            sends_lines=setup.sends_lines,
        )
        await run.serve()
    except OutputError as error:
        await line.send(frame("failed", "disk", str(error)))
    except RunError as error:
        await line.send(frame("failed", "refused" if error.exit_code == 2 else "failed", str(error)))
    except Exception as error:
        import traceback

        traceback.print_exc()
        await line.send(frame("failed", "failed", f"a process of the run failed: {type(error).__name__}: {error}"))
    else:
        await line.send(frame("over"))
        return 0
    await line.send(frame("over"))
    return 1


def _run(work: Any) -> int:
    try:
        import uvloop
    except ImportError:
        return int(asyncio.run(work))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return int(runner.run(work))

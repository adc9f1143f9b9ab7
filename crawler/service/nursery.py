"""Where the processes of runs are born: `python -m crawler.service.nursery` has imported everything once, and forks.

A new interpreter spends half a second of processor time on imports before it does anything; a fork of one that has them
spends a few milliseconds, and shares their memory. Forking is safe here as this process does nothing else: it has one
thread, no event loop, no connection. Elsewhere than on Linux, system libraries are not safe to fork, and each run
starts an interpreter of its own (`birth`).

    service ──{"id", "inline"} + two descriptors──▶ nursery ──fork──▶ worker.main
            ◀──{"id", "code"} when it has ended──
            ──{"id", "kill"}──▶        only who waits for a child knows that its number still is its own

The service's end of the socket being closed ends the nursery; the children end by their own sockets.
"""

from __future__ import annotations

import contextlib
import gc
import os
import selectors
import signal
import socket
import sys
from typing import Any, Final

import orjson

MAX_MESSAGE: Final = 4096


def main() -> None:
    """Fork when asked to, until the service is gone. Standard input is the socket."""
    from crawler.service import worker  # what all this is about: imported here, once

    _preload()
    gc.collect()
    gc.freeze()  # or the first collection of each child would copy all of it
    service = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(service, selectors.EVENT_READ)
        selector.register(wake_read, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd == wake_read:
                    os.read(wake_read, 512)
                    _reap(children, service)
                    continue
                data, descriptors, _, _ = socket.recv_fds(service, MAX_MESSAGE, 2)
                if not data:
                    return
                message = orjson.loads(data)
                if "kill" in message:
                    _kill(children, message["id"])
                    continue
                try:
                    pid = os.fork()
                except OSError:  # no room for another process: that run fails, the others go on
                    pid = -1
                if pid == 0:
                    _live(worker.main, descriptors, [service.fileno(), wake_read, wake_write], message)
                for descriptor in descriptors:
                    os.close(descriptor)
                if pid < 0:
                    _tell(service, {"id": message["id"], "code": 7})
                else:
                    children[pid] = message["id"]


def _preload() -> None:
    """What nearly every run imports only once it has begun."""
    import ssl  # noqa: F401
    import urllib.request  # noqa: F401

    import crawler.fanout.run_report
    import crawler.fanout.summary  # noqa: F401

    with contextlib.suppress(ImportError):
        import uvloop  # noqa: F401


def _live(run: Any, descriptors: list[int], ours: list[int], message: dict[str, Any]) -> None:
    """Be a child: its own session, descriptors, environment and signals; never comes back."""
    code = 7
    try:
        from crawler.service.settings import worker_environment

        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGINT):
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
        pipe, log = descriptors
        for target, source in ((0, pipe), (1, pipe), (2, log)):
            os.dup2(source, target)
        for descriptor in (*descriptors, *ours):
            os.close(descriptor)
        kept = worker_environment(inline=message["inline"])
        os.environ.clear()
        os.environ.update(kept)
        code = run()
    except BaseException:  # nothing of the child may run the nursery's loop
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stderr.flush()
        os._exit(code)


def _reap(children: dict[int, int], service: socket.socket) -> None:
    while children:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        if (number := children.pop(pid, None)) is not None:
            _tell(service, {"id": number, "code": os.waitstatus_to_exitcode(status)})


def _kill(children: dict[int, int], number: int) -> None:
    for pid, other in children.items():
        if other == number:
            os.kill(pid, signal.SIGKILL)


def _tell(service: socket.socket, message: dict[str, int]) -> None:
    with contextlib.suppress(OSError):
        service.send(orjson.dumps(message))


if __name__ == "__main__":
    main()

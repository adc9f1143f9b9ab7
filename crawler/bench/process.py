"""The parent's side of a worker process: start it, read what it says, end it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, Final

from crawler.bench.errors import BenchError
from crawler.bench.plan import BenchPlan
from crawler.bench.sample import Sample

PATIENCE_S: Final = 60.0
"""A worker speaks four times a second; one that is silent for this long (swapping, say) is given up."""

_TICK_S: Final = 0.25

# `import crawler.bench.worker` would bring our client into every worker, and 19 MiB into the memory of every peer. So
# the packages are put there bare, without running their `__init__`, and only arms of ours fill them (`clients.load`).
_START: Final = """
import os, sys, types
sys.path.append(os.path.dirname(sys.argv[1]))
for name, path in (("crawler", sys.argv[1]), ("crawler.bench", os.path.join(sys.argv[1], "bench"))):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
from crawler.bench.worker import main
main()
"""
_PACKAGE: Final = Path(__file__).parent.parent

Message = Mapping[str, Any]


def run_round(
    plan: BenchPlan,
    place: int,
    on_message: Callable[[Message], None],
    is_stopped: Callable[[], bool],
    *,
    is_live: bool,
) -> Sample | None:
    """Run one arm's round in a new process and wait for it.

    Args:
        plan, place: The arm, by its place in the plan.
        on_message: Given what the worker tells while it runs.
        is_stopped: Asked four times a second; true ends the worker.
        is_live: The worker is to tell response times while it runs.

    Returns:
        What it measured; `None` if it was stopped.

    Raises:
        BenchError: It could not measure, crashed, or fell silent.
    """
    with tempfile.TemporaryFile() as complaints:
        # A new process for each round: what differs from process to process by chance (hash seeds, the layout of
        # memory) then differs from round to round, and the interval over rounds covers it.
        process = subprocess.Popen(
            [sys.executable, "-c", _START, str(_PACKAGE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
        )
        try:
            return _converse(process, plan, place, on_message, is_stopped, is_live)
        except _Lost as lost:
            process.kill()
            process.wait()
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip().splitlines()
            reason = f": {said[-1]}" if said else ""
            raise BenchError(f"The process of arm {plan.arms[place].name!r} {lost}{reason}", 7) from None
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


class _Lost(Exception):
    """A worker that will give no answer; says why."""


def _converse(
    process: subprocess.Popen[bytes],
    plan: BenchPlan,
    place: int,
    on_message: Callable[[Message], None],
    is_stopped: Callable[[], bool],
    is_live: bool,
) -> Sample | None:
    lines = _lines(process)
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps({"plan": plan.to_json(), "arm": place, "live": is_live}).encode())
        process.stdin.close()
    except BrokenPipeError:
        raise _Lost("ended before it began") from None
    silence = 0.0
    while not is_stopped():
        try:
            line = lines.get(timeout=_TICK_S)
        except Empty:
            silence += _TICK_S
            if silence > PATIENCE_S:
                raise _Lost(f"said nothing for {PATIENCE_S:g} s") from None
            continue
        silence = 0.0
        if line is None:
            raise _Lost(f"ended with status {process.wait()}")
        message = json.loads(line)
        match message["event"]:
            case "done":
                return Sample.from_json(message["sample"])
            case "error":
                raise BenchError(message["message"], message["exit_code"])
            case _:
                on_message(message)
    return None


def _lines(process: subprocess.Popen[bytes]) -> SimpleQueue[bytes | None]:
    """What the process prints, line by line, then `None`. By a thread: pipes cannot be waited for everywhere."""
    lines: SimpleQueue[bytes | None] = SimpleQueue()

    def read() -> None:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.put(line)
        except ValueError:  # closed, as nobody wants to hear more
            pass
        lines.put(None)

    threading.Thread(target=read, name="crawler-bench-reader", daemon=True).start()
    return lines

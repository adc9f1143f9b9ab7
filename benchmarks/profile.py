"""Where the CPU time of a request goes: samples of the running client, by room, file, function and line.

A timer interrupts the process up to 1,000 times a second; the handler notes what was running, with the CPU time used
since the last sample, so that idle time weighs nothing. That costs some microseconds per sample and nothing between
them, where a tracing profiler would charge each call and so make small functions look dear. (The kernel's own timer of
CPU time, `ITIMER_PROF`, ticks only 250 times a second on many machines.)

Python runs a signal handler only between two of its own instructions. So time spent in C shows at the instruction
that follows: after a C function has returned, still at the line that called it; but when C code calls or resumes a
Python function (the event loop does), at that function's first instruction, `RESUME`. Such a sample is its caller's:
for one that the loop called, it is the loop's own work, and the kernel's. A coroutine that is resumed has no such
first instruction; so each task's is wrapped in an object that has one (about 0.2 µs for each resumption).

The garbage collector runs wherever an object is made; its time is taken apart, and stands as a room of its own.
"""

from __future__ import annotations

import asyncio
import dis
import gc
import json
import linecache
import resource
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Coroutine, Generator, Mapping
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final, TypeVar

import crawler
from benchmarks import worker
from benchmarks.loads import Load, Sample

INTERVAL_S: Final = 0.001
RESUME: Final = dis.opmap["RESUME"]
PACKAGE: Final = Path(crawler.__file__).resolve().parent
HERE: Final = Path(__file__).resolve().parent
LOOP: Final = "event loop, kernel"
COLLECTOR: Final = "garbage collector"

K = TypeVar("K")

Function = tuple[str, str, str]
"""Room, file, qualified name."""


class Resumed(Coroutine[Any, Any, Any]):
    """A coroutine whose resumption runs a Python function first, at which samples of the loop's time arrive."""

    def __init__(self, inner: Coroutine[Any, Any, Any]) -> None:
        self._inner = inner

    def send(self, value: Any) -> Any:
        """Resume it."""
        return self._inner.send(value)

    def throw(self, *error: Any) -> Any:
        """Resume it with an exception."""
        return self._inner.throw(*error)

    def close(self) -> None:
        """End it."""
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)  # its name and state, which libraries ask for


class Sampler(worker.Meter):
    """A meter that samples the stack between `start` and `stop`.

    Attributes:
        samples: How many there are.
        lines: Seconds of CPU by function and line.
        within: Seconds of CPU by function, with those of all that it called.
        user_s, system_s: CPU time in Python and C code, and in the kernel.
        collector_s: CPU time in the garbage collector.
    """

    def __init__(self) -> None:
        super().__init__()
        self.samples = 0
        self.lines: defaultdict[tuple[CodeType, int], float] = defaultdict(float)
        self.within: defaultdict[CodeType, float] = defaultdict(float)
        self.user_s = self.system_s = self.collector_s = 0.0
        self._collecting_since: float | None = None

    def start(self) -> None:
        """Start the clocks and the timer."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            pass  # the blocking client
        else:
            loop.set_task_factory(lambda loop, inner, **more: asyncio.Task(Resumed(inner), loop=loop, **more))
        self._used = resource.getrusage(resource.RUSAGE_SELF)
        super().start()
        gc.callbacks.append(self._collect)
        self._seen = time.process_time()
        signal.signal(signal.SIGALRM, self._take)
        signal.setitimer(signal.ITIMER_REAL, INTERVAL_S)

    def stop(self) -> Sample:
        """Stop the timer and the clocks."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        sample = super().stop()
        gc.callbacks.remove(self._collect)
        used = resource.getrusage(resource.RUSAGE_SELF)
        self.user_s, self.system_s = used.ru_utime - self._used.ru_utime, used.ru_stime - self._used.ru_stime
        return sample

    def _take(self, number: int, frame: FrameType | None) -> None:
        """Note what runs; codes and not names, and the timer only then set anew: this must be quick."""
        now = time.process_time()
        used = now - self._seen
        if self._collecting_since is not None:
            signal.setitimer(signal.ITIMER_REAL, INTERVAL_S)
            return
        if frame is not None and frame.f_code.co_code[frame.f_lasti] == RESUME and frame.f_back is not None:
            frame = frame.f_back
        if frame is not None:
            self.samples += 1
            self.lines[frame.f_code, frame.f_lineno or 0] += used
        seen: set[CodeType] = set()
        while frame is not None:
            seen.add(frame.f_code)
            frame = frame.f_back
        for code in seen:
            self.within[code] += used
        self._seen = time.process_time()
        signal.setitimer(signal.ITIMER_REAL, INTERVAL_S)

    def _collect(self, phase: str, details: dict[str, int]) -> None:
        now = time.process_time()
        if self._collecting_since is None:
            self._collecting_since = now
            return
        took = now - self._collecting_since
        self._collecting_since = None
        self.collector_s += took
        self._seen += took


def function_of(code: CodeType) -> Function:
    """Which function of which file of which room a code object is."""
    path = Path(code.co_filename)
    name = code.co_qualname
    if path.is_relative_to(PACKAGE):
        file = path.relative_to(PACKAGE)
        return file.parts[0].removesuffix(".py"), str(file), name
    if path.is_relative_to(HERE):
        return "the caller", f"benchmarks/{path.name}", name
    if path.parent.name == "asyncio":
        return LOOP, "", ""
    return "other Python", f"{path.parent.name}/{path.name}", name


def report(sampler: Sampler, sample: Sample, rows: int) -> str:
    """The tables: microseconds of CPU per request."""
    each = 1e6 / sample.requests
    own: defaultdict[Function, float] = defaultdict(float)
    files: defaultdict[str, float] = defaultdict(float)
    rooms = defaultdict(float, {COLLECTOR: sampler.collector_s})
    lines: defaultdict[tuple[Function, int], float] = defaultdict(float)
    within: defaultdict[Function, float] = defaultdict(float)
    for (code, number), used in sampler.lines.items():
        function = function_of(code)
        lines[function, number] += used
        own[function] += used
        files[function[1] or LOOP] += used
        rooms[function[0]] += used
    for code, used in sampler.within.items():
        within[function_of(code)] += used
    said = [
        f"{sample.requests:,} requests, {sample.rate:,.0f} req/s, {sample.cpu_us:.1f} µs of CPU each "
        f"({sampler.user_s * each:.1f} user, {sampler.system_s * each:.1f} system); {sampler.samples:,} samples",
    ]
    said += ["", "By room", *(line(used * each, room) for room, used in most(rooms))]
    said += ["", "By file", *(line(used * each, file) for file, used in most(files)[:rows])]
    said += ["", "By function: its own code and the C functions that it calls; in brackets with all that it calls"]
    for function, used in most(own)[:rows]:
        room, file, name = function
        said.append(line(used * each, f"({within[function] * each:6.2f})  {file} {name}" if file else room))
    said += ["", "By line"]
    for (function, number), used in most(lines)[:rows]:
        if function[1]:
            said.append(line(used * each, f"{function[1]}:{number}  {source(function, number)}"))
    return "\n".join(said)


def most(costs: Mapping[K, float]) -> list[tuple[K, float]]:
    """The costs, greatest first."""
    return sorted(costs.items(), key=lambda item: -item[1])


def line(microseconds: float, text: str) -> str:
    """One line of a table."""
    return f"{microseconds:8.2f} µs  {text}"


def source(function: Function, number: int) -> str:
    """The text of a line of our code."""
    base = HERE.parent if function[0] == "the caller" else PACKAGE
    return linecache.getline(str(base / function[1]), number).strip()


def main(arguments: list[str]) -> None:
    """Profile the load that the first argument holds; the second is how many rows a table has."""
    sampler = Sampler()
    sample = worker.measure(Load.parse(arguments[0]), sampler)
    print(report(sampler, sample, json.loads(arguments[1])))


if __name__ == "__main__":
    main(sys.argv[1:])

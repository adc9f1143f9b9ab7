"""wrk, h2load and curl: what the server, and this machine, can do without Python."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from typing import Final

from benchmarks.loads import Load, Sample


def wrk(load: Load) -> tuple[list[str], Callable[[str], tuple[int, float, int]]]:
    """As many requests as it can over `concurrency` connections, in one thread."""
    command = ["wrk", "-t1", f"-c{load.concurrency}", f"-d{max(1, round(load.seconds))}s", load.url]

    def read(said: str) -> tuple[int, float, int]:
        if "Non-2xx" in said:
            raise ValueError(f"not every answer was good: {said}")
        count, seconds = _numbers(r"(\d+) requests in ([\d.]+)s", said)
        return int(count), seconds, 0

    return command, read


def h2load(load: Load) -> tuple[list[str], Callable[[str], tuple[int, float, int]]]:
    """As many requests as it can in `concurrency` streams of one connection."""
    duration = max(1, round(load.seconds))
    streams = str(load.concurrency)
    command = ["h2load", "-t1", "-c1", "-m", streams, "-D", str(duration), "--warm-up-time=1", load.url]

    def read(said: str) -> tuple[int, float, int]:
        (rate,) = _numbers(r"([\d.]+) req/s", said)
        return round(rate * duration), duration, 0

    return command, read


def curl(load: Load) -> tuple[list[str], Callable[[str], tuple[int, float, int]]]:
    """One body to /dev/null."""
    told = "%{size_download} %{time_total} %{http_code}"
    command = ["curl", "--silent", "--cacert", load.ca, "--output", "/dev/null", "--write-out", told, load.url]

    def read(said: str) -> tuple[int, float, int]:
        size, seconds, status = _numbers(r"(\d+) ([\d.]+) (\d+)", said)
        if status != 200:
            raise ValueError(f"curl got status {status:.0f}")
        return 1, seconds, int(size)

    return command, read


PROGRAMS: Final = {"wrk": wrk, "h2load": h2load, "curl": curl}


def find(name: str) -> str | None:
    """The path of a program."""
    return shutil.which(name)


def version(name: str) -> str | None:
    """What the program says it is, without its name; None if it is not here."""
    if find(name) is None:
        return None
    flag = "-v" if name == "wrk" else "--version"
    told = subprocess.run([name, flag], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+\.\d+(\.\d+)?", told)
    return found.group() if found else "of unknown version"


def run(load: Load, start: Callable[[], None]) -> Sample:
    """Run a program to its end. `start` runs in its process first: it chooses the core."""
    command, read = PROGRAMS[load.client](load)
    with tempfile.TemporaryFile("w+") as output:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, preexec_fn=start)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read()
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}: {said.strip()}")
    requests, seconds, size = read(said)
    # The CPU time is that of the whole process; only while requests run does it count, so scale it to their time.
    return Sample(requests, seconds, (used.ru_utime + used.ru_stime) * seconds / wall, size)


def _numbers(pattern: str, text: str) -> list[float]:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"no {pattern!r} in {text!r}")
    return [float(number) for number in found.groups()]

"""The machine of a run: which core is whose, and the versions of everything."""

from __future__ import annotations

import datetime
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass
from typing import Final

from benchmarks import programs

PACKAGES: Final = (
    "crawler",
    "uvloop",
    "httptools",
    "wreq",
    "pyreqwest",
    "aiohttp",
    "curl_cffi",
    "niquests",
    "httpx2",
    "httpx",
    "requests",
    "urllib3",
)

# Runs in the interpreter of the client, which need not be ours.
PROBE: Final = """
import importlib.metadata, importlib.util, json, sys
found = {}
for name in sys.argv[1:]:
    if importlib.util.find_spec(name) is None:
        continue
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found[name] = "of unknown version"
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Cores:
    """Which cores the clients and the server run on; empty sets where the system can not pin, or has but one."""

    clients: frozenset[int]
    server: frozenset[int]


def choose_cores() -> Cores:
    """Give the last two cores that this process may use: one to the server, one to the clients."""
    if not hasattr(os, "sched_getaffinity"):
        return Cores(frozenset(), frozenset())
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        return Cores(frozenset(), frozenset())
    return Cores(clients=frozenset(usable[-1:]), server=frozenset(usable[-2:-1]))


def installed(python: str) -> dict[str, str]:
    """Versions of the packages that count and are installed for an interpreter."""
    told = subprocess.run([python, "-c", PROBE, *PACKAGES], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(told.stdout)
    return found


def describe(cores: Cores, server: str) -> dict[str, str]:
    """What the reader of a table must know of the machine."""
    tools = [f"{name} {version}" for name in programs.PROGRAMS if (version := programs.version(name)) is not None]
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": _told(cores),
        "load before": f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown",
        "server": server,
        "programs": ", ".join(tools) or "none",
    }


def _told(cores: Cores) -> str:
    if not cores.clients:
        return f"{os.cpu_count()}, nothing pinned"
    return f"{os.cpu_count()}; clients on {min(cores.clients)}, server on {min(cores.server)}"


def _processor() -> str:
    if sys.platform == "linux":
        with open("/proc/cpuinfo", encoding="utf-8") as info:
            for line in info:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

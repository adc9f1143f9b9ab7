"""The machine and the software that a result was measured with: without them its numbers mean nothing."""

from __future__ import annotations

import os
import platform
import ssl
from contextlib import suppress
from importlib.metadata import version
from importlib.util import find_spec

from crawler.bench.result import Environment
from crawler.version import __version__


def describe() -> Environment:
    """Look at this machine. Names no host, user or path."""
    return Environment(
        crawler=__version__,
        python=platform.python_version(),
        implementation=platform.python_implementation(),
        platform=f"{platform.system()} {platform.machine()}",
        kernel=platform.release(),
        cpu=_processor(),
        cores=_usable_cores(),
        event_loop=f"uvloop {version('uvloop')}" if find_spec("uvloop") else "asyncio",
        openssl=ssl.OPENSSL_VERSION,
        load_average=os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        nofile=_file_limit(),
    )


def _processor() -> str:
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _file_limit() -> int | None:
    with suppress(ImportError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return None if limit == resource.RLIM_INFINITY else limit
    return None

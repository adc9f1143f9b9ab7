"""The options of `crawler bench` as keys of a job: both ways of asking are checked by the same rules."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from crawler.cli.exits import CommandError
from crawler.cli.source import is_job_file, read_source

if TYPE_CHECKING:
    from crawler.jobs import Job

ArmKeys = dict[str, str | bool | int]

_BUILT_IN: Final[dict[str, ArmKeys]] = {
    "sync": {"engine": "sync"},
    "sync_new": {"engine": "sync", "reuse": False},
    "threads": {"engine": "threads"},
    "async": {"engine": "async"},
    "async_h1": {"engine": "async"},
    "async_h2": {"engine": "async", "http_version": "2"},
    "engine": {"engine": "engine"},
}
_LIBRARIES: Final = {
    "httpx": "async",
    "httpx2": "async",
    "aiohttp": "async",
    "requests": "threads",
    "pyreqwest": "async",
    "niquests": "async",
    "curl_cffi": "async",
}
"""Library → the engine that drives it unless another is named."""

_DEFAULT_ARMS: Final = ("sync", "threads", "async")
_DEFAULT_VUS: Final = 16
_DEFAULTS: Final = ("bench.rounds=5", "bench.cooldown=200ms")
"""For URLs: about a minute with three arms. A job file has the format's own defaults."""


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What was given; `None` is nothing. See `crawler bench --help`."""

    arms: str | None = None
    http2: bool = False
    vus: str | None = None
    requests: int | None = None
    duration: str | None = None
    rate: str | None = None
    rounds: int | None = None
    warmup: str | None = None
    seed: int | None = None

    def read_job(self, sources: Sequence[str], overrides: Sequence[str]) -> Job:
        """Read the job file, or make the job of the URLs; the options lie over it, and `--set` over them.

        Raises:
            CommandError: It has errors, or is no benchmark.
        """
        from_file = any(map(is_job_file, sources))
        keys = [*([] if from_file else self._url_keys(sources)), *self._keys(from_file), *overrides]
        job = read_source(sources, keys)
        if job.kind != "bench":
            raise CommandError(
                f"{job.name} is a job of kind fetch; run it with `crawler run`, or say `kind: bench` in it"
            )
        return job

    def _url_keys(self, urls: Sequence[str]) -> list[str]:
        host = re.sub(r"[^a-z0-9.-]+", "-", (urlsplit(urls[0]).hostname or "").lower()).strip("-.")
        keys = ["kind=bench", f"name={'-'.join(('bench', host)) if host else 'bench'}"[:63], *_DEFAULTS]
        if self.requests is None:
            keys += ["bench.duration=2s", "bench.warmup=500ms"]
        return keys

    def _keys(self, from_file: bool) -> list[str]:
        keys = []
        if self.arms is not None or not from_file or self.http2:
            keys.append(f"bench.arms={json.dumps(self._arm_list(from_file))}")
        if self.vus is not None and (from_file or len(self._users()) > 1):
            keys.append(f"bench.matrix.vus={json.dumps(self._users())}")
        if self.requests is not None:
            keys += [f"bench.requests={self.requests}", "bench.duration=null"]
        if self.duration is not None:
            keys += [f"bench.duration={self.duration}"] + (["bench.requests=null"] if self.requests is None else [])
        if self.rate is not None:
            keys += ["bench.executor=constant_rate", f"bench.rate={self.rate}"]
        for key, value in (("rounds", self.rounds), ("warmup", self.warmup), ("seed", self.seed)):
            if value is not None:
                keys.append(f"bench.{key}={value}")
        return keys

    def _arm_list(self, from_file: bool) -> list[ArmKeys]:
        if from_file and self.http2:
            raise CommandError("--http2 adds an arm to those of URLs; for a job file, name all arms with --arms")
        words = [word.strip() for word in self.arms.split(",")] if self.arms is not None else [*_DEFAULT_ARMS]
        if self.http2 and "async_h2" not in words:
            words.append("async_h2")
        arms = [arm_of(word) for word in words]
        users = self._users()
        if not from_file and len(users) == 1:
            arms = [arm if arm["engine"] == "sync" else {**arm, "vus": users[0]} for arm in arms]
        return arms

    def _users(self) -> list[int]:
        if self.vus is None:
            return [_DEFAULT_VUS]
        parts = [part.strip() for part in self.vus.split(",")]
        if not all(part.isascii() and part.isdigit() for part in parts):
            raise CommandError(f"--vus takes whole numbers like 16 or 1,16,64, not '{self.vus}'")
        return [int(part) for part in parts]


def arm_of(word: str) -> ArmKeys:
    """Give the keys of an arm by its word: `async`, `httpx`, `httpx/sync`.

    Raises:
        CommandError: There is no such arm.
    """
    if word in _BUILT_IN:
        return {"name": word, **_BUILT_IN[word]}
    library, _, engine = word.partition("/")
    if library not in (*_LIBRARIES, "crawler") or engine not in ("", "sync", "threads", "async"):
        known = ", ".join((*_BUILT_IN, *_LIBRARIES))
        raise CommandError(f"there is no arm '{word}'; there are {known}, and LIBRARY/ENGINE as httpx/sync")
    name = f"{library}_{engine}" if engine else library
    return {"name": name, "client": library, "engine": engine or _LIBRARIES.get(library, "async")}

"""The job folder: which jobs there are, which files are broken and why. Looked at by time of change, not notified.

A file that breaks is kept out, shown with its error, and its schedule rests; the others go on. What is wrong between
files (two jobs of one name) is an error of the later one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from crawler.jobs import Job, JobError, load_job

SUFFIXES: Final = (".yaml", ".yml")
MAX_JOBS: Final = 10_000
MAX_ERROR_CHARS: Final = 4000
INLINE: Final = "inline"
"""Pseudo job that runs whose job came through the API belong to; also their `origin`."""

Signature = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """One job file.

    Attributes:
        name: The job's; of a file that was always broken, the file's without its suffix.
        path: The file.
        job: The job; None if it is broken.
        error: What is wrong with it.
        digest: Of its schedule: another one begins to count anew.
    """

    name: str
    path: Path
    job: Job | None
    error: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look at the folder found: entries that are new or other than before, and names that are gone."""

    changed: tuple[Entry, ...] = ()
    gone: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.changed or self.gone)


class Catalog:
    """The jobs of a folder.

    Args:
        folder: The folder; files directly in it count, hidden ones do not.
        anonymous: Scheduled jobs and crawls need no `contact`.
        read: Reads a job file; for tests.
    """

    def __init__(self, folder: Path, *, anonymous: bool = False, read: Callable[[Path], Job] | None = None) -> None:
        self.folder = folder
        self.problem = ""
        self._anonymous = anonymous
        self._read = read or partial(load_job, anonymous=anonymous)
        self._known: dict[Path, tuple[Signature, Entry]] = {}
        self._entries: dict[str, Entry] = {}

    @property
    def entries(self) -> dict[str, Entry]:
        """All jobs by name, broken ones included."""
        return self._entries

    def job(self, name: str) -> Job | None:
        """A job that is whole; None if there is none of that name."""
        entry = self._entries.get(name)
        return None if entry is None else entry.job

    def look(self) -> Changes:
        """Read what is new or has changed. Blocking: reading takes milliseconds per changed file."""
        try:
            found = self._scan()
            self.problem = ""
        except OSError as error:
            self.problem = f"the job folder cannot be read: {error.strerror or error}"
            return Changes()  # a folder that is away for a moment is no reason to forget its jobs
        for path in [path for path in self._known if path not in found]:
            del self._known[path]
        for path, signature in found.items():
            known = self._known.get(path)
            if known is None or known[0] != signature:
                self._known[path] = signature, self._load(path)
        return self._publish()

    def _scan(self) -> dict[Path, Signature]:
        found: dict[Path, Signature] = {}
        with os.scandir(self.folder) as items:
            for item in items:
                if not item.name.startswith(".") and item.name.lower().endswith(SUFFIXES) and item.is_file():
                    stat = item.stat()
                    found[Path(item.path)] = stat.st_mtime_ns, stat.st_size, stat.st_ino
        return dict(sorted(found.items())[:MAX_JOBS])

    def _load(self, path: Path) -> Entry:
        known = self._known.get(path)
        name = path.stem if known is None else known[1].name
        try:
            job = self._read(path)
        except JobError as error:
            told = str(error).replace(f"{path.parent}{os.sep}", "")  # where the folder lies is nobody's business
            return Entry(name, path, None, told[:MAX_ERROR_CHARS])
        except Exception as error:  # a bug of ours must not take the other jobs with it
            return Entry(name, path, None, f"{type(error).__name__}: {error}"[:MAX_ERROR_CHARS])
        if job.name == INLINE:
            return Entry(name, path, None, f"{path.name}: {INLINE!r} is what jobs of the API are called; rename it")
        if job.schedule is not None and job.contact is None and not self._anonymous:
            problem = f"{path.name}: a scheduled job needs `contact` (an e-mail or URL told to servers), or --anonymous"
            return Entry(job.name, path, None, problem)
        return Entry(job.name, path, job, digest=_digest(job))

    def _publish(self) -> Changes:
        before, entries = self._entries, dict[str, Entry]()
        for _, entry in self._known.values():
            other = entries.get(entry.name)
            if other is not None:
                problem = f"{entry.path.name}: the job {entry.name!r} stands in {other.path.name} already"
                entries[entry.path.name] = Entry(entry.path.name, entry.path, None, problem)
            else:
                entries[entry.name] = entry
        self._entries = entries
        changed = tuple(entry for name, entry in entries.items() if before.get(name) != entry)
        return Changes(changed, tuple(name for name in before if name not in entries))


def _digest(job: Job) -> str:
    if job.schedule is None:
        return ""
    keys = job.schedule.model_dump_json(include={"cron", "every", "timezone"})
    return hashlib.blake2b(keys.encode(), digest_size=8).hexdigest()

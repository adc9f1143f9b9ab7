"""What follows the end of a run: messages, and making room. In a task of its own; a kill in between loses nothing.

Messages wait in the store until they are sent. Folders are renamed before they are removed, so that half of one is
never taken for a run.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from crawler.jobs.service_schema import Retention
from crawler.service.catalog import Catalog
from crawler.service.events import events_of, message_of
from crawler.service.keep import expired
from crawler.service.notify import MAX_TRIES, Failed, send, wait_before
from crawler.service.settings import Settings
from crawler.service.store import RunRow, Store

TIDY_S: Final = 3600.0
TICK_S: Final = 1.0
_GONE: Final = ".removed"

_log: Final = logging.getLogger("crawler.service.after")


class After:
    """Looks after runs that are over.

    Args:
        settings, store, catalog, wall: The service's.
    """

    def __init__(self, settings: Settings, store: Store, catalog: Catalog, wall: Callable[[], float]) -> None:
        self._settings = settings
        self._store = store
        self._catalog = catalog
        self._wall = wall
        self._untidy: set[str] = set()
        self._is_all_untidy = True

    def take(self, run: RunRow) -> None:
        """Note the messages about a run that has ended, in the transaction of the caller if there is one."""
        self._untidy.add(run.job)
        job = self._catalog.job(run.job)
        if job is None or not job.notify:
            return
        before = [other for other in self._store.runs(job=run.job, limit=50) if other.id < run.id]
        events = events_of(run, before)
        for channel, notify in enumerate(job.notify):
            if told := sorted(events & set(notify.when)):
                self._store.add_notice(run, channel, message_of(run, told), self._wall())

    async def run(self) -> None:
        """Send and tidy until cancelled."""
        loop = asyncio.get_running_loop()
        tidied = loop.time()
        while True:
            await self._send_due()
            if loop.time() - tidied > TIDY_S:
                tidied, self._is_all_untidy = loop.time(), True
            await self._tidy()
            await asyncio.sleep(TICK_S)

    # -- messages -----------------------------------------------------------------------------------------------------

    async def _send_due(self) -> None:
        for notice in self._store.due_notices(self._wall()):
            job = self._catalog.job(notice["job"])
            again_at: float | None = None
            if job is not None and notice["channel"] < len(job.notify):
                try:
                    await send(job.notify[notice["channel"]], notice["body"], job.network, self._settings)
                except Failed as error:
                    _log.warning("a message about run %s was not sent: %s", notice["run"], job.mask(str(error)))
                    if notice["tries"] + 1 < MAX_TRIES:
                        again_at = self._wall() + wait_before(notice["tries"] + 1)
            self._store.settle_notice(notice["id"], again_at)

    # -- room ---------------------------------------------------------------------------------------------------------

    async def _tidy(self) -> None:
        if self._is_all_untidy:
            self._is_all_untidy = False
            self._untidy |= self._store.job_names()
            await asyncio.to_thread(self._remove_leftovers)
        while self._untidy:
            name = self._untidy.pop()
            job = self._catalog.job(name)
            policy = Retention() if job is None else job.retention
            for run in expired(self._store.runs(job=name, limit=-1), policy, self._wall()):
                self._store.remove(run.id)
                await asyncio.to_thread(_remove, self._settings.folder(name, run.id))

    def _remove_leftovers(self) -> None:
        """Remove folders whose removal was cut off."""
        root = self._settings.state / "runs"
        for folder in root.glob(f"*/*{_GONE}") if root.is_dir() else ():
            shutil.rmtree(folder, ignore_errors=True)


def _remove(folder: Path) -> None:
    gone = folder.with_name(folder.name + _GONE)
    with contextlib.suppress(FileNotFoundError):
        folder.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)

"""One log line per attempt: failed ones as warnings, the others for debugging; never more than so many a second."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from crawler.fanout.record import mask
from crawler.fanout.result import Result

LOGGER: Final = logging.getLogger("crawler.run")
"""What a run has to say. Each record has its facts as the attribute `facts`, a dict of JSON values."""


class Observer(Protocol):
    """Is told what happens in a run, from its event loop; must not block."""

    def attempt(self, result: Result, host: str) -> None:
        """An attempt ended; `result` is as that attempt left it, `host` is host and port."""


class AttemptLog:
    """Writes attempts to `LOGGER`.

    Args:
        run_id, job: Stand in every line.
        id_of: Gives the id that a result has in its record.
        per_second: Lines a second at most; how many were left out is said in a line of its own. `None` is no limit.
        clock: Monotonic seconds.
        secrets: Makes a text safe to be shown.
    """

    def __init__(
        self,
        run_id: str,
        job: str,
        id_of: Callable[[Result], str],
        per_second: float | None = 100.0,
        clock: Callable[[], float] = time.monotonic,
        secrets: Callable[[str], str] = mask,
    ) -> None:
        self._about = {"run_id": run_id, "job": job}
        self._id_of = id_of
        self._per_second = per_second
        self._clock = clock
        self._secrets = secrets
        self._second = 0
        self._said = 0
        self._left_out = 0

    def attempt(self, result: Result, host: str) -> None:
        """Write a line for an attempt that ended."""
        kind = result.error_kind
        level = logging.DEBUG if kind is None else logging.WARNING
        if not LOGGER.isEnabledFor(level) or not self._may_speak():
            return
        url = self._secrets(result.url)
        facts: dict[str, object] = {
            **self._about,
            "url_id": self._id_of(result),
            "url": url,
            "host": host,
            "attempt": result.attempts,
            "status": result.status,
            "error": kind,
            "total": round(result.total, 6),
        }
        if kind is None:
            LOGGER.debug("%s %s", result.status, url, extra={"facts": facts})
            return
        message = self._secrets(result.error_message or kind)
        LOGGER.warning("%s, attempt %d of %s: %s", kind, result.attempts, url, message, extra={"facts": facts})

    def _may_speak(self) -> bool:
        if self._per_second is None:
            return True
        second = int(self._clock())
        if second != self._second:
            if self._left_out:
                facts = {**self._about, "left_out": self._left_out}
                LOGGER.warning("%d more attempts were not logged", self._left_out, extra={"facts": facts})
            self._second, self._said, self._left_out = second, 0, 0
        if self._said >= self._per_second:
            self._left_out += 1
            return False
        self._said += 1
        return True

"""Fetching again what was fetched before: only what is due, and only if it changed.

    a new run ─▶ what is due is pending ─▶ If-None-Match, If-Modified-Since ─▶ 304, or the same bytes ─▶ unchanged
                                                                            └▶ another body ─▶ ok, and what differs

What is known of a page lies in the state, in the table `pages`, and is written in the transaction of its record: if a
run dies, a page counts as seen only if what was found in it is kept, too. A new round begins when nothing is pending;
one that was stopped is gone on with first.
"""

from __future__ import annotations

import sqlite3
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import anyio.to_thread
import orjson

from crawler.fanout.differences import json_difference, text_difference

if TYPE_CHECKING:
    from crawler.fanout.record import Record
    from crawler.fanout.result import Result
    from crawler.models import Request

MAX_COMPARED: Final = 1024 * 1024
"""Bytes of a page up to which it is kept to be compared with the next one."""

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS pages (
    id INTEGER PRIMARY KEY,        -- of the request
    checked REAL NOT NULL,         -- when it was last seen, seconds since 1970
    etag TEXT, modified TEXT, sha256 TEXT,
    earlier TEXT NOT NULL,         -- where its record is, as JSON
    body TEXT                      -- compressed, in Base64: what the next one is compared with
)
"""
KEEP: Final = """
INSERT OR REPLACE INTO pages
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
       json_extract(value, '$[6]')
FROM json_each(?)
"""
DUE: Final = """
state > 0 AND (extra IS NULL OR json_extract(extra, '$.refused') IS NULL)
AND NOT EXISTS (SELECT 1 FROM pages WHERE pages.id = requests.id AND checked > ?1)
"""
_CONDITIONS: Final = ("if-none-match", "if-modified-since", "if-match", "if-unmodified-since", "range")
_FIND: Final = "SELECT etag, modified, sha256, earlier, body FROM pages WHERE id = ?"


@dataclass(frozen=True, slots=True)
class RecrawlPolicy:
    """How what was fetched is fetched again.

    Attributes:
        if_changed: Ask with the validators of the last good response; what did not change has the outcome `unchanged`.
        max_age: Seconds since a page was last seen before which it is not asked for; `None` asks in each round.
        diff: Put the difference from the last body into the record.
    """

    if_changed: bool = True
    max_age: float | None = None
    diff: Literal["none", "text", "json"] = "none"

    def due_before(self, now: float) -> float:
        """Give the instant before which a page must have been seen to be due; seconds since 1970."""
        return float("inf") if self.max_age is None else now - self.max_age


class Known(NamedTuple):
    """What is known of a page; the columns of the table."""

    etag: str | None
    modified: str | None
    sha256: str | None
    earlier: str
    body: str | None


class Kept(NamedTuple):
    """What is to be known of a page, but for its number: a row of the table."""

    checked: float
    etag: str | None
    modified: str | None
    sha256: str | None
    earlier: str
    body: str | None


class Seen:
    """What a request knows of earlier rounds while it is under way; not frozen, for speed.

    Attributes:
        known: Of its page; `None` if it is new.
        difference: From the last body to this one.
        body: This one, compressed, if it will be compared.
    """

    __slots__ = ("body", "difference", "known")

    def __init__(self, known: Known | None) -> None:
        self.known = known
        self.difference: object = None
        self.body: str | None = None


class Recrawl:
    """Knows the pages of earlier rounds; for the event loop of one run.

    Args:
        policy: See `RecrawlPolicy`.
        state_file: The database of the state; read beside the ledger, never waited for.
        wall: Seconds since 1970.
    """

    def __init__(self, policy: RecrawlPolicy, state_file: Path, wall: Callable[[], float] = time.time) -> None:
        self._policy = policy
        self._wall = wall
        self._db = sqlite3.connect(f"{state_file.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def ask(self, result: Result, request: Request) -> None:
        """Write what is known into a request, unless the job has conditions of its own."""
        known = None
        if self._policy.if_changed and request.method == "GET":
            row = self._db.execute(_FIND, (result.target.id,)).fetchone()
            known = None if row is None else Known(*row)
        result.seen = Seen(known)
        if known is None or any(name in request.headers for name in _CONDITIONS):
            return
        if known.etag is not None:
            request.headers["if-none-match"] = known.etag
        if known.modified is not None:
            request.headers["if-modified-since"] = known.modified

    async def look(self, result: Result) -> None:
        """Compare a response with what is known; nobody else looks at a page that did not change."""
        seen = result.seen
        if seen is None or result.error_kind is not None:
            return
        known, page = seen.known, result.page
        if known is not None and _is_same(result, known):
            result.is_unchanged = True
            result.page = None
        elif self._policy.diff != "none" and page is not None and len(page) <= MAX_COMPARED and result.status == 200:
            before = None if known is None else known.body
            compare = json_difference if self._policy.diff == "json" else text_difference

            def work() -> None:
                if before is not None:
                    seen.difference = compare(zlib.decompress(b64decode(before)), page)
                seen.body = b64encode(zlib.compress(page, 1)).decode("ascii")

            await anyio.to_thread.run_sync(work)

    def fields(self, result: Result, record: Record) -> Mapping[str, object]:
        """Give what a record says of earlier rounds."""
        seen = result.seen
        if seen is None or seen.known is None or result.error_kind is not None:
            return {}
        earlier = orjson.loads(seen.known.earlier)
        if not result.is_unchanged:
            return {"earlier": earlier, "diff": seen.difference}
        return {"earlier": earlier, "path": record["path"] or earlier["path"], "sha256": seen.known.sha256}

    def kept(self, result: Result, record: Record) -> Kept | None:
        """Give what is to be known from now on; `None` if nothing came."""
        seen = result.seen
        if seen is None or result.error_kind is not None:
            return None
        if result.is_unchanged and seen.known is not None:
            return Kept(self._wall(), *seen.known)
        if result.status != 200:
            return None
        etag, modified = (None if record[name] is None else str(record[name]) for name in ("etag", "last_modified"))
        earlier = orjson.dumps({name: record[name] for name in ("run_id", "fetched_at", "path")}).decode()
        return Kept(self._wall(), etag, modified, result.sha256, earlier, seen.body)


def _is_same(result: Result, known: Known) -> bool:
    return result.status == 304 or (result.status == 200 and known.sha256 is not None and known.sha256 == result.sha256)

"""What a crawl that goes on has to know of what it was: read from the state of its runs."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import orjson

from crawler.fanout.plan import Item


def known_items(state_file: Path) -> Iterator[Item]:
    """Give the URL and the origin of every request in a state; none if it cannot be read, which the run will say.

    Reads the file beside whoever else has it open, and changes nothing.
    """
    try:
        with closing(sqlite3.connect(f"{state_file.absolute().as_uri()}?mode=ro", uri=True)) as db:
            for url, extra in db.execute("SELECT url, extra FROM requests ORDER BY id"):
                given = {} if extra is None else orjson.loads(extra)
                refused = given.get("refused")
                yield Item(
                    url,
                    depth=given.get("depth"),
                    discovered_by=given.get("discovered_by"),
                    refused=None if refused is None else (refused[0], refused[1]),
                    memo=given.get("memo"),
                )
    except (sqlite3.Error, orjson.JSONDecodeError):
        return

"""File names of downloads: known before the request, or only when the file is there (`{sha256}`, `{status}`, `{date}`,
`{disposition}`: the one that the server suggests).

A name that is known later stands in `Item.path` as text with these fields in braces, and every other brace doubled. The
part then lies under a provisional name, by the fingerprint of the request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from crawler.fanout.paths import url_path
from crawler.fanout.plan import Item
from crawler.fanout.record import mask

LATE_NAMES: Final = frozenset({"sha256", "status", "date", "disposition"})
PROVISIONAL_FOLDER: Final = ".incoming"

_TOKEN = re.compile(r"\{\{|\}\}|\{(sha256|status|date|disposition)(?::([0-9]{1,3}))?\}")


def wished_name(item: Item) -> str:
    """Give the name an item asks for; without one, that of its URL."""
    return url_path(mask(item.url)) if item.path is None else item.path


def fill_late(text: str, values: Mapping[str, str]) -> str:
    """Fill in what is known now; `{sha256:2}` is the first two characters."""

    def value(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        whole = values[match[1]]
        return whole if match[2] is None else whole[: int(match[2])]

    return _TOKEN.sub(value, text)

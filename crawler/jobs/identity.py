"""What makes a job the one its state was made by.

A state holds requests. Where limits, outputs or politeness change, it is gone on with; where the requests themselves
would be others, the old ones and the new ones must not be mixed unseen.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

from crawler.jobs.masking import shown_tree
from crawler.jobs.nodes import Map

_PATHS: Final = (
    ("request",),
    ("input", "key"),
    ("crawl", "scope"),
    ("extract",),
    ("paginate",),
    ("dedupe",),
)
_HARMLESS: Final = {"request": ("proxy", "user_agent", "cookies", "idempotent"), "paginate": ("max_pages", "parallel")}


def job_digests(tree: Map) -> tuple[tuple[str, str], ...]:
    """Name and digest of each part of a job that its requests are made by.

    Secrets count by the names of their variables: a token that was renewed makes no other job.
    """
    shown = shown_tree(tree)
    digests = []
    for path in _PATHS:
        value: object = shown
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, dict):
            value = {key: part for key, part in value.items() if key not in _HARMLESS.get(path[0], ())}
        text = json.dumps(value or None, sort_keys=True, default=str)
        digests.append((".".join(path), hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()))
    return tuple(digests)

"""What may be shown of a job: secrets by the variable's name or as `***`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from crawler.jobs.interpolate import Loose
from crawler.jobs.nodes import Items, Map, Node, Scalar

_USERINFO: Final = re.compile(r"(?<=://)[^/?#\s@]+@")
_SECRET_QUERY: Final = re.compile(r"([?&](?:token|key|sig|signature|password)=)[^&#\s]+", re.IGNORECASE)


def mask_text(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the secrets, without user names and passwords in URLs, and without secret query values."""
    for secret in sorted(secrets, key=len, reverse=True):  # longest first: one may be a part of another
        text = text.replace(secret, "***")
    return _SECRET_QUERY.sub(r"\1***", _USERINFO.sub("***@", text))


def shown_tree(node: Map) -> dict[str, object]:
    """The tree as Python values with its secrets masked."""
    return {key: _shown(entry.node) for key, entry in node.entries.items()}


def _shown(node: Node) -> object:
    match node:
        case Scalar(shown=str() as shown):
            return shown
        case Scalar(value=value):
            native = value.native if isinstance(value, Loose) else value
            return mask_text(native) if isinstance(native, str) else native
        case Items(values=values):
            return [_shown(value) for value in values]
        case Map():
            return shown_tree(node)

"""What may be shown of a job: secrets by the variable's name or as `***`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from pydantic import BaseModel

from crawler.jobs.document import resolve_core
from crawler.jobs.interpolate import Loose
from crawler.jobs.nodes import Items, Map, Node, Scalar

_USERINFO: Final = re.compile(r"(?<=://)[^/?#\s@]+@")
_SECRET_QUERY: Final = re.compile(r"([?&](?:token|key|sig|signature|password)=)[^&#\s]+", re.IGNORECASE)


def mask_text(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the secrets, without user names and passwords in URLs, and without secret query values."""
    for secret in sorted(secrets, key=len, reverse=True):  # longest first: one may be a part of another
        text = text.replace(secret, "***")
    return _SECRET_QUERY.sub(r"\1***", _USERINFO.sub("***@", text))


def shown_tree(node: Map, typed: object = None) -> dict[str, object]:
    """The tree as Python values with its secrets masked.

    Args:
        node: The tree.
        typed: The model made of it: a number that came in as text is shown as the number it was read as.
    """
    return {key: _shown(entry.node, _part(typed, key)) for key, entry in node.entries.items()}


def _shown(node: Node, typed: object) -> object:
    match node:
        case Scalar(shown=str() as shown):
            return shown
        case Scalar(value=Loose() as loose):
            value = resolve_core(loose) if isinstance(loose.native, str) else loose.native
            text = isinstance(loose.native, str) and not (isinstance(typed, bool | int | float) and value == typed)
            return mask_text(loose) if text else value
        case Scalar(value=value):
            return mask_text(value) if isinstance(value, str) else value
        case Items(values=values):
            parts = typed if isinstance(typed, list) and len(typed) == len(values) else [None] * len(values)
            return [_shown(value, part) for value, part in zip(values, parts, strict=True)]
        case Map():
            return shown_tree(node, typed)


def _part(typed: object, key: str) -> object:
    """What the model made of `key`; None where it has no such part."""
    if isinstance(typed, dict):
        return typed.get(key)
    return getattr(typed, key, None) if isinstance(typed, BaseModel) else None

"""What differs between two bodies of the same page: lines of text, or values of JSON. Pure; may be slow."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import unified_diff
from itertools import islice
from typing import Any, Final

import orjson

MAX_LINES: Final = 20_000
"""Lines of a page up to which they are compared; comparing is quadratic where much is alike."""

MAX_DIFFERENCE: Final = 64 * 1024
"""Characters of a difference; what comes after is left out."""

MAX_CHANGES: Final = 1000
"""Changed values of a difference in JSON."""


def text_difference(before: bytes, now: bytes) -> str | None:
    """Compare as lines of text.

    Returns:
        A unified diff without its head; `None` if there are too many lines.
    """
    old, new = (body.decode("utf-8", "replace").splitlines() for body in (before, now))
    if max(len(old), len(new)) > MAX_LINES:
        return None
    lines: list[str] = []
    size = 0
    for line in islice(unified_diff(old, new, lineterm=""), 2, None):
        size += len(line) + 1
        if size > MAX_DIFFERENCE:
            lines.append("…")
            break
        lines.append(line)
    return "\n".join(lines)


def json_difference(before: bytes, now: bytes) -> list[dict[str, object]] | None:
    """Compare as JSON.

    Returns:
        Changes in the words of JSON Patch (RFC 6902): `op` (add, remove, replace), `path` (RFC 6901), `value` and,
        beyond it, `was`; lists are compared place by place. `None` if one of both is no JSON.
    """
    try:
        old, new = orjson.loads(before), orjson.loads(now)
    except orjson.JSONDecodeError:
        return None
    return list(islice(_changes("", old, new), MAX_CHANGES))


def _changes(path: str, old: Any, new: Any) -> Iterator[dict[str, object]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old.keys() - new.keys():
            yield {"op": "remove", "path": f"{path}/{_escaped(name)}", "was": old[name]}
        for name, value in new.items():
            below = f"{path}/{_escaped(name)}"
            if name in old:
                yield from _changes(below, old[name], value)
            else:
                yield {"op": "add", "path": below, "value": value}
    elif isinstance(old, list) and isinstance(new, list):
        for place, (was, value) in enumerate(zip(old, new, strict=False)):
            yield from _changes(f"{path}/{place}", was, value)
        for place in range(len(old) - 1, len(new) - 1, -1):
            yield {"op": "remove", "path": f"{path}/{place}", "was": old[place]}
        for place in range(len(old), len(new)):
            yield {"op": "add", "path": f"{path}/{place}", "value": new[place]}
    elif type(old) is not type(new) or old != new:
        yield {"op": "replace", "path": path, "value": new, "was": old}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")

"""Keys of the job format that this version does not do yet.

They are specified, so people will try them: refusing them as *unknown* would send them looking for a slip of the pen. A
key moves from here into `schema` in the commit that makes it work.
"""

from __future__ import annotations

from typing import Final

# Section (a path without indexes) -> its keys that are yet to come. A section named under "" is pending as a whole.
_BY_SECTION: Final = {
    "hosts[]": "proxy http_version retry robots max_pages",
}

PENDING: Final[dict[str, frozenset[str]]] = {section: frozenset(keys.split()) for section, keys in _BY_SECTION.items()}
"""Section -> names of its pending keys; `[]` stands for any list item."""

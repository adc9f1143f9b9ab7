"""The tree a job file is read into: plain values, each with the place where it stands.

`Map`, `Items` and `Scalar` are what `document` makes, `merge` joins, `interpolate` fills in and `schema` checks. They
are ours and not the YAML library's, because `--set` options and the command line's URLs make them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from crawler.jobs.findings import Mark

ScalarValue = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Scalar:
    """A value without parts.

    Attributes:
        mark: Where it stands.
        value: As YAML 1.2 (core schema) reads it, or as interpolation filled it in.
        shown: What `crawler config` prints instead, if the value is a secret: the variable's name, or `***`.
    """

    mark: Mark
    value: ScalarValue
    shown: str | None = None


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    mark: Mark
    values: list[Node] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Entry:
    """A value of a `Map` together with the place of its key."""

    key_mark: Mark
    node: Node


@dataclass(frozen=True, slots=True)
class Map:
    """A mapping; keys are text, in the order of the file."""

    mark: Mark
    entries: dict[str, Entry] = field(default_factory=dict)

    def get(self, key: str) -> Node | None:
        """The value of `key`, or None."""
        entry = self.entries.get(key)
        return entry.node if entry else None


Node = Scalar | Items | Map
Path = tuple[str | int, ...]


def plain(node: Node) -> object:
    """The tree as Python values (dict, list, str, int, float, bool, None), without places."""
    match node:
        case Scalar(value=value):
            return value
        case Items(values=values):
            return [plain(value) for value in values]
        case Map(entries=entries):
            return {key: plain(entry.node) for key, entry in entries.items()}


def from_plain(value: object, mark: Mark) -> Node:
    """Python values as a tree whose every node stands at `mark` (the inverse of `plain`)."""
    if isinstance(value, dict):
        return Map(mark, {str(key): Entry(mark, from_plain(part, mark)) for key, part in value.items()})
    if isinstance(value, list | tuple):
        return Items(mark, [from_plain(part, mark) for part in value])
    if value is None or isinstance(value, str | int | float | bool):
        return Scalar(mark, value)
    raise TypeError(f"no place in a job for {type(value).__name__}")


def locate(root: Node, path: Sequence[str | int], *, key: bool = False) -> Mark:
    """The place of the value at `path`, or of the deepest part of it that exists.

    Args:
        root: The tree.
        path: Keys and indexes, as pydantic gives them. An index where the file has one plain value (a list given as one
            item) is passed over.
        key: Give the place of the last key instead of its value: for complaints about the key itself.
    """
    node, mark = root, root.mark
    for part in path:
        if isinstance(node, Map) and part in node.entries:
            entry = node.entries[str(part)]
            node, mark = entry.node, entry.key_mark if key else entry.node.mark
        elif isinstance(node, Items) and isinstance(part, int) and part < len(node.values):
            node = node.values[part]
            mark = node.mark
    return mark


def dotted(path: Sequence[str | int]) -> str:
    """`("output", 0, "path")` as `output[0].path`: how messages name a place in the job."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text

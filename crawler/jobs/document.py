"""One YAML file as a tree that knows the line and column of every key and value.

We take ruamel.yaml's *events* (its safe, pure scanner and parser) and build the tree ourselves, because only so

- the limits hold while reading, not after: depth, number of values, alias expansions (an alias bomb is refused at the
  alias that goes over, before anything is expanded);
- no tag can build an object: a tag outside the core schema is a finding;
- plain scalars are read by the YAML 1.2 core schema and nothing else: `no`, `off`, `1:30`, `2020-01-01` are text. One
  deviation, on the strict side: `010` is text as well, since half of its readers take it for 8.

What is wrong comes back as findings, all of them together; only what makes the rest unreadable ends the reading early.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from crawler.jobs.findings import Finding, Mark
from crawler.jobs.nodes import Entry, Items, Map, Node, Scalar, ScalarValue

MAX_FILE_BYTES: Final = 1024 * 1024
"""Larger job files are refused unread: lists of that size belong into an input file."""
MAX_DEPTH: Final = 50
"""Deepest nesting, aliases expanded; far below the interpreter's recursion limit."""
MAX_EXPANSIONS: Final = 1000
"""Aliases met when walking the expanded tree; a bomb of nine levels of ten is refused at its fourth."""
MAX_VALUES: Final = 30_000
"""Values in the expanded tree: about half a second of reading."""

_CORE_TAG: Final = "tag:yaml.org,2002:"
_SCALAR_TAGS: Final = {"str", "int", "float", "bool", "null"}
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_INT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,99})")
_OCT_HEX: Final = re.compile(r"0o[0-7]{1,64}|0x[0-9a-fA-F]{1,64}")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_LONG_TAG: Final = re.compile(r"(?<![^\s\[{,])!\S{1024}")
_INF_NAN: Final = re.compile(r"(?P<sign>[-+]?)\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def resolve_core(text: str) -> ScalarValue:
    """What a plain scalar means under the YAML 1.2 core schema (`010` stays text, see the module's text)."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text):
        return int(text)
    if _OCT_HEX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        value = float(text)
        return value if math.isfinite(value) else text  # beyond a float: the schema says that it is no number
    if _INF_NAN.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def read_document(path: str | os.PathLike[str]) -> tuple[Map | None, list[Finding]]:
    """Read and parse one file.

    Returns:
        The tree (None if there is none to speak of) and what is wrong with the file; never raises for its content.
    """
    source = os.fspath(path)
    try:
        data = _read_bounded(Path(path))
    except OSError as exc:
        return None, [Finding(Mark(source), f"cannot read the job file: {exc.strerror or exc}")]
    if len(data) > MAX_FILE_BYTES:
        return None, [Finding(Mark(source), "the job file is larger than 1 MiB; put long lists into an `input` file")]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return None, [Finding(Mark(source, 1, 1), "the file is UTF-16; save it as UTF-8")]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        column = len(data[data.rfind(b"\n", 0, exc.start) + 1 : exc.start].decode("utf-8-sig", "replace")) + 1
        message = f"byte 0x{data[exc.start]:02x} is not UTF-8; save the file as UTF-8"
        return None, [Finding(Mark(source, line, column), message)]
    return parse_document(text, source)


def parse_document(text: str, source: str) -> tuple[Map | None, list[Finding]]:
    """Parse the text of a job file; as `read_document`."""
    builder = _Builder(source)
    try:
        _refuse_long_tag(text, source)
        for event in _events(text):
            builder.feed(event)
    except _Unreadable as exc:
        builder.findings.append(Finding(exc.mark, exc.message))
        return None, builder.findings
    except Exception as exc:
        if not type(exc).__module__.startswith("ruamel."):
            raise
        return None, [*builder.findings, _syntax_finding(exc, text, source)]
    root = builder.root
    if root is None or (isinstance(root, Scalar) and root.value is None):
        builder.findings.append(Finding(Mark(source, 1, 1), "the file is empty; a job needs `urls` or `input`"))
        return None, builder.findings
    if not isinstance(root, Map):
        builder.findings.append(Finding(root.mark, "a job is a mapping (`key: value` lines), beginning with `urls:`"))
        return None, builder.findings
    return root, builder.findings


def parse_value(text: str, mark: Mark) -> tuple[Node | None, list[Finding]]:
    """Parse a value given outside a file (`--set a=VALUE`); every part of it stands at `mark`."""
    builder = _Builder(mark.source, fixed_mark=mark)
    try:
        for event in _events(text):
            builder.feed(event)
    except _Unreadable as exc:
        return None, [Finding(mark, exc.message)]
    except Exception as exc:
        if not type(exc).__module__.startswith("ruamel."):
            raise
        return None, [Finding(mark, f"the value is not YAML: {_problem(exc)}")]
    return builder.root or Scalar(mark, None), builder.findings


def _read_bounded(path: Path) -> bytes:
    """The file's bytes, or more bytes than the limit; `stat` alone would trust pipes and devices."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
            return b" " * (MAX_FILE_BYTES + 1)
        return file.read(MAX_FILE_BYTES + 1)


def _refuse_long_tag(text: str, source: str) -> None:
    """Refuse a tag of a kilobyte: the library reads tags in quadratic time, 13 s for one that fills the file."""
    match = _LONG_TAG.search(text)
    if match is not None:
        line = text.count("\n", 0, match.start()) + 1
        raise _Unreadable(Mark(source, line, match.start() - text.rfind("\n", 0, match.start())), "a tag without end")


def _events(text: str) -> Iterator[Any]:
    # ruamel is imported late: it costs 25 ms, and `job_from_urls` does without. Its events are untyped.
    from ruamel.yaml import YAML

    return iter(YAML(typ="safe", pure=True).parse(text))


def _problem(exc: Exception) -> str:
    return str(getattr(exc, "problem", None) or getattr(exc, "reason", None) or exc).splitlines()[0]


def _syntax_finding(exc: Exception, text: str, source: str) -> Finding:
    """A finding for an exception of the YAML library: place, reason, and the usual cause where we know it."""
    mark = getattr(exc, "problem_mark", None) or getattr(exc, "context_mark", None)
    if mark is not None:
        line, column = mark.line + 1, mark.column + 1
    else:
        position = getattr(exc, "position", 0)
        line, column = text.count("\n", 0, position) + 1, position - text.rfind("\n", 0, position)
    lines = text.splitlines()
    for number in (line, line - 1):
        head = lines[number - 1] if 0 < number <= len(lines) else ""
        indent = head[: len(head) - len(head.lstrip())]
        if "\t" in indent:
            return Finding(Mark(source, number, indent.index("\t") + 1), "a tab cannot indent YAML; use spaces")
    unquoted = 0 < line <= len(lines) and "${" in lines[line - 1]
    hint = "; inside {…} and […], put ${…} in quotes" if unquoted else ""
    return Finding(Mark(source, line, column), f"not YAML: {_problem(exc)}{hint}")


class _Unreadable(Exception):
    """What stands there ends the reading of the file."""

    def __init__(self, mark: Mark, message: str) -> None:
        super().__init__(message)
        self.mark = mark
        self.message = message


@dataclass(slots=True)
class _Weight:
    """What a node costs when its aliases are expanded."""

    values: int = 1
    expansions: int = 0
    height: int = 0


@dataclass(slots=True)
class _Frame:
    """A list or mapping whose end has not come yet."""

    node: Map | Items
    anchor: str | None
    weight: _Weight
    key: str | None = None
    key_mark: Mark | None = None
    drop_value: bool = False  # the key was refused; its value is read and forgotten


class _Builder:
    """Events in, tree out. The limits are checked at every node, against the whole expanded tree."""

    def __init__(self, source: str, fixed_mark: Mark | None = None) -> None:
        self.root: Node | None = None
        self.findings: list[Finding] = []
        self._source = source
        self._fixed_mark = fixed_mark
        self._stack: list[_Frame] = []
        self._anchors: dict[str, tuple[Node, _Weight]] = {}
        self._total = _Weight(values=0)

    def feed(self, event: Any) -> None:
        """Take one event of the YAML library."""
        kind = type(event).__name__
        mark = self._mark(event)
        if kind == "ScalarEvent":
            self._spend(mark, _Weight())
            self._add(Scalar(mark, self._scalar(event, mark)), _Weight(), event.anchor)
        elif kind == "AliasEvent":
            self._alias(event.anchor, mark)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            expected = "map" if kind == "MappingStartEvent" else "seq"
            self._check_tag(event.tag, {expected}, mark)
            if len(self._stack) >= MAX_DEPTH:
                raise _Unreadable(mark, f"nested deeper than {MAX_DEPTH} levels")
            self._stack.append(_Frame(Map(mark) if expected == "map" else Items(mark), event.anchor, _Weight()))
            self._spend(mark, _Weight())
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            frame = self._stack.pop()
            self._add(frame.node, frame.weight, frame.anchor)
        elif kind == "DocumentStartEvent":
            self._document_start(event, mark)

    def _mark(self, event: Any) -> Mark:
        return self._fixed_mark or Mark(self._source, event.start_mark.line + 1, event.start_mark.column + 1)

    def _document_start(self, event: Any, mark: Mark) -> None:
        if self.root is not None:
            raise _Unreadable(mark, "a second document (`---`) begins here; a job file holds one")
        if event.version not in (None, (1, 2)):
            self.findings.append(Finding(mark, "job files are YAML 1.2; remove the %YAML line"))

    def _scalar(self, event: Any, mark: Mark) -> ScalarValue:
        text: str = event.value
        tag = self._check_tag(event.tag, _SCALAR_TAGS, mark)
        if tag == "str" or (tag is None and event.style):
            return text
        value = resolve_core(text)
        fits = {
            "int": isinstance(value, int) and not isinstance(value, bool),
            "float": isinstance(value, float | int) and not isinstance(value, bool),
            "bool": isinstance(value, bool),
            "null": value is None,
        }
        if tag is not None and not fits[tag]:
            self.findings.append(Finding(mark, f"{text!r} is no value of !!{tag}"))
        return value

    def _check_tag(self, tag: str | None, allowed: set[str], mark: Mark) -> str | None:
        """The short name of a core tag, None for no tag; any other tag is a finding and counts as none."""
        if tag is None:
            return None
        if tag == "!":
            return "str" if "str" in allowed else None
        short = tag.removeprefix(_CORE_TAG)
        if tag.startswith(_CORE_TAG) and short in allowed:
            return short
        shown = f"!!{short}" if tag.startswith(_CORE_TAG) else tag
        self.findings.append(Finding(mark, f"the tag {shown} is not allowed in a job file; write the plain value"))
        return None

    def _alias(self, anchor: str, mark: Mark) -> None:
        if anchor not in self._anchors:
            open_node = any(frame.anchor == anchor for frame in self._stack)
            reason = "contains itself" if open_node else "was never defined (`&name` comes before `*name`)"
            raise _Unreadable(mark, f"the alias *{anchor} {reason}")
        node, weight = self._anchors[anchor]
        if len(self._stack) + weight.height > MAX_DEPTH:
            raise _Unreadable(mark, f"nested deeper than {MAX_DEPTH} levels once *{anchor} is expanded")
        spent = _Weight(weight.values, weight.expansions + 1, weight.height)
        self._spend(mark, spent)
        self._add(node, spent, None)

    def _spend(self, mark: Mark, weight: _Weight) -> None:
        """Count `weight` against the limits of the whole tree."""
        self._total.values += weight.values
        self._total.expansions += weight.expansions
        if self._total.expansions > MAX_EXPANSIONS:
            raise _Unreadable(mark, f"more than {MAX_EXPANSIONS} alias expansions (an alias bomb?)")
        if self._total.values > MAX_VALUES:
            raise _Unreadable(mark, f"more than {MAX_VALUES} values; put long lists into an `input` file")

    def _add(self, node: Node, weight: _Weight, anchor: str | None) -> None:
        """Put a finished node where it belongs: as a key, a value, an item or the root."""
        if anchor is not None:
            self._anchors[anchor] = (node, weight)
        if not self._stack:
            self.root = node
            return
        frame = self._stack[-1]
        frame.weight.values += weight.values
        frame.weight.expansions += weight.expansions
        frame.weight.height = max(frame.weight.height, weight.height + 1)
        if isinstance(frame.node, Items):
            frame.node.values.append(node)
        elif frame.key_mark is None:
            self._open_key(frame, frame.node, node)
        else:
            if not frame.drop_value and frame.key is not None:
                frame.node.entries[frame.key] = Entry(frame.key_mark, node)
            frame.key = frame.key_mark = None
            frame.drop_value = False

    def _open_key(self, frame: _Frame, mapping: Map, node: Node) -> None:
        frame.key_mark = node.mark
        problem = None
        if not isinstance(node, Scalar) or not isinstance(node.value, str):
            shown = f" {str(node.value).lower()}" if isinstance(node, Scalar) else ""
            problem = f"the key{shown} is not text; put it in quotes"
        elif node.value == "<<":
            problem = "merge keys (<<) are not part of YAML 1.2; use `extends`, or an alias for the whole value"
        elif node.value in mapping.entries:
            first = mapping.entries[node.value].key_mark
            problem = f"duplicate key {node.value!r} (first in line {first.line})"
        else:
            frame.key = node.value
        if problem:
            self.findings.append(Finding(node.mark, problem))
            frame.drop_value = True

"""Several sources of one job as one tree: `extends`, several files, `--set`.

Maps are merged key by key, everything else is replaced; later sources win. A value keeps the place where it was
written, so a finding names the file it must be mended in.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from crawler.jobs.document import parse_value, read_document
from crawler.jobs.findings import Finding, Mark
from crawler.jobs.nodes import Entry, Items, Map, Node, Scalar, dotted
from crawler.jobs.nodes import Path as NodePath

MAX_EXTENDS: Final = 5
"""Longest chain of `extends`."""


def merge(base: Node, over: Node) -> Node:
    """`over` laid over `base`: maps deep, everything else replaced."""
    if not (isinstance(base, Map) and isinstance(over, Map)):
        return over
    entries = dict(base.entries)
    for key, entry in over.entries.items():
        below = entries.get(key)
        entries[key] = Entry(entry.key_mark, merge(below.node, entry.node)) if below else entry
    return Map(over.mark, entries)


def read_files(paths: Sequence[str | os.PathLike[str]]) -> tuple[Map | None, list[Finding]]:
    """Read job files with all they extend, merged left to right.

    Returns:
        The tree without `extends` (None if no file could be read) and the findings of all files.
    """
    findings: list[Finding] = []
    whole: Map | None = None
    for path in paths:
        tree = _read_extended(os.fspath(path), (), findings)
        if tree is not None:
            merged = merge(whole, tree) if whole is not None else tree
            whole = merged if isinstance(merged, Map) else whole
    return whole, findings


def _read_extended(source: str, chain: tuple[Path, ...], findings: list[Finding]) -> Map | None:
    tree, problems = read_document(source)
    findings += problems
    if tree is None:
        return None
    chain = (*chain, Path(source).resolve())
    whole: Node = Map(tree.mark)
    for scalar in _names(tree.get("extends"), findings):
        problem = _parent_problem(str(scalar.value), chain)
        if problem:
            findings.append(Finding(scalar.mark, f"extends {scalar.value!r}: {problem}"))
            continue
        parent = _read_extended(os.path.join(os.path.dirname(source), str(scalar.value)), chain, findings)
        whole = merge(whole, parent) if parent is not None else whole
    entries = {key: entry for key, entry in tree.entries.items() if key != "extends"}
    merged = merge(whole, Map(tree.mark, entries))
    return merged if isinstance(merged, Map) else None


def _names(node: Node | None, findings: list[Finding]) -> list[Scalar]:
    """The file names of `extends`: one, or a list."""
    if node is None:
        return []
    names: list[Scalar] = []
    for value in node.values if isinstance(node, Items) else [node]:
        if isinstance(value, Scalar) and isinstance(value.value, str) and value.value:
            names.append(value)
        else:
            findings.append(Finding(value.mark, "extends: expected a file name or a list of them"))
    return names


def _parent_problem(name: str, chain: tuple[Path, ...]) -> str | None:
    """Why `name` may not be read by the file at the end of `chain`; None if it may."""
    if "${" in name:
        return "the name is read before variables are filled in; write it out"
    # Below the folder of the first file: what a job includes can be seen by looking into its folder.
    parent = (chain[-1].parent / name).resolve()
    if not parent.is_relative_to(chain[0].parent):
        return f"lies outside the folder of {chain[0].name}"
    if parent in chain:
        return "the files extend each other in a circle: " + " -> ".join(path.name for path in (*chain, parent))
    if len(chain) > MAX_EXTENDS:
        return f"more than {MAX_EXTENDS} files deep"
    return None


def apply_overrides(tree: Map, overrides: Sequence[str]) -> tuple[Map, list[Finding]]:
    """Lay `--set a.b=c` options over the tree; a number in the path picks a list item (`output.0.path=x`).

    Values are read as YAML, and maps are merged: `--set retry={attempts: 2}` keeps the other keys of `retry`.
    """
    findings: list[Finding] = []
    for text in overrides:
        mark = Mark(f"--set {text}")
        path, equals, value_text = text.partition("=")
        parts = path.split(".")
        if not equals or not all(parts):
            findings.append(Finding(mark, "write it as --set key=value, for example --set retry.attempts=2"))
            continue
        value, problems = parse_value(value_text, mark)
        findings += problems
        if value is None:
            continue
        try:
            changed = _set(tree, parts, value, mark, ())
        except LookupError as exc:
            findings.append(Finding(mark, str(exc.args[0])))
            continue
        tree = changed if isinstance(changed, Map) else tree
    return tree, findings


def _set(node: Node | None, parts: list[str], value: Node, mark: Mark, done: NodePath) -> Node:
    """`node` with the value at `parts` replaced; raises `LookupError` where the path leads through something else."""
    if not parts:
        return value if node is None else merge(node, value)
    head, rest = parts[0], parts[1:]
    if isinstance(node, Items):
        if not head.isdecimal() or int(head) >= len(node.values):
            raise LookupError(f"{dotted(done)} is a list of {len(node.values)}; give an index from 0, not {head!r}")
        values = list(node.values)
        values[int(head)] = _set(values[int(head)], rest, value, mark, (*done, int(head)))
        return Items(node.mark, values)
    if isinstance(node, Scalar) and node.value is not None:
        raise LookupError(f"{dotted(done)} is a plain value and has no {head!r}")
    entries = dict(node.entries) if isinstance(node, Map) else {}
    old = entries.get(head)
    entries[head] = Entry(mark, _set(old.node if old else None, rest, value, mark, (*done, head)))
    return Map(node.mark if isinstance(node, Map) else mark, entries)

"""Rules between the keys of downloads: what belongs to `kind: download` alone, and what would do nothing."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from crawler.fanout.checksums import ALGORITHMS, parse_checksum
from crawler.fanout.names import LATE_NAMES
from crawler.jobs.fields import loosen
from crawler.jobs.findings import Finding
from crawler.jobs.nodes import Items, Map, Scalar, dotted, locate
from crawler.jobs.schema import JobFile
from crawler.jobs.template import TemplateError

ROW_CHECKS: Final = (*ALGORITHMS, "size")
"""Columns, and keys of an item of `urls`, that say what a file must come to."""
_ANY_FILES: Final = frozenset({"dir", "path", "fsync"})
"""Keys of `download` that hold for the files of `kind: fetch`, too."""
_NOT_PACKED: Final = ("path", "if_exists", "mtime")


def download_rules(tree: Map) -> Iterator[Finding]:
    """Every breach of these rules."""
    download = tree.get("download")
    section = download if isinstance(download, Map) else Map(tree.mark, {})
    if _value(tree, "kind") != "download":
        yield from _fetch(tree, section)
        return
    body = tree.get("body")
    if isinstance(body, Map):
        if "keep" in body.entries and _value(body, "keep") != "file":
            yield _at(body, "keep", "body.keep: a download keeps files; leave it out")
        if _value(body, "hash") is False:
            yield _at(body, "hash", "body.hash: a download is always hashed")
        if "max_size" in body.entries and "max_size" in section.entries:
            yield _at(body, "max_size", "body.max_size: `download.max_size` says it already")
    for key in ("extract", "paginate"):
        if key in tree.entries:
            yield _at(tree, key, f"{key}: a download looks at no pages; `kind: fetch` with `body: {{keep: file}}` does")
    yield from _effectless(section)
    timeout = tree.get("timeout")
    if isinstance(timeout, Map) and "min_speed_for" in timeout.entries and _value(timeout, "min_speed") is None:
        yield _at(timeout, "min_speed_for", "timeout.min_speed_for: has no effect without `min_speed`")


def _fetch(tree: Map, download: Map) -> Iterator[Finding]:
    for key in download.entries:
        if key not in _ANY_FILES:
            yield _at(download, key, f"download.{key}: has no effect without `kind: download`")
    timeout = tree.get("timeout")
    for key in ("min_speed", "min_speed_for"):
        if isinstance(timeout, Map) and key in timeout.entries:
            yield _at(timeout, key, f"timeout.{key}: has no effect without `kind: download`")
    urls = tree.get("urls")
    for entry in urls.values if isinstance(urls, Items) else [urls]:
        for key in ROW_CHECKS:
            if isinstance(entry, Map) and key in entry.entries:
                yield _at(entry, key, f"urls[].{key}: has no effect without `kind: download`")
    columns = input_.get("columns") if isinstance(input_ := tree.get("input"), Map) else None
    for key in ROW_CHECKS:
        if isinstance(columns, Map) and key in columns.entries:
            yield _at(columns, key, f"input.columns.{key}: has no effect without `kind: download`")


def _effectless(download: Map) -> Iterator[Finding]:
    is_packed = _value(download, "pack") == "tar"
    if _value(download, "resume") is False and "segments" in download.entries:
        yield _at(download, "segments", "download.segments: has no effect with `resume: false`")
    if "segment_min_size" in download.entries and _value(download, "segments") in (None, 1):
        yield _at(download, "segment_min_size", "download.segment_min_size: has no effect without `segments`")
    for key in ("pack_items", "pack_size"):
        if key in download.entries and not is_packed:
            yield _at(download, key, f"download.{key}: has no effect without `pack: tar`")
    for key in _NOT_PACKED if is_packed else ():
        if key in download.entries:
            yield _at(download, key, f"download.{key}: has no effect with `pack: tar`")


def download_model_rules(tree: Map, model: JobFile, base: Path) -> Iterator[Finding]:
    """What needs the whole model, or a look at the disk."""
    if model.kind != "download":
        return
    source = model.download.checksums_from
    if source is not None and "://" not in source and not (base / source).is_file():
        yield _found(tree, ("download", "checksums_from"), f"there is no file {base / source}")
    if model.download.path is not None:
        try:
            model.download.path.fill_but(LATE_NAMES, dict.fromkeys(model.download.path.names, 0), check=True)
        except TemplateError as exc:
            yield _found(tree, ("download", "path"), str(exc))
    for index, entry in enumerate(model.urls or ()):
        for algorithm in ALGORITHMS:
            if (digest := getattr(entry, algorithm)) is not None:
                try:
                    parse_checksum(algorithm, digest)
                except ValueError as exc:
                    yield _found(tree, ("urls", index, algorithm), str(exc))
    uses_crc = any(entry.crc32c for entry in model.urls or ()) or (
        model.input is not None and "crc32c" in model.input.columns
    )
    if uses_crc and importlib.util.find_spec("google_crc32c") is None:
        yield Finding(tree.mark, "crc32c needs one more package: pip install 'crawler[crc32c]'")


def _value(section: Map, key: str) -> object:
    node = section.get(key)
    return loosen(node.value) if isinstance(node, Scalar) else None


def _at(section: Map, key: str, message: str) -> Finding:
    return Finding(section.entries[key].key_mark, message)


def _found(tree: Map, path: tuple[str | int, ...], message: str) -> Finding:
    return Finding(locate(tree, path), f"{dotted(path)}: {message}")

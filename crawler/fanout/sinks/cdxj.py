"""The index of an archive: one line per capture, sorted, so that a replay finds a URL by bisection.

    com,example)/page 20261121065001120 {"url": …, "mime": …, "status": …, "digest": …, "length": …, "offset": …, …}

It is made of the archive itself, when that is complete and at the end of a run: so it is always right, also after a
crash, and needs no state of its own.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import orjson

_READ: Final = 1 << 20
_HEAD: Final = 1 << 16
"""Bytes of a record in which its named fields and the head of the response are looked for."""


class Entry(NamedTuple):
    """A record in the file: where, and how it begins."""

    offset: int
    length: int
    head: bytes


def index_path(path: Path) -> Path:
    """Give the name of an archive's index: `a.warc.gz` has `a.cdxj`."""
    return path.with_name(re.sub(r"(\.warc)?(\.gz)?$", "", path.name) + ".cdxj")


def write_index(path: Path, size: int) -> None:
    """Write the index of the first `size` bytes of an archive; it appears under its name in one step."""
    lines = sorted(line for entry in _entries(path, size) if (line := _line(entry, path.name)) is not None)
    target = index_path(path)
    new = target.with_name(target.name + ".new")
    new.write_bytes(b"".join(lines))
    os.replace(new, target)


def surt(url: str) -> str:
    """Give the key that sorts captures by site: host names turned round, in lower case, without `www.`."""
    split = urlsplit(url)
    host = (split.hostname or "").lower()
    host = re.sub(r"^www\d*\.", "", host)
    is_name = not re.fullmatch(r"[\d.]+|.*:.*", host)
    key = ",".join(reversed(host.split("."))) if is_name else host
    try:
        port = split.port
    except ValueError:
        port = None
    if port not in (None, {"http": 80, "https": 443}.get(split.scheme)):
        key += f":{port}"
    path = split.path.lower() or "/"
    if len(path) > 1:
        path = path.rstrip("/")
    query = "&".join(sorted(split.query.lower().split("&"))) if split.query else ""
    return f"{key}){path}" + (f"?{query}" if query else "")


def _line(entry: Entry, name: str) -> bytes | None:
    fields, _, block = entry.head.partition(b"\r\n\r\n")
    named = _fields(fields)
    kind = named.get("warc-type")
    if kind not in ("response", "revisit"):
        return None
    status_line, _, rest = block.partition(b"\r\n\r\n")[0].partition(b"\r\n")
    http = _fields(b"\r\n" + rest)
    words = status_line.split(b" ")
    facts = {
        "url": named.get("warc-target-uri", ""),
        "mime": "warc/revisit" if kind == "revisit" else http.get("content-type", "unk").partition(";")[0].strip(),
        "status": words[1].decode("ascii", "replace") if len(words) > 1 else "-",
        "digest": named.get("warc-payload-digest", "-"),
        "length": str(entry.length),
        "offset": str(entry.offset),
        "filename": name,
    }
    stamp = re.sub(r"\D", "", named.get("warc-date", ""))[:17]
    return f"{surt(facts['url'])} {stamp} ".encode("utf-8", "replace") + orjson.dumps(facts) + b"\n"


def _fields(text: bytes) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in text.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        fields.setdefault(name.decode("latin-1").strip().lower(), value.decode("utf-8", "replace").strip())
    return fields


def _entries(path: Path, size: int) -> Iterator[Entry]:
    with open(path, "rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    yield from _packed(path, size) if is_packed else _plain(path, size)


def _packed(path: Path, size: int) -> Iterator[Entry]:
    """Every gzip member is a record."""
    start = position = 0
    coder = zlib.decompressobj(31)
    head = b""
    with open(path, "rb") as file:
        while position < size and (data := file.read(min(_READ, size - position))):
            position += len(data)
            while data:
                out = coder.decompress(data)
                if len(head) < _HEAD:
                    head += out[: _HEAD - len(head)]
                data = b""
                if coder.eof:
                    data = coder.unused_data
                    end = position - len(data)
                    yield Entry(start, end - start, head)
                    start, head, coder = end, b"", zlib.decompressobj(31)


def _plain(path: Path, size: int) -> Iterator[Entry]:
    """Every record says how long it is."""
    start = 0
    with open(path, "rb") as file:
        while start < size:
            file.seek(start)
            head = file.read(_HEAD)
            fields, separator, _ = head.partition(b"\r\n\r\n")
            length = int(_fields(fields).get("content-length", "0"))
            whole = len(fields) + len(separator) + length + 4
            yield Entry(start, whole, head)
            start += whole

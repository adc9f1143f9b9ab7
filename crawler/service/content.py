"""What a run found, as one word: equal words, equal bodies. And how much room it takes."""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

import orjson

_MODULUS = 2**128


def content_digest(records: Path) -> str | None:
    """A digest over URL and body hash of every record that has one; their order does not matter.

    None if there is no record with a hash: then nothing can be said about change.
    """
    total, count = 0, 0
    try:
        with open(records, "rb") as file:
            for line in file:
                record = orjson.loads(line)
                digest = record.get("sha256")
                if digest is not None:
                    name = f"{record.get('method')} {record.get('url')} {digest}".encode("utf-8", "surrogatepass")
                    total += int.from_bytes(blake2b(name, digest_size=16).digest(), "big")
                    count += 1
    except (OSError, ValueError, AttributeError):
        return None
    return f"{count}:{total % _MODULUS:032x}" if count else None


def folder_size(folder: Path | None) -> int:
    """Bytes of all files below a folder; links are not followed."""
    total = 0
    for parent, _, names in os.walk(folder) if folder is not None else ():
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    return total

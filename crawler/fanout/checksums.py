"""Checksums: what a file must come to, by whom it is said, and what it does come to.

    a row of the input      {"sha256": "9f86…"}
    a list of checksums     `sha256sum` and BSD forms, one file per line (`parse_sums`)
    the server              `Repr-Digest` (RFC 9530), `Digest` (RFC 3230), `Content-MD5` (RFC 1864)

SHA-256 is always computed, as it stands in every record; the others only where somebody said what they must be.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

Checksum = tuple[str, str]
"""An algorithm of `ALGORITHMS` and a digest in lower-case hexadecimal digits."""

ALGORITHMS: Final[dict[str, int]] = {"sha256": 64, "sha512": 128, "sha1": 40, "md5": 32, "blake2b": 128, "crc32c": 8}
"""Algorithm -> hexadecimal digits of its digests. `crc32c` needs the package `google-crc32c`."""

MAX_SUMS_BYTES: Final = 64 * 1024 * 1024

_BY_LENGTH: Final = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
_GNU = re.compile(r"(\\)?([0-9A-Fa-f]{32,128})(?: [ *]?|\t)(\S.*)", re.ASCII)
_BSD = re.compile(r"(\\)?(MD5|SHA1|SHA256|SHA512|BLAKE2b) \((.+)\) = ([0-9A-Fa-f]{32,128})", re.ASCII)
_ESCAPE = re.compile(r"\\([\\nr])")
_DIGEST_FIELD = re.compile(r"([A-Za-z0-9-]+)=:?([A-Za-z0-9+/=]+):?")
_HTTP_NAMES: Final = {"sha-256": "sha256", "sha-512": "sha512", "sha": "sha1", "md5": "md5"}


class Hash(Protocol):
    """A running hash."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """Give the digest of what came so far."""


def parse_checksum(algorithm: str, text: str) -> Checksum:
    """Read a digest as people write it: hexadecimal, maybe with the algorithm in front (`sha256:9f86…`).

    Raises:
        ValueError: It is no digest of that algorithm.
    """
    digest = text.strip().lower().removeprefix(f"{algorithm}:")
    length = ALGORITHMS[algorithm]
    if len(digest) != length or re.fullmatch(r"[0-9a-f]+", digest) is None:
        raise ValueError(f"{text.strip()[:80]!r} is no {algorithm}: that has {length} hexadecimal digits")
    return algorithm, digest


class Digests:
    """Several hashes of the same bytes, SHA-256 among them.

    Args:
        algorithms: Which ones besides.
    """

    __slots__ = ("_hashes",)

    def __init__(self, algorithms: Iterable[str] = ()) -> None:
        self._hashes: dict[str, Hash] = {"sha256": hashlib.sha256()}
        for algorithm in algorithms:
            if algorithm not in self._hashes:
                self._hashes[algorithm] = _new_hash(algorithm)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Take more bytes; the interpreter's lock is free meanwhile, if there are more than a few."""
        for one in self._hashes.values():
            one.update(data)

    def __contains__(self, algorithm: str) -> bool:
        return algorithm in self._hashes

    @property
    def sha256(self) -> str:
        """The SHA-256 of what came so far."""
        return self._hashes["sha256"].hexdigest()

    def mismatch(self, expected: Sequence[Checksum]) -> str | None:
        """Say which of the expected checksums does not hold; `None` if all do."""
        for algorithm, digest in expected:
            got = self._hashes[algorithm].hexdigest()
            if got != digest:
                return f"{algorithm} is {got}, expected {digest}"
        return None


def _new_hash(algorithm: str) -> Hash:
    if algorithm == "crc32c":
        return _Crc32c()
    if algorithm in ("md5", "sha1"):
        return hashlib.new(algorithm, usedforsecurity=False)
    return hashlib.new(algorithm)


class _Crc32c:
    """CRC-32C with the face of a hash."""

    __slots__ = ("_crc",)

    def __init__(self) -> None:
        import google_crc32c

        self._crc: Any = google_crc32c.Checksum()  # type: ignore[no-untyped-call]  # the package tells no types

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        self._crc.update(bytes(data))

    def hexdigest(self) -> str:
        return bytes(self._crc.digest()).hex()


# -- lists of checksums -----------------------------------------------------------------------------------------------


class Sums:
    """A list of checksums, to be asked by file name.

    A name is looked up as it is; then what of it lies behind a folder, down to the last component alone, if only one
    entry ends so.
    """

    def __init__(self, entries: Iterable[tuple[str, Checksum]]) -> None:
        self._by_name: dict[str, list[Checksum]] = {}
        self._by_last: dict[str, set[str]] = {}
        for name, checksum in entries:
            name = name.removeprefix("./").lstrip("/")
            self._by_name.setdefault(name, []).append(checksum)
            self._by_last.setdefault(name.rpartition("/")[2], set()).add(name)

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, *names: str) -> tuple[Checksum, ...]:
        """Give the checksums of the first of these names that is known; nothing if none is."""
        for name in names:
            parts = name.lstrip("/").split("/")
            for start in range(len(parts)):
                known = self._by_name.get("/".join(parts[start:]))
                if known is not None:
                    return tuple(known)
            same = self._by_last.get(parts[-1], set())
            if len(same) == 1:
                return tuple(self._by_name[next(iter(same))])
        return ()


def parse_sums(text: str) -> Sums:
    """Read a list of checksums: lines of `sha256sum` and its kin, or of BSD (`SHA256 (name) = …`).

    Other lines (comments, the frame of a signature) are passed over. The algorithm of the first form goes by the length
    of the digest.

    Raises:
        ValueError: There is no line of either form.
    """
    sums = Sums(_entries(text))
    if not len(sums):
        raise ValueError("no line of it is a checksum and a file name")
    return sums


def _entries(text: str) -> Iterable[tuple[str, Checksum]]:
    for line in text.splitlines():
        line = line.strip("\ufeff\r ")
        if (match := _BSD.fullmatch(line)) is not None:
            escaped, algorithm, name, digest = match[1], match[2].lower(), match[3], match[4].lower()
        elif (match := _GNU.fullmatch(line)) is not None and len(match[2]) in _BY_LENGTH:
            escaped, digest, name = match[1], match[2].lower(), match[3]
            algorithm = _BY_LENGTH[len(digest)]
        else:
            continue
        if len(digest) == ALGORITHMS[algorithm]:
            yield _ESCAPE.sub(_unescape, name) if escaped else name, (algorithm, digest)


def _unescape(match: re.Match[str]) -> str:
    return {"\\": "\\", "n": "\n", "r": "\r"}[match[1]]


# -- what a server says -----------------------------------------------------------------------------------------------


def server_checksums(headers: Iterable[tuple[bytes, bytes]], status: int, *, is_coded: bool) -> tuple[Checksum, ...]:
    """Give what a response says of the whole file's checksums.

    Of a part (206) only the digests of the whole representation count, and of a coded body none: they are of the coded
    bytes. Digests of unknown algorithms and broken ones are passed over, as RFC 9530 §3 has it.
    """
    if is_coded:
        return ()
    found: dict[str, str] = {}
    for raw_name, raw_value in headers:
        name, value = raw_name.lower(), raw_value.decode("latin-1")
        if name in (b"repr-digest", b"digest") or (name == b"content-digest" and status == 200):
            for match in _DIGEST_FIELD.finditer(value):
                _add(found, _HTTP_NAMES.get(match[1].lower()), match[2])
        elif name == b"content-md5" and status == 200:
            _add(found, "md5", value.strip())
    return tuple(found.items())


def _add(found: dict[str, str], algorithm: str | None, text: str) -> None:
    if algorithm is None:
        return
    try:
        digest = base64.b64decode(text, validate=True).hex()
    except (binascii.Error, ValueError):
        return
    if len(digest) == ALGORITHMS[algorithm]:
        found.setdefault(algorithm, digest)

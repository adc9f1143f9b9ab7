"""Where a body's file may lie: any text, from a URL or a job, as a safe name below one folder.

    safe_parts(text)   pure: folders and name, every component harmless on every file system
    Folder             the doing: opens and creates below a directory descriptor, component by component, following no
                       symbolic link, so that a link made during the run cannot lead outside either

Rules of a component: no control character, none of `<>:"\\|?*`, no leading dash, no trailing dot or space, none of
Windows' device names, at most 250 bytes of UTF-8 (`.part` must still fit into 255), in Unicode form NFC. What is
changed is escaped as `%XX` or `_`, what is cut gets a hash, so that different names stay different; names that differ
only in case or form are told apart by `~2`, `~3` … (`BodyFiles`).

Needs directory descriptors (Linux, macOS, BSD); elsewhere files of bodies are refused.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import unicodedata
from hashlib import blake2b
from pathlib import Path
from typing import Final
from urllib.parse import unquote_to_bytes, urlsplit

from crawler.errors import RequestError

MAX_NAME_BYTES: Final = 250
MAX_PARTS: Final = 32
PART_SUFFIX: Final = ".part"

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f<>:\"\\|?*/\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_DEVICE = re.compile(r"(?i)(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(?=\.|$)")


class PathError(RequestError):
    """A body cannot be written where its URL or the job wants it; a fault of the name, not of the disk."""

    kind = "path_invalid"


class FileExists(RequestError):
    """In the place of a body's file stands something that is no ordinary file of ours (folder, device, hard link)."""

    kind = "file_exists"


def url_path(url: str) -> str:
    """Give the name a URL asks for: host, a `:port` that is not the default, and path; `index` for a folder.

    The query becomes part of the name, as pages that differ only there are different pages.
    """
    split = urlsplit(url)
    try:
        port = split.port
    except ValueError:
        port = None
    host = (split.hostname or "unknown") + (f"_{port}" if port not in (None, 80, 443) else "")
    path = split.path if split.path and not split.path.endswith("/") else split.path.rstrip("/") + "/index"
    return "/".join((host, path.lstrip("/") + (f"?{split.query}" if split.query else "")))


def safe_parts(text: str) -> tuple[str, ...]:
    """Split a wished-for path into safe components; the last one is the file's name.

    Percent-escapes are undone once, before anything is judged, so `%2e%2e%2f` is as harmless as `../`; `.`, `..` and
    empty components vanish, so the result is relative and leads downwards only.

    Raises:
        PathError: Nothing is left of it, or it is deeper than 32 folders.
    """
    decoded = unquote_to_bytes(text).decode("utf-8", "surrogateescape")
    decoded = unicodedata.normalize("NFC", decoded.replace("\\", "/").encode("utf-8", "replace").decode("utf-8"))
    parts = [safe_part(part) for part in decoded.split("/") if part.strip(". ")]
    if not parts:
        raise PathError(f"no file name is left of {text[:200]!r}")
    if len(parts) > MAX_PARTS:
        raise PathError(f"{len(parts)} folders deep, at most {MAX_PARTS}: {text[:200]!r}")
    return tuple(parts)


def safe_part(part: str) -> str:
    """Make one component harmless; see the module's rules."""
    part = _UNSAFE.sub(lambda match: f"%{ord(match[0]):02X}", part)
    if part.startswith("-"):
        part = "_" + part
    if part[-1] in ". ":
        part = part[:-1] + f"%{ord(part[-1]):02X}"
    if _DEVICE.match(part):
        part = "_" + part
    if part.lower().endswith((PART_SUFFIX, PART_SUFFIX + ".json")):
        part += "_"  # `a.part` is the temporary name of `a`, and `a.part.json` says how far it got
    return shorten(part)


def shorten(part: str, room: int = MAX_NAME_BYTES) -> str:
    """Cut a name to `room` bytes; a hash of the whole goes before its suffix, so that no two become one."""
    if len(part.encode()) <= room:
        return part
    stem, dot, suffix = part.rpartition(".")
    ending = f"~{blake2b(part.encode(), digest_size=8).hexdigest()}"
    if stem and len(suffix.encode()) <= 16:
        ending += dot + suffix
    else:
        stem = part
    return stem.encode()[: room - len(ending.encode())].decode("utf-8", "ignore") + ending


def numbered(parts: tuple[str, ...], number: int) -> tuple[str, ...]:
    """Give the `number`-th name of its kind: `a.html`, `a~2.html`, `a~3.html` …"""
    if number == 1:
        return parts
    stem, dot, suffix = parts[-1].rpartition(".")
    if not stem:
        stem, dot, suffix = parts[-1], "", ""
    tail = f"~{number}{dot}{suffix}"
    return (*parts[:-1], shorten(stem, MAX_NAME_BYTES - len(tail.encode())) + tail)


def collision_key(parts: tuple[str, ...]) -> str:
    """Give the form under which two names are one on a file system that ignores case."""
    return unicodedata.normalize("NFC", "/".join(parts).casefold())


class Folder:
    """The folder of bodies, held by a descriptor.

    Raises:
        OSError: It cannot be created or opened.
    """

    def __init__(self, path: Path) -> None:
        if os.open not in os.supports_dir_fd:
            raise OSError("writing bodies to files needs directory descriptors, which this system does not offer")
        self.path = path
        path.mkdir(parents=True, exist_ok=True, mode=0o755)
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)

    def close(self) -> None:
        """Let go of the descriptor."""
        os.close(self._fd)

    def open_parent(self, parts: tuple[str, ...], *, create: bool = True) -> int:
        """Open the folder a file lies in, creating what is missing; the caller closes the descriptor.

        Raises:
            FileExists: A component is a symbolic link or no folder.
            FileNotFoundError: A folder is missing, and none is to be created.
        """
        fd = os.dup(self._fd)
        for part in parts[:-1]:
            try:
                deeper = _open_folder(fd, part, create=create)
            except OSError as exc:
                if exc.errno not in (errno.ENOTDIR, errno.ELOOP):  # what O_NOFOLLOW | O_DIRECTORY say of links
                    raise
                raise FileExists(f"{'/'.join(parts)}: {part!r} is a link or no folder") from exc
            finally:
                os.close(fd)
            fd = deeper
        return fd

    def open_part(self, parent: int, name: str) -> int:
        """Create the temporary file of `name` and open it for writing; one left by a crash is replaced.

        Raises:
            FileExists: The final name is taken by something that is not ours to replace.
        """
        check_replaceable(parent, name)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with contextlib.suppress(FileNotFoundError, IsADirectoryError, PermissionError):
            os.unlink(name + PART_SUFFIX, dir_fd=parent)  # of a link this removes the link, never its target
        try:
            return os.open(name + PART_SUFFIX, flags, 0o644, dir_fd=parent)
        except FileExistsError as exc:
            raise FileExists(f"{name + PART_SUFFIX!r} cannot be replaced") from exc


def _open_folder(parent: int, name: str, *, create: bool) -> int:
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        return os.open(name, flags, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=parent)
        return os.open(name, flags, dir_fd=parent)


def check_replaceable(parent: int, name: str) -> None:
    """Refuse a final name that is a folder, device, pipe or a hard link to some other file.

    A symbolic link is fine: the rename replaces the link and leaves its target alone.
    """
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink == 1):
        return
    raise FileExists(f"{name!r} exists and is no ordinary file of ours")

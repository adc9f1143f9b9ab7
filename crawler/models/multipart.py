"""Multipart form bodies, streamed: fields, then files, each file read in pieces while it is sent.

    --BOUNDARY CRLF
    Content-Disposition: form-data; name="a"; filename="a.txt" CRLF
    Content-Type: text/plain CRLF CRLF
    ...bytes... CRLF
    --BOUNDARY-- CRLF

The total length is known beforehand if every file can tell its size; otherwise the body goes out chunked. Files are
sent whole, from their beginning. Both clients can send it; in the async client the file reads block, as HTTPX's do.

Source: RFC 7578 (multipart/form-data), RFC 2046 §5.1 (boundaries), WHATWG HTML §4.10.21.8 (escaping of names).
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from crawler.errors import StreamConsumed
from crawler.models.content import AsyncByteStream, AsyncOver, SyncByteStream, form_value, read_pieces

if TYPE_CHECKING:
    from crawler.models.types import FileTypes, RequestData, RequestFiles

# What would end the quoted name or the line. ESC stays, since ISO-2022 text needs it (as browsers and HTTPX have it).
_ESCAPES: Final = {chr(code): f"%{code:02X}" for code in (*range(0x1B), *range(0x1C, 0x20))} | {
    '"': "%22",
    "\\": "\\\\",
}
_TO_ESCAPE: Final = re.compile(r'["\\\x00-\x1a\x1c-\x1f]')
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_VALUE_BAD: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class DataField:
    """A plain form field."""

    can_replay = True

    def __init__(self, name: str, value: Any) -> None:
        if not isinstance(name, str):
            raise TypeError(f"The name of a form field is a str, not {type(name).__name__}: {name!r}.")
        if value is not None and not isinstance(value, (str, bytes, int, float)):
            raise TypeError(
                f"The form field {name!r} takes str, bytes, int, float, bool or None, not {type(value).__name__}."
            )
        text = form_value(value)
        self._data = text if isinstance(text, bytes) else text.encode()
        self._head = b"Content-Disposition: form-data; " + _parameter("name", name) + b"\r\n\r\n"
        self.size: int | None = len(self._head) + len(self._data)

    def render(self) -> Iterator[bytes]:
        """Give the part without its boundary lines."""
        yield self._head
        yield self._data


class FileField:
    """A file of a form: bytes, text or an open binary file, with a name, a type and headers of its own.

    Attributes:
        size: Bytes of the whole part, or None where the file cannot tell its own.
    """

    def __init__(self, name: str, value: FileTypes) -> None:
        filename, self._file, content_type, extra = _unpack(value)
        if isinstance(self._file, io.TextIOBase):
            raise TypeError(
                f"The file {name!r} is text; multipart uploads need bytes: open it with mode 'rb', use io.BytesIO."
            )
        headers = dict(extra)
        if content_type is None and filename:
            content_type = _guess_type(filename)
        if content_type is not None and not any(key.lower() == "content-type" for key in headers):
            headers["Content-Type"] = content_type
        self._head = _file_head(name, filename, headers)
        self._is_consumed = False
        length = _file_length(self._file)
        self.size: int | None = None if length is None else len(self._head) + length

    @property
    def can_replay(self) -> bool:
        """Whether the file can be read a second time."""
        return self.size is not None

    def render(self) -> Iterator[bytes]:
        """Give the part without its boundary lines.

        Raises:
            StreamConsumed: The file was read already and cannot be set back.
        """
        yield self._head
        if isinstance(self._file, (str, bytes)):
            yield self._file.encode() if isinstance(self._file, str) else self._file
            return
        if self.size is not None:
            self._file.seek(0)
        elif self._is_consumed:
            raise StreamConsumed
        self._is_consumed = True
        yield from read_pieces(self._file)


class MultipartStream(SyncByteStream, AsyncByteStream):
    """The body of a multipart form.

    Attributes:
        boundary: The line between the parts.
        headers: `Content-Length` or `Transfer-Encoding`, and `Content-Type` with the boundary.

    Args:
        boundary: None takes a random one. Randomness is drawn here, against the rule of this room, since a request
            built stand-alone has nobody to hand it in; whoever needs a fixed body gives the boundary.
    """

    def __init__(self, data: RequestData, files: RequestFiles, boundary: bytes | None = None) -> None:
        self.boundary = os.urandom(16).hex().encode() if boundary is None else boundary
        self._fields = list(_fields(data, files))
        content_type = f"multipart/form-data; boundary={self.boundary.decode('ascii')}"
        size = self._size()
        framing = {"Transfer-Encoding": "chunked"} if size is None else {"Content-Length": str(size)}
        self.headers: dict[str, str] = {**framing, "Content-Type": content_type}

    @property
    def can_replay(self) -> bool:  # type: ignore[override]  # computed here, a constant elsewhere
        """Whether every file of it can be read a second time."""
        return all(field.can_replay for field in self._fields)

    def __iter__(self) -> Iterator[bytes]:
        for field in self._fields:
            yield b"--%s\r\n" % self.boundary
            yield from field.render()
            yield b"\r\n"
        yield b"--%s--\r\n" % self.boundary

    def __aiter__(self) -> AsyncIterator[bytes]:
        return AsyncOver(iter(self))

    def _size(self) -> int | None:
        line = len(self.boundary) + 4  # with its two dashes, CR and LF
        total = line + 2
        for field in self._fields:
            if field.size is None:
                return None
            total += line + field.size + 2
        return total


def boundary_of(content_type: str | None) -> bytes | None:
    """Find the boundary in a Content-Type the caller wrote himself; None if it is no multipart form or has none."""
    if content_type is None or not content_type.startswith("multipart/form-data"):
        return None
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "boundary":
            return value.strip('"').encode("ascii")
    return None


def _fields(data: RequestData, files: RequestFiles) -> Iterator[DataField | FileField]:
    for name, value in data.items():
        for item in value if isinstance(value, (list, tuple)) else (value,):
            yield DataField(name, item)
    for name, file in files.items() if isinstance(files, Mapping) else files:
        yield FileField(name, file)


def _unpack(value: FileTypes) -> tuple[str | None, Any, str | None, Mapping[str, str]]:
    """Name, file, type and headers out of a file alone, or a tuple of two, three or four."""
    match value:
        case (filename, file):
            return filename, file, None, {}
        case (filename, file, content_type):
            return filename, file, content_type, {}
        case (filename, file, content_type, headers):
            return filename, file, content_type, headers
        case tuple():
            raise TypeError(f"A file of `files=` is given alone or with 1 to 3 further values, not {len(value) - 1}.")
    return os.path.basename(str(getattr(value, "name", "upload"))), value, None, {}


def _guess_type(filename: str) -> str:
    import mimetypes  # reads the system's tables; only uploads pay for that

    return mimetypes.guess_type(filename)[0] or "application/octet-stream"


def _file_length(file: Any) -> int | None:
    """Bytes of a file from its beginning (not from where it stands: that is what `render` sends)."""
    if isinstance(file, (str, bytes)):
        return len(file.encode() if isinstance(file, str) else file)
    try:
        position = file.tell()
        file.seek(0, os.SEEK_END)
        length: int = file.tell()
        file.seek(position)
    except (AttributeError, OSError):
        return None
    return length


def _file_head(name: str, filename: str | None, headers: Mapping[str, str]) -> bytes:
    parts = [b"Content-Disposition: form-data; ", _parameter("name", name)]
    if filename:
        parts += [b"; ", _parameter("filename", filename)]
    for key, value in headers.items():
        if not _HEADER_NAME.fullmatch(key):
            raise ValueError(f"The header name {key!r} of the file {name!r} has characters that are not allowed.")
        if _HEADER_VALUE_BAD.search(value):
            raise ValueError(f"The header {key!r} of the file {name!r} has control characters.")
        parts.append(f"\r\n{key}: {value}".encode())
    parts.append(b"\r\n\r\n")
    return b"".join(parts)


def _parameter(key: str, value: str) -> bytes:
    escaped = _TO_ESCAPE.sub(lambda match: _ESCAPES[match[0]], value)
    return f'{key}="{escaped}"'.encode()

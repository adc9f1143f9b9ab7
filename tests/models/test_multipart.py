"""Multipart bodies, checked with the parser of the standard library."""

from __future__ import annotations

import asyncio
import email.parser
import email.policy
import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import StreamConsumed
from crawler.models.multipart import MultipartStream, boundary_of


class Pipe(io.RawIOBase):
    """A readable file that cannot seek."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        return self.file.readinto(buffer)


def parse(stream: MultipartStream) -> list[tuple[str | None, str | None, str | None, bytes]]:
    """Name, file name, type and bytes of each part, as the standard library sees them."""
    head = f"Content-Type: {stream.headers['Content-Type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + b"".join(stream))
    assert not message.defects
    parts = []
    for part in message.iter_parts():
        assert not part.defects
        name = part.get_param("name", header="content-disposition")
        content_type = part.get_content_type() if "Content-Type" in part else None
        parts.append((str(name), part.get_filename(), content_type, part.get_payload(decode=True)))
    return parts  # type: ignore[return-value]  # get_payload(decode=True) of a leaf gives bytes


# The parser strips what it takes for folding white space, so the property leaves line ends to the test of escapes.
_NAMES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E, exclude_characters='"\\%'), min_size=1).filter(
    lambda name: name == name.strip()
)
_BODIES = st.binary(max_size=300).filter(lambda data: b"\r" not in data and b"\n" not in data)


@given(
    fields=st.dictionaries(_NAMES, st.lists(_BODIES, min_size=1, max_size=3), max_size=3),
    files=st.lists(st.tuples(_NAMES, _NAMES, _BODIES), min_size=1, max_size=3),
)
def test_round_trip(fields: dict[str, list[bytes]], files: list[tuple[str, str, bytes]]) -> None:
    """Whatever goes in comes out of a parser, fields first, in order, and the length is the one declared."""
    stream = MultipartStream(fields, [(name, (filename, data)) for name, filename, data in files])

    wanted = [(name, None, data) for name, values in fields.items() for data in values] + files
    assert [(name, filename, data) for name, filename, _, data in parse(stream)] == wanted
    assert stream.headers["Content-Length"] == str(len(b"".join(stream)))


def test_exact_bytes() -> None:
    """The whole of a small form, byte by byte."""
    stream = MultipartStream({"a": 1}, {"f": ("b.txt", b"hello")}, b"BOUND")

    assert b"".join(stream) == (
        b'--BOUND\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b'--BOUND\r\nContent-Disposition: form-data; name="f"; filename="b.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nhello\r\n--BOUND--\r\n"
    )
    assert stream.headers == {"Content-Length": "171", "Content-Type": "multipart/form-data; boundary=BOUND"}


@pytest.mark.parametrize(
    ("value", "filename", "content_type"),
    [
        (b"x", "upload", "application/octet-stream"),
        ("x", "upload", "application/octet-stream"),
        (("a.png", b"x"), "a.png", "image/png"),
        (("a.nothing-known", b"x"), "a.nothing-known", "application/octet-stream"),
        (("a.png", b"x", "text/weird"), "a.png", "text/weird"),
        (("a.png", b"x", "text/weird", {"content-type": "text/own"}), "a.png", "text/own"),
        ((None, b"x"), None, None),
        ((None, b"x", "application/json"), None, "application/json"),
        (("", b"x"), None, None),
    ],
)
def test_forms_of_a_file(value: Any, filename: str | None, content_type: str | None) -> None:
    """Alone, or with a name, a type and headers; without a name it is a plain field."""
    assert parse(MultipartStream({}, {"f": value})) == [("f", filename, content_type, b"x")]


def test_file_object_gives_its_name_and_is_sent_whole(tmp_path: Path) -> None:
    """An open file is named after its path and sent from its beginning, wherever it stands, in pieces."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"j" * 150_000)
    with path.open("rb") as file:
        file.seek(99)
        stream = MultipartStream({}, {"f": file})

        assert max(map(len, stream)) == 64 * 1024
        assert parse(stream) == [("f", "photo.jpg", "image/jpeg", b"j" * 150_000)]
        assert stream.can_replay


def test_file_of_unknown_length_is_chunked_and_one_shot() -> None:
    """A file that cannot seek makes the whole form chunked; reading it twice raises."""
    stream = MultipartStream({"a": "1"}, {"f": ("x", Pipe(b"piped"))})  # type: ignore[dict-item]  # a raw file

    assert stream.headers["Transfer-Encoding"] == "chunked"
    assert not stream.can_replay
    assert parse(stream)[1][3] == b"piped"
    with pytest.raises(StreamConsumed):
        b"".join(stream)


def test_async_face_gives_the_same() -> None:
    """The async client sends what the blocking one sends."""
    stream = MultipartStream({"a": "1"}, {"f": b"x"})

    async def collect() -> bytes:
        return b"".join([piece async for piece in stream])

    assert asyncio.run(collect()) == b"".join(stream)


def test_names_are_escaped() -> None:
    """Quotes, line ends and control characters of names cannot end the name or the line; ESC and UTF-8 stay."""
    stream = MultipartStream({}, {'a"b\\': ("c\r\nd\x00\x1bé.txt", b"")}, b"B")

    line = b"".join(stream).split(b"\r\n")[1]
    assert line == 'Content-Disposition: form-data; name="a%22b\\\\"; filename="c%0D%0Ad%00\x1bé.txt"'.encode()


@pytest.mark.parametrize("headers", [{"X-A": "1\r\nX-B: 2"}, {"X\r\nY": "1"}, {"": "1"}, {"X": "\x00"}])
def test_headers_of_a_part_are_checked(headers: dict[str, str]) -> None:
    """A header of a part cannot smuggle in another."""
    with pytest.raises(ValueError, match="header"):
        MultipartStream({}, {"f": ("a", b"", "text/plain", headers)})


@pytest.mark.parametrize(
    ("data", "files", "complaint"),
    [
        ({}, {"f": io.StringIO("text")}, "'rb'"),
        ({1: "x"}, {"f": b""}, "name"),
        ({"a": {"b": 1}}, {"f": b""}, "'a'"),
        ({}, {"f": ("a", b"", "t", {}, 5)}, "1 to 3"),
    ],
)
def test_wrong_types(data: Any, files: Any, complaint: str) -> None:
    """Text files, odd names and nested values are refused by name, before anything is sent."""
    with pytest.raises(TypeError, match=complaint):
        MultipartStream(data, files)


def test_boundary_is_random() -> None:
    """Two forms have two boundaries, so that no body can be made to contain one."""
    assert MultipartStream({}, {"f": b""}).boundary != MultipartStream({}, {"f": b""}).boundary


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        (None, None),
        ("text/plain; boundary=a", None),
        ("multipart/form-data", None),
        ("multipart/form-data; charset=utf-8", None),
        ("multipart/form-data; boundary=abc", b"abc"),
        ('multipart/form-data; charset=utf-8; Boundary="a b"', b"a b"),
    ],
)
def test_boundary_of_a_content_type(content_type: str | None, boundary: bytes | None) -> None:
    """A boundary the caller wrote is found, and only in multipart forms."""
    assert boundary_of(content_type) == boundary

"""HTTP/1.1 on the wire, without I/O: what a response reader looks like, and how a request head is written.

    bytes ──feed()──▶ Http1Reader ──▶ status, headers, body, is_complete, can_reuse
    method, target, headers ──encode_request_head()──▶ bytes

Two readers stand behind one interface and are held together by one test suite and a differential fuzz:
`http1_llhttp.Http1Reader` (fast) and `http1_h11.Http1Reader` (reference). `codecs.http1_reader()` chooses.
The rules they share, and why each is as it is, stand in `http1_head.py` and `http1_chunked.py`.

Not here: sockets, time, content decoding, and what a status means.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from crawler.errors import LocalProtocolError


@dataclass(frozen=True, slots=True)
class Http1Limits:
    """Bounds of what a peer may make us hold; beyond them a reader refuses with kind `header_too_large`.

    They apply to the head of each response and, separately, to its trailer section. The figures are above what
    servers are known to send (nginx and Apache write heads below 64 KiB) and small enough for ten thousand connections.

    Attributes:
        line_bytes: Longest status line, field line or chunk-size line, line end included.
        head_bytes: Longest head, or trailer section, in all.
        fields: Most field lines of a head, or of a trailer section.
        informational: Most 1xx heads before the final one.
    """

    line_bytes: int = 64 * 1024
    head_bytes: int = 256 * 1024
    fields: int = 1000
    informational: int = 32


LIMITS: Final = Http1Limits()


class Http1Reader(Protocol):
    """Reads the responses of one connection: bytes in, state out.

    Call `expect()` when a request goes out, `feed()` with every piece of bytes that comes, `feed_eof()` when the peer
    has ended its side; look at the attributes in between. Bytes that follow a complete message end its `can_reuse`.

    Attributes:
        status: 0 until the final head is complete; 1xx heads are skipped, except 101, which is final.
        reason: The reason phrase as it came, often empty.
        http_version: `"HTTP/1.1"` or `"HTTP/1.0"`.
        headers: Field lines in order and in their own case, white space around values removed; a new list per response.
        fields: The same list; or, while nobody has asked for `headers`, perhaps the checked lines it is to be made of
            (`models.headers.split_lines`), which spares most responses 1.4 µs.
        body: Pieces of the body (transfer coding undone) since the owner last took them; the owner may clear or
            replace the list.
        is_complete: Whether the message has ended.
        can_reuse: After completion: whether the connection may carry another request. It may if the framing was
            beyond doubt, nothing followed the message, and the peer did not ask to close.
        trailers: Fields after a chunked body; kept apart from the headers, without effect on anything.
        is_plain: The head is known to have neither `Content-Encoding` nor `Set-Cookie`; False where nobody looked.
            Spares the owner two walks through the fields of most responses (0.8 µs).
        leftover: After 101 or a 2xx answer to CONNECT: the bytes that follow the head.
    """

    status: int
    reason: bytes
    http_version: str
    fields: list[tuple[bytes, bytes]] | bytes
    body: list[bytes]
    is_complete: bool
    can_reuse: bool
    trailers: list[tuple[bytes, bytes]]
    is_plain: bool
    leftover: bytes

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """See above."""

    def expect(self, method: str) -> None:
        """Begin the next response cycle.

        Args:
            method: Of the request that was sent; HEAD and CONNECT change the framing of the answer.

        Raises:
            RemoteProtocolError: The reader cannot serve another response: the last one was not reusable, or bytes
                came that belong to no request.
            LocalProtocolError: The last response has not ended yet.
        """

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the connection.

        Raises:
            RemoteProtocolError: The bytes are not HTTP/1.1, are in doubt about where the message ends, or go beyond
                a limit. The reader is dead from then on.
        """

    def feed_eof(self) -> None:
        """Take the end of the peer's side: it completes a body that is read to the close, and nothing else.

        Raises:
            RemoteProtocolError: The message had not ended; the text says what was missing.
        """


LAST_CHUNK: Final = b"0\r\n\r\n"

_token = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+").fullmatch
_name = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+").fullmatch
_target = re.compile(rb"[\x21-\x7e]+").fullmatch
# A value has no white space at its ends (RFC 9110 §5.5): a peer would strip it, so what was meant is not what arrives.
_value = re.compile(rb"(?:[\x21-\x7e\x80-\xff]++(?:[\t ]++[\x21-\x7e\x80-\xff]++)*+)?").fullmatch

# Validated field lines by (name, value): most requests of a program repeat most of theirs.
_lines: dict[tuple[bytes, bytes], bytes] = {}
_MAX_LINES = 512
_MAX_CACHED_VALUE_BYTES = 256


def encode_request_head(method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Write the head of a request, empty line included.

    Args:
        target: The request target as it goes out: path and query, an absolute URL for a proxy, `host:port`, or `*`.
        headers: In the order and case to be sent, `Host` among them. Framing fields are the caller's business.

    Raises:
        LocalProtocolError: The method is no token, the target is empty or has white space, control or non-ASCII
            bytes, a field name is no token, or a value has CR, LF, NUL, another control character, or white space at
            an end. Nothing is ever mended silently: a caller's line feed would otherwise become a field of its own.

    Source: RFC 9112 §3 (request line), RFC 9110 §5.1, §5.5 (field names and values), §9.1 (methods).
    """
    if not _token(method):
        raise LocalProtocolError(f"expected a method of letters, digits and -!#$%&'*+.^_`|~, got {method[:80]!r}")
    if not _target(target):
        raise LocalProtocolError(f"expected a request target of visible ASCII, got {target[:200]!r}")
    lines = [b"%b %b HTTP/1.1\r\n" % (method.encode("ascii"), target)]
    for pair in headers:
        line = _lines.get(pair)
        lines.append(encode_field(*pair) if line is None else line)
    lines.append(b"\r\n")
    return b"".join(lines)  # one join, one write


def encode_field(name: bytes, value: bytes) -> bytes:
    """Validate one field and write its line, `Name: value` and CRLF; remembers short ones.

    Raises:
        LocalProtocolError: As `encode_request_head` says. The message shows the name only: a value may be a secret.
    """
    if not _name(name):
        raise LocalProtocolError(f"expected a header name of letters, digits and -!#$%&'*+.^_`|~, got {name[:80]!r}")
    if not _value(value):
        raise LocalProtocolError(
            f"illegal value for header {name.decode('ascii')!r}: CR, LF, NUL and other control characters are "
            "forbidden, and so is white space at either end"
        )
    line = b"%b: %b\r\n" % (name, value)
    if len(value) <= _MAX_CACHED_VALUE_BYTES:
        if len(_lines) >= _MAX_LINES:
            _lines.clear()
        _lines[name, value] = line
    return line


def encode_chunk(data: bytes) -> bytes:
    """Frame one piece of a chunked body; nothing for an empty piece, since an empty chunk would end the body.

    Source: RFC 9112 §7.1.
    """
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""

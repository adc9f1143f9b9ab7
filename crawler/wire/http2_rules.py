"""The rules for HTTP/2 field sections, shared by both connections.

| met in a response | done | source |
|---|---|---|
| no `:status`, two of them, or not three digits 100..999; 101 | stream error | RFC 9113 §8.3.2, §8.6 |
| another pseudo field; one after a regular field; one in trailers | stream error | RFC 9113 §8.3 |
| upper case, colon, space, control or non-ASCII byte in a name | stream error | RFC 9113 §8.2.1 |
| CR, LF, NUL or another control byte in a value; white space at its ends | stream error | RFC 9113 §8.2.1 |
| `connection`, `keep-alive`, `proxy-connection`, `transfer-encoding`, `upgrade` | stream error | RFC 9113 §8.2.2 |
| `content-length` that is none, or differs | stream error | RFC 9113 §8.1.1 |
| more than 1,000 fields | stream error, kind `header_too_large` | ours |

In a request, the same connection-specific fields and `host` are dropped, and `te` unless it says `trailers`: programs
set them for HTTP/1.1 and need not know what they got.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from crawler.errors import LocalProtocolError, RemoteProtocolError
from crawler.wire.http1_head import parse_length
from crawler.wire.http2_api import Fields

_CONNECTION_FIELDS: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)

# Fields whose values are secret go as never-indexed literals: no probing of the table can find them (RFC 7541 §7.1.3).
SECRET_FIELDS: Final = frozenset((b"authorization", b"cookie", b"proxy-authorization"))

_status = re.compile(rb"[1-9][0-9][0-9]").fullmatch
_name = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-z]+").fullmatch
_any_case_name = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z]+").fullmatch
_value = re.compile(rb"(?:[\x21-\x7e\x80-\xff]++(?:[\t ]++[\x21-\x7e\x80-\xff]++)*+)?").fullmatch
_method = re.compile(r"[-!#$%&'*+.^_`|~0-9A-Za-z]+").fullmatch
_path = re.compile(rb"(?:/[\x21-\x7e]*|\*)").fullmatch
_authority = re.compile(rb"[\x21-\x7e]+").fullmatch


class ResponseHead:
    """A response head that kept the rules: its status, regular fields, and `content-length` (-1 if not said)."""

    __slots__ = ("fields", "length", "status")

    def __init__(self, status: int, fields: Fields, length: int) -> None:
        self.status = status
        self.fields = fields
        self.length = length


def read_response_head(section: Sequence[tuple[bytes, bytes]], max_fields: int) -> ResponseHead:
    """Check a response's field section.

    Raises:
        RemoteProtocolError: It is malformed, which is an error of its stream.
    """
    if not section or section[0][0] != b":status":
        raise RemoteProtocolError("expected `:status` first in the response head")
    status = section[0][1]
    if not _status(status) or status == b"101":
        raise RemoteProtocolError(f"expected a status of three digits, 100 to 999 and not 101, got {status[:80]!r}")
    fields = read_fields(section[1:], max_fields)
    lengths = [value for name, value in fields if name == b"content-length"]
    return ResponseHead(int(status), fields, parse_length(b",".join(lengths)) if lengths else -1)


def read_fields(section: Iterable[tuple[bytes, bytes]], max_fields: int) -> Fields:
    """Check regular fields: of a head, or trailers.

    Raises:
        RemoteProtocolError: One is malformed, which is an error of its stream.
    """
    fields = list(section)
    if len(fields) > max_fields:
        raise RemoteProtocolError(f"expected at most {max_fields} header fields, got more", kind="header_too_large")
    for name, value in fields:
        if not _name(name):
            raise RemoteProtocolError(f"expected a header name of lower-case token characters, got {name[:80]!r}")
        if name in _CONNECTION_FIELDS:
            raise RemoteProtocolError(f"got {name.decode()!r}, which HTTP/2 forbids")
        if not _value(value):
            raise RemoteProtocolError(f"expected a value without control characters in {name.decode()!r}")
    return fields


def request_fields(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes | None, Fields]:
    """Turn headers as a user writes them into HTTP/2 fields.

    Returns:
        The value of a `host` among them, if any, and the others in lower case.

    Raises:
        LocalProtocolError: A bad name or value.
    """
    host: bytes | None = None
    fields: Fields = []
    for name, value in headers:
        if not _any_case_name(name):
            raise LocalProtocolError(
                f"expected a header name of letters, digits and -!#$%&'*+.^_`|~, got {name[:80]!r}"
            )
        if not _value(value):
            raise LocalProtocolError(
                f"illegal value for header {name.decode('ascii')!r}: CR, LF, NUL and other control characters are "
                "forbidden, and so is white space at either end"
            )
        name = name.lower()
        if name == b"host":
            host = value
        elif name not in _CONNECTION_FIELDS and (name != b"te" or value.lower() == b"trailers"):
            fields.append((name, value))
    return host, fields


def check_request_line(method: str, authority: bytes, path: bytes) -> None:
    """Refuse a method, authority or path that may not go out.

    Raises:
        LocalProtocolError: No token; white space, control or non-ASCII bytes; CONNECT, which needs another form.
    """
    if not _method(method) or method == "CONNECT":
        raise LocalProtocolError(f"expected a method, other than CONNECT, of token characters, got {method[:80]!r}")
    if not _path(path):
        raise LocalProtocolError(f"expected a path of visible ASCII that begins with '/', got {path[:200]!r}")
    if not _authority(authority):
        raise LocalProtocolError(f"expected an authority of visible ASCII, got {authority[:200]!r}")

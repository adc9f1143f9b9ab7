"""HPACK for a client, memoised: field sections that repeat cost one look-up.

Decoding. Most servers send the same few blocks again and again. A block that reads no entry of the dynamic table means
the same every time: its bytes are the key of a small cache. What it adds to the table is put off, and done only when
some other block does read the table. A block that reads the table and adds nothing means the same as long as the table
is the same: it is remembered until then.

Encoding. What does not change among the requests of a client (method, scheme, authority, default headers) is encoded
once, after its fields have gone into the peer's table, and only `:path` is written for each request.

Huffman coding and the static table are those of the `hpack` package; its decoder copies the rest of the block for
every literal, which is quadratic, so the loop is ours. Source: RFC 7541.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, TypeVar

from hpack import Encoder, HPACKError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from crawler.models.headers import HeadTemplate
from crawler.wire.http2_api import ErrorCode, Fields, Http2Limits
from crawler.wire.http2_machine import Fault
from crawler.wire.http2_rules import SECRET_FIELDS, ResponseHead, check_request_line, request_fields

T = TypeVar("T")

TABLE_BYTES: Final = 4096  # the default size of either table, which we neither raise nor exceed
_STATIC: Final = tuple(HeaderTable.STATIC_TABLE)
_STATIC_ENTRIES: Final = 61
# A table of 4,096 bytes holds at most 128 entries of 32 bytes: what was added before the last 128 is gone.
_MAX_PUT_OFF: Final = 128
_MAX_REMEMBERED: Final = 256
_MAX_REMEMBERED_BYTES: Final = 2048
_MAX_INDEXED_BYTES: Final = 512


class Section:
    """A decoded field section.

    Attributes:
        head: The response head made of it, once somebody has checked it.
    """

    __slots__ = ("additions", "fields", "head")

    def __init__(self, fields: Fields, additions: tuple[tuple[bytes, bytes], ...]) -> None:
        self.fields = fields
        self.additions = additions
        self.head: ResponseHead | None = None


class HpackDecoder:
    """Decodes the blocks of one connection, in the order they came."""

    def __init__(self, limits: Http2Limits) -> None:
        self._limits = limits
        self._table: deque[tuple[bytes, bytes]] = deque()
        self._table_bytes = 0
        self._max_table_bytes = TABLE_BYTES
        self._additions: list[tuple[bytes, bytes]] = []
        self._reads_table = False
        self._put_off: deque[tuple[tuple[bytes, bytes], ...]] = deque(maxlen=_MAX_PUT_OFF)
        self._always: dict[bytes, Section] = {}
        self._for_now: dict[bytes, Section] = {}
        self._strings: dict[bytes, bytes] = {}

    def decode(self, block: bytes) -> Section:
        """Decode one block.

        Raises:
            Fault: It is not HPACK, or larger than the limits once decoded.
        """
        section = self._always.get(block)
        if section is not None:
            if section.additions:
                self._put_off.append(section.additions)
                self._for_now.clear()
            return section
        return self._for_now.get(block) or self._decode_new(block)

    def _decode_new(self, block: bytes) -> Section:
        for additions in self._put_off:
            for name, value in additions:
                self._add(name, value)
        self._put_off.clear()
        self._additions = []
        self._reads_table = False
        try:
            fields, resizes = self._read_block(block)
        except IndexError:
            raise _bad("got a field section that is cut short") from None
        except HPACKError as exc:
            raise _bad(f"got a bad Huffman code: {exc}") from exc
        section = Section(fields, tuple(self._additions))
        if self._additions or resizes:
            self._for_now.clear()
        if len(block) <= _MAX_REMEMBERED_BYTES and not resizes:
            if not self._reads_table:
                _remember(self._always, block, section)
            elif not self._additions:
                _remember(self._for_now, block, section)
        return section

    def _read_block(self, block: bytes) -> tuple[Fields, bool]:
        """Read all fields; also says whether the block changed the size of the table."""
        fields: Fields = []
        resizes = False
        at, end, list_bytes = 0, len(block), 0
        while at < end:
            first = block[at]
            if first & 0x80:
                index, at = _read_integer(block, at, 0x7F)
                field = self._entry(index)
            elif first & 0x40:
                field, at = self._read_literal(block, at, 0x3F)
                self._add(*field)
                self._additions.append(field)
            elif first & 0x20:
                size, at = _read_integer(block, at, 0x1F)
                if fields or size > TABLE_BYTES:
                    raise _bad(f"got a table size of {size} out of place or over {TABLE_BYTES}")
                resizes = True
                self._resize(size)
                continue
            else:
                field, at = self._read_literal(block, at, 0x0F)
            fields.append(field)
            list_bytes += len(field[0]) + len(field[1]) + 32
            if list_bytes > self._limits.header_list_bytes:
                message = f"expected a header list of at most {self._limits.header_list_bytes} bytes, got more"
                raise Fault(ErrorCode.ENHANCE_YOUR_CALM, message, "header_too_large")
        return fields, resizes

    def _read_literal(self, block: bytes, at: int, mask: int) -> tuple[tuple[bytes, bytes], int]:
        index, at = _read_integer(block, at, mask)
        if index:
            name = self._entry(index)[0]
        else:
            name, at = self._read_string(block, at)
        value, at = self._read_string(block, at)
        return (name, value), at

    def _read_string(self, block: bytes, at: int) -> tuple[bytes, int]:
        is_huffman = block[at] & 0x80
        size, at = _read_integer(block, at, 0x7F)
        end = at + size
        if end > len(block):
            raise _bad("got a string that is cut short")
        text = block[at:end]
        if is_huffman:
            plain = self._strings.get(text)
            if plain is None:
                plain = bytes(decode_huffman(text))  # about 0.4 µs a byte; names and many values repeat
                if size <= 64:
                    _remember(self._strings, text, plain)
            text = plain
        return text, end

    def _entry(self, index: int) -> tuple[bytes, bytes]:
        if 0 < index <= _STATIC_ENTRIES:
            return _STATIC[index - 1]
        index -= _STATIC_ENTRIES + 1
        if not 0 <= index < len(self._table):
            raise _bad("got an index beyond the table")
        self._reads_table = True
        return self._table[index]

    def _add(self, name: bytes, value: bytes) -> None:
        self._table.appendleft((name, value))
        self._table_bytes += len(name) + len(value) + 32
        self._evict()

    def _resize(self, size: int) -> None:
        self._max_table_bytes = size
        self._evict()

    def _evict(self) -> None:
        while self._table_bytes > self._max_table_bytes:
            name, value = self._table.pop()
            self._table_bytes -= len(name) + len(value) + 32


class RequestEncoder:
    """Encodes the request heads of one connection, in the order they go out."""

    def __init__(self) -> None:
        self._encoder = Encoder()
        # What stands before and after `:path`, in indexes only; void as soon as the table changes.
        self._settled: dict[tuple[HeadTemplate | None, str, bytes, bytes], tuple[bytes, bytes]] = {}

    def resize(self, size: int) -> None:
        """Follow the peer's SETTINGS_HEADER_TABLE_SIZE, downwards; the next block says so."""
        size = min(size, TABLE_BYTES)
        if size != self._encoder.header_table_size:  # hpack forgets to tell a change if it is set twice
            self._encoder.header_table_size = size
            self._settled.clear()

    def encode(
        self,
        method: str,
        scheme: bytes,
        authority: bytes,
        path: bytes,
        headers: HeadTemplate | Sequence[tuple[bytes, bytes]],
    ) -> bytes:
        """Encode one head.

        Raises:
            LocalProtocolError: Something in it may not go out; nothing was encoded then.
        """
        template = headers if isinstance(headers, HeadTemplate) else None
        parts = self._settled.get((template, method, scheme, authority))
        check_request_line(method, authority, path)
        tail = b""
        if template is None:
            host, fields = request_fields(headers)  # type: ignore[arg-type]  # a sequence, or it were a template
            tail = b"".join([_literal(name, value) for name, value in fields])
            if host is not None:
                authority = host
                parts = self._settled.get((None, method, scheme, authority))
        if parts is None:
            parts = self._encode_unsettled(template, method, scheme, authority)
        return b"%b\x04%b%b%b%b" % (parts[0], _integer(len(path), 0x7F, 0), path, parts[1], tail)

    def _encode_unsettled(
        self, template: HeadTemplate | None, method: str, scheme: bytes, authority: bytes
    ) -> tuple[bytes, bytes]:
        """Encode what does not change, adding it to the table; remembers it if that leaves it in indexes only."""
        host, fields = request_fields(template.pairs) if template is not None else (None, [])
        host = template.host if template is not None and template.host is not None else host
        pseudo = [(b":method", method.encode()), (b":scheme", scheme), (b":authority", host or authority)]
        check_request_line(method, host or authority, b"/")
        before, after = [_with_secrecy(field) for field in pseudo], [_with_secrecy(field) for field in fields]
        table = self._encoder.header_table
        newest = next(iter(table.dynamic_entries), None)
        parts = self._encoder.encode(before), self._encoder.encode(after)
        if next(iter(table.dynamic_entries), None) is not newest:
            self._settled.clear()  # every index has moved
        elif len(self._settled) >= _MAX_REMEMBERED:
            self._settled.clear()
        found = [table.search(name, value) for name, value, is_literal in before + after if not is_literal]
        if all(entry is not None and entry[2] is not None for entry in found):
            # Nothing is added any more: to encode again only reads the table.
            settled = self._encoder.encode(before), self._encoder.encode(after)
            self._settled[template, method, scheme, authority] = settled
        return parts


def _with_secrecy(field: tuple[bytes, bytes]) -> tuple[bytes, bytes, bool]:
    name, value = field
    return name, value, name in SECRET_FIELDS or len(name) + len(value) > _MAX_INDEXED_BYTES


def _literal(name: bytes, value: bytes) -> bytes:
    """A field that touches no table; secret ones must not touch one further on either."""
    kind = b"\x10" if name in SECRET_FIELDS else b"\x00"
    return b"%b%b%b%b%b" % (kind, _integer(len(name), 0x7F, 0), name, _integer(len(value), 0x7F, 0), value)


def _integer(value: int, mask: int, first: int) -> bytes:
    """Write an integer behind a prefix (RFC 7541 §5.1)."""
    if value < mask:
        return bytes((first | value,))
    out = bytearray((first | mask,))
    value -= mask
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _read_integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """Read an integer behind a prefix; IndexError where the block ends (RFC 7541 §5.1)."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    for shift in (0, 7, 14, 21):  # 28 bits: more than any size or index we could take
        more = block[at]
        at += 1
        value += (more & 127) << shift
        if more < 128:
            return value, at
    raise _bad("got an integer of more than 28 bits")


def _remember(cache: dict[bytes, T], key: bytes, value: T) -> None:
    if len(cache) >= _MAX_REMEMBERED:
        cache.clear()
    cache[key] = value


def _bad(message: str) -> Fault:
    return Fault(ErrorCode.COMPRESSION_ERROR, message)

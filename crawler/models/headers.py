"""`Headers`: fields by name without case, kept in order, with their case and repeats; and `HeadTemplate`.

A response's fields come as a list of byte pairs and mostly nobody looks at them, or at two of nine. So the list is kept
as it came; lower-case names are made at the first look-up, and a value is decoded when it is handed out.

Measured (one core of an EPYC VM, CPython 3.11, nine fields): `Headers.from_wire` and one `get`: 1.5 µs.
"""

from __future__ import annotations

import re
from collections.abc import ItemsView, Iterator, KeysView, Mapping, MutableMapping, Sequence, ValuesView
from typing import TYPE_CHECKING, Final, Self, TypeVar, cast, overload

from crawler.errors import LocalProtocolError

if TYPE_CHECKING:
    from crawler.models.types import HeaderTypes

_T = TypeVar("_T")

SENSITIVE: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
"""Fields whose values are credentials: never in a `repr`."""

_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_BAD_IN_VALUE = re.compile(rb"[\x00\r\n]")


class Headers(MutableMapping[str, str]):
    """Header fields: a mapping without case that keeps order, case and repeats.

    Looking up a name that stands several times gives the values joined by ", "; `get_list` and `multi_items` give them
    one by one. Setting a name replaces all its fields and keeps the place of the first.

    Args:
        headers: A mapping or pairs, of text or bytes; or `Headers`, to copy them.
        encoding: How text is encoded and bytes are decoded. By default names and values must be ASCII text going in;
            coming out, the first of ASCII, UTF-8 and ISO-8859-1 that fits all fields is taken.

    Attributes:
        version: Grows at each change, so that whatever was made from the fields can be kept until then.

    Raises:
        TypeError: A name or value that is neither text nor bytes.
    """

    __slots__ = ("_encoding", "_lower", "_raw", "version")

    _raw: list[tuple[bytes, bytes]]
    _lower: list[bytes] | None  # the names in lower case, side by side with _raw; None until needed
    _encoding: str | None  # as set by the owner
    version: int

    def __init__(self, headers: HeaderTypes | None = None, encoding: str | None = None) -> None:
        self._lower = None
        self._encoding = encoding
        self.version = 0
        if headers is None:
            self._raw = []
        elif isinstance(headers, Headers):
            self._raw = headers._raw.copy()
            self._lower = None if headers._lower is None else headers._lower.copy()
        else:
            pairs = headers.items() if isinstance(headers, Mapping) else headers
            self._raw = [(_encode(name, encoding), _encode(value, encoding)) for name, value in pairs]

    @classmethod
    def from_wire(cls, raw: list[tuple[bytes, bytes]]) -> Headers:
        """Take over a list of fields as a codec gives them; the caller must not change it any more."""
        headers = cls.__new__(cls)
        headers._raw = raw
        headers._lower = None
        headers._encoding = None
        headers.version = 0
        return headers

    @property
    def raw(self) -> list[tuple[bytes, bytes]]:
        """The fields as byte pairs, names in their own case; a new list."""
        return self._raw.copy()

    @property
    def encoding(self) -> str:
        """The encoding of names and values; settable."""
        if self._encoding is not None:
            return self._encoding
        everything = b"".join([part for pair in self._raw for part in pair])
        if everything.isascii():
            return "ascii"
        for pair in self._raw:
            for part in pair:
                if not _is_utf8(part):
                    return "iso-8859-1"
        return "utf-8"

    @encoding.setter
    def encoding(self, value: str) -> None:
        self._encoding = value

    def keys(self) -> KeysView[str]:
        """The names in lower case, each once."""
        return self._merged().keys()

    def values(self) -> ValuesView[str]:
        """The values, those of one name joined by ", "."""
        return self._merged().values()

    def items(self) -> ItemsView[str, str]:
        """Names in lower case, each once, with their values joined by ", "."""
        return self._merged().items()

    def multi_items(self) -> list[tuple[str, str]]:
        """Every field by itself, names in lower case."""
        encoding = self.encoding
        return [
            (name.decode(encoding), value.decode(encoding))
            for name, (_, value) in zip(self._names(), self._raw, strict=True)
        ]

    @overload
    def get(self, key: str, /) -> str | None: ...

    @overload
    def get(self, key: str, default: _T) -> str | _T: ...

    def get(self, key: str, default: _T | None = None) -> str | _T | None:
        """The value of `key`, several joined by ", "; else `default`."""
        values = self._find(key)
        if not values:
            return default
        return self._decode(values[0]) if len(values) == 1 else ", ".join(map(self._decode, values))

    def get_list(self, key: str, split_commas: bool = False) -> list[str]:
        """All values of `key`, split at commas, too, if asked to."""
        values = [self._decode(value) for value in self._find(key)]
        if split_commas:
            return [item.strip() for value in values for item in value.split(",")]
        return values

    def update(self, headers: HeaderTypes | None = None) -> None:  # type: ignore[override]  # HTTPX's signature
        """Lay `headers` over these: each of their names replaces all fields of that name, at the end."""
        other = Headers(headers)
        names = set(other._names())
        kept = [index for index, name in enumerate(self._names()) if name not in names]
        self._raw = [self._raw[index] for index in kept] + other._raw
        self._changed()

    def copy(self) -> Headers:
        """An independent copy."""
        return Headers(self, encoding=self._encoding)

    def _changed(self) -> None:
        self._lower = None
        self.version += 1

    def _names(self) -> list[bytes]:
        lower = self._lower
        if lower is None:
            lower = self._lower = [name.lower() for name, _ in self._raw]
        return lower

    def _find(self, key: str) -> Sequence[bytes]:
        names = self._names()
        wanted = self._lookup_key(key)
        if wanted not in names:
            return ()
        first = names.index(wanted)
        if names.count(wanted) == 1:
            return (self._raw[first][1],)
        return [value for name, (_, value) in zip(names, self._raw, strict=True) if name == wanted]

    def _lookup_key(self, key: str) -> bytes | None:
        """`key` as the lower-case names have it; None if no name can be it."""
        try:
            return key.lower().encode("ascii" if key.isascii() else self.encoding)
        except UnicodeEncodeError:
            return None

    def _decode(self, value: bytes) -> str:
        # Where the encoding is guessed, an ASCII value need not wait for all others to be looked at.
        if self._encoding is None and value.isascii():
            return value.decode("ascii")
        return value.decode(self.encoding)

    def _merged(self) -> dict[str, str]:
        merged: dict[str, str] = {}
        for name, value in self.multi_items():
            merged[name] = f"{merged[name]}, {value}" if name in merged else value
        return merged

    def __getitem__(self, key: str) -> str:
        value = self.get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: str, value: str) -> None:
        encoding = self._encoding or "utf-8"
        field = (_encode(key, encoding), _encode(value, encoding))
        wanted = field[0].lower()
        names = self._names()
        if wanted not in names:
            self._raw.append(field)
        else:
            first = names.index(wanted)
            rest = zip(names[first + 1 :], self._raw[first + 1 :], strict=True)
            self._raw[first:] = [field, *(other for name, other in rest if name != wanted)]
        self._changed()

    def __delitem__(self, key: str) -> None:
        wanted = self._lookup_key(key)
        names = self._names()
        if wanted not in names:
            raise KeyError(key)
        self._raw[:] = [field for name, field in zip(names, self._raw, strict=True) if name != wanted]
        self._changed()

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._lookup_key(key) in self._names()

    def __iter__(self) -> Iterator[str]:
        return iter(self._merged())

    def __len__(self) -> int:
        return len(self._raw)

    def __or__(self, other: Mapping[str, str]) -> Headers:
        if not isinstance(other, Mapping):
            return NotImplemented
        merged = self.copy()
        merged.update(other)
        return merged

    def __ror__(self, other: Mapping[str, str]) -> Headers:
        if not isinstance(other, Mapping):
            return NotImplemented
        merged = Headers(other)
        merged.update(self)
        return merged

    def __ior__(self, other: HeaderTypes) -> Self:
        self.update(other)
        return self

    def __eq__(self, other: object) -> bool:
        """Whether both have the same fields, in any order and case; `other` may be anything `Headers` takes."""
        if not isinstance(other, Headers):
            try:
                other = Headers(cast("HeaderTypes", other))
            except (TypeError, ValueError):
                return NotImplemented
        return self._sorted() == other._sorted()

    def _sorted(self) -> list[tuple[bytes, bytes]]:
        return sorted((name, value) for name, (_, value) in zip(self._names(), self._raw, strict=True))

    def __repr__(self) -> str:
        """The fields as a dict, or as a list where names repeat; credentials hidden."""
        pairs = [(name, "[secure]" if name in SENSITIVE else value) for name, value in self.multi_items()]
        encoding = self.encoding
        suffix = "" if encoding == "ascii" else f", encoding={encoding!r}"
        unique = dict(pairs)
        return f"{type(self).__name__}({unique if len(unique) == len(pairs) else pairs!r}{suffix})"


class HeadTemplate:
    """An unchanging snapshot of a client's default headers, ready to be sent many times.

    Attributes:
        pairs: The fields without `Host`.
        lines: The same as they go on the wire, `Name: value\\r\\n` each.
        host: The value of a `Host` field among the headers, which then goes before the URL's; mostly None.
        ends_connection: Whether they ask for the connection to be closed.
    """

    __slots__ = ("ends_connection", "host", "lines", "pairs")

    def __init__(self, headers: Headers) -> None:
        """Take the snapshot.

        Raises:
            LocalProtocolError: A name that is no token, or a value with a line end or NUL (RFC 9110 §5.1, §5.5).
        """
        self.pairs: tuple[tuple[bytes, bytes], ...] = tuple(pair for pair in headers._raw if pair[0].lower() != b"host")
        host = headers.get("host")
        self.host: bytes | None = None if host is None else host.encode(headers.encoding)
        for name, value in headers._raw:
            if _NAME.fullmatch(name) is None:
                raise LocalProtocolError(f"Invalid header name {name!r}")
            if _BAD_IN_VALUE.search(value) is not None:
                raise LocalProtocolError(f"Invalid value of the header {name!r}: a line end or NUL within")
        self.lines: bytes = b"".join([b"%b: %b\r\n" % pair for pair in self.pairs])
        self.ends_connection: bool = ends_connection(headers)


def split_lines(lines: bytes) -> list[tuple[bytes, bytes]]:
    """Split checked field lines, `Name: value\\r\\n` each, without white space before a line's end."""
    parts = [line.partition(b":") for line in lines.split(b"\r\n")[:-1]]
    return [(name, value.lstrip(b"\t ")) for name, _, value in parts]


def ends_connection(headers: Headers) -> bool:
    """Whether a `Connection` field says `close` (RFC 9112 §9.6)."""
    value = headers.get("connection")
    return value is not None and "close" in value.lower()


def _encode(text: str | bytes, encoding: str | None) -> bytes:
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise TypeError(f"Header value must be str or bytes, not {type(text)}")
    return text.encode(encoding or "ascii")


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True

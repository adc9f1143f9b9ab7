"""What the processes of a run say to each other: frames of plain values over a pair of sockets.

    4 bytes length │ kind and values, as `marshal` writes them

`marshal` is the fastest way from values to bytes that Python has, it knows bytes and integers of any size, and it makes
nothing but plain values of what it reads. Both ends are the same program in the same version, which is all it asks for.
Decimals and dates, which items may hold, have a form of their own.
"""

from __future__ import annotations

import marshal
import struct
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from crawler.fanout.exchange import Exchange, Hop
from crawler.fanout.frontier import Finished, Lease
from crawler.fanout.plan import Item
from crawler.fanout.record import WrittenRecord
from crawler.fanout.sinks import encode_line

HEADER: Final = struct.Struct("<I")
_MARK: Final = "\0crawler"  # begins the form of what `marshal` does not know
_FORMS: Final[dict[str, Callable[[str], Any]]] = {
    "decimal": Decimal,
    "datetime": datetime.fromisoformat,
    "date": date.fromisoformat,
}
_PLAIN: Final[tuple[Any, ...]] = (int, float, str, bytes)


def frame(kind: str, *values: object) -> bytes:
    """Write a frame."""
    try:
        data = marshal.dumps((kind, values))  # type: ignore[arg-type]  # or it says so
    except ValueError:
        data = marshal.dumps(plain((kind, values)))
    return HEADER.pack(len(data)) + data


class FrameReader:
    """Takes bytes as they come and gives whole frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Take bytes; gives the frames that are whole now: kind and values."""
        buffer = self._buffer
        buffer += data
        at = 0
        while len(buffer) - at >= HEADER.size:
            (size,) = HEADER.unpack_from(buffer, at)
            end = at + HEADER.size + size
            if len(buffer) < end:
                break
            yield marshal.loads(memoryview(buffer)[at + HEADER.size : end])
            at = end
        if at:
            del buffer[:at]


def plain(value: Any) -> Any:
    """Give a value in a form that `marshal` knows; `restored` undoes it."""
    kind = type(value)
    if kind is dict:
        return {plain(key): plain(part) for key, part in value.items()}
    if kind is list:
        return [plain(part) for part in value]
    if kind is tuple:
        return tuple(plain(part) for part in value)
    if value is None or kind in (str, bytes, int, float, bool):
        return value
    if kind is Decimal:
        return (_MARK, "decimal", str(value))
    if kind is datetime:
        return (_MARK, "datetime", value.isoformat())
    if kind is date:
        return (_MARK, "date", value.isoformat())
    for make in _PLAIN:  # subclasses: values of an enumeration
        if isinstance(value, make):
            return make(value)
    if isinstance(value, dict):
        return plain(dict(value))
    return plain(list(value)) if isinstance(value, (list, tuple, set, frozenset)) else str(value)


def restored(value: Any) -> Any:
    """Undo `plain`."""
    kind = type(value)
    if kind is dict:
        return {key: restored(part) for key, part in value.items()}
    if kind is list:
        return [restored(part) for part in value]
    if kind is not tuple:
        return value
    if len(value) == 3 and value[0] == _MARK:
        _, name, text = value
        return _FORMS[name](text)
    return tuple(restored(part) for part in value)


# -- items and what became of them ------------------------------------------------------------------------------------


_REST: Final = (
    "method",
    "headers",
    "body",
    "meta",
    "path",
    "idempotent",
    "checksums",
    "size",
    "depth",
    "parent",
    "discovered_by",
    "page",
    "refused",
    "memo",
    "identity",
)
"""What of an item is sent besides URL, key and priority, where it is not all as usual."""

_rest_of = attrgetter(*_REST)


def item_values(item: Item) -> tuple[object, ...]:
    """Give an item as plain values; a plain GET is short."""
    start = (item.url, item.key, item.priority)
    if (
        item.method == "GET"
        and not item.headers
        and item.body is None
        and not item.meta
        and item.path is None
        and item.idempotent is None
        and not item.checksums
        and item.size is None
        and item.depth is None
        and item.parent is None
        and item.discovered_by is None
        and item.page is None
        and item.refused is None
        and item.memo is None
        and item.identity is None
    ):
        return start
    return (*start, *_rest_of(item))


def item_of(values: tuple[Any, ...]) -> Item:
    """Undo `item_values`."""
    item = Item(values[0], key=values[1], priority=values[2])
    if len(values) > 3:
        for name, value in zip(_REST, values[3:], strict=True):
            setattr(item, name, value)
    return item


def lease_values(lease: Lease) -> tuple[object, ...]:
    """Give a lease as plain values."""
    return (lease.id, lease.fp, lease.host, item_values(lease.item))


def lease_of(values: tuple[Any, ...]) -> Lease:
    """Undo `lease_values`."""
    number, fp, host, item = values
    return Lease(number, fp, item_of(item), host)


def finished_values(one: Finished, *, is_written: bool = False) -> tuple[object, ...]:
    """Give a finished request as plain values; most have a record and nothing else.

    Args:
        one: The request.
        is_written: Its record is wanted as a line of JSON alone. It is three times as fast to read back as bytes.
    """
    record: object = encode_line(one.record) if is_written else one.record
    if not (one.found or one.rows or one.attempts or one.exchange):
        return (one.id, one.outcome, record)
    found = [item_values(item) for item in one.found]
    rows = plain([dict(row) for row in one.rows])
    return (one.id, one.outcome, record, found, rows, list(one.attempts), _exchange_values(one.exchange))


def finished_of(values: tuple[Any, ...]) -> Finished:
    """Undo `finished_values`."""
    record = values[2]
    if type(record) is bytes:
        record = WrittenRecord(record)
    if len(values) == 3:
        return Finished(values[0], values[1], record)
    number, outcome, _, found, rows, attempts, exchange = values
    items = [item_of(item) for item in found]
    return Finished(number, outcome, record, items, restored(rows), attempts, _exchange_of(exchange))


def _exchange_values(exchange: Exchange | None) -> object:
    if exchange is None:
        return None
    hops = [
        (
            hop.url,
            hop.method,
            hop.request,
            hop.head,
            str(hop.body) if isinstance(hop.body, Path) else bytes(hop.body),
            hop.size,
            hop.started,
            hop.remote_ip,
            hop.protocol,
            hop.is_cut,
        )
        for hop in exchange.hops
    ]
    return hops, dict(exchange.facts)


def _exchange_of(values: Any) -> Exchange | None:
    if values is None:
        return None
    hops, facts = values
    return Exchange([_hop_of(hop) for hop in hops], facts)


def _hop_of(values: tuple[Any, ...]) -> Hop:
    url, method, request, head, body, *rest = values
    return Hop(url, method, request, head, Path(body) if isinstance(body, str) else body, *rest)

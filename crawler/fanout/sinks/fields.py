"""The fields of records and their types: what `fields` may name, and what columns a table has.

A type is a word, or a map of further fields. `json` is whatever JSON can say: text in a cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Union

if TYPE_CHECKING:
    from crawler.fanout.plan import Output

FieldType = Union[str, "Fields"]
Fields = Mapping[str, FieldType]

ERROR: Final[Fields] = {
    "kind": "str",
    "family": "str",
    "message": "str",
    "retryable": "bool",
    "retry_after_s": "float",
    "check": "json",
}
TLS: Final[Fields] = {"version": "str", "cipher": "str", "alpn": "str", "verified": "bool", "not_after": "str"}
TIMING: Final[Fields] = dict.fromkeys(("queue", "dns", "connect", "tls", "send", "ttfb", "receive", "total"), "float")
WARC: Final[Fields] = {"file": "str", "offset": "int", "length": "int", "record_id": "str"}

EARLIER: Final[Fields] = {"run_id": "str", "fetched_at": "datetime", "path": "str"}

RECORD: Final[Fields] = {
    "schema": "str",
    "run_id": "str",
    "job": "str",
    "id": "str",
    "key": "str",
    "url": "str",
    "method": "str",
    "final_url": "str",
    "outcome": "str",
    "status": "int",
    "reason": "str",
    "error": ERROR,
    "http_version": "str",
    "tls": TLS,
    "remote_ip": "str",
    "remote_port": "int",
    "conn_id": "int",
    "conn_reused": "bool",
    "started_at": "datetime",
    "fetched_at": "datetime",
    "timing": TIMING,
    "elapsed": "float",
    "attempts": "int",
    "attempt_errors": "list",
    "redirects": "json",
    "bytes": "int",
    "bytes_wire": "int",
    "resumed_from": "int",
    "content_type": "str",
    "charset": "str",
    "charset_source": "str",
    "content_encoding": "str",
    "content_length": "int",
    "etag": "str",
    "last_modified": "str",
    "headers": "json",
    "path": "str",
    "sha256": "str",
    "checksum_ok": "bool",
    "body": "str",
    "body_base64": "str",
    "warc": WARC,
    "depth": "int",
    "parent": "str",
    "discovered_by": "str",
    "robots": "str",
    "items": "int",
    "extract_errors": "list",
    "page": "int",
    "earlier": EARLIER,
    "diff": "json",
    "host_wait": "float",
    "worker": "str",
    "meta": "json",
}
"""Of `crawler.result/1`, in its order."""

ITEM: Final[Fields] = {"url": "str", "key": "str", "run_id": "str", "item_index": "int"}
"""What every row of `records: items` has besides the extracted fields."""

ATTEMPT: Final[Fields] = {**RECORD, "attempt": "int"}
"""Of `records: attempts`: a record per try, with its number."""


def fields_of(output: Output) -> Fields:
    """Give the fields that the records of an output can have."""
    if output.records == "items":
        return {**ITEM, **dict(output.columns)}
    return ATTEMPT if output.records == "attempts" else RECORD


def columns_of(output: Output) -> dict[str, str]:
    """Give the columns of a table and their types: those that `fields` names, else all, maps taken apart by dots.

    `headers` is a column only where it is named.
    """
    known = fields_of(output)
    if not output.fields:
        return {name: kind for name, kind in _flat(known) if name != "headers"}
    columns: dict[str, str] = {}
    for name in output.fields:
        kind = type_of(name, known)
        if isinstance(kind, Mapping):
            columns.update(_flat(kind, name + "."))
        else:
            columns[name] = kind or "json"
    return columns


def type_of(name: str, known: Fields) -> FieldType | None:
    """Give the type of a field, `None` if there is none of that name. Below `json` anything may be named."""
    head, dot, rest = name.partition(".")
    kind = known.get(head)
    if kind is None or not dot:
        return known.get(name, kind if not dot else None)
    if isinstance(kind, str):
        return "json" if kind == "json" and rest else None
    return type_of(rest, kind)


def field_problem(name: str, output: Output) -> str | None:
    """Say why an output cannot have a field, with the nearest name; `None` if it can."""
    known = fields_of(output)
    if type_of(name, known) is not None:
        return None
    if output.records == "items" and not output.columns:
        return None  # nobody knows what is extracted
    near = get_close_matches(name, [*known, *(flat for flat, _ in _flat(known))], 1, 0.5)
    return f"records have no field '{name}'" + (f"; did you mean '{near[0]}'?" if near else "")


def pick(record: Mapping[str, object], name: str) -> object:
    """Give the value of a field by its dotted name; `None` where something on the way is missing."""
    if name in record:
        return record[name]
    value: object = record
    for part in name.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def project(record: Mapping[str, object], names: Sequence[str]) -> dict[str, object]:
    """Give a record of these fields alone, nested as they were, in the order asked for."""
    chosen: dict[str, object] = {}
    for name in names:
        value = pick(record, name)
        *path, last = [name] if name in record else name.split(".")
        place = chosen
        for part in path:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                break
            place = inner
        else:
            place[last] = value
    return chosen


def _flat(fields: Fields, prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, kind in fields.items():
        if isinstance(kind, str):
            yield prefix + name, kind
        else:
            yield from _flat(kind, f"{prefix}{name}.")

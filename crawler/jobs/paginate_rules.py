"""Rules between the keys of `paginate`: each type has its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from crawler.jobs.fields import loosen
from crawler.jobs.findings import Finding
from crawler.jobs.nodes import Map, Scalar
from crawler.jobs.paginate_schema import KEYS_BY_TYPE, PaginateType


def paginate_rules(tree: Map) -> Iterator[Finding]:
    """Every breach of these rules."""
    section = tree.get("paginate")
    if not isinstance(section, Map):
        return
    node = section.get("type")
    kind = loosen(node.value) if isinstance(node, Scalar) else None
    keys = next((KEYS_BY_TYPE[name] for name in get_args(PaginateType) if name == kind), None)
    if keys is None:
        return  # the schema says so
    known = {name for other in KEYS_BY_TYPE.values() for name in (*other.needed, *other.possible)}
    for key, entry in section.entries.items():
        if key in known and key not in keys.needed and key not in keys.possible:
            yield Finding(entry.key_mark, f"paginate.{key}: has no effect with `type: {kind}`")
    for key in keys.needed:
        if key not in section.entries:
            yield Finding(section.mark, f"paginate: `type: {kind}` needs `{key}`")
    if "parallel" in section.entries and "total" not in section.entries and "parallel" in keys.possible:
        yield Finding(section.entries["parallel"].key_mark, "paginate.parallel: has no effect without `total`")

"""Rules of `workers`: what several processes cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crawler.jobs.fields import loosen
from crawler.jobs.findings import Finding
from crawler.jobs.nodes import Map, Node, Scalar, locate

_ALONE: Final[dict[tuple[str, ...], str]] = {
    ("download", "pack"): "one process writes an archive, and several would write over each other",
    ("request", "cookies"): "cookies that are kept belong to one process, and several would not know each other's",
    ("recrawl",): "what earlier rounds know of pages is kept and read by one process",
    ("telemetry", "propagate"): "the spans are made by one process, and others send the requests",
}


def crew_rules(tree: Map) -> Iterator[Finding]:
    """Every key that needs one process, beside `workers`."""
    workers = _value(tree, ("workers",))
    if workers is None or workers == 1 or _value(tree, ("kind",)) == "bench":
        return
    for path, reason in _ALONE.items():
        if _node(tree, path) is not None and _value(tree, path) is not False:
            yield Finding(
                locate(tree, path, key=True), f"{'.'.join(path)}: needs `workers: 1`, not {workers}: {reason}"
            )
    if _value(tree, ("per_host", "by")) == "ip":
        yield Finding(
            locate(tree, ("per_host", "by")),
            f"per_host.by: ip needs `workers: 1`, not {workers}: whose a host is is known before its address is",
        )


def _node(tree: Map, path: tuple[str, ...]) -> Node | None:
    node: Node | None = tree
    for part in path:
        node = node.get(part) if isinstance(node, Map) else None
    return node


def _value(tree: Map, path: tuple[str, ...]) -> object:
    node = _node(tree, path)
    return loosen(node.value) if isinstance(node, Scalar) else None

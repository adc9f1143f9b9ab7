"""Rules between the keys of politeness: what would do nothing, and what would contradict another key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from ipaddress import ip_network
from typing import Final

from crawler.jobs import units
from crawler.jobs.fields import loosen
from crawler.jobs.findings import Finding
from crawler.jobs.kind_defaults import default_of
from crawler.jobs.nodes import Items, Map, Node, Scalar

_DEFAULT_CONCURRENCY: Final = 64
_LEAST_RATE: Final = 0.1  # of the throttle, per second


def polite_rules(tree: Map) -> Iterator[Finding]:
    """Every breach of these rules."""
    per_host = tree.get("per_host")
    if isinstance(per_host, Map):
        yield from _limits(tree, per_host, "per_host", inherited_rate=False)
    hosts = tree.get("hosts")
    has_rate = isinstance(per_host, Map) and _value(per_host, "rate") is not None
    for entry in hosts.values if isinstance(hosts, Items) else [hosts]:
        if isinstance(entry, Map):
            yield from _limits(tree, entry, "hosts[]", inherited_rate=has_rate)
            if set(entry.entries) <= {"match"} and "match" in entry.entries:
                yield _at(entry, "match", "hosts[].match: the entry changes nothing; give a limit beside it")
    by = _value(per_host, "by") if isinstance(per_host, Map) else None
    yield from _matches(by, [hosts] if isinstance(hosts, Map) else hosts.values if isinstance(hosts, Items) else [])
    if by == "ip" and isinstance(per_host, Map):
        request = tree.get("request")
        if isinstance(request, Map) and "proxy" in request.entries:
            yield _at(per_host, "by", "per_host.by: with a proxy, hosts cannot be told by their addresses")
    yield from _throttle(tree)
    yield from _circuit(tree)
    yield from _stop(tree)


def _limits(tree: Map, section: Map, name: str, *, inherited_rate: bool) -> Iterator[Finding]:
    has_rate = _value(section, "rate") is not None if "rate" in section.entries else inherited_rate
    for key in ("burst", "jitter"):
        if key in section.entries and not has_rate:
            yield _at(section, key, f"{name}.{key}: has no effect without `rate`")
    burst = _value(section, "burst")
    if isinstance(burst, int) and burst > 1 and "jitter" in section.entries and has_rate:
        yield _at(section, "jitter", f"{name}.jitter: has no effect with a burst above 1")
    concurrency, own = _value(tree, "concurrency"), _value(section, "concurrency")
    default = default_of(_value(tree, "kind"), "concurrency", _DEFAULT_CONCURRENCY)
    whole = concurrency if isinstance(concurrency, int) else default
    if isinstance(own, int) and own > whole:
        yield _at(section, "concurrency", f"{name}.concurrency: {own} is more than the job's concurrency of {whole}")


def _matches(by: object, entries: Iterable[object]) -> Iterator[Finding]:
    """Patterns that can never match what hosts are counted by."""
    for entry in entries:
        match = _value(entry, "match") if isinstance(entry, Map) else None
        if not isinstance(entry, Map) or not isinstance(match, str):
            continue
        if by == "ip" and not _may_match_address(match):
            yield _at(
                entry,
                "match",
                f"hosts[].match: with `per_host.by: ip` give an address, a pattern or a network, not {match!r}",
            )
        elif by == "ip" and (key := next((key for key in ("headers", "timeout") if key in entry.entries), None)):
            yield _at(entry, key, f"hosts[].{key}: cannot be with `per_host.by: ip`")
        elif by != "ip" and "/" in match:
            yield _at(entry, "match", "hosts[].match: a network needs `per_host.by: ip`")


def _may_match_address(pattern: str) -> bool:
    if "/" not in pattern:
        return re.fullmatch(r"[0-9a-fA-F.:*?\[\]!-]+", pattern) is not None
    try:
        ip_network(pattern, strict=False)
    except ValueError:
        return False
    return True


def _throttle(tree: Map) -> Iterator[Finding]:
    throttle = tree.get("autothrottle")
    if not isinstance(throttle, Map):
        return
    enabled = _value(throttle, "enabled")
    if enabled is False or (enabled is None and _value(tree, "kind") != "crawl"):
        for key in ("min", "max", "target_ttfb"):
            if key in throttle.entries:
                yield _at(throttle, key, f"autothrottle.{key}: has no effect without `enabled: true`")
        return
    least, most = _per_second(throttle, "min") or _LEAST_RATE, _per_second(throttle, "max")
    if most is not None and most < least:
        yield _at(throttle, "max", f"autothrottle.max: is below `min` ({least:g}/s)")


def _circuit(tree: Map) -> Iterator[Finding]:
    circuit = tree.get("circuit")
    if not isinstance(circuit, Map):
        return
    if "failures" in circuit.entries and _value(circuit, "failures") is None:
        for key in ("open_for", "max_open"):
            if key in circuit.entries:
                yield _at(circuit, key, f"circuit.{key}: has no effect with `failures: null`")
    first, longest = _seconds(circuit, "open_for"), _seconds(circuit, "max_open")
    if first is not None and longest is not None and first > longest:
        yield _at(circuit, "max_open", "circuit.max_open: is shorter than `open_for`")


def _stop(tree: Map) -> Iterator[Finding]:
    stop = tree.get("stop")
    if isinstance(stop, Map) and "failure_ratio_window" in stop.entries and _value(stop, "failure_ratio") is None:
        yield _at(stop, "failure_ratio_window", "stop.failure_ratio_window: has no effect without `failure_ratio`")


def _value(section: Map, key: str) -> object:
    """The plain value of a key; `None` for null and where there is none."""
    node: Node | None = section.get(key)
    return loosen(node.value) if isinstance(node, Scalar) else None


def _seconds(section: Map, key: str) -> float | None:
    try:
        return units.parse_duration(_value(section, key))
    except ValueError:
        return None


def _per_second(section: Map, key: str) -> float | None:
    try:
        return units.parse_rate(_value(section, key)).per_second
    except ValueError:
        return None


def _at(section: Map, key: str, message: str) -> Finding:
    return Finding(section.entries[key].key_mark, message)

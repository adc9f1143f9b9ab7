"""Rules between the keys of the service."""

from __future__ import annotations

from collections.abc import Iterator

from crawler.jobs.findings import Finding
from crawler.jobs.nodes import Items, Map, Node

_CHANNELS = ("webhook", "email", "command")
_CRON_ONLY = ("timezone",)


def service_rules(tree: Map) -> Iterator[Finding]:
    """Every breach of these rules."""
    schedule = tree.get("schedule")
    if isinstance(schedule, Map):
        yield from _schedule(schedule)
    notify: Node | None = tree.get("notify")
    for entry in notify.values if isinstance(notify, Items) else [notify]:
        if isinstance(entry, Map):
            yield from _channels(entry)


def _schedule(schedule: Map) -> Iterator[Finding]:
    has_cron, has_every = "cron" in schedule.entries, "every" in schedule.entries
    if has_cron and has_every:
        yield _at(schedule, "every", "schedule.every: a schedule has `cron` or `every`, not both")
    if not has_cron and not has_every:
        yield Finding(schedule.mark, "schedule: says no time; give `cron` or `every`")
    if has_every:
        for key in _CRON_ONLY:
            if key in schedule.entries:
                yield _at(schedule, key, f"schedule.{key}: has no effect with `every`")


def _channels(entry: Map) -> Iterator[Finding]:
    given = [name for name in _CHANNELS if name in entry.entries]
    if not given:
        yield Finding(entry.mark, "notify[]: tells nobody; give `webhook`, `email` or `command`")
    for extra in given[1:]:
        yield _at(entry, extra, f"notify[].{extra}: one entry tells by one way, and this one has `{given[0]}`")


def _at(section: Map, key: str, message: str) -> Finding:
    return Finding(section.entries[key].key_mark, message)

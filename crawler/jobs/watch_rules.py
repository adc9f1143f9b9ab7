"""Rules of `log` and `telemetry`, and what the keys come to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from crawler.jobs.findings import Finding
from crawler.jobs.nodes import Map, Node, locate
from crawler.jobs.watch_schema import Log, Telemetry

INSTALL: Final = "pip install 'crawler[telemetry]'"

_NEEDS: Final = {"prometheus": "prometheus_client", "otlp": "opentelemetry"}


@dataclass(frozen=True, slots=True)
class LogPlan:
    """Where the log of a run goes.

    Attributes:
        format, level: As in the job.
        file: Appended to; `None` is standard error.
        per_second: Lines a second at most.
    """

    format: Literal["auto", "text", "json"]
    level: Literal["debug", "info", "warning", "error"]
    file: Path | None
    per_second: float | None


@dataclass(frozen=True, slots=True)
class TelemetryPlan:
    """What monitoring sees of a run.

    Attributes:
        prometheus: Host and port to serve metrics at.
        otlp: Base URL of an OTLP collector.
        host_label: Whether errors are counted by host.
        propagate: Whether servers are told the span of each attempt.
    """

    prometheus: tuple[str, int] | None = None
    otlp: str | None = None
    host_label: bool = False
    propagate: bool = False


def watch_rules(tree: Map) -> Iterator[Finding]:
    """What a job asks for must be installed."""
    section = tree.get("telemetry")
    for name, package in _NEEDS.items():
        part: Node | None = section.get(name) if isinstance(section, Map) else None
        if part is not None and find_spec(package) is None:
            where = locate(tree, ("telemetry", name), key=True)
            yield Finding(where, f"telemetry.{name} needs packages that are not installed: {INSTALL}")
    if isinstance(section, Map) and "propagate" in section.entries and not _has_collector(section):
        yield Finding(
            section.entries["propagate"].key_mark, "telemetry.propagate: has no effect without `otlp.endpoint`"
        )


def _has_collector(section: Map) -> bool:
    otlp = section.get("otlp")
    named = otlp.get("endpoint") if isinstance(otlp, Map) else None
    return named is not None or bool(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"))


def log_plan(log: Log | None) -> LogPlan | None:
    """Say where the log goes; `None` without a section `log`."""
    if log is None:
        return None
    return LogPlan(log.format, log.level, None if log.file is None else Path(log.file), log.sample)


def telemetry_plan(telemetry: Telemetry) -> TelemetryPlan:
    """Say what monitoring sees; the environment names a collector only where the packages for it are."""
    endpoint = telemetry.otlp.endpoint
    if endpoint is None and find_spec(_NEEDS["otlp"]) is not None:
        endpoint = os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    return TelemetryPlan(telemetry.prometheus.listen, endpoint or None, telemetry.host_label, telemetry.propagate)

"""The keys `log` and `telemetry`: how others watch a run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel

from crawler.jobs.fields import Bool, PathText, RateOrNull, Reader, Text, choice, show
from crawler.jobs.section import SECTION


def _parse_address(value: object) -> tuple[str, int]:
    if isinstance(value, str):
        host, colon, port = value.rpartition(":")
        if colon and host and port.isascii() and port.isdigit() and int(port) <= 65_535:
            return host.strip("[]"), int(port)
    raise ValueError(f"expected HOST:PORT like 127.0.0.1:9464, not {show(value)}")


Address = Annotated[tuple[str, int], Reader(_parse_address, {"type": "string", "examples": ["127.0.0.1:9464"]})]


class Log(BaseModel):
    """One line per failed attempt, and per other attempt at level debug; nothing is logged without this section."""

    model_config = SECTION

    format: Annotated[Literal["auto", "text", "json"], choice("auto", "text", "json")] = "auto"
    """Text on a terminal, else JSON lines."""
    level: Annotated[Literal["debug", "info", "warning", "error"], choice("debug", "info", "warning", "error")] = "info"
    """Lines below it are left out."""
    file: PathText | None = None
    """Appended to; default standard error."""
    sample: RateOrNull = 100.0
    """Lines per time at most; how many were left out is said. null is no limit."""


class Prometheus(BaseModel):
    """Metrics for Prometheus, by the extra `telemetry`."""

    model_config = SECTION

    listen: Address | None = None
    """Where `/metrics` is served while the job runs."""


class Otlp(BaseModel):
    """Metrics and traces over OTLP (HTTP), by the extra `telemetry`."""

    model_config = SECTION

    endpoint: Text | None = None
    """Base URL of the collector; empty is none. Default: the environment variable OTEL_EXPORTER_OTLP_ENDPOINT."""


class Telemetry(BaseModel):
    """What monitoring sees of a run."""

    model_config = SECTION

    prometheus: Prometheus = Prometheus()
    otlp: Otlp = Otlp()
    host_label: Bool = False
    """Count errors by host, too; many hosts make many series."""
    propagate: Bool = False
    """Tell servers the span of each attempt, by a `traceparent` header; needs `otlp`."""

"""What a worker process hands back about its round: counts and histograms, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from crawler.bench.histogram import Histogram


@dataclass(slots=True)
class Sample:
    """One arm in one round, as measured; see `RoundResult` for the plain numbers.

    Attributes:
        begun: When the measuring began, in seconds since the epoch.
        errors: Failures by kind.
        timeline: Per second of the round: `[requests, errors, sum of response times, longest]`.
        response, service, delay: Response times, service times, send delays. Under closed load only the first is
            filled: the others say nothing new.
        phases: Phase → seconds, of some of the requests.
        lag: Lateness of a timer; empty for `sync`.
        versions: Of the client and its loop.
        http_version: Of the last response looked at; empty without one.
    """

    begun: float = 0.0
    duration: float = 0.0
    requests: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    dropped: int = 0
    bytes: int = 0
    cpu_s: float = 0.0
    rss_max: int = 0
    rss_start: int = 0
    timeline: list[list[float]] = field(default_factory=list)
    response: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)
    delay: Histogram = field(default_factory=Histogram)
    phases: dict[str, Histogram] = field(default_factory=dict)
    lag: Histogram = field(default_factory=Histogram)
    versions: dict[str, str] = field(default_factory=dict)
    http_version: str = ""

    @property
    def failed(self) -> int:
        """Requests that failed."""
        return sum(tuple(self.errors.values()))  # a copy: threads may be adding to it

    @property
    def succeeded(self) -> int:
        """Requests that got the answer they should."""
        return self.requests - self.failed

    def to_json(self) -> dict[str, Any]:
        """Give it as JSON-ready values."""
        document = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("response", "service", "delay", "lag"):
            document[name] = document[name].to_json()
        document["phases"] = {name: histogram.to_json() for name, histogram in self.phases.items()}
        return document

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Sample:
        """Make the sample that `to_json` gave."""
        values = dict(document)
        for name in ("response", "service", "delay", "lag"):
            values[name] = Histogram.from_json(values[name])
        values["phases"] = {name: Histogram.from_json(shape) for name, shape in values["phases"].items()}
        return cls(**values)

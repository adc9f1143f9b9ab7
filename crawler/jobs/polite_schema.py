"""The keys that say how hosts are spared and when a run ends early, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel

from crawler.fanout.windows import Window, parse_window
from crawler.jobs.fields import (
    Bool,
    Duration,
    HeaderText,
    Limit,
    LimitOrNull,
    OneOrMany,
    Rate,
    RateOrNull,
    Ratio,
    RatioOrNull,
    Reader,
    SizeOrNull,
    Text,
    choice,
    show,
    whole,
)
from crawler.jobs.section import SECTION


def _parse_hours(value: object) -> Window:
    if not isinstance(value, str):
        raise ValueError(f"expected hours like 22:00-06:00 Europe/Berlin, not {show(value)}")
    return parse_window(value)


Hours = Annotated[Window, Reader(_parse_hours, {"type": "string"})]


class PerHost(BaseModel):
    """What one host is asked at most."""

    model_config = SECTION

    by: Annotated[
        Literal["origin", "host", "registrable_domain", "ip"], choice("origin", "host", "registrable_domain", "ip")
    ] = "origin"
    """What counts as one host: scheme, name and port; the name alone; the part of it that somebody registered
    (example.co.uk); or its address."""
    concurrency: Annotated[int | None, whole(1, 10_000).or_null()] = 8
    """Requests to one host at once; null is no limit."""
    rate: RateOrNull = None
    """Starts per time to one host, like 2/s or 30/m; null is no limit."""
    burst: Annotated[int, whole(1, 10_000)] = 1
    """Starts that may come at once after a pause."""
    jitter: Ratio = 0.2
    """Each interval is drawn from interval * (1 ± jitter)."""


class HostTimeout(BaseModel):
    """Time limits of one attempt; what is not said here is as in `timeout`."""

    model_config = SECTION

    connect: LimitOrNull = None
    """Name look-up, TCP and TLS together."""
    read: LimitOrNull = None
    """Longest silence of the server."""
    total: LimitOrNull = None
    """The whole attempt."""


class HostEntry(BaseModel):
    """Other limits for some hosts; what is not said here is as in `per_host`."""

    model_config = SECTION

    match: Text
    """Pattern of names like *.example.com, or of name and port; with `per_host.by: ip` of addresses, or a network like
    192.0.2.0/24. The first entry that matches counts."""
    concurrency: Annotated[int | None, whole(1, 10_000).or_null()] = None
    """Requests to such a host at once."""
    rate: RateOrNull = None
    """Starts per time to such a host."""
    burst: Annotated[int, whole(1, 10_000)] = 1
    """Starts that may come at once after a pause."""
    jitter: Ratio = 0.2
    """Share by which intervals vary."""
    headers: dict[str, HeaderText] = {}
    """Sent to such hosts and to no others, also not behind a redirect; those of a request itself count more."""
    timeout: HostTimeout = HostTimeout()
    windows: Annotated[list[Hours], OneOrMany()] = []
    """Hours in which such a host is asked, like 22:00-06:00 Europe/Berlin (UTC without a zone); outside it waits."""


class Autothrottle(BaseModel):
    """Hosts are asked as they can bear it: gently at first, more while all goes well, half at trouble."""

    model_config = SECTION

    enabled: Bool = False
    """On for crawls."""
    min: Rate = 0.1
    """Starts per time that are never undercut, however slow a host is."""
    max: RateOrNull = None
    """Starts per time that are never exceeded; default and most is `per_host.rate`."""
    target_ttfb: LimitOrNull = None
    """Time to the first byte above which a host is asked less; default is twice its best."""


class Circuit(BaseModel):
    """A host that only fails is left alone for a while."""

    model_config = SECTION

    failures: Annotated[int | None, whole(1, 10_000).or_null()] = 5
    """Failures in a row (no connection, time-outs, 5xx) after which it is; null is never."""
    open_for: Limit = 60.0
    """First pause; each one that follows is twice as long."""
    max_open: Limit = 900.0
    """Longest pause; if the host fails after that as well, it is given up for this run."""


class Stop(BaseModel):
    """When a run ends early; what is left stays for the next one."""

    model_config = SECTION

    after: LimitOrNull = None
    """Time since the start."""
    requests: Annotated[int | None, whole(1).or_null()] = None
    """Requests begun."""
    bytes: SizeOrNull = None
    """Bytes of bodies received."""
    failures: Annotated[int | None, whole(1).or_null()] = None
    """Requests that failed for good."""
    failure_ratio: RatioOrNull = None
    """Share of failures among the last ones; a run that ends within it succeeds."""
    failure_ratio_window: Annotated[int, whole(1, 1_000_000)] = 1000
    """How many these last ones are."""
    consecutive_failures: Annotated[int | None, whole(1).or_null()] = None
    """Failures in a row."""
    memory: RatioOrNull = 0.85
    """Share of the memory of the container or machine from which no new request begins; null is no limit."""
    disk_free: SizeOrNull = None
    """Room left on the disk below which it waits for more, and ends if there is none for ten minutes; 1 GiB for
    downloads."""
    grace: Duration = 10.0
    """Time that requests in flight get to finish after Ctrl-C."""

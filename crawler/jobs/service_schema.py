"""The keys that the service goes by: when a job runs, what is kept, who is told, which addresses it may reach."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from crawler.jobs.cron import cron_problem
from crawler.jobs.fields import (
    Bool,
    Duration,
    Limit,
    LimitOrNull,
    OneOrMany,
    Reader,
    SizeOrNull,
    Text,
    choice,
    show,
    text,
    whole,
)
from crawler.jobs.section import SECTION
from crawler.jobs.units import parse_duration
from crawler.jobs.urls import url_problem

LEAST_EVERY_S: Final = 10

EVENTS: Final = ("failed", "recovered", "changed", "threshold", "skipped", "finished")
"""What a message may be about (`notify[].when`)."""


def _parse_cron(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a cron line in quotes, not {show(value)}")
    problem = cron_problem(value)
    if problem is not None:
        raise ValueError(problem)
    return str(value)


def _parse_every(value: object) -> int:
    seconds = parse_duration(value)
    if seconds != int(seconds) or seconds < LEAST_EVERY_S:
        raise ValueError(f"expected whole seconds, {LEAST_EVERY_S} or more, not {show(value)}")
    return int(seconds)


def _parse_zone(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected a time zone like Europe/Berlin, not {show(value)}")
    try:
        ZoneInfo(str(value))
    except (OSError, ValueError) as exc:  # ZoneInfoNotFoundError is a KeyError
        raise ValueError(f"{show(value)} is no time zone; write one like Europe/Berlin, or UTC") from exc
    except KeyError as exc:
        raise ValueError(
            f"{show(value)} is no time zone this machine knows; write one like Europe/Berlin, or UTC "
            "(pip install tzdata brings them all)"
        ) from exc
    return str(value)


def _parse_network(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected an address or a network like 10.0.0.0/8, not {show(value)}")
    try:
        return str(ip_network(value))
    except ValueError as exc:
        raise ValueError(
            f"{show(value)} is no address and no network like 10.0.0.0/8 (names are known, but not done yet)"
        ) from exc


def _parse_hook(value: object) -> str:
    problem = url_problem(value, testbed=False) if isinstance(value, str) else f"expected a URL, not {show(value)}"
    if problem is not None:
        raise ValueError(problem)
    return str(value)


Cron = Annotated[str, Reader(_parse_cron, {"type": "string", "examples": ["30 6 * * 1-5", "@daily"]})]
Every = Annotated[int, Reader(_parse_every, {"anyOf": [{"type": "string"}, {"type": "number", "minimum": 10}]})]
Zone = Annotated[str, Reader(_parse_zone, {"type": "string", "examples": ["Europe/Berlin"]})]
Net = Annotated[str, Reader(_parse_network, {"type": "string", "examples": ["10.0.0.0/8"]})]
Address = Annotated[str, text(320, r"[^@\s,;]+@[^@\s,;]+", "an address like ops@example.org")]
Event = Annotated[str, choice(*EVENTS)]
Overlap = Literal["skip", "queue", "replace", "allow"]
CatchUp = Literal["none", "last", "all"]


class Schedule(BaseModel):
    """When the service runs the job."""

    model_config = SECTION

    cron: Annotated[list[Cron], OneOrMany(), Field(max_length=50)] = []
    """Lines of five fields (minute, hour, day, month, weekday), or @daily and its like; this or `every`."""
    every: Annotated[int | None, Reader(lambda value: _parse_every(value), {"type": "string"}).or_null()] = None
    """Time from start to start, at least 10s."""
    timezone: Zone = "UTC"
    """Whose clock `cron` goes by."""
    jitter: Duration = 0.0
    """Each start is put off by up to that much, so that jobs do not start together."""
    overlap: Annotated[Overlap, choice("skip", "queue", "replace", "allow")] = "skip"
    """If the run before is not over: leave it out, let one wait, stop the old one, run both."""
    catch_up: Annotated[CatchUp, choice("none", "last", "all")] = "last"
    """Which of the starts that passed while the service was down are made up for."""
    start_deadline: Limit = 3600.0
    """A run that could not begin for so long is missed."""
    timeout: LimitOrNull = None
    """Longest a run may take."""
    enabled: Bool = True
    """false keeps the job, and starts nothing by itself."""


class Retention(BaseModel):
    """How many runs the service keeps; the last good one is never removed."""

    model_config = SECTION

    runs: Annotated[int | None, whole(1).or_null()] = 30
    """Good runs."""
    age: LimitOrNull = 90 * 86400.0
    """No run older than this."""
    size: SizeOrNull = None
    """What all runs of the job may take on the disk."""
    keep_failed: Annotated[int, whole(0)] = 10
    """Failed runs kept besides."""


class Webhook(BaseModel):
    """A message as an HTTP POST."""

    model_config = SECTION

    url: Annotated[str, Reader(_parse_hook, {"type": "string", "format": "uri"})]
    """Where to."""
    secret: Annotated[str | None, text(1000)] = None
    """Signs the message: HMAC-SHA256 in X-Crawler-Signature."""


class Email(BaseModel):
    """A message as an e-mail; the server is told by CRAWLER_SMTP_URL."""

    model_config = SECTION

    to: Annotated[list[Address], OneOrMany()]
    """Addresses."""


class Notify(BaseModel):
    """Who is told about runs; one message per run."""

    model_config = SECTION

    when: Annotated[list[Event], OneOrMany(), Field(min_length=1)] = ["failed", "recovered"]
    """What is worth a message."""
    webhook: Webhook | None = None
    """As an HTTP POST."""
    email: Email | None = None
    """As an e-mail."""
    command: Annotated[list[Text] | None, Field(min_length=1)] = None
    """A program with its arguments; gets the message as JSON on standard input. Never a shell."""


def _parse_address(value: object) -> str:
    from ipaddress import ip_address

    try:
        return str(ip_address(str(value)))
    except ValueError:
        raise ValueError(f"expected an IP address of this machine, not {show(value)}") from None


class Network(BaseModel):
    """Which addresses the job may reach; checked on the address that is connected to."""

    model_config = SECTION

    allow: Annotated[list[Net], OneOrMany()] = []
    """Addresses and networks besides the public ones, for the service; `crawler run` reaches everything anyway."""
    deny: Annotated[list[Net], OneOrMany()] = []
    """Addresses and networks that are refused, also if `allow` has them."""
    bind: Annotated[str | None, Reader(_parse_address, {"type": "string"})] = None
    """Address of this machine that connections start from."""

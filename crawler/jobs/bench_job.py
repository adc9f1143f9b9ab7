"""A job of `kind: bench` as plain values, for the room `bench` to make its plan of."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from crawler.fanout import Item
from crawler.jobs.bench_cells import Cell, expand
from crawler.jobs.bench_schema import Bench
from crawler.jobs.findings import Finding, JobError, Mark
from crawler.jobs.thresholds import Threshold

MAX_URLS = 100_000
"""URLs requested in turn; each worker process of a benchmark holds them all."""


@dataclass(frozen=True, slots=True)
class ReportFile:
    """A report to write: `format` is one of `REPORT_FORMATS`; the path `-` is standard output."""

    format: str
    path: Path


@dataclass(frozen=True, slots=True)
class BenchJob:
    """What a benchmark is to do.

    Attributes:
        name: Name of the job.
        urls: Requested in turn, by every arm.
        method, headers, body: The same for every URL.
        timeout_s: Until a request counts as failed.
        verify, ca_file: Trust.
        cells: The arms, multiplied out.
        settings: The keys of `bench` as read.
        seed: Of the shuffling and the statistics; made up if the job has none.
        thresholds: What must hold at the end.
        reports: Files to write.
    """

    name: str
    urls: tuple[str, ...]
    method: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    timeout_s: float
    verify: bool
    ca_file: Path | None
    cells: tuple[Cell, ...]
    settings: Bench
    seed: int
    thresholds: tuple[Threshold, ...]
    reports: tuple[ReportFile, ...]


def cells_of(settings: Bench, testbed_url: str | None) -> tuple[Cell, ...]:
    """The cells; URLs of the testbed get its address."""
    return tuple(
        replace(cell, url=(testbed_url or "") + cell.url) if cell.url and cell.url.startswith("/") else cell
        for cell in expand(settings)
    )


def seed_of(settings: Bench) -> int:
    """The job's seed, or a random one."""
    return settings.seed if settings.seed is not None else secrets.randbelow(2**32)


def one_request(items: list[Item]) -> Item:
    """The request that all URLs get.

    Raises:
        JobError: They differ in more than the URL, or there are none or too many.
    """
    if not items:
        raise JobError([Finding(Mark("input"), "the input holds no URL")])
    if len(items) > MAX_URLS:
        raise JobError([Finding(Mark("input"), f"more than {MAX_URLS} URLs; give `input.limit`")])
    first = items[0]
    for item in items:
        bad = (item.meta or {}).get("bad_row")
        if bad is not None:
            raise JobError([Finding(Mark("input"), f"bad row: {bad}")])
        if (item.method, item.headers, item.body) != (first.method, first.headers, first.body):
            raise JobError(
                [Finding(Mark("input"), f"a benchmark sends one request to every URL, and that of {item.url} differs")]
            )
    return first

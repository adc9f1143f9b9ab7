"""The arms of a benchmark with its matrix multiplied out.

    arms: [sync, {name: a, engine: async}]   ×   matrix: {vus: [1, 64]}   ─▶   sync, a[vus=1], a[vus=64]

An arm that has a key of the matrix itself keeps its own value and is not multiplied by that key; neither is one that
the key says nothing to: `sync` has one user, HTTP/1.1 no streams.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

from crawler.jobs.bench_schema import Bench, BenchArm, ClientName, EngineName, VersionName

MAX_CELLS: Final = 64
"""More would run for hours and compare noise."""

DEFAULT_VUS: Final = 64

DEFAULT_ARMS: Final = (
    BenchArm(name="sync", engine="sync"),
    BenchArm(name="threads", engine="threads"),
    BenchArm(name="async", engine="async"),
)
"""Those of a benchmark that names none."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm as it is run.

    Attributes:
        name: The arm's name, with its coordinates in brackets if the matrix has some: `async[vus=64]`.
        group: The arm's name alone.
        coordinates: Keys and values of the matrix, in the order of the file.
        engine, client, http_version, vus, streams_per_connection, reuse, url: As `BenchArm`, defaults filled in.
    """

    name: str
    group: str
    coordinates: tuple[tuple[str, int | str], ...]
    engine: EngineName
    client: ClientName
    http_version: VersionName
    vus: int
    streams_per_connection: int | None
    reuse: bool
    url: str | None


def expand(bench: Bench) -> list[Cell]:
    """Every cell, in the order of the arms and of the matrix's values."""
    return [cell for arm in bench.arms or DEFAULT_ARMS for cell in _cells(arm, bench)]


def count_cells(bench: Bench) -> int:
    """How many cells `expand` gives at most; without making them, as a matrix may be huge."""
    matrix = bench.matrix
    sizes = (len(matrix.vus), len(matrix.http_version), len(matrix.streams_per_connection))
    total = 0
    for arm in bench.arms or DEFAULT_ARMS:
        own = (arm.engine == "sync" or arm.vus is not None, arm.http_version is not None, _has_no_streams(arm, bench))
        cells = 1
        for size, is_own in zip(sizes, own, strict=True):
            cells *= 1 if is_own else max(1, size)
        total += cells
    return total


def matches(selector: str, cells: Iterable[Cell]) -> bool:
    """Whether an arm's name in `thresholds` or `baseline` means at least one cell."""
    return any(selector in ("*", cell.name, cell.group) for cell in cells)


def _has_no_streams(arm: BenchArm, bench: Bench) -> bool:
    if arm.streams_per_connection is not None:
        return True
    return "2" not in ((arm.http_version,) if arm.http_version else bench.matrix.http_version)


def _cells(arm: BenchArm, bench: Bench) -> Iterator[Cell]:
    matrix = bench.matrix
    users: list[int | None] = [None]
    if arm.engine != "sync" and arm.vus is None and matrix.vus:
        users = [*matrix.vus]
    versions: list[VersionName | None] = [None]
    if arm.http_version is None and matrix.http_version:
        versions = [*matrix.http_version]
    for vus, version in product(users, versions):
        effective: VersionName = arm.http_version or version or "1.1"
        limits: list[int | None] = [None]
        if effective == "2" and arm.streams_per_connection is None and matrix.streams_per_connection:
            limits = [*matrix.streams_per_connection]
        for streams in limits:
            coordinates: list[tuple[str, int | str]] = []
            if vus is not None:
                coordinates.append(("vus", vus))
            if version is not None:
                coordinates.append(("http_version", version))
            if streams is not None:
                coordinates.append(("streams_per_connection", streams))
            inside = ",".join(f"{key}={value}" for key, value in coordinates)
            yield Cell(
                name=f"{arm.name}[{inside}]" if inside else arm.name,
                group=arm.name,
                coordinates=tuple(coordinates),
                engine=arm.engine,
                client=arm.client,
                http_version=effective,
                vus=1 if arm.engine == "sync" else arm.vus or vus or DEFAULT_VUS,
                streams_per_connection=arm.streams_per_connection or streams,
                reuse=arm.reuse,
                url=arm.url,
            )

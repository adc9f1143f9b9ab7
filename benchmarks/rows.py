"""What is measured, against whom, and how good it must be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from benchmarks.loads import Load

OURS: Final = "crawler"
REFERENCE: Final = "crawler, reference codecs"
CURVE: Final = (1, 8, 64, 512, 4000)

Medians = Callable[[str], "float | None"]
"""Gives the median of an arm, by its label; None where it was not measured."""


@dataclass(frozen=True)
class Arm:
    """One client of a row: its label in the table, and what its process does."""

    label: str
    load: Load


@dataclass(frozen=True)
class Goal:
    """What a row has to show.

    Attributes:
        text: In words.
        must, aim: The bounds.
        value: From the row's medians; None where something for it is missing.
        at_most: Whether less is better.
        unit: Behind the number.
        is_cpu_bound: Whether the CPU time of a request decides, so that it can be compared too: it is steadier than
            the rate where the machine has other work.
    """

    text: str
    must: float
    aim: float
    value: Callable[[Medians], float | None]
    at_most: bool = False
    unit: str = ""
    is_cpu_bound: bool = False

    def holds(self, value: float) -> bool:
        """Whether the must is met."""
        return value <= self.must if self.at_most else value >= self.must


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        name: For the command line.
        title: In words.
        figure: The attribute of `Sample` that counts.
        arms: The clients.
        goals: What it has to show.
        rounds: Rounds that it takes at least.
    """

    name: str
    title: str
    figure: str
    arms: tuple[Arm, ...]
    goals: tuple[Goal, ...] = ()
    rounds: int = 1


UNITS: Final = {"rate": "req/s", "cpu_us": "µs CPU", "mb_per_s": "MB/s", "milliseconds": "ms", "peak_mib": "MiB"}
"""What the figures are counted in."""


def against(*others: str, text: str, must: float, aim: float, ours: str = OURS, is_cpu_bound: bool = True) -> Goal:
    """Our median over the best of the others'."""

    def value(median: Medians) -> float | None:
        mine, theirs = median(ours), [found for label in others if (found := median(label)) is not None]
        return None if mine is None or not theirs else mine / max(theirs)

    return Goal(text, must, aim, value, is_cpu_bound=is_cpu_bound)


def at_most(label: str, text: str, must: float, aim: float, unit: str) -> Goal:
    """An arm's own median."""
    return Goal(text, must, aim, lambda median: median(label), at_most=True, unit=unit)


def arms(base: Load, *clients: str, reference: bool = False) -> tuple[Arm, ...]:
    """One arm per client, all with the same load; ours also with the reference codecs if told."""
    found = [Arm(name, replace(base, client=name)) for name in clients]
    if reference:
        found.insert(1, Arm(REFERENCE, replace(base, client="crawler", codecs="reference")))
    return tuple(found)


def _get() -> Row:
    peers = ("wreq", "pyreqwest", "aiohttp", "curl_cffi", "niquests", "httpx2", "httpx")
    return Row(
        "get",
        "AsyncClient.get, HTTP/1.1, 64 at once",
        "rate",
        arms(Load(""), "crawler", *peers, "wrk", reference=True),
        (
            against("wreq", "pyreqwest", text="ratio to the faster of wreq and pyreqwest", must=1.0, aim=1.3),
            against("aiohttp", text="ratio to aiohttp", must=2.5, aim=3.3),
            against("httpx2", text="ratio to httpx2", must=20, aim=25),
        ),
    )


def _http2() -> Row:
    return Row(
        "http2",
        "AsyncClient.get, HTTP/2 over TLS, 64 streams",
        "rate",
        arms(Load("", tls=True, http2=True), "crawler", "pyreqwest", "httpx2", "httpx", "h2load", reference=True),
        (
            against("pyreqwest", text="ratio to pyreqwest", must=1.0, aim=1.2),
            against("httpx2", text="ratio to httpx2", must=15, aim=20),
        ),
    )


def _tls() -> Row:
    return Row(
        "tls",
        "AsyncClient.get, HTTP/1.1 over TLS, 64 at once",
        "rate",
        arms(Load("", tls=True), "crawler", "wreq", "pyreqwest", "aiohttp", "wrk"),
        (against("aiohttp", text="ratio to aiohttp", must=2, aim=3),),
    )


def _engine() -> Row:
    engine = (
        Arm("gather", Load("crawler", "gather")),
        Arm("as_completed", Load("crawler", "as_completed")),
        Arm("wrk", Load("wrk")),
    )
    return Row(
        "engine",
        "gather and as_completed, HTTP/1.1, 64 at once",
        "rate",
        engine,
        (
            against("wrk", text="gather: share of wrk's rate", must=0.5, aim=0.7, ours="gather", is_cpu_bound=False),
            against(
                "wrk",
                text="as_completed: share of wrk's rate",
                must=0.5,
                aim=0.7,
                ours="as_completed",
                is_cpu_bound=False,
            ),
        ),
    )


def _blocking() -> Row:
    base = Load("", "blocking", concurrency=1)
    peers = ("pyreqwest", "curl_cffi", "niquests", "httpx2", "httpx", "requests")
    return Row(
        "blocking",
        "Client.get, one thread, keep-alive",
        "rate",
        arms(base, "crawler", *peers, reference=True),
        (
            against("requests", text="ratio to requests", must=4, aim=6, is_cpu_bound=False),
            against("httpx2", text="ratio to httpx2", must=4, aim=6, is_cpu_bound=False),
        ),
    )


def _many() -> Row:
    def growth(median: Medians) -> float | None:
        few, many = median("crawler, 64"), median("crawler, 1,000")
        return None if few is None or many is None else many / few

    def at(label: str, client: str) -> tuple[Arm, Arm]:
        return (
            Arm(f"{label}, 64", Load(client, concurrency=64)),
            Arm(f"{label}, 1,000", Load(client, concurrency=1000)),
        )

    return Row(
        "many",
        "CPU per request at 1,000 at once, connections open",
        "cpu_us",
        (*at("crawler", "crawler"), *at("pyreqwest", "pyreqwest"), *at("aiohttp", "aiohttp")),
        (Goal("relative to 64 at once", 1.3, 1.1, growth, at_most=True),),
    )


def _memory() -> Row:
    return Row(
        "memory",
        "Resident memory, 5,000 open connections, HTTP/1.1",
        "peak_mib",
        arms(Load("", "hold", "/slow.bin", concurrency=5000), "crawler", "pyreqwest", "aiohttp"),
        (at_most("crawler", "peak of the whole process", 120, 80, " MiB"),),
    )


def _download(name: str, title: str, tls: bool, must: float) -> Row:
    base = Load("crawler", "download", "/1g.bin", tls=tls, concurrency=1)
    blocking = Arm("crawler, blocking", replace(base, kind="blocking", seconds=0))
    return Row(
        name,
        title,
        "mb_per_s",
        (Arm("crawler", base), blocking, *arms(base, "aiohttp", "curl")),
        (against("curl", text="share of curl's throughput", must=must, aim=1.0, is_cpu_bound=False),),
    )


def _post(name: str, title: str, post: str, goals: tuple[Goal, ...]) -> Row:
    base = Load("", path="/post", post=post)
    return Row(name, title, "rate", arms(base, "crawler", "pyreqwest", "aiohttp"), goals)


def _imports() -> Row:
    peers = ("crawler", "aiohttp", "httpx2", "httpx", "requests")
    return Row(
        "import",
        "Import time of a fresh interpreter",
        "milliseconds",
        arms(Load("", "import"), *peers),
        (at_most("crawler", "import crawler", 100, 60, " ms"),),
        rounds=10,
    )


def _curve() -> Row:
    clients = ("crawler", "pyreqwest", "aiohttp")
    return Row(
        "curve",
        "The cost curve: AsyncClient.get, HTTP/1.1",
        "rate",
        tuple(Arm(f"{name}, {n:,}", Load(name, concurrency=n)) for n in CURVE for name in clients),
    )


ROWS: Final = (
    _get(),
    _http2(),
    _tls(),
    _engine(),
    _blocking(),
    _many(),
    _memory(),
    _download("download", "Streaming download of 1 GB", tls=False, must=0.9),
    _download("download-tls", "Streaming download of 1 GB over TLS", tls=True, must=0.8),
    _post(
        "post",
        "POST of 16 KiB of JSON, 64 at once",
        "json",
        (against("aiohttp", text="ratio to aiohttp", must=2, aim=3),),
    ),
    _post("post-bytes", "POST of the same as bytes, 64 at once", "bytes", ()),
    _imports(),
    _curve(),
)

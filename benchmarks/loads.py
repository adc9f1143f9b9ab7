"""What one process is told to do, and what it says it did: the values between the benchmark and its workers."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Self


@dataclass(frozen=True)
class Load:
    """One client's work in one process.

    Attributes:
        client: A name of `clients.py`, or a program.
        kind: "async" and "blocking": requests one after another in each of `concurrency` tasks; "gather" and
            "as_completed": the engine; "download": one large body; "hold": open `concurrency` connections; "import".
        path: Of the URL; `url` is set when the server is up.
        tls, http2: What is spoken.
        concurrency: Requests at once.
        post: "" for GET; "json" or "bytes" for a POST of `clients.PAYLOAD`.
        seconds: How long it is measured.
        codecs: `CRAWLER_CODECS` of the process.
        url: Where the server is.
        ca: The file of the authority that signed its certificate.
    """

    client: str
    kind: str = "async"
    path: str = "/1k.bin"
    tls: bool = False
    http2: bool = False
    concurrency: int = 64
    post: str = ""
    seconds: float = 2.0
    codecs: str = "fast"
    url: str = ""
    ca: str = ""

    def at(self, url: str, ca: str, seconds: float) -> Load:
        """The same work against a server that is up."""
        return replace(self, url=url + self.path, ca=ca, seconds=seconds)

    def dump(self) -> str:
        """As JSON, for the command line of a worker."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `dump` gave."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Sample:
    """What one process did.

    Attributes:
        requests: Responses that came, all of status 200 and complete.
        seconds: Wall time of them.
        cpu_s: CPU time of the process meanwhile, all threads, user and system.
        body_bytes: Of the responses.
        peak_mib: The most memory that the process ever held (resident); 0 where it cannot be known.
    """

    requests: int
    seconds: float
    cpu_s: float
    body_bytes: int = 0
    peak_mib: float = 0.0

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds

    @property
    def cpu_us(self) -> float:
        """CPU microseconds a request."""
        return self.cpu_s / self.requests * 1e6

    @property
    def mb_per_s(self) -> float:
        """Megabytes (10^6) a second."""
        return self.body_bytes / self.seconds / 1e6

    @property
    def milliseconds(self) -> float:
        """Wall time of all of it."""
        return self.seconds * 1e3

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a sample from JSON."""
        return cls(**json.loads(text))

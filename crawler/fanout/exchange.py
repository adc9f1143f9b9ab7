"""What went over the wire for one request, for archives: heads as bytes, bodies as received, still coded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

BODY_SUFFIX: Final = ".body"
"""Of the files that large bodies wait in."""


@dataclass(slots=True)
class Hop:
    """One request and the response to it.

    Attributes:
        url: As requested.
        method: Of the request.
        request: Head of the request, and its body; secrets are masked.
        head: Status line and fields of the response, with the empty line.
        body: Of the response, as received without the transfer coding; a path if it was too large for memory.
        size: Bytes of the body.
        started: When the request went out, seconds since 1970.
        remote_ip: The peer, if known.
        protocol: `HTTP/1.1`, `HTTP/2`.
        is_cut: The body did not come whole.
    """

    url: str
    method: str
    request: bytes
    head: bytes
    body: bytes | Path
    size: int
    started: float
    remote_ip: str | None
    protocol: str
    is_cut: bool = False


@dataclass(slots=True)
class Exchange:
    """All of one request: redirects first, the final response last.

    Attributes:
        hops: In order.
        facts: What else is known: names of `application/warc-fields` and values.
    """

    hops: list[Hop]
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes that are held in memory."""
        return sum(len(hop.request) + len(hop.head) + len(hop.body) for hop in self.hops if isinstance(hop.body, bytes))

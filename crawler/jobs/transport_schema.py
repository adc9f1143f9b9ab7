"""The keys of `http` and `tls`, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel

from crawler.jobs.fields import (
    Bool,
    Duration,
    DurationOrNull,
    OneOrMany,
    PathText,
    Reader,
    choice,
    show,
    size_between,
    whole,
)
from crawler.jobs.section import SECTION
from crawler.net.name_servers import server_address
from crawler.net.route import MAX_WINDOW, MIN_WINDOW

Coding = Literal["gzip", "br", "zstd", "deflate"]


class Http(BaseModel):
    """The protocol."""

    model_config = SECTION

    version: Annotated[Literal["auto", "1.1", "2"], choice("auto", "1.1", "2")] = "auto"
    """In quotes: `"1.1"`."""
    keepalive: Duration = 15.0
    """How long an idle connection is kept."""
    max_connections: Annotated[int | None, whole(1, 10_000).or_null()] = None
    """Connections at once; null is no limit besides `concurrency`."""
    streams_per_connection: Annotated[int, whole(1, 1000)] = 100
    """HTTP/2: requests at once on one connection, if its server allows as many; then another is opened."""
    window: Annotated[int, size_between(MIN_WINDOW, MAX_WINDOW)] = 1 << 20
    """HTTP/2: bytes of one body that may be on their way; more is faster over long distances, less saves memory."""
    compression: Annotated[list[Annotated[Coding, choice("gzip", "br", "zstd", "deflate")]], OneOrMany()] = [
        "gzip",
        "br",
        "zstd",
        "deflate",
    ]
    """Content codings that are asked for; an empty list asks for none."""


def _parse_server(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected the IP address of a name server, not {show(value)}")
    server_address(value)
    return str(value)


class Dns(BaseModel):
    """How names become addresses."""

    model_config = SECTION

    servers: Annotated[list[Annotated[str, Reader(_parse_server, {"type": "string"})]], OneOrMany()] = []
    """Name servers to ask instead of the system: IP addresses, with a port or without; needs the extra `dns`."""
    concurrency: Annotated[int, whole(1, 1000)] = 100
    """Names that are asked for at once."""
    cache_ttl: DurationOrNull = None
    """How long addresses are believed; default 10s, or with `servers` as long as their records say, at most 1h."""
    negative_ttl: DurationOrNull = None
    """How long it is believed that a name does not exist; default 5s, or as `servers` say, at most 30s."""
    family: Annotated[Literal["auto", "ipv4", "ipv6"], choice("auto", "ipv4", "ipv6")] = "auto"
    """Addresses that count; auto tries both and takes the first that answers."""


class Tls(BaseModel):
    """Certificates."""

    model_config = SECTION

    verify: Bool = True
    """false accepts any certificate; said in each run and record."""
    ca_file: PathText | None = None
    """PEM file of authorities to trust instead of the system's, relative to the job file."""
    client_cert: PathText | None = None
    """PEM file of a certificate to show to servers, with the chain behind it, relative to the job file."""
    client_key: PathText | None = None
    """PEM file of its key; default: it stands in `client_cert`."""
    min_version: Annotated[Literal["1.2", "1.3"], choice("1.2", "1.3")] = "1.2"
    """Least version of TLS, in quotes."""

"""From the keys of connections, proxies, certificates and cookies to options of the client."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypedDict

from crawler.jobs.auth import first_cookies
from crawler.jobs.schema import JobFile
from crawler.models import Timeout
from crawler.net import Names, Streams


class TransportOptions(TypedDict):
    """Arguments of `ClientOptions`."""

    proxy: str | None
    proxies: tuple[str, ...]
    local_address: str | None
    names: Names | None
    streams: Streams | None
    max_connections: int | None
    client_cert: Path | None
    client_key: Path | None
    min_tls: Literal["1.2", "1.3"] | None
    keeps_cookies: bool
    cookies: tuple[tuple[str, str, str], ...]


def transport_options(model: JobFile, base: Path) -> TransportOptions:
    """Say how connections are made.

    Args:
        model: The job.
        base: Folder of the job file.
    """
    proxies, cookies = tuple(model.request.proxy), model.request.cookies
    given = "dns" in model.model_fields_set
    return {
        "proxy": proxies[0] if len(proxies) == 1 else None,
        "proxies": proxies if len(proxies) > 1 else (),
        "local_address": model.network.bind,
        "names": _names(model) if given else None,
        "streams": _streams(model),
        "max_connections": model.http.max_connections,
        "client_cert": base / model.tls.client_cert if model.tls.client_cert else None,
        "client_key": base / model.tls.client_key if model.tls.client_key else None,
        "min_tls": model.tls.min_version if "min_version" in model.tls.model_fields_set else None,
        "keeps_cookies": cookies is not False,
        "cookies": first_cookies(model) if isinstance(cookies, dict) else (),
    }


def _names(model: JobFile) -> Names:
    dns = model.dns
    return Names(dns.cache_ttl, dns.negative_ttl, dns.family, tuple(dns.servers), dns.concurrency)


def _streams(model: JobFile) -> Streams | None:
    """`None` where no connection can carry several requests."""
    if model.http.version == "1.1":
        return None
    return Streams(model.http.streams_per_connection, model.http.window)


def timeout_of(model: JobFile) -> Timeout:
    """The limits of one attempt; the client's own queue has none, since its pool is never full."""
    section = model.timeout
    return Timeout(
        connect=section.connect,
        read=section.read,
        write=section.read,
        pool=None,
        total=section.total,
        dns=section.dns,
        tls=section.tls,
        ttfb=section.read if section.ttfb is None else section.ttfb,
    )

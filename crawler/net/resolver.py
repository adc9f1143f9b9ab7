"""A resolver of the user's own: a function from a host name to IP addresses, plain or async."""

from __future__ import annotations

import inspect
import socket
from collections.abc import Awaitable, Callable, Iterable

from crawler.errors import HTTPError
from crawler.net.resolve import Rows, literal_address

Resolver = Callable[[str], Iterable[str] | Awaitable[Iterable[str]]]
"""Gives the IP addresses (text) of a host name, the best first; none, or `socket.gaierror`, if there are none.

Where it raises `OSError`, `TimeoutError` or an error of this package, the name could not be looked up just now.
"""

Told = Rows | Exception | None


async def ask_resolver(resolver: Resolver, host: str, port: int) -> Told:
    """Ask, in an async client; what the resolver raises beyond its contract is passed on.

    Raises:
        TypeError: It gave something else than IP addresses.
    """
    try:
        found = resolver(host)
        return _rows(await found if inspect.isawaitable(found) else found, host, port)
    except (OSError, HTTPError) as exc:
        return _failure(exc)


def ask_plain_resolver(resolver: Resolver, host: str, port: int) -> Told:
    """Ask, in a blocking client.

    Raises:
        RuntimeError: It is async.
        TypeError: It gave something else than IP addresses.
    """
    try:
        found = resolver(host)
        if inspect.isawaitable(found):
            if inspect.iscoroutine(found):
                found.close()
            raise RuntimeError("An async resolver was given to a blocking client.")
        return _rows(found, host, port)
    except (OSError, HTTPError) as exc:
        return _failure(exc)


def _rows(found: Iterable[str], host: str, port: int) -> Rows:
    texts: Iterable[object] = [found] if isinstance(found, str) else found
    addresses = []
    for text in texts:
        address = literal_address(text, port) if isinstance(text, str) else None
        if address is None:
            raise TypeError(f"The resolver gave {text!r} for {host}, which is no IP address.")
        addresses.append(address)
    return Rows.of(addresses, None)


def _failure(exc: OSError | HTTPError) -> Told:
    if isinstance(exc, socket.gaierror):
        return exc
    if isinstance(exc, TimeoutError):
        return None
    failure = socket.gaierror(socket.EAI_AGAIN, str(exc) or type(exc).__name__)
    failure.__cause__ = exc
    return failure

"""Addresses of hosts: literals, the cache, the order to try them in, and what a failed connect means.

    host, port ─▶ literal? ─yes─────────────────────────────┐
                    no                                      ▼
                     └▶ AddressCache ─▶ getaddrinfo ─▶ interleave ─▶ permitted (guard) ─▶ Race (race.py) ─▶ connect

Everything here is a decision on values: the look-up itself (a thread, a worker of the event loop) is the business of
the networks, and so is the clock, which comes in as `now`. `getaddrinfo` tells no time to live, hence the short ones.
"""

from __future__ import annotations

import errno
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import NamedTuple

from crawler.errors import ConnectError, ConnectTimeout

AddressGuard = Callable[[str], bool] | None
"""Says of an IP address (text, without brackets or zone) whether it may be connected to; None permits all."""


class Address(NamedTuple):
    """One place to connect to: what `socket.socket(family)` and `connect(sockaddr)` take."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int]

    @property
    def host(self) -> str:
        """The IP address as text, without a zone."""
        return self.sockaddr[0].partition("%")[0]

    @property
    def port(self) -> int:
        """The TCP port."""
        return self.sockaddr[1]


AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]]
"""A row of `socket.getaddrinfo`."""


class Rows(list[AddressInfo]):
    """Rows as of `getaddrinfo`, from somebody who may know how long they hold.

    Attributes:
        ttl_s: In seconds; None where nobody said.
    """

    ttl_s: float | None = None

    @classmethod
    def of(cls, addresses: Iterable[Address], ttl_s: float | None) -> Rows:
        """Rows of TCP."""
        rows = cls((address.family, int(socket.SOCK_STREAM), 6, "", address.sockaddr) for address in addresses)
        rows.ttl_s = ttl_s
        return rows


def addresses_from(rows: Iterable[AddressInfo]) -> list[Address]:
    """Take the IP addresses out of the rows of `getaddrinfo`, each once, in the resolver's order."""
    found: dict[Address, None] = {}
    for family, _, _, _, sockaddr in rows:
        # A row of a family that this Python was built without has another shape of address.
        if family in (socket.AF_INET, socket.AF_INET6) and isinstance(sockaddr[0], str):
            found[Address(int(family), sockaddr)] = None
    return list(found)


def literal_address(host: str, port: int) -> Address | None:
    """Give the address that `host` spells out, or None for a name that must be looked up.

    Only the strict forms count: dotted quads and IPv6 text (without brackets, a zone such as `%eth0` allowed). Odd
    spellings of IPv4 (`127.1`, `0x7f000001`) go through the resolver like names, so a guard sees what they become.
    """
    if ":" in host:
        if not _is_packed(socket.AF_INET6, host.partition("%")[0]):
            return None
        if "%" in host:
            return _zoned_address(host, port)
        return Address(int(socket.AF_INET6), (host, port, 0, 0))
    if host[-1:].isdigit() and _is_packed(socket.AF_INET, host):
        return Address(int(socket.AF_INET), (host, port))
    return None


def _is_packed(family: int, text: str) -> bool:
    """Whether the strict parser of the system takes this text."""
    try:
        socket.inet_pton(family, text)
    except (OSError, ValueError):
        return False
    return True


def _zoned_address(host: str, port: int) -> Address | None:
    """Turn the zone of a link-local address into its number; None if this machine has no such interface."""
    try:
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)  # asks no server
    except OSError:
        return None
    return next(iter(addresses_from(rows)), None)


def interleave(addresses: Sequence[Address]) -> list[Address]:
    """Order addresses so that the families alternate, beginning with the family the resolver put first.

    Within a family the resolver's order stays: it follows the system's policy table (RFC 6724).

    Source: RFC 8305 §4, with a "First Address Family Count" of 1.
    """
    if not addresses:
        return []
    first_family = addresses[0].family
    first = [address for address in addresses if address.family == first_family]
    other = [address for address in addresses if address.family != first_family]
    return [address for pair in zip_longest(first, other) for address in pair if address is not None]


def permitted(addresses: Sequence[Address], guard: AddressGuard, host: str) -> list[Address]:
    """Keep the addresses that `guard` permits; what is checked is what is connected to.

    Raises:
        ConnectError: None is left (kind `blocked_address`), or there was none (`dns_not_found`).
    """
    if not addresses:
        raise ConnectError(f"The host name {host!r} has no IP address.", kind="dns_not_found")
    if guard is None:
        return list(addresses)
    allowed = [address for address in addresses if guard(address.host)]
    if not allowed:
        refused = ", ".join(address.host for address in addresses[:4])
        raise ConnectError(f"{host} resolves to an address that is not permitted ({refused}).", kind="blocked_address")
    return allowed


class _Entry:
    """What is known of one name: addresses, or the words of the failure. Slots: thousands of these may exist."""

    __slots__ = ("addresses", "expires_at", "failure")

    def __init__(self, addresses: tuple[Address, ...], failure: str, expires_at: float) -> None:
        self.addresses = addresses
        self.failure = failure
        self.expires_at = expires_at


class AddressCache:
    """Remembers what names resolved to, for a short while; safe to share between threads.

    Keys are (host, port, family); `family` is `socket.AF_UNSPEC` (0) unless the caller wants one family only.

    Args:
        ttl_s: How long addresses are believed, in seconds; 0 remembers nothing. Less, where their source says less.
        negative_ttl_s: How long it is believed that a name does not exist; likewise.
        max_entries: Bound of memory, about 1 kB each; the oldest entry makes room.
        only: The one family of addresses that is wanted; `socket.AF_UNSPEC` (0) for any.
    """

    __slots__ = ("_entries", "_lock", "_max_entries", "_negative_ttl_s", "_ttl_s", "only")

    def __init__(
        self, ttl_s: float = 10.0, negative_ttl_s: float = 5.0, max_entries: int = 4096, only: int = 0
    ) -> None:
        self.only = only
        self._ttl_s = ttl_s
        self._negative_ttl_s = negative_ttl_s
        self._max_entries = max_entries
        self._entries: dict[tuple[str, int, int], _Entry] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._entries)

    def lookup(self, host: str, port: int, now: float, family: int = 0) -> tuple[Address, ...] | None:
        """Give the addresses known at `now` (monotonic seconds), or None if the resolver must be asked.

        Raises:
            ConnectError: The name is known not to exist (kind `dns_not_found`).
        """
        entry = self._entries.get((host, port, family))
        if entry is None or now >= entry.expires_at:
            return None
        if entry.failure:
            raise ConnectError(entry.failure, kind="dns_not_found")
        return entry.addresses

    def store(
        self,
        host: str,
        port: int,
        addresses: Sequence[Address],
        now: float,
        family: int = 0,
        ttl_s: float | None = None,
    ) -> None:
        """Remember a successful look-up, no longer than `ttl_s` if that is known."""
        seconds = self._ttl_s if ttl_s is None else min(ttl_s, self._ttl_s)
        self._put((host, port, family), _Entry(tuple(addresses), "", now + seconds))

    def store_failure(
        self,
        host: str,
        port: int,
        error: ConnectError,
        now: float,
        family: int = 0,
        ttl_s: float | None = None,
    ) -> None:
        """Remember that a name does not exist; any other failure may pass, and is not remembered."""
        if error.kind == "dns_not_found":
            seconds = self._negative_ttl_s if ttl_s is None else min(ttl_s, self._negative_ttl_s)
            self._put((host, port, family), _Entry((), str(error), now + seconds))

    def prefer(self, host: str, port: int, winner: Address, family: int = 0) -> None:
        """Put the address that answered first, so that the next connection does not wait for a dead one again.

        Source: RFC 8305 §4, which allows an order by what worked before.
        """
        with self._lock:
            entry = self._entries.get((host, port, family))
            if entry is not None and winner in entry.addresses and entry.addresses[0] != winner:
                entry.addresses = (winner, *(address for address in entry.addresses if address != winner))

    def forget(self, host: str, port: int, family: int = 0) -> None:
        """Drop what is known, because none of the addresses could be connected to."""
        with self._lock:
            self._entries.pop((host, port, family), None)

    def _put(self, key: tuple[str, int, int], entry: _Entry) -> None:
        with self._lock:
            self._entries.pop(key, None)  # so that dict order stays the order of age
            if len(self._entries) >= self._max_entries:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = entry


# The resolver's codes; a name of RFC 3493 that this platform lacks is left out.
_NOT_FOUND = {getattr(socket, name, None) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY", "EAI_FAMILY")}
_RESET = {errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE}
_TOO_MANY_FILES = {errno.EMFILE, errno.ENFILE}


def connect_error(exc: Exception, host: str, port: int | None) -> ConnectError | ConnectTimeout:
    """Translate a failed look-up or connect; the caller raises the result `from exc`.

    Kinds: `dns_not_found`, `dns_temporary`, `connect_refused`, `connect_reset`, `connect_unreachable`,
    `too_many_files`, `invalid_url` (a port or a name the system cannot even ask for), and `timeout_connect` as a
    `ConnectTimeout` where the operating system itself gave up.

    Args:
        host: As in the URL, or the path of a UNIX socket.
        port: None for a UNIX socket.
    """
    where = host if port is None else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if isinstance(exc, socket.gaierror):
        return _look_up_error(exc, host)
    if isinstance(exc, (UnicodeError, OverflowError, ValueError)):
        return ConnectError(f"{where} is not an address that can be connected to: {exc}", kind="invalid_url")
    code = getattr(exc, "errno", None)
    reason = getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
    if isinstance(exc, ConnectionRefusedError):
        return ConnectError(f"{where} refused the connection: nothing listens on that port.", kind="connect_refused")
    if isinstance(exc, TimeoutError):
        return ConnectTimeout(f"{where} did not answer: the operating system gave up ({reason}).")
    if code in _RESET:
        return ConnectError(f"{where} closed the connection while it was being made ({reason}).", kind="connect_reset")
    if code in _TOO_MANY_FILES:
        return ConnectError(
            f"No file descriptor left to connect to {where} ({reason}): lower the concurrency, or raise the limit "
            "(`ulimit -n`).",
            kind="too_many_files",
        )
    if code == errno.EADDRNOTAVAIL:
        reason = f"{reason}: no free local port, or `local_address` is not one of this machine"
    return ConnectError(f"{where} cannot be reached ({reason}).", kind="connect_unreachable")


def _look_up_error(exc: socket.gaierror, host: str) -> ConnectError:
    """Tell a name that does not exist from a resolver that could not say."""
    reason = exc.strerror or str(exc)
    if exc.errno in _NOT_FOUND:
        return ConnectError(f"The host name {host!r} does not resolve ({reason}).", kind="dns_not_found")
    return ConnectError(
        f"The host name {host!r} could not be looked up just now ({reason}); the resolver may answer later.",
        kind="dns_temporary",
    )


def known_addresses(cache: AddressCache, host: str, port: int, now: float) -> list[Address] | None:
    """Give the addresses that need no question to the resolver: a literal, or what the cache holds; else None.

    Raises:
        ConnectError: The name is known not to exist (kind `dns_not_found`).
    """
    literal = literal_address(host, port)
    if literal is not None:
        return [literal]
    known = cache.lookup(host, port, now)
    return None if known is None else list(known)


def learn_addresses(
    cache: AddressCache, host: str, port: int, answer: Iterable[AddressInfo] | Exception | None, now: float
) -> list[Address]:
    """Put the resolver's answer into the order of trying, and remember it; also that a name does not exist.

    Args:
        answer: Rows of `getaddrinfo`, what it raised, or None if it said nothing in time.

    Raises:
        ConnectError: The name does not resolve.
        ConnectTimeout: There was no answer (kind `dns_timeout`).
    """
    if answer is None:
        raise ConnectTimeout(f"The host name {host!r} was not resolved in time.", kind="dns_timeout")
    if isinstance(answer, Exception):
        error = connect_error(answer, host, port)
        if isinstance(error, ConnectError):
            cache.store_failure(host, port, error, now, ttl_s=getattr(answer, "ttl_s", None))
        raise error from answer
    addresses = interleave(addresses_from(answer))
    if cache.only:
        addresses = [address for address in addresses if address.family == cache.only]
    cache.store(host, port, addresses, now, ttl_s=answer.ttl_s if isinstance(answer, Rows) else None)
    return addresses

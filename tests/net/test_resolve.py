"""Addresses: literals, order, cache, guard, and the words for failures."""

from __future__ import annotations

import errno
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import ConnectError, ConnectTimeout
from crawler.net.resolve import (
    Address,
    AddressCache,
    AddressInfo,
    addresses_from,
    connect_error,
    interleave,
    literal_address,
    permitted,
)

V4 = int(socket.AF_INET)
V6 = int(socket.AF_INET6)


def v4(last: int, port: int = 80) -> Address:
    """An IPv4 address."""
    return Address(V4, (f"192.0.2.{last}", port))


def v6(last: int, port: int = 80) -> Address:
    """An IPv6 address."""
    return Address(V6, (f"2001:db8::{last:x}", port, 0, 0))


ADDRESSES = st.lists(
    st.builds(lambda make, last: make(last), st.sampled_from([v4, v6]), st.integers(1, 200)), unique=True
)


@given(ADDRESSES)
def test_interleave_loses_and_invents_nothing(addresses: list[Address]) -> None:
    """Whatever the families, the same addresses come out."""
    assert sorted(interleave(addresses)) == sorted(addresses)


@given(ADDRESSES)
def test_interleave_keeps_the_order_within_a_family(addresses: list[Address]) -> None:
    """The resolver's preference within each family stays."""
    ordered = interleave(addresses)
    for family in (V4, V6):
        assert [a for a in ordered if a.family == family] == [a for a in addresses if a.family == family]


@given(ADDRESSES)
def test_interleave_alternates_while_both_families_last(addresses: list[Address]) -> None:
    """The resolver's first address stays first, and no family comes twice in a row while the other has one left."""
    ordered = interleave(addresses)

    assert ordered[:1] == addresses[:1]
    for index in range(1, len(ordered)):
        if ordered[index].family == ordered[index - 1].family:
            assert len({a.family for a in ordered[index:]}) == 1


def test_rows_of_the_resolver_become_addresses_once_each() -> None:
    """Duplicates and other families are dropped, the order stays."""
    rows: list[AddressInfo] = [
        (V6, 1, 6, "", ("2001:db8::1", 80, 0, 0)),
        (V4, 1, 6, "", ("192.0.2.1", 80)),
        (V6, 1, 6, "", ("2001:db8::1", 80, 0, 0)),
        (V6, 1, 6, "", (10, b"built without IPv6")),
        (99, 1, 6, "", ("strange", 80)),
    ]

    assert addresses_from(rows) == [v6(1), v4(1)]


def test_localhost_resolves_to_addresses() -> None:
    """What the real resolver gives has the expected shape."""
    rows = socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)

    assert {"127.0.0.1", "::1"} & {address.host for address in addresses_from(rows)}
    assert all(address.port == 80 for address in addresses_from(rows))


@pytest.mark.parametrize(
    ("host", "family"),
    [("127.0.0.1", V4), ("255.255.255.255", V4), ("::1", V6), ("2001:db8::1", V6), ("::ffff:127.0.0.1", V6)],
)
def test_literal_addresses_need_no_resolver(host: str, family: int) -> None:
    """Strict IP addresses are their own answer."""
    address = literal_address(host, 8080)

    assert address is not None
    assert (address.family, address.host, address.port) == (family, host, 8080)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "example.com",
        "127.1",
        "0x7f.0.0.1",
        "2130706433",
        "1.2.3.4.5",
        "1.2.3.256",
        "",
        "::g",
        "a:b",
        "1\0.2",
    ],
)
def test_names_and_odd_spellings_are_no_literals(host: str) -> None:
    """Whatever is not strictly an address goes through the resolver, and so past the guard."""
    assert literal_address(host, 80) is None


def test_a_zone_is_resolved_on_this_machine() -> None:
    """A link-local address keeps its zone for connecting, but not in the text for guards."""
    name = socket.if_nameindex()[0][1]
    address = literal_address(f"fe80::1%{name}", 80)

    assert address is not None
    assert address.host == "fe80::1"
    assert address.sockaddr[3:] == (socket.if_nametoindex(name),)
    assert literal_address("fe80::1%nosuch0", 80) is None


def test_the_guard_keeps_what_it_permits() -> None:
    """Forbidden addresses are never handed on; none left is an error before any packet."""
    assert permitted([v4(1), v4(2)], None, "h") == [v4(1), v4(2)]
    assert permitted([v4(1), v4(2)], lambda address: address == "192.0.2.2", "h") == [v4(2)]

    with pytest.raises(ConnectError, match=r"h resolves to .*192\.0\.2\.1") as caught:
        permitted([v4(1)], lambda address: False, "h")
    assert caught.value.kind == "blocked_address"


def test_a_host_without_addresses_is_not_found() -> None:
    """A resolver that answers with nothing is no reason to fail in a strange place."""
    with pytest.raises(ConnectError) as caught:
        permitted([], None, "h")
    assert caught.value.kind == "dns_not_found"


def test_the_cache_believes_for_its_time() -> None:
    """An entry counts until its time to live is over, to the instant."""
    cache = AddressCache(ttl_s=10)

    assert cache.lookup("h", 80, 0.0) is None
    cache.store("h", 80, [v6(1), v4(1)], 100.0)
    assert cache.lookup("h", 80, 109.9) == (v6(1), v4(1))
    assert cache.lookup("h", 80, 110.0) is None


def test_the_cache_tells_host_port_and_family_apart() -> None:
    """Each key has its own answer."""
    cache = AddressCache()
    cache.store("h", 80, [v4(1)], 0.0)

    assert cache.lookup("h", 81, 0.0) is None
    assert cache.lookup("i", 80, 0.0) is None
    assert cache.lookup("h", 80, 0.0, V6) is None


def test_the_cache_remembers_that_a_name_does_not_exist() -> None:
    """A missing name fails again at once, by a new exception each time, for the shorter time."""
    cache = AddressCache(negative_ttl_s=5)
    cache.store_failure("h", 80, ConnectError("no such name", kind="dns_not_found"), 0.0)

    errors = []
    for _ in range(2):
        with pytest.raises(ConnectError, match="no such name") as caught:
            cache.lookup("h", 80, 4.9)
        errors.append(caught.value)
    assert errors[0] is not errors[1]
    assert errors[0].kind == "dns_not_found"
    assert cache.lookup("h", 80, 5.0) is None


def test_the_cache_forgets_failures_that_may_pass() -> None:
    """A resolver that could not say is asked again by the next request."""
    cache = AddressCache()
    cache.store_failure("h", 80, ConnectError("later", kind="dns_temporary"), 0.0)

    assert cache.lookup("h", 80, 0.0) is None


def test_the_cache_is_bounded() -> None:
    """The oldest entry makes room, and storing again makes young."""
    cache = AddressCache(max_entries=2)
    cache.store("a", 80, [v4(1)], 0.0)
    cache.store("b", 80, [v4(2)], 0.0)
    cache.store("a", 80, [v4(3)], 0.0)
    cache.store("c", 80, [v4(4)], 0.0)

    assert len(cache) == 2
    assert cache.lookup("b", 80, 0.0) is None
    assert cache.lookup("a", 80, 0.0) == (v4(3),)


def test_the_cache_puts_the_winner_first() -> None:
    """After a dead first address, the next connection begins with the one that answered; strangers change nothing."""
    cache = AddressCache()
    cache.store("h", 80, [v6(1), v4(1), v6(2)], 0.0)
    cache.prefer("h", 80, v4(1))
    cache.prefer("h", 80, v4(9))
    cache.prefer("unknown", 80, v4(1))

    assert cache.lookup("h", 80, 0.0) == (v4(1), v6(1), v6(2))


def test_the_cache_forgets_on_demand() -> None:
    """When no address works, the resolver is asked again."""
    cache = AddressCache()
    cache.store("h", 80, [v4(1)], 0.0)
    cache.forget("h", 80)
    cache.forget("h", 80)

    assert cache.lookup("h", 80, 0.0) is None


def os_error(code: int) -> OSError:
    """The error the operating system raises for a code."""
    return OSError(code, "words")


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), "dns_not_found"),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "dns_temporary"),
        (socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure in name resolution"), "dns_temporary"),
        (os_error(errno.ECONNREFUSED), "connect_refused"),
        (os_error(errno.ECONNRESET), "connect_reset"),
        (os_error(errno.ECONNABORTED), "connect_reset"),
        (os_error(errno.ENETUNREACH), "connect_unreachable"),
        (os_error(errno.EHOSTUNREACH), "connect_unreachable"),
        (os_error(errno.EADDRNOTAVAIL), "connect_unreachable"),
        (os_error(errno.EACCES), "connect_unreachable"),
        (os_error(errno.EMFILE), "too_many_files"),
        (os_error(errno.ENFILE), "too_many_files"),
        (OSError("no number at all"), "connect_unreachable"),
        (OverflowError("port must be 0-65535."), "invalid_url"),
        (UnicodeError("label too long"), "invalid_url"),
    ],
    ids=lambda value: value if isinstance(value, str) else repr(value),
)
def test_failures_have_their_kind_and_name_the_place(exc: Exception, kind: str) -> None:
    """Each failure of the operating system becomes a ConnectError of the closed list, naming the host."""
    error = connect_error(exc, "host.test", 80)

    assert isinstance(error, ConnectError)
    assert error.kind == kind
    assert "host.test" in str(error)


def test_the_systems_own_timeout_is_a_timeout() -> None:
    """When the kernel gives up (ETIMEDOUT) it is a ConnectTimeout, not merely a ConnectError."""
    error = connect_error(os_error(errno.ETIMEDOUT), "host.test", 80)

    assert isinstance(error, ConnectTimeout)
    assert error.kind == "timeout_connect"


def test_places_are_written_unambiguously() -> None:
    """IPv6 hosts stand in brackets, UNIX sockets by their path."""
    assert "[::1]:80" in str(connect_error(os_error(errno.ECONNREFUSED), "::1", 80))
    assert "some.sock cannot" in str(connect_error(os_error(errno.ENOENT), "some.sock", None))


def test_a_refused_port_on_loopback() -> None:
    """A real refusal is recognised."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(OSError, match="refused") as caught:
        socket.create_connection(("127.0.0.1", port), timeout=10)

    assert connect_error(caught.value, "127.0.0.1", port).kind == "connect_refused"

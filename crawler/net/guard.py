"""A ready-made address guard: only the public Internet.

For programs that fetch URLs given by strangers, so that none of them leads to the machine itself, its neighbours or
a cloud's metadata service. It judges addresses, never names: what is judged is what is connected to, so neither odd
spellings (`0x7f.1`) nor a name that resolves differently the second time get around it.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address


def is_public_address(address: str) -> bool:
    """Whether an IP address lies in the public Internet, and so does any IPv4 address embedded in it.

    False for loopback, private, link-local, carrier-NAT, multicast, unspecified and reserved addresses, and for text
    that is no IP address.

    Source: the IANA special-purpose registries (RFC 6890).
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = _embedded(parsed) if isinstance(parsed, IPv6Address) else ()
    if not inner:
        return _is_public(parsed)
    return all(_is_public(embedded) for embedded in inner)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Ask the registries, which count multicast, site-local and some reserved blocks as global."""
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _embedded(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """Give the IPv4 addresses a transition form stands for; a router or the system's own stack may unpack them.

    Source: RFC 4291 §2.5.5 (compatible and mapped), RFC 3056 (6to4), RFC 4380 §4 (Teredo), RFC 6052 §2.1 (NAT64).
    """
    number = int(address)
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if number >> 32 in (0, 0x64FF9B << 64) and number > 1:  # ::a.b.c.d and 64:ff9b::a.b.c.d; `::` and `::1` are neither
        return (IPv4Address(number & 0xFFFFFFFF),)
    return ()

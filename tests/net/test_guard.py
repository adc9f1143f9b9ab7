"""The guard that permits the public Internet only."""

from __future__ import annotations

import pytest

from crawler.net.guard import is_public_address

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "2002:808:808::", "64:ff9b::808:808"]

FORBIDDEN = {
    "loopback": ["127.0.0.1", "127.255.0.1", "::1"],
    "private": ["10.0.0.1", "172.16.0.1", "192.168.1.1", "fc00::1", "fd12::1", "fec0::1"],
    "link-local, metadata": ["169.254.169.254", "fe80::1", "fe80::1%eth0"],
    "carrier NAT": ["100.64.0.1"],
    "multicast, broadcast": ["224.0.0.1", "255.255.255.255", "ff02::1"],
    "unspecified, this network": ["0.0.0.0", "0.1.2.3", "::"],
    "reserved, documentation": ["240.0.0.1", "192.0.2.1", "198.18.0.1", "2001:db8::1"],
    "mapped and compatible": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::7f00:1"],
    "6to4, Teredo, NAT64": ["2002:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe", "64:ff9b::a00:1", "64:ff9b:1::1"],
    "no address": ["", "localhost", "127.1", "0x7f000001", "１２７.0.0.1"],
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address: str) -> None:
    """Addresses of the public Internet pass, also inside a transition form."""
    assert is_public_address(address)


@pytest.mark.parametrize("address", [address for group in FORBIDDEN.values() for address in group])
def test_other_addresses_are_refused(address: str) -> None:
    """Whatever leads to this machine, its network or nowhere is refused, in every form."""
    assert not is_public_address(address)

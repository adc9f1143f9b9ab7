"""`network.allow` and `network.deny` as a guard: a question asked of each address before anything is sent to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network

from crawler.jobs.service_schema import Network
from crawler.net.guard import is_public_address


def guard_of(network: Network, *, public_only: bool, allow: Iterable[str] = ()) -> Callable[[str], bool] | None:
    """Make the guard of a job; None if it may reach everything.

    Args:
        network: The job's own rules; `deny` counts before `allow`.
        public_only: Only the public Internet besides what is allowed: the rule of the service.
        allow: Addresses and networks that the operator allows besides.
    """
    if not public_only and not network.deny:
        return None
    allowed = [ip_network(text) for text in (*network.allow, *allow)]
    denied = [ip_network(text) for text in network.deny]

    def is_permitted(address: str) -> bool:
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None) or parsed
        if any(form in net for form in (parsed, mapped) for net in denied):
            return False
        if any(mapped in net for net in allowed):
            return True
        return is_public_address(address) if public_only else True

    return is_permitted

"""Who may be put under load: one's own machine and network; others only gently, unless their owner says otherwise."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from crawler.bench.plan import Arm, BenchPlan
from crawler.models import URL
from crawler.net.guard import is_public_address

MAX_PUBLIC_RATE: Final = 100.0
"""Requests per second that a host nobody said they own is asked for at most."""

MAX_PUBLIC_VUS: Final = 64
"""Requests in flight that such a host gets at most."""

_WAY_OUT: Final = "Lower it, or say that the host is yours to load (--i-own-this-host)."


def hosts(plan: BenchPlan) -> frozenset[str]:
    """Give the hosts that a plan sends to, without brackets and ports.

    Raises:
        InvalidURL: A URL is none.
    """
    return frozenset(URL(url).host for arm in plan.arms for url in plan.urls_of(arm))


def is_private(address: str) -> bool:
    """Tell whether an IP address is not of the public Internet; transition forms are judged by what they lead to."""
    return not is_public_address(address)


def public_hosts(addresses: Mapping[str, Collection[str]]) -> list[str]:
    """Give the hosts that have an address which is not private, or none at all that is known, sorted.

    Args:
        addresses: Host → its IP addresses, as a resolver gave them.
    """
    return sorted(host for host, found in addresses.items() if not found or not all(map(is_private, found)))


def refusal(plan: BenchPlan, addresses: Mapping[str, Collection[str]]) -> str | None:
    """Say why a plan must not run: it asks too much of a public host; `None` if it may.

    A closed load goes as fast as the answers come, so its rate cannot be judged here; `too_fast` does it as it runs.
    """
    public = public_hosts(addresses)
    if plan.is_owned or not public:
        return None
    rate = plan.executor.peak_rate
    if rate is not None and rate > MAX_PUBLIC_RATE:
        return f"{rate:g} requests/s are too many for {public[0]}: public hosts get {MAX_PUBLIC_RATE:g}. {_WAY_OUT}"
    vus = plan.executor.max_vus if plan.executor.is_open else max(arm.vus for arm in plan.arms)
    if vus > MAX_PUBLIC_VUS:
        return f"{vus} requests at once are too many for {public[0]}: public hosts get {MAX_PUBLIC_VUS}. {_WAY_OUT}"
    return None


def too_fast(plan: BenchPlan, arm: Arm, public: Collection[str], requests: int, elapsed: float) -> str | None:
    """Say why a running round must stop: it loads a public host beyond `MAX_PUBLIC_RATE`; `None` while it does not.

    Args:
        plan, arm: What runs.
        public: Hosts as `public_hosts` found them.
        requests, elapsed: Of this round so far; the first second says nothing yet.
    """
    if plan.is_owned or elapsed < 1 or requests / elapsed <= MAX_PUBLIC_RATE:
        return None
    touched = {URL(url).host for url in plan.urls_of(arm)}.intersection(public)
    if not touched:
        return None
    return (
        f"{arm.name} made {requests / elapsed:.0f} requests/s, too many for {min(touched)}: "
        f"public hosts get {MAX_PUBLIC_RATE:g}. {_WAY_OUT}"
    )

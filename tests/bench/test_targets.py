"""Public hosts are spared."""

from __future__ import annotations

from typing import Any

import pytest

from crawler.bench import Arm, BenchPlan, Executor
from crawler.bench.targets import hosts, is_private, public_hosts, refusal, too_fast

PUBLIC = {"example.org": ["93.184.216.34"]}
OPEN: dict[str, Any] = {"kind": "constant_rate", "duration": 1}


def plan_of(executor: Executor, vus: int = 1, **more: Any) -> BenchPlan:
    return BenchPlan(("https://example.org/x",), (Arm("a", vus=vus),), executor, **more)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("192.168.0.1", True),
        ("172.16.0.1", True),
        ("169.254.1.1", True),
        ("fe80::1%eth0", True),
        ("fd00::1", True),
        ("::ffff:10.0.0.1", True),
        ("::ffff:8.8.8.8", False),
        ("8.8.8.8", False),
        ("2606:4700::1111", False),
        ("172.32.0.1", False),
    ],
)
def test_private_addresses(address: str, expected: bool) -> None:
    """Loopback, RFC 1918, RFC 4193 and link-local are private, also written as IPv4 in IPv6."""
    assert is_private(address) is expected


def test_a_host_is_public_if_any_address_is_or_none_is_known() -> None:
    """In doubt it is somebody else's."""
    known = {"mine": ["127.0.0.1", "::1"], "both": ["10.0.0.1", "8.8.8.8"], "gone": []}
    assert public_hosts(known) == ["both", "gone"]


def test_hosts_of_a_plan_are_those_of_all_arms() -> None:
    """An arm's own URL counts."""
    arms = (Arm("a"), Arm("b", url="http://[::1]:80/"))
    assert hosts(BenchPlan(("http://EXAMPLE.org:81/",), arms, Executor(requests=1))) == {"example.org", "::1"}


@pytest.mark.parametrize(
    ("executor", "vus", "is_refused"),
    [
        (Executor(**OPEN, rate=100, max_vus=64), 1, False),
        (Executor(**OPEN, rate=101, max_vus=64), 1, True),
        (Executor(**OPEN, rate=10, max_vus=65), 1, True),
        (Executor(requests=10), 64, False),
        (Executor(requests=10), 65, True),
    ],
)
def test_a_public_host_is_refused_more_than_a_little(executor: Executor, vus: int, is_refused: bool) -> None:
    """Above 100 requests/s or 64 at once; never on one's own host, nor if the operator owns it."""
    assert (refusal(plan_of(executor, vus), PUBLIC) is not None) is is_refused
    assert refusal(plan_of(executor, vus), {"example.org": ["127.0.0.1"]}) is None
    assert refusal(plan_of(executor, vus, is_owned=True), PUBLIC) is None


def test_a_closed_load_that_gets_too_fast_is_stopped() -> None:
    """Its rate is only known as it runs: judged from the second second on, for public hosts alone."""
    plan = plan_of(Executor(requests=1000))
    arm = plan.arms[0]
    assert too_fast(plan, arm, ["example.org"], 500, 0.5) is None
    assert too_fast(plan, arm, ["example.org"], 200, 2.0) is None
    assert too_fast(plan, arm, [], 5000, 2.0) is None
    said = too_fast(plan, arm, ["example.org"], 202, 2.0)
    assert said is not None
    assert "101 requests/s" in said

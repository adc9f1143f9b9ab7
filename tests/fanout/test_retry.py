"""The retry decider: counts, waits, what the server asked for. Loops over numbers, no clock."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.fanout.kinds import KINDS
from crawler.fanout.plan import RetryPolicy
from crawler.fanout.retry import backoff, decide

POLICY = RetryPolicy()


def ask(policy: RetryPolicy = POLICY, **changes: object) -> float | None:
    """Ask about a first `connect_refused` of a GET, with changes; the dice always show the middle."""
    case: dict[str, object] = {
        "kind": "connect_refused",
        "status": None,
        "method": "GET",
        "idempotent": None,
        "failures": 1,
        "rate_limited": 0,
        "retry_after": None,
        "rng": lambda: 0.5,
    }
    return decide(policy, **{**case, **changes})  # type: ignore[arg-type]  # checked by the call itself


@pytest.mark.parametrize(
    ("kind", "status", "again"),
    [
        ("dns_temporary", None, True),
        ("dns_not_found", None, False),
        ("timeout_read", None, True),
        ("connection_lost", None, True),
        ("body_incomplete", None, True),
        ("tls_untrusted", None, False),
        ("timeout_tls", None, True),
        ("invalid_url", None, False),
        ("internal", None, False),
        ("http_5xx", 500, True),
        ("http_5xx", 501, False),
        ("http_5xx", 524, True),
        ("http_4xx", 404, False),
        ("http_4xx", 408, True),
    ],
)
def test_what_is_tried_again(kind: str, status: int | None, again: bool) -> None:
    """The default policy retries what another try can mend, and nothing else."""
    assert (ask(kind=kind, status=status) is not None) == again


def test_attempts_are_counted_with_the_first() -> None:
    """`attempts: 4` is four tries in all."""
    assert [ask(failures=n) is not None for n in (1, 2, 3, 4, 5)] == [True, True, True, False, False]


def test_rate_limits_have_their_own_count() -> None:
    """Being told "later" does not use up the tries meant for failures, and the other way round."""
    assert ask(kind="rate_limited", status=429, failures=3, rate_limited=7) is not None
    assert ask(kind="rate_limited", status=429, failures=0, rate_limited=8) is None
    assert ask(failures=3, rate_limited=7) is not None


def test_statuses_can_be_taken_off_the_list() -> None:
    """A 429 or 503 that the job does not list is final, whatever the server says; a 403 counts by its Retry-After."""
    policy = RetryPolicy(status=frozenset({500}))

    assert ask(policy, kind="rate_limited", status=429, failures=0, rate_limited=1, retry_after=1) is None
    assert ask(policy, kind="rate_limited", status=403, failures=0, rate_limited=1, retry_after=1) is not None


@pytest.mark.parametrize(
    ("method", "idempotent", "kind", "again"),
    [
        ("POST", None, "timeout_read", False),
        ("POST", None, "connect_refused", True),
        ("POST", None, "connect_reset", False),
        ("POST", True, "timeout_read", True),
        ("PATCH", None, "connection_lost", False),
        ("PUT", None, "connection_lost", True),
        ("GET", False, "timeout_read", False),
        ("GET", False, "dns_timeout", True),
    ],
)
def test_unsafe_methods(method: str, idempotent: bool | None, kind: str, again: bool) -> None:
    """What may not be sent twice is tried again only if the server cannot have seen it."""
    assert (ask(method=method, idempotent=idempotent, kind=kind) is not None) == again


@pytest.mark.parametrize(
    ("rule", "asked", "wait"),
    [
        ("obey", 30.0, 30.0),
        ("obey", 600.0, 600.0),
        ("obey", 601.0, None),
        ("cap", 601.0, 600.0),
        ("cap", 30.0, 30.0),
        ("ignore", 601.0, 0.25),
        ("obey", 0.0, 0.25),
        ("obey", 0.01, 0.25),
        ("obey", float("inf"), None),
    ],
)
def test_what_the_server_asks_for(rule: str, asked: float, wait: float | None) -> None:
    """Obeyed, capped or ignored; zero means "use your own back-off", which also is the least there is."""
    policy = RetryPolicy(retry_after=rule)  # type: ignore[arg-type]  # a parameter of the test

    assert ask(policy, kind="rate_limited", status=429, failures=0, rate_limited=1, retry_after=asked) == wait


@given(
    failures=st.integers(1, 10_000),
    base=st.floats(0, 10),
    factor=st.floats(1, 10),
    cap=st.floats(0, 1e6),
    jitter=st.sampled_from(["full", "equal", "none"]),
    seed=st.integers(0, 1000),
)
def test_back_off_stays_within_its_bounds(
    failures: int, base: float, factor: float, cap: float, jitter: str, seed: int
) -> None:
    """No wait is negative or above the cap, for any number of failures; equal jitter keeps at least half."""
    policy = RetryPolicy(base=base, factor=factor, max_backoff=cap, jitter=jitter)  # type: ignore[arg-type]

    wait = backoff(policy, failures, random.Random(seed).random)

    assert 0 <= wait <= cap
    if jitter == "equal":
        assert (
            wait >= backoff(RetryPolicy(base=base, factor=factor, max_backoff=cap, jitter="none"), failures, float) / 2
        )


@given(kind=st.sampled_from(sorted(KINDS)), failures=st.integers(1, 30), limited=st.integers(0, 30))
def test_every_url_comes_to_an_end(kind: str, failures: int, limited: int) -> None:
    """For no kind are there more tries than the policy allows."""
    wait = ask(kind=kind, status=429, failures=failures, rate_limited=limited)

    if kind == "rate_limited":
        assert wait is None or limited < POLICY.rate_limit_attempts
    else:
        assert wait is None or failures < POLICY.attempts

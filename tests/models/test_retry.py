"""`Retry`: its decisions over numbers, without any waiting."""

from __future__ import annotations

import math
import pickle
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.models import Retry


class Always:
    """A source of chance that always says the same."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self) -> float:
        """The value."""
        return self.value


def test_delay_grows_to_its_limit() -> None:
    """The longest wait doubles with each attempt up to the limit; the draw is even from 0."""
    retry = Retry(backoff=0.5, factor=2.0, max_backoff=3.0)

    assert [retry.delay(attempt, Always(1.0)) for attempt in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert retry.delay(3, Always(0.25)) == 0.5
    assert retry.delay(3, Always(0.0)) == 0.0


@given(st.integers(1, 10**9), st.integers())
def test_delay_is_within_bounds(attempt: int, seed: int) -> None:
    """However many attempts there were, the wait is between 0 and the limit."""
    assert 0 <= Retry(max_backoff=60.0).delay(attempt, random.Random(seed)) <= 60.0


def test_which_requests() -> None:
    """By default only what may be sent twice, and statuses that may pass."""
    retry = Retry()

    assert [method for method in ("GET", "head", "PUT", "DELETE", "QUERY") if not retry.applies_to(method)] == []
    assert not retry.applies_to("POST")
    assert not retry.applies_to("PATCH")
    assert Retry(methods=["post"]).applies_to("POST")
    assert retry.applies_to_status(503)
    assert not retry.applies_to_status(501)


def test_wait_obeys_the_server_within_reason() -> None:
    """Retry-After sets the wait; an absurd one ends the attempts; 0 means to back off."""
    retry = Retry(attempts=3, max_retry_after=10.0)
    rng = Always(1.0)

    assert retry.wait(1, rng, retry_after=7.0) == 7.0
    assert retry.wait(1, rng, retry_after=11.0) is None
    assert retry.wait(1, rng, retry_after=math.inf) is None
    assert retry.wait(1, rng, retry_after=0.0) == 0.5
    assert retry.wait(1, rng) == 0.5
    assert retry.wait(3, rng) is None
    assert Retry(respect_retry_after=False).wait(1, rng, retry_after=7.0) == 0.5
    assert Retry(attempts=1).wait(1, rng) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": 0},
        {"backoff": -1},
        {"backoff": math.nan},
        {"factor": 0.5},
        {"max_backoff": -1},
        {"max_retry_after": -1},
    ],
)
def test_nonsense_is_refused(wrong: dict[str, float]) -> None:
    """Settings that cannot be meant are errors at once."""
    with pytest.raises(ValueError, match="Retry"):
        Retry(**wrong)  # type: ignore[arg-type]


def test_value() -> None:
    """A Retry is an immutable value: equal, hashable, picklable."""
    retry = Retry(5, statuses=[503, 429], methods=["GET"])

    assert retry == Retry(5, statuses=(429, 503), methods={"get"})
    assert hash(retry) == hash(Retry(5, statuses=(429, 503), methods={"get"}))
    assert retry != Retry(5)
    assert retry != 5
    assert pickle.loads(pickle.dumps(retry)) == retry
    assert repr(retry) == (
        "Retry(attempts=5, backoff=0.5, factor=2.0, max_backoff=60.0, statuses=[429, 503], methods=['GET'], "
        "respect_retry_after=True, max_retry_after=60.0)"
    )
    with pytest.raises(AttributeError):
        retry.attempts = 6
    with pytest.raises(AttributeError):
        del retry.attempts

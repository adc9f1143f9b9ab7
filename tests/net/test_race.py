"""The connect race: who starts when, who wins, and what is never done twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import ConnectError, ConnectTimeout, TransportError
from crawler.net.race import HEAD_START_S, Lost, Race, Start, Wait, most_telling
from crawler.net.resolve import Address

A, B, C = (Address(2, (f"192.0.2.{last}", 80)) for last in (1, 2, 3))


def refused() -> ConnectError:
    """A failure."""
    return ConnectError("refused")


def test_the_second_waits_for_the_head_start() -> None:
    """The next address starts a quarter of a second after the last, and not before."""
    race = Race([A, B])

    assert race.step(10.0) == Start(A)
    assert race.step(10.0) == Wait(10.0 + HEAD_START_S)
    assert race.step(10.24) == Wait(10.0 + HEAD_START_S)
    assert race.step(10.25) == Start(B)
    assert race.step(10.25) == Wait(None)


def test_a_failure_starts_the_next_at_once() -> None:
    """Nobody waits for an attempt that is over."""
    race = Race([A, B, C])
    race.step(0.0)
    race.failed(A, refused())

    assert race.step(0.01) == Start(B)
    assert race.step(0.01) == Wait(0.01 + HEAD_START_S)


def test_the_first_to_connect_wins_and_the_others_are_given_up() -> None:
    """The winner's report gives the attempts to abort; nothing starts afterwards."""
    race = Race([A, B, C])
    race.step(0.0)
    race.step(0.3)

    assert race.won(B) == (A,)
    assert race.running == ()
    assert race.step(9.0) == Wait(None)


def test_two_that_connect_in_one_turn() -> None:
    """The second to report gets itself back, to be closed; a loser's late failure does not count."""
    race = Race([A, B])
    race.step(0.0)
    race.step(0.3)
    race.won(A)
    race.failed(B, refused())

    assert race.won(B) == (B,)


def test_all_failed() -> None:
    """When every attempt has failed, the race is lost with all the errors."""
    race = Race([A, B])
    race.step(0.0)
    race.step(0.3)
    first, second = refused(), refused()
    race.failed(B, first)

    assert race.step(0.4) == Wait(None)
    race.failed(A, second)
    assert race.step(0.5) == Lost((first, second))


def test_no_addresses() -> None:
    """A race without runners is lost at once."""
    assert Race([]).step(0.0) == Lost(())


@given(
    st.lists(st.integers(1, 6), max_size=8),
    st.lists(st.tuples(st.sampled_from(["wait", "fail", "win"]), st.floats(0, 0.4)), max_size=40),
)
def test_no_order_of_events_breaks_the_race(numbers: list[int], events: list[tuple[str, float]]) -> None:
    """Each address starts at most once and in order, starts are spaced unless one failed, and it ends won or lost."""
    addresses = [Address(2, (f"192.0.2.{number}", 80)) for number in numbers]
    expected = list(dict.fromkeys(addresses))
    race = Race(addresses)
    started: list[Address] = []
    running: list[Address] = []
    now, last_start, has_failed = 0.0, -1.0, True
    for event, seconds in events:
        while isinstance(step := race.step(now), Start):
            assert has_failed or now >= last_start + HEAD_START_S
            started.append(step.address)
            running.append(step.address)
            last_start, has_failed = now, False
        assert started == expected[: len(started)]
        assert list(race.running) == running
        if isinstance(step, Lost):
            assert started == expected
            assert len(step.errors) == len(expected)
            return
        assert step.until is None or step.until > now
        now += seconds
        if event == "fail":
            race.failed(running.pop(0), refused())
            has_failed = True
        elif event == "win":
            winner = running.pop()
            assert set(race.won(winner)) == set(running)
            assert race.step(now) == Wait(None)
            return


@pytest.mark.parametrize("order", [1, -1])
def test_the_most_telling_error_stands_for_all(order: int) -> None:
    """A peer that said no is told before a route that does not exist, whichever failed first."""
    errors: list[TransportError] = [
        ConnectError("no route", kind="connect_unreachable"),
        ConnectError("refused", kind="connect_refused"),
        ConnectTimeout("silent"),
    ]

    assert str(most_telling(errors[::order])) == "refused"


def test_of_equal_errors_the_first_is_told() -> None:
    """The resolver's first choice speaks for the rest."""
    assert str(most_telling([ConnectError("one"), ConnectError("two")])) == "one"
    with pytest.raises(ValueError, match="empty"):
        most_telling([])

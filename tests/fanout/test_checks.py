"""Checks of the engine: pure judgements of a response."""

from __future__ import annotations

import pytest

from crawler.fanout.checks import CheckFailed, ResponseCheck
from crawler.models import Response


@pytest.mark.parametrize("value", ["image/png", "IMAGE/PNG; q=1", "image/svg+xml"])
def test_media_types_match_by_pattern(value: str) -> None:
    """Parameters and case do not count."""
    ResponseCheck("c", content_type=("image/*",)).check_head(Response(200, headers={"Content-Type": value}))


def test_no_media_type_is_a_wrong_one() -> None:
    """A response that does not say what it is does not pass."""
    with pytest.raises(CheckFailed) as caught:
        ResponseCheck("c", content_type=("*/*",)).check_head(Response(200))
    assert (caught.value.kind, caught.value.check, caught.value.is_transient) == ("content_type", "c", False)


def test_the_kind_of_the_check_counts() -> None:
    """Whatever the condition was."""
    check = ResponseCheck("c", min_size=1, kind="challenge_page", is_transient=True)
    with pytest.raises(CheckFailed) as caught:
        check.check_size(Response(200), 0)
    assert (caught.value.kind, caught.value.is_transient) == ("challenge_page", True)

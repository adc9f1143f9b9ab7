"""Every error kind comes with what to change."""

from __future__ import annotations

import pytest

from crawler.cli.advice import advice
from crawler.fanout.kinds import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_advice(kind: str) -> None:
    """No kind of the closed list is left without a word what to do."""
    assert advice(kind)


def test_an_unknown_kind_has_none() -> None:
    """A kind of a newer version is shown without advice rather than with a wrong one."""
    assert advice("kind_of_tomorrow") == ""

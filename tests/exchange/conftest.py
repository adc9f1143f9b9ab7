"""Runs each `async def` test that takes `face` once per world, and lends it the servers they share."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from crawler.testbed import Testbed
from tests.peers.certificates import Authority
from tests.peers.worlds import WORLDS, Face


@pytest.fixture(params=WORLDS)
def face(request: pytest.FixtureRequest) -> Face:
    """One world after the other."""
    return Face(request.param)


@pytest.fixture(scope="session")
def bed() -> Iterator[Testbed]:
    """One testbed for all tests; they do not look at its counters."""
    with Testbed() as bed:
        yield bed


@pytest.fixture(scope="session")
def authority() -> Authority:
    """One certificate authority for all tests."""
    return Authority()


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test in the world of its face."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    face = arguments["face"]
    assert isinstance(face, Face)
    face.run(pyfuncitem.obj(**arguments))
    return True

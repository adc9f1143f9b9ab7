"""Tests of the client's ways: an `async def` test takes `face` and runs once per world; `bed` is a testbed for all."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest

from crawler.testbed import Testbed
from tests.peers.worlds import Face


@pytest.fixture(scope="session")
def bed() -> Iterator[Testbed]:
    """The testbed, in a thread."""
    with Testbed() as bed:
        yield bed


@pytest.fixture(params=["blocking", "asyncio", "trio"])
def face(request: pytest.FixtureRequest) -> Face:
    """The client in one world."""
    return Face(request.param)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test in its world."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    face = arguments["face"]
    assert isinstance(face, Face)
    face.run(pyfuncitem.obj(**arguments))
    return True

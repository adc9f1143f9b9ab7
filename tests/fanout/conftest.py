"""Engine tests run on every event loop there is: asyncio, asyncio with uvloop, trio."""

from __future__ import annotations

import pytest

_BACKENDS = [
    pytest.param(("asyncio", {"use_uvloop": False}), id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop"),
    pytest.param(("trio", {}), id="trio"),
]


@pytest.fixture(params=_BACKENDS)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """The event loop of a test marked `anyio`."""
    return request.param

"""The clients of the arms."""

from __future__ import annotations

import sys

import pytest

from crawler.bench import Arm, BenchError, BenchPlan, Executor
from crawler.bench.clients import open_blocking
from crawler.bench.plan import SUPPORT


@pytest.mark.parametrize("client", ["requests", "niquests"])
def test_a_missing_library_is_named_with_its_remedy(client: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, client, None)
    arm = Arm("a", engine="sync", client=client)  # type: ignore[arg-type]  # one of the literals, from a parameter
    plan = BenchPlan(("http://127.0.0.1/",), (arm,), Executor(requests=1))
    with pytest.raises(BenchError, match=f"{client}, which is not installed: pip install"), open_blocking(arm, plan):
        pass


def test_every_supported_client_can_be_opened() -> None:
    """The table of the plan and the table of the worker name the same."""
    from crawler.bench import clients

    for client, (engines, _) in SUPPORT.items():
        assert ("async" in engines) == (client in clients._ASYNC)
        assert ("sync" in engines) == (client in clients._BLOCKING)

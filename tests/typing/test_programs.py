"""Programs written for HTTPX run as they are."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from crawler.testbed import Testbed
from tests.typing import async_programs, sync_programs

HELPERS = {"fetch", "outcome_of"}


def programs(module: ModuleType) -> list[Any]:
    """The programs of a file: its functions that take the address of a server."""
    functions = [value for name, value in vars(module).items() if inspect.isfunction(value) and name not in HELPERS]
    return [pytest.param(function, id=function.__name__) for function in functions]


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    """The testbed, in a thread."""
    with Testbed() as bed:
        yield bed


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs trust the environment, as most do; the tester's proxies would not know the testbed."""
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")


def run(program: Callable[..., Any], bed: Testbed, folder: Path) -> Any:
    """Start a program with what it takes."""
    takes_folder = "folder" in inspect.signature(program).parameters
    return program(bed.url, folder) if takes_folder else program(bed.url)


@pytest.mark.parametrize("program", programs(sync_programs))
def test_blocking_program(bed: Testbed, tmp_path: Path, program: Callable[..., None]) -> None:
    """Its own assertions hold."""
    run(program, bed, tmp_path)


@pytest.mark.parametrize("program", programs(async_programs))
def test_async_program(bed: Testbed, tmp_path: Path, program: Callable[..., Any]) -> None:
    """Its own assertions hold."""
    asyncio.run(run(program, bed, tmp_path))

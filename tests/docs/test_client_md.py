"""The examples of `docs/client.md` run, and print what they say they print.

A comment behind a `print` is its output. `https://www.example.org` stands for the testbed.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crawler.testbed import Testbed

PAGE = Path(__file__).parents[2] / "docs" / "client.md"
PLACE = "https://www.example.org"

_HEADING_OR_BLOCK = re.compile(r"^## (?P<heading>[^\n]*)$|^```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_PRINTED = re.compile(r"^ *print\(.*\)  # (.*)$", re.MULTILINE)


def examples() -> list[Any]:
    """Each python block, named by its section."""
    heading = ""
    found: list[Any] = []
    for match in _HEADING_OR_BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        if match["heading"]:
            heading = match["heading"]
        else:
            found.append(pytest.param(match["code"], id=f"{heading} {len(found)}"))
    return found


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    """The testbed, in a thread."""
    with Testbed() as bed:
        yield bed


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A folder of its own, no proxies of the tester, and logging left as it was."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("code", examples())
def test_example(bed: Testbed, code: str) -> None:
    """It runs through and prints what its comments say."""
    host = bed.url.removeprefix("http://").partition(":")[0]
    program = code.replace(f"machine {PLACE.removeprefix('https://')}", f"machine {host}")
    program = program.replace(PLACE, bed.url).replace(PLACE.replace("https", "wss"), bed.url.replace("http", "ws"))
    printed = io.StringIO()

    with contextlib.redirect_stdout(printed):
        exec(compile(program, str(PAGE), "exec"), {"__name__": "__main__"})

    expected = _PRINTED.findall(code)
    if expected:
        assert printed.getvalue().splitlines() == expected


def test_the_page_has_examples() -> None:
    """So that a slip in reading the page does not pass for a page whose examples all run."""
    assert len(examples()) > 30


def test_each_section_has_an_example_and_a_link() -> None:
    """The list at the top names every section."""
    text = PAGE.read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    links = re.findall(r"\[([^\]]*)\]\(#([^)]*)\)", text)

    assert [name for name, _ in links] == headings
    assert [anchor for _, anchor in links] == [
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings
    ]

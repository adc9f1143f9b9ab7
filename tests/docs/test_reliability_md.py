"""The tests that `docs/reliability.md` names are there, and its cases without gaps."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")

CASES = {"C": 20, "H": 32, "F": 32, "Z": 15, "R": 21, "B": 13}


def test_every_named_test_exists() -> None:
    """A test that was renamed is named anew on the page."""
    missing = [
        f"{file}::{name}"
        for file, name in re.findall(r"`([\w/]+\.py)::(test_\w+)`", PAGE)
        if not re.search(rf"^(async )?def {name}\(", (ROOT / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE)
    ]

    assert missing == []


def test_every_case_is_told() -> None:
    """Also those that no test shows."""
    told = set()
    for cell in re.findall(r"^\| ([^|]*)", PAGE, re.MULTILINE):
        told |= set(re.findall(r"\b([A-Z]-\d+)\b", cell))
        for letter, first, last in re.findall(r"([A-Z])-(\d+) to [A-Z]-(\d+)", cell):
            told |= {f"{letter}-{number}" for number in range(int(first), int(last) + 1)}

    told = {case for case in told if case[0] in CASES}  # of the others the page tells what there is
    assert told == {f"{letter}-{number}" for letter, last in CASES.items() for number in range(1, last + 1)}

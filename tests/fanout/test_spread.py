"""Folders never become too large: further names go to sub-folders, the same ones each time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from crawler.fanout import BodyPolicy, Item, Output, Plan, Run
from crawler.fanout.paths import Folder
from crawler.fanout.spread import MOST_NAMES, Spread
from tests.peers.clients import ScriptedClient

pytestmark = pytest.mark.anyio


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """How many names a folder holds, for tests."""
    monkeypatch.setattr("crawler.fanout.spread.MOST_NAMES", 5)
    return 5


async def spread(folder: Path, names: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Place names one after the other, making each file."""
    root = Folder(folder)
    try:
        places = Spread(root)
        found = []
        for name in names:
            place = await places.place(name)
            found.append(place)
            path = folder.joinpath(*place)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        return found
    finally:
        root.close()


def largest(folder: Path) -> int:
    """Files in the fullest folder; its sub-folders have hashes for names, so there are at most 256."""
    return max(sum(Path(top, name).is_file() for name in names) for top, _, names in os.walk(folder))


async def test_small_folders_keep_their_names(tmp_path: Path) -> None:
    """Nothing changes below the limit, which leaves room for parts and sub-folders below ten thousand entries."""
    names = [("h", "dir", f"{n}.bin") for n in range(50)]
    assert await spread(tmp_path, names) == names
    assert MOST_NAMES + 256 < 10_000


async def test_full_folders_overflow(tmp_path: Path, few: int) -> None:
    """No folder has more files than it may; what is there is found again, also by another run, and in sub-folders."""
    names = [("h", f"{n}.bin") for n in range(40)]
    places = await spread(tmp_path, names)

    assert places[:few] == names[:few]
    assert all(
        place[0] == "h" and place[1].startswith("~") and place[-1] == name[1]
        for place, name in zip(places[few:], names[few:], strict=True)
    )
    assert largest(tmp_path) <= few
    assert await spread(tmp_path, names) == places


async def test_many_folders_overflow_as_well(tmp_path: Path, few: int) -> None:
    """Hosts are spread like files, and what belongs to one host stays together."""
    names = [(f"host-{n}", f"{m}.bin") for m in range(2) for n in range(30)]
    places = await spread(tmp_path, names)

    assert sum(not name.startswith("~") for name in os.listdir(tmp_path)) == few
    assert [place[:-1] for place in places[:30]] == [place[:-1] for place in places[30:]]
    assert await spread(tmp_path, names) == places


async def test_a_part_is_found_where_it_was_begun(tmp_path: Path, few: int) -> None:
    """Though its folder has its fill by now."""
    folder = tmp_path / "h"
    folder.mkdir()
    for n in range(10):
        (folder / f"{n}.bin").write_bytes(b"")
    (folder / "a.bin.part").write_bytes(b"")
    assert await spread(tmp_path, [("h", "a.bin")]) == [("h", "a.bin")]


async def test_a_run_spreads_its_files(tmp_path: Path, few: int) -> None:
    """Names from URLs, each file once, and each where its record says; the next run finds the same names."""
    body = BodyPolicy(keep="file", directory=tmp_path / "files")
    plan = Plan("job", outputs=(Output(tmp_path / "out.jsonl"),), state_dir=tmp_path / "state", body=body)
    items = [Item(f"http://h.example/{n}.bin") for n in range(30)]
    outcome = await Run(plan, items, client=ScriptedClient(lambda url, number: url.encode())).execute()

    found = [path for path in (tmp_path / "files").rglob("*") if path.is_file()]
    assert outcome.exit_code == 0
    assert sorted(path.read_bytes().decode() for path in found) == sorted(item.url for item in items)
    assert largest(tmp_path / "files") <= few

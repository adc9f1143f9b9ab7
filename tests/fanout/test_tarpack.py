"""Files packed into tar archives: readable by anything, each once, whatever was killed."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from crawler.fanout import Item, Plan
from crawler.fanout.download_policy import PackPolicy
from crawler.fanout.tarpack import extension_of, pack_key
from crawler.testbed import Testbed
from crawler.testbed.content import pieces
from tests.peers.downloads import download, plan_of


def members(folder: Path) -> dict[str, dict[str, bytes]]:
    """Archives by name, with their files in order; a name twice in one of them is an error."""
    found: dict[str, dict[str, bytes]] = {}
    for path in sorted((folder / "files").glob("*.tar")):
        with tarfile.open(path) as archive:
            names = archive.getnames()
            assert len(names) == len(set(names))
            found[path.name] = {name: archive.extractfile(name).read() for name in names}  # type: ignore[union-attr]
    return found


def packed(folder: Path, bed: Testbed, n: int, **policy: Any) -> tuple[Plan, list[Item]]:
    """A plan that packs, and items with keys; every tenth is larger than the memory limit."""
    plan = plan_of(folder, {"memory_limit": 50_000}, pack=PackPolicy(items=7), **policy)
    sizes = [70_000 if number % 10 == 9 else 1000 + number for number in range(n)]
    return plan, [
        Item(f"{bed.url}/bytes/{size}?seed={number}", key=f"k.{number}", meta={"n": number})
        for number, size in enumerate(sizes)
    ]


def check(folder: Path, records: list[dict[str, Any]], n: int) -> None:
    """Each record's file is where it says, once, with its facts beside it, and each archive has its index."""
    archives = members(folder)
    assert len(records) == n
    assert sum(len(files) for files in archives.values()) == 2 * n
    for record in records:
        archive, _, member = record["path"].partition("!")
        body = archives[archive][member]
        number = int(record["key"].removeprefix("k."))
        assert body == b"".join(pieces(0, record["bytes"], str(number)))
        assert hashlib.sha256(body).hexdigest() == record["sha256"]
        facts = json.loads(archives[archive][member.partition(".")[0] + ".json"])
        assert (facts["key"], facts["sha256"], facts["meta"]) == (record["key"], record["sha256"], {"n": number})
    for name in archives:
        index = (folder / "files" / name).with_suffix(".jsonl").read_bytes().splitlines()
        assert [json.loads(line)["member"] for line in index] == [m for m in archives[name] if not m.endswith(".json")]
    assert list((folder / "files").rglob("*.part*")) == []


@pytest.mark.anyio
async def test_files_go_into_archives(tmp_path: Path) -> None:
    """Seven to an archive, the last with what is left; another run begins the next one."""
    with Testbed() as bed:
        plan, items = packed(tmp_path, bed, 30)
        outcome, records = await download(plan, *items[:20])
        assert outcome.exit_code == 0, outcome.summary["errors"]
        check(tmp_path, records, 20)
        assert [len(files) for files in members(tmp_path).values()] == [14, 14, 12]
        outcome, records = await download(plan, *items)

    check(tmp_path, records, 30)


@pytest.mark.anyio
async def test_keys_that_become_one_name_stay_two_files(tmp_path: Path) -> None:
    """The second gets another name; a failed one gets none."""
    with Testbed() as bed:
        plan = plan_of(tmp_path, pack=PackPolicy())
        _, records = await download(
            plan,
            Item(f"{bed.url}/bytes/10", key="a.b"),
            Item(f"{bed.url}/bytes/11", key="a_b"),
            Item(f"{bed.url}/status/404", key="gone"),
            Item(f"{bed.url}/bytes/12", key="wrong", checksums=(("md5", "0" * 32),)),
        )

    names = [name for files in members(tmp_path).values() for name in files]
    assert sorted(names) == ["a_b.bin", "a_b.json", "a_b~2.bin", "a_b~2.json"]
    assert [record["outcome"] for record in records] == ["ok", "ok", "failed", "failed"]


@pytest.mark.anyio
@pytest.mark.parametrize("cut", [0, 1, 511, 513, 1500, 3000])
async def test_a_torn_archive_is_gone_on_with(tmp_path: Path, cut: int) -> None:
    """What a kill left of an archive loses its torn end and is filled up; what is whole is not fetched again."""
    with Testbed() as bed:
        plan, items = packed(tmp_path, bed, 6)
        await download(plan, *items[:3])
        folder = tmp_path / "files"
        data = (folder / "000000.tar").read_bytes()[:-1024]
        (folder / "000000.tar.part").write_bytes(data[: len(data) - cut])
        for name in ("000000.tar", "000000.jsonl", "../out.jsonl"):
            (folder / name).unlink()
        for path in (tmp_path / "state").iterdir():
            path.unlink()
        _, records = await download(plan, *items)

    check(tmp_path, records, 6)
    assert sum(record["outcome"] == "unchanged" for record in records) == (3 if cut == 0 else 2 if cut < 2560 else 1)


_PROGRAM = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from crawler.fanout import Run
from tests.fanout.test_tarpack import packed

class Bed:
    url = sys.argv[2]

plan, items = packed(Path(sys.argv[1]), Bed, 300)
print("started", flush=True)
sys.exit(asyncio.run(Run(plan, items).execute()).exit_code)
"""


@pytest.mark.parametrize("seed", range(2))
def test_killed_at_any_moment_each_file_is_packed_once(tmp_path: Path, seed: int) -> None:
    """After kills at random moments one more run finishes, and no file is in two places."""
    rng = random.Random(seed)
    root = str(Path(__file__).parents[2])
    with Testbed() as bed:
        command = [sys.executable, "-c", _PROGRAM, str(tmp_path), bed.url, root]
        for _ in range(3):
            with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(rng.uniform(0.05, 0.4))
                process.kill()
        done = subprocess.run(command, timeout=50, check=False, stdout=subprocess.PIPE)

    assert done.returncode == 0
    records = [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]
    check(tmp_path, records, 300)


def test_names() -> None:
    """Readers end a name at its first dot, and sort by it."""
    assert pack_key("7") == "00000007"
    assert pack_key("a.b/c") == "a_b%2Fc"
    assert len(pack_key("x" * 500)) == 80
    assert extension_of("JPG", None) == "jpg"
    assert extension_of("", "image/png; x=y") == "png"
    assert extension_of("<>", None) == "bin"
    assert extension_of("json", None) == "json_"

"""Processors: they see the pages, name more of them, and turn outcomes; what they find is fetched once."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.fanout import BodyPolicy, Findings, Item, Output, Page, Plan, RetryPolicy, Run
from crawler.fanout.ids import fingerprint, fingerprint_text
from crawler.models import Request, Response
from crawler.testbed import Testbed
from tests.peers.clients import ScriptedClient

HELD = BodyPolicy(hold=1000)


class Looker:
    """A processor made of a function; remembers the pages."""

    def __init__(self, look: Callable[[Page], Findings] = lambda page: Findings()) -> None:
        self._look = look
        self.pages: list[Page] = []

    async def process(self, page: Page) -> Findings:
        self.pages.append(page)
        return self._look(page)


def plan_of(folder: Path, **changes: Any) -> Plan:
    """A plan below a folder, with changes."""
    settings: dict[str, Any] = {
        "outputs": (Output(folder / "out.jsonl"),),
        "state_dir": folder / "state",
        "body": HELD,
        "retry": RetryPolicy(base=0.001, max_backoff=0.002),
    }
    return Plan("pages", **{**settings, **changes})


def records(folder: Path) -> list[dict[str, Any]]:
    """All records."""
    return [json.loads(line) for line in (folder / "out.jsonl").read_bytes().splitlines()]


def children(page: Page) -> Findings:
    """Two links per page down to depth 5, and one back to the start; a tree of 63 pages."""
    depth = (page.item.depth or 0) + 1
    number = int(page.item.url.rpartition("/")[2])
    links = [2 * number, 2 * number + 1] if depth <= 5 else []
    found = [Item(f"http://h.example/{n}", depth=depth, parent=page.id, discovered_by="link") for n in (*links, 1)]
    return Findings(found=found, fields={"items": len(links)})


@pytest.mark.anyio
@pytest.mark.parametrize("is_durable", [True, False])
@pytest.mark.parametrize("concurrency", [1, 16])
async def test_what_is_found_is_fetched_once(tmp_path: Path, is_durable: bool, concurrency: int) -> None:
    """The whole tree below one seed, each page with one record that says where it came from; the run ends by itself."""
    client = ScriptedClient()
    state_dir = tmp_path / "state" if is_durable else None
    plan = plan_of(tmp_path, state_dir=state_dir, concurrency=concurrency)
    run = Run(plan, [Item("http://h.example/1", discovered_by="seed")], Looker(children), client=client)

    outcome = await run.execute()

    assert outcome.exit_code == 0
    assert set(client.tries.values()) == {1}
    by_number = {int(record["url"].rpartition("/")[2]): record for record in records(tmp_path)}
    assert sorted(by_number) == list(range(1, 64))
    assert len(records(tmp_path)) == 63
    for number, record in by_number.items():
        if number == 1:
            assert (record["depth"], record["parent"], record["discovered_by"]) == (None, None, "seed")
        else:
            assert (record["depth"], record["discovered_by"]) == (number.bit_length() - 1, "link")
            assert record["parent"] == by_number[number // 2]["id"]
        assert record["items"] == (2 if number < 32 else 0)
    assert (run.stats.submitted, run.stats.pending, run.stats.duplicates) == (63, 0, 63)


@pytest.mark.anyio
async def test_a_stopped_crawl_goes_on_with_what_it_found(tmp_path: Path) -> None:
    """What pages named before the stop is pending in the state; together both runs fetch each page once."""
    client = ScriptedClient()

    def look(page: Page) -> Findings:
        if len(looker.pages) == 20:
            run.stop("requested")
        return children(page)

    looker = Looker(look)
    run = Run(plan_of(tmp_path, concurrency=2), [Item("http://h.example/1")], looker, client=client)
    first = await run.execute()
    second = await Run(plan_of(tmp_path), [Item("http://h.example/1")], Looker(children), client=client).execute()

    assert (first.exit_code, second.exit_code) == (3, 0)
    assert len(client.tries) == 63
    assert set(client.tries.values()) == {1}
    assert len(records(tmp_path)) == 63


@pytest.mark.anyio
@pytest.mark.parametrize("decode", [True, False])
@pytest.mark.parametrize("pieces", [None, 1, 7])
async def test_a_page_is_whole_and_decoded(tmp_path: Path, decode: bool, pieces: int | None) -> None:
    """However the body came, and whatever the records keep of it, the processor gets it decoded."""
    text = b"<p>hello</p>" * 50
    coded = gzip.compress(text, mtime=0)
    split = [coded[n : n + pieces] for n in range(0, len(coded), pieces)] if pieces else None
    base = ScriptedClient()

    def script(url: str, number: int) -> Any:
        headers = [(b"Content-Encoding", b"gzip")]
        if split is None:
            return Response.from_wire(200, headers, coded, {}, Request("GET", url))
        from tests.peers.clients import Pieces

        return Response.from_wire(200, headers, Pieces(base, list(split)), {}, Request("GET", url))

    looker = Looker()
    body = BodyPolicy(hold=len(text), decode=decode, keep="file", directory=tmp_path / "files", memory_limit=10)
    plan = plan_of(tmp_path, body=body)
    item = Item("http://h.example/a", key="k")
    await Run(plan, [item], looker, client=ScriptedClient(script)).execute()

    (page,) = looker.pages
    assert page.body == text
    assert (page.url, page.id) == ("http://h.example/a", fingerprint_text(fingerprint(item)))
    assert page.item == item
    assert page.response.is_closed
    (record,) = records(tmp_path)
    assert (tmp_path / "files" / record["path"]).read_bytes() == (text if decode else coded)


@pytest.mark.anyio
@pytest.mark.parametrize("decode", [True, False])
async def test_large_pages_and_errors_are_not_shown(tmp_path: Path, decode: bool) -> None:
    """A body beyond `hold`, decoded, and a response of 400 and more go by; their records are as ever."""
    bomb = gzip.compress(b"x" * 1001, mtime=0)

    def script(url: str, number: int) -> Any:
        if url.endswith("bomb"):
            return Response.from_wire(200, [(b"Content-Encoding", b"gzip")], bomb, {}, Request("GET", url))
        return 404 if url.endswith("404") else b"x" * int(url.rpartition("/")[2])

    looker = Looker()
    plan = plan_of(tmp_path, body=BodyPolicy(hold=1000, decode=decode))
    items = [Item(f"http://h.example/{name}") for name in ("1000", "1001", "404", "bomb", "0")]
    outcome = await Run(plan, items, looker, client=ScriptedClient(script)).execute()

    assert sorted(page.url.rpartition("/")[2] for page in looker.pages) == ["0", "1000"]
    assert outcome.summary["counts"]["ok"] == 4  # type: ignore[index]  # a JSON object
    assert len(records(tmp_path)) == 5


class Mismatch(Exception):
    """A page that is not what it should be."""

    kind = "check_failed"


@pytest.mark.anyio
@pytest.mark.parametrize("is_retried", [True, False])
async def test_a_processor_turns_the_outcome(tmp_path: Path, is_retried: bool) -> None:
    """An error is the record's, and tried again if its kind is listed; what was found in the end is kept."""
    kinds = ("check_*",) if is_retried else ()
    looker = Looker(
        lambda page: Findings(
            found=[Item("http://h.example/2")] if len(looker.pages) < 9 else (),
            error=Mismatch("no"),
            fields={"extract_errors": ["price"]},
        )
    )
    plan = plan_of(tmp_path, retry=RetryPolicy(attempts=2, kinds=kinds, base=0.001))

    outcome = await Run(plan, [Item("http://h.example/1")], looker, client=ScriptedClient()).execute()

    assert outcome.exit_code == 1
    assert [record["url"] for record in records(tmp_path)] == ["http://h.example/1", "http://h.example/2"]
    for record in records(tmp_path):
        assert (record["outcome"], record["error"]["kind"], record["error"]["message"]) == (
            "failed",
            "check_failed",
            "no",
        )
        assert record["attempts"] == (2 if is_retried else 1)
        assert (record["status"], record["extract_errors"]) == (200, ["price"])


@pytest.mark.anyio
async def test_a_broken_processor_breaks_one_record(tmp_path: Path) -> None:
    """What a processor raises is `internal`, or what it says it is, and the run goes on."""

    def look(page: Page) -> Findings:
        if page.url.endswith("1"):
            raise ZeroDivisionError("oops")
        if page.url.endswith("2"):
            raise Mismatch("raised")
        return Findings()

    items = [Item(f"http://h.example/{n}") for n in range(4)]
    outcome = await Run(plan_of(tmp_path), items, Looker(look), client=ScriptedClient()).execute()

    kinds = [
        record["error"] and record["error"]["kind"] for record in sorted(records(tmp_path), key=lambda r: r["url"])
    ]
    assert kinds == [None, "internal", "check_failed", None]
    assert outcome.exit_code == 1


def test_a_processor_needs_bodies() -> None:
    """Without `hold` it would never be asked; that is said at once."""
    with pytest.raises(ValueError, match="hold"):
        Run(Plan("pages"), [], Looker())


_PROGRAM = """
import asyncio, os, signal, sys
from pathlib import Path
from crawler.fanout import BodyPolicy, Findings, Item, Output, Plan, Run, database, sinks

folder, url, name, number, when = Path(sys.argv[1]), *sys.argv[2:]

def die_at(owner, name, number, when):
    real, calls = getattr(owner, name), 0
    def wrapped(*args, **kwargs):
        nonlocal calls
        calls += 1
        is_it = calls == number
        if is_it and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        value = real(*args, **kwargs)
        if is_it:
            os.kill(os.getpid(), signal.SIGKILL)
        return value
    setattr(owner, name, wrapped)

if name == "append":
    die_at(sinks.FileSink, name, int(number), when)
elif name:
    die_at(database.DatabaseFrontier, name, int(number), when)

class Tree:
    async def process(self, page):
        number = int(page.item.url.rpartition("=")[2])
        links = [n for n in range(3 * number, 3 * number + 3) if n < 300]
        return Findings(found=[Item(f"{url}/get?n={n}", parent=page.id) for n in links])

plan = Plan(
    "killed",
    outputs=(Output(folder / "out.jsonl"),),
    state_dir=folder / "state",
    concurrency=8,
    input_id="list",
    body=BodyPolicy(hold=100_000),
)
print("started", flush=True)
run = Run(plan, [Item(f"{url}/get?n={n}") for n in (1, 2)], Tree())
sys.exit(asyncio.run(run.execute()).exit_code)
"""


def crawl(folder: Path, bed: Testbed, step: str = "", number: int = 0, when: str = "") -> subprocess.Popen[bytes]:
    """Start the crawl of 299 pages in a process that kills itself at a step; returns as it begins."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(folder), bed.url, step, str(number), when], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"started\n"
    return process


@pytest.mark.parametrize(
    ("step", "number", "when"),
    [
        ("append", 2, "after"),
        ("_settle", 2, "after"),
        ("_write_records", 3, "after"),
        ("_note_new", 2, "before"),
        ("commit", 1, "after"),
        ("", 0, ""),
    ],
)
def test_killed_no_child_is_lost_or_doubled(tmp_path: Path, step: str, number: int, when: str) -> None:
    """Killed around the commit that adds children, or at some moment, the next run finishes the same tree."""
    with Testbed() as bed:
        with crawl(tmp_path, bed, step, number, when) as process:
            if step:
                assert process.wait(50) == -signal.SIGKILL
            else:
                time.sleep(0.2)
                os.kill(process.pid, signal.SIGKILL)
        with crawl(tmp_path, bed) as process:
            assert process.wait(50) == 0

    numbers = Counter(int(record["url"].rpartition("=")[2]) for record in records(tmp_path))
    assert numbers == Counter(range(1, 300))
    ids = {record["id"] for record in records(tmp_path)}
    assert all(record["parent"] in ids for record in records(tmp_path) if not record["url"].endswith(("n=1", "n=2")))

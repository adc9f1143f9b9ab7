"""Bodies: counted, hashed, kept inline or streamed to files; never half a file under a final name."""

from __future__ import annotations

import errno
import gzip
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import orjson
import pytest

from crawler.errors import ReadError, ResponseTooLarge
from crawler.fanout import BodyPolicy, Item, Output, Plan, Result, Run, gather
from crawler.fanout.checks import CheckFailed, ResponseCheck
from crawler.models import Response
from tests.peers.clients import Answer, ScriptedClient

URL = "http://h.example/dir/file.bin"
PIECE = bytes(range(256)) * 40


async def fetch(policy: BodyPolicy, answer: Answer) -> tuple[Result, ScriptedClient]:
    """Fetch one URL with this policy."""
    client = ScriptedClient(lambda url, number: answer)
    (result,) = await gather([URL], client=client, body=policy)
    return result, client


def files(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.anyio
@pytest.mark.parametrize("pieces", [0, 1, 3, 200])
@pytest.mark.parametrize("limit", [1, 15_000, 10**9])
async def test_streams_become_files(tmp_path: Path, pieces: int, limit: int) -> None:
    """Above and below the memory limit the file holds the body, and the result its size, digest and name."""
    policy = BodyPolicy(keep="file", directory=tmp_path, memory_limit=limit)

    result, _ = await fetch(policy, [PIECE] * pieces)

    assert result.ok, result.error
    assert files(tmp_path) == ["h.example/dir/file.bin"]
    assert result.path == "h.example/dir/file.bin"
    assert (tmp_path / result.path).read_bytes() == PIECE * pieces
    assert result.bytes == len(PIECE) * pieces
    assert result.sha256 == sha256(PIECE * pieces).hexdigest()


@pytest.mark.anyio
async def test_broken_streams_leave_no_file(tmp_path: Path) -> None:
    """A body that breaks off is a failure, its temporary file is gone, and its connection given back."""
    policy = BodyPolicy(keep="file", directory=tmp_path, memory_limit=100)

    result, client = await fetch(policy, [PIECE, PIECE, ReadError("reset", kind="connection_lost")])

    assert result.error_kind == "connection_lost"
    assert result.bytes == 2 * len(PIECE)
    assert files(tmp_path) == []
    assert client.closed == 1


@pytest.mark.anyio
@pytest.mark.parametrize("keep", ["none", "inline", "file"])
async def test_too_large_is_an_error(tmp_path: Path, keep: Any) -> None:
    """Reading stops at the limit, whatever was to be done with the body."""
    policy = BodyPolicy(keep=keep, directory=tmp_path, max_size=2 * len(PIECE))

    fits, _ = await fetch(policy, [PIECE] * 2)
    result, client = await fetch(policy, [PIECE] * 1000)

    assert fits.ok
    assert result.error_kind == "too_large"
    assert isinstance(result.error, ResponseTooLarge)
    assert result.bytes == 3 * len(PIECE)
    assert client.closed == 1


@pytest.mark.anyio
async def test_inline_bodies_up_to_their_limit() -> None:
    """A small body is kept for the record, a larger one is counted and hashed only."""
    policy = BodyPolicy(keep="inline", inline_max=len(PIECE))

    answers: list[Answer] = [PIECE, [PIECE[:100], PIECE[100:]]]
    for answer in answers:
        small, _ = await fetch(policy, answer)
        assert small.body == PIECE
    large, _ = await fetch(policy, [PIECE, b"x"])

    assert large.ok
    assert large.body is None
    assert large.sha256 == sha256(PIECE + b"x").hexdigest()


@pytest.mark.anyio
async def test_bodies_of_error_pages_are_counted_and_not_kept(tmp_path: Path) -> None:
    """The page of a 503 does not lie under the name of the file."""
    keeps: list[Any] = ["file", "inline"]
    for keep in keeps:
        result, _ = await fetch(BodyPolicy(keep=keep, directory=tmp_path), 503)

        assert (result.bytes, result.path, result.body) == (4, None, None)
    assert files(tmp_path) == []


@pytest.mark.anyio
@pytest.mark.parametrize("decode", [True, False])
async def test_coded_bodies(tmp_path: Path, decode: bool) -> None:
    """With `decode` the content is kept, without it the bytes as they came."""
    coded = gzip.compress(PIECE)
    answer = Response(200, headers={"content-encoding": "gzip"}, content=coded)

    result, _ = await fetch(BodyPolicy(keep="file", directory=tmp_path, decode=decode), answer)

    assert (tmp_path / str(result.path)).read_bytes() == (PIECE if decode else coded)
    assert result.bytes_wire == len(coded)


@pytest.mark.anyio
async def test_secrets_do_not_become_file_names(tmp_path: Path) -> None:
    """The value of a secret query field is not in the name."""
    client = ScriptedClient(lambda url, number: b"x")

    (result,) = await gather(
        ["http://u:hunter2@h.example/a?token=hunter2"],
        client=client,
        body=BodyPolicy(keep="file", directory=tmp_path),
    )

    assert result.ok, result.error
    assert "hunter2" not in str(result.path)


@pytest.mark.anyio
async def test_cancelled_streams_leave_no_file(tmp_path: Path) -> None:
    """Cancelled at any point, a download leaves no file, no open descriptor and no open body."""
    policy = BodyPolicy(keep="file", directory=tmp_path, memory_limit=100)
    before = len(os.listdir("/dev/fd"))
    for patience in range(1, 30, 3):
        client = ScriptedClient(lambda url, number: [PIECE] * 30)
        with anyio.CancelScope() as scope:

            async def give_up(scope: anyio.CancelScope = scope, patience: int = patience) -> None:
                for _ in range(patience):
                    await anyio.lowlevel.checkpoint()
                scope.cancel()

            async with anyio.create_task_group() as group:
                group.start_soon(give_up)
                await gather([URL], client=client, body=policy)

        assert [name for name in files(tmp_path) if name.endswith(".part")] == []
        assert client.closed == client.opened
    assert len(os.listdir("/dev/fd")) <= before + 2  # the event loop's own worker threads may have opened theirs


@pytest.mark.anyio
@pytest.mark.parametrize(("step", "limit"), [("write", 1), ("write", 10**9), ("fsync", 1), ("rename", 1)])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
async def test_a_disk_that_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, limit: int, number: int
) -> None:
    """At each step the error is the disk's, no file appears under the final name, and none is left behind."""

    def refuse(*_: object, **__: object) -> int:
        raise OSError(number, os.strerror(number))

    if (step, limit) == ("write", 1):

        class Refusing:
            async def write(self, data: memoryview) -> int:
                return refuse()

        async def open_refusing(fd: int) -> Refusing:
            return Refusing()

        monkeypatch.setattr("crawler.fanout.files._open_async", open_refusing)
    else:
        monkeypatch.setattr(f"crawler.fanout.files.os.{step}", refuse)

    result, _ = await fetch(BodyPolicy(keep="file", directory=tmp_path, memory_limit=limit), [PIECE] * 3)
    monkeypatch.undo()

    assert result.error_kind == ("disk_full" if number == errno.ENOSPC else "io_error")
    assert result.path is None or not (tmp_path / result.path).exists()
    assert files(tmp_path) == []


@pytest.mark.anyio
@pytest.mark.parametrize("limit", [100, 10**9])
@pytest.mark.parametrize(
    "check",
    [
        ResponseCheck("c", min_size=2 * len(PIECE) + 1),
        ResponseCheck("c", max_size=2 * len(PIECE) - 1),
        ResponseCheck("c", text=lambda response, body: _refuse(body)),
    ],
    ids=["min_size", "max_size", "text"],
)
async def test_a_failed_check_leaves_no_file(tmp_path: Path, limit: int, check: ResponseCheck) -> None:
    """Checks come before the final name, for bodies in memory and streamed ones."""
    body = BodyPolicy(keep="file", directory=tmp_path / "files", memory_limit=limit, hold=10**8, must_hold=True)
    plan = Plan("job", outputs=(Output(tmp_path / "out.jsonl"),), body=body, checks=(check,))
    outcome = await Run(plan, [Item(URL)], client=ScriptedClient(lambda url, number: [PIECE, PIECE])).execute()

    record = orjson.loads((tmp_path / "out.jsonl").read_bytes())
    assert outcome.exit_code == 1
    assert (record["error"]["kind"], record["error"]["check"], record["path"]) == ("check_failed", "c", None)
    assert files(tmp_path / "files") == []


@pytest.mark.anyio
async def test_a_text_too_large_to_look_at_leaves_no_file(tmp_path: Path) -> None:
    """A check that cannot be answered is a failure, and its file gets no name."""
    body = BodyPolicy(keep="file", directory=tmp_path / "files", hold=10, must_hold=True)
    check = ResponseCheck("c", text=lambda response, body: None)
    plan = Plan("job", outputs=(Output(tmp_path / "out.jsonl"),), body=body, checks=(check,))
    await Run(plan, [Item(URL)], client=ScriptedClient(lambda url, number: [PIECE])).execute()

    assert orjson.loads((tmp_path / "out.jsonl").read_bytes())["error"]["kind"] == "too_large"
    assert files(tmp_path / "files") == []


def _refuse(body: bytes) -> None:
    assert body == 2 * PIECE
    raise CheckFailed("bad", kind="check_failed", check="c")


@pytest.mark.anyio
async def test_what_a_killed_run_left_goes_with_the_failure(tmp_path: Path) -> None:
    """The temporary file of a request that was under way at a kill, and fails for good in the next run."""
    body = BodyPolicy(keep="file", directory=tmp_path / "files")
    plan = Plan("job", outputs=(Output(tmp_path / "out.jsonl"),), state_dir=tmp_path / "state", body=body)
    await Run(plan, [Item(URL + "?0")], client=ScriptedClient()).execute()  # there is a state from now on
    left = tmp_path / "files" / "h.example" / "dir" / "file.bin.part"
    left.parent.mkdir(parents=True, exist_ok=True)
    left.write_bytes(b"half")

    outcome = await Run(plan, [Item(URL)], client=ScriptedClient(lambda url, number: 404)).execute()

    assert outcome.exit_code == 1
    assert not left.exists()

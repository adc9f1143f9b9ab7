"""Downloads against servers that break off, change, lie and mislead; and what becomes of files that are there."""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from crawler.fanout import BodyPolicy, Item, Plan, RetryPolicy, Run
from crawler.fanout.reopen import reopen
from crawler.fanout.run import STATE_FILE
from crawler.testbed.raw import RawConnection, RawServer
from tests.peers.downloads import DATA, ETAG, ONCE, SHA256, download, files, head, plan_of

pytestmark = pytest.mark.anyio


def broken_after(n: int, *lines: str) -> list[bytes]:
    """A response that ends too soon."""
    return [head("200 OK", len(DATA), *lines), DATA[:n]]


def ranged(connection: RawConnection) -> None:
    """Serve the rest of the file, as asked."""
    request = connection.read_request()
    match = re.search(rb"(?i)range: bytes=(\d+)-", request)
    assert match is not None, request
    start = int(match[1])
    line = f"Content-Range: bytes {start}-{len(DATA) - 1}/{len(DATA)}"
    connection.send(head("206 Partial Content", len(DATA) - start, line, ETAG) + DATA[start:])


def answer(status: str, rest: bytes, *lines: str) -> Callable[[RawConnection], None]:
    """Serve something else to whoever asks for a range."""

    def serve(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(head(status, len(rest), *lines) + rest)

    return serve


async def test_a_broken_download_goes_on(tmp_path: Path) -> None:
    """The rest alone is asked for, under the tag, and the file is whole; the record says from where."""
    with RawServer(broken_after(1_500_000, ETAG), ranged) as server:
        outcome, (record,) = await download(plan_of(tmp_path), Item(server.url + "/a.bin", path="a.bin"))
        request = server.received[1]

    assert outcome.exit_code == 0
    assert files(tmp_path) == {"a.bin": len(DATA)}
    assert record["sha256"] == SHA256
    assert (record["status"], record["resumed_from"], record["attempts"]) == (206, 1_500_000, 2)
    assert (record["bytes"], record["bytes_wire"]) == (len(DATA), len(DATA))
    assert b'If-Range: "v1"' in request
    assert record["checksum_ok"] is None


@pytest.mark.parametrize("lines", [('ETag: W/"v1"',), (), ("Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT",)])
async def test_without_a_strong_validator_it_begins_anew(tmp_path: Path, lines: tuple[str, ...]) -> None:
    """Bytes of what may be two versions never come together."""
    with RawServer(broken_after(1_500_000, *lines), answer("200 OK", DATA)) as server:
        _, (record,) = await download(plan_of(tmp_path), Item(server.url + "/a.bin", path="a.bin"))
        request = server.received[1]

    assert b"range" not in request.lower()
    assert (record["sha256"], record["resumed_from"]) == (SHA256, 0)


NEW = DATA[::-1]


@pytest.mark.parametrize(
    ("script", "errors"),
    [
        (answer("200 OK", NEW), ["body_incomplete"]),
        (answer("206 Partial", NEW[5:], f"Content-Range: bytes 5-{len(NEW) - 1}/{len(NEW)}"), ["range_mismatch"]),
        (answer("206 Partial", NEW), ["range_mismatch"]),
        (
            answer("206 Partial", NEW[:500_000], f"Content-Range: bytes 1500000-1999999/{len(NEW) + 1}"),
            ["changed_during_resume"],
        ),
        (answer("206 Partial", b"--x", "Content-Type: multipart/byteranges; boundary=x"), ["range_mismatch"]),
        (answer("416 No", b"", "Content-Range: bytes */7"), ["changed_during_resume"]),
        (
            answer(
                "206 Partial",
                NEW[1_500_000:],
                f"Content-Range: bytes 1500000-{len(NEW) - 1}/{len(NEW)}",
                "Content-Encoding: gzip",
            ),
            ["range_mismatch"],
        ),
    ],
)
async def test_other_answers_are_never_appended(
    tmp_path: Path, script: Callable[[RawConnection], None], errors: list[str]
) -> None:
    """200, another range, another total, several parts, 416, another coding: the file is the new one, from byte 0."""
    with RawServer(broken_after(1_500_000, ETAG), script, answer("200 OK", NEW)) as server:
        _, (record,) = await download(plan_of(tmp_path), Item(server.url + "/a.bin", path="a.bin"))
        assert b"range:" in server.received[1].lower()
        assert all(b"range:" not in request.lower() for request in server.received[2:])

    assert record["outcome"] == "ok", record
    assert record["attempt_errors"] == [*["body_incomplete"], *[e for e in errors if e != "body_incomplete"]]
    assert (tmp_path / "files" / "a.bin").read_bytes() == NEW
    assert files(tmp_path) == {"a.bin": len(NEW)}


async def test_a_part_that_was_touched_begins_anew(tmp_path: Path) -> None:
    """The checkpoint's digest tells bytes that something else wrote."""
    plan = plan_of(tmp_path, retry=RetryPolicy(attempts=1))
    folder = tmp_path / "files"
    folder.mkdir()
    note: dict[str, object] = {
        "schema": "crawler.part/1", "request": "", "etag": '"v1"', "last_modified": None, "validator": '"v1"',
        "total": len(DATA), "boot": "", "done": None, "synced": 1000, "sha256": "0" * 64, "spans": [],
    }  # fmt: skip
    item = Item("", path="a.bin")
    with RawServer(answer("200 OK", DATA)) as server:
        item.url = server.url + "/a.bin"
        from crawler.fanout.ids import fingerprint, fingerprint_text

        note["request"] = fingerprint_text(fingerprint(item))
        (folder / "a.bin.part").write_bytes(DATA[:2000])
        (folder / "a.bin.part.json").write_text(json.dumps(note))
        _, (record,) = await download(plan, item)
        assert b"range" not in server.received[0].lower()

    assert record["sha256"] == SHA256
    assert files(tmp_path) == {"a.bin": len(DATA)}


@pytest.mark.parametrize("mode", ["retry_then_fail", "fail", "keep_bad"])
async def test_a_wrong_checksum(tmp_path: Path, mode: Any) -> None:
    """It never gets the final name; by policy it is fetched once more and left as `.bad`."""
    once = ONCE if mode == "retry_then_fail" else frozenset()
    plan = plan_of(tmp_path, on_mismatch=mode, retry=RetryPolicy(base=0.001, once=once, budget=None))
    with RawServer(answer("200 OK", DATA)) as server:
        outcome, (large, small) = await download(
            plan,
            Item(server.url + "/a.bin", path="a.bin", key="1", checksums=(("sha256", "0" * 64),)),
            Item(server.url + "/b.bin", path="b.bin", key="2", checksums=(("md5", "0" * 32), ("sha256", SHA256))),
        )

    assert outcome.exit_code == 1
    for record in (large, small):
        assert record["error"]["kind"] == "checksum_mismatch"
        assert record["checksum_ok"] is False
        assert record["path"] is None
        assert record["attempts"] == (2 if mode == "retry_then_fail" else 1)
    assert files(tmp_path) == ({} if mode == "fail" else {"a.bin.bad": len(DATA), "b.bin.bad": len(DATA)})


async def test_a_checksum_that_is_right_the_second_time(tmp_path: Path) -> None:
    """The bad file goes when the good one comes."""
    with RawServer(answer("200 OK", NEW), answer("200 OK", DATA)) as server:
        item = Item(server.url + "/a.bin", path="a.bin", checksums=(("sha256", SHA256),))
        outcome, (record,) = await download(plan_of(tmp_path), item)

    assert outcome.exit_code == 0
    assert (record["checksum_ok"], record["attempt_errors"]) == (True, ["checksum_mismatch"])
    assert files(tmp_path) == {"a.bin": len(DATA)}


@pytest.mark.parametrize("body", [DATA, DATA[:1000]])
async def test_what_the_server_says_counts(tmp_path: Path, body: bytes) -> None:
    """`Repr-Digest` and `Content-MD5` are checked, for small files and large ones."""
    right = base64.b64encode(hashlib.sha256(body).digest()).decode()
    wrong = base64.b64encode(b"0" * 16).decode()
    with RawServer(
        answer("200 OK", body, f"Repr-Digest: sha-256=:{right}:"), answer("200 OK", body, f"Content-MD5: {wrong}")
    ) as server:
        plan = plan_of(tmp_path, retry=RetryPolicy(attempts=1))
        _, (good,) = await download(plan, Item(server.url + "/a.bin", path="a.bin", key="1"))
        _, records = await download(plan, Item(server.url + "/b.bin", path="b.bin", key="2"))

    assert good["checksum_ok"] is True
    assert records[1]["error"]["kind"] == "checksum_mismatch"


async def test_a_wrong_size(tmp_path: Path) -> None:
    """Another size than the row says is no success, whatever the checksum."""
    with RawServer(answer("200 OK", DATA[:100])) as server:
        item = Item(server.url + "/a.bin", path="a.bin", size=101)
        _, (record,) = await download(plan_of(tmp_path, on_mismatch="fail"), item)

    assert record["error"]["kind"] == "size_mismatch"
    assert files(tmp_path) == {}


async def test_too_large_is_seen_before_it_is_received(tmp_path: Path) -> None:
    """The length of the head is enough; without one the limit ends it, and nothing stays."""
    chunked = [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"100000\r\n" + b"x" * 0x100000 + b"\r\n"] * 3
    with RawServer([head()], [chunked[0], *[b"100000\r\n" + b"x" * 0x100000 + b"\r\n"] * 2]) as server:
        plan = plan_of(tmp_path, retry=RetryPolicy(attempts=1))
        plan = Plan(**{**{n: getattr(plan, n) for n in plan.__slots__}, "body": BodyPolicy(
            keep="file", directory=tmp_path / "files", max_size=2_000_000)})  # fmt: skip
        _, records = await download(plan, Item(server.url + "/a.bin", path="a.bin", key="1"))
        _, records = await download(plan, Item(server.url + "/b.bin", path="b.bin", key="2"))

    assert [record["error"]["kind"] for record in records] == ["too_large", "too_large"]
    assert files(tmp_path) == {}


@pytest.mark.parametrize(
    ("mode", "outcome", "result"),
    [
        ("verify", "unchanged", {"a.bin": 1000}),
        ("skip", "unchanged", {"a.bin": 1000}),
        ("overwrite", "ok", {"a.bin": 1000}),
        ("rename", "ok", {"a.bin": 1000, "a~2.bin": 1000}),
        ("fail", "failed", {"a.bin": 1000}),
    ],
)
async def test_files_that_are_there(tmp_path: Path, mode: Any, outcome: str, result: dict[str, int]) -> None:
    """Each way with a right file that is there; a verified one is not asked for."""
    folder = tmp_path / "files"
    folder.mkdir()
    data = DATA[:1000]
    (folder / "a.bin").write_bytes(data)
    with RawServer(answer("200 OK", data)) as server:
        item = Item(server.url + "/a.bin", path="a.bin", checksums=(("sha256", hashlib.sha256(data).hexdigest()),))
        _, (record,) = await download(plan_of(tmp_path, if_exists=mode), item)
        assert len(server.connections) == (1 if outcome == "ok" else 0)

    assert record["outcome"] == outcome
    assert files(tmp_path) == result
    assert record["path"] == {"rename": "a~2.bin", "fail": None}.get(mode, "a.bin")
    if mode == "fail":
        assert record["error"]["kind"] == "file_exists"


async def test_a_wrong_file_that_is_there_is_replaced(tmp_path: Path) -> None:
    """`verify` trusts neither another size nor another checksum."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.bin").write_bytes(b"x" * 1000)
    (folder / "b.bin").write_bytes(b"x" * 999)
    with RawServer(answer("200 OK", DATA[:1000])) as server:
        digest = hashlib.sha256(DATA[:1000]).hexdigest()
        _, records = await download(
            plan_of(tmp_path),
            Item(server.url + "/a.bin", path="a.bin", key="1", checksums=(("sha256", digest),)),
            Item(server.url + "/b.bin", path="b.bin", key="2", size=1000),
        )

    assert [record["outcome"] for record in records] == ["ok", "ok"]
    assert (folder / "a.bin").read_bytes() == (folder / "b.bin").read_bytes() == DATA[:1000]


@pytest.mark.parametrize(
    "script",
    [
        answer("304 Not Modified", b""),
        answer("200 OK", DATA[:1000], "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT"),
    ],
)
async def test_without_a_checksum_the_server_is_asked(tmp_path: Path, script: Callable[[RawConnection], None]) -> None:
    """304, or the same length and date, leaves the file alone."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.bin").write_bytes(DATA[:1000])
    os.utime(folder / "a.bin", (1704067200, 1704067200))
    with RawServer(script) as server:
        _, (record,) = await download(plan_of(tmp_path), Item(server.url + "/a.bin", path="a.bin"))
        assert b"If-Modified-Since: Mon, 01 Jan 2024 00:00:00 GMT" in server.received[0]

    assert record["outcome"] == "unchanged"
    assert record["sha256"] == hashlib.sha256(DATA[:1000]).hexdigest()


async def test_names_that_are_known_afterwards(tmp_path: Path) -> None:
    """A file is named by its own digest; the same content twice is one file, with two records."""
    with RawServer(answer("200 OK", DATA)) as server:
        _, records = await download(
            plan_of(tmp_path, has_late_names=True),
            *(Item(f"{server.url}/{n}", path="{sha256:2}/{sha256}{{{status}.bin", key=str(n)) for n in range(2)),
        )

    name = f"{SHA256[:2]}/{SHA256}{{200.bin"
    assert {record["path"] for record in records} <= {name, f"{SHA256[:2]}/{SHA256}{{200~2.bin"}
    assert name in files(tmp_path)
    assert not (tmp_path / "files" / ".incoming").exists()


async def test_a_title_given_by_the_server_is_ignored(tmp_path: Path) -> None:
    """`Content-Disposition` leads nowhere."""
    line = "Content-Disposition: attachment; filename=\"../../evil\"; filename*=UTF-8''%2e%2e%2fevil"
    with RawServer(answer("200 OK", b"x", line)) as server:
        _, (record,) = await download(plan_of(tmp_path), Item(server.url + "/good.bin"))

    assert record["path"].endswith("/good.bin")
    assert list(files(tmp_path)) == [record["path"]]


async def test_times_and_room(tmp_path: Path) -> None:
    """A file has the server's time, and reserved room does not show in its length; a reserved part goes on."""
    lines = (ETAG, "Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT")
    with RawServer(broken_after(1_500_000, *lines), ranged) as server:
        _, (record,) = await download(plan_of(tmp_path, preallocate=True), Item(server.url + "/a.bin", path="a.bin"))

    assert record["resumed_from"] == 1_500_000
    assert (tmp_path / "files" / "a.bin").read_bytes() == DATA


async def test_a_failure_for_good_leaves_nothing(tmp_path: Path) -> None:
    """The part of an interrupted download goes when a later try finds that the file is gone."""
    with RawServer(broken_after(1_500_000, ETAG), answer("404 Gone", b"")) as server:
        outcome, (record,) = await download(plan_of(tmp_path), Item(server.url + "/a.bin", path="dir/a.bin"))

    assert outcome.exit_code == 1
    assert record["error"]["kind"] == "http_4xx"
    assert files(tmp_path) == {}


async def test_too_slow(tmp_path: Path) -> None:
    """A drip is broken off with a kind of its own."""

    def drip(connection: RawConnection) -> None:
        connection.read_request()
        connection.send(head())
        connection.send(DATA, piece_bytes=10, pause_s=0.05)

    with RawServer(drip) as server:
        plan = plan_of(tmp_path, min_speed=1e6, min_speed_for=0.2, retry=RetryPolicy(attempts=1))
        _, (record,) = await download(plan, Item(server.url + "/a.bin", path="a.bin"))

    assert record["error"]["kind"] == "too_slow"


async def test_a_full_disk_makes_it_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write without room is tried again when there is some; nothing is lost, and the run says that it waits."""
    real, refusals = os.pwrite, 3
    paused: list[str | None] = []

    def refuse(fd: int, data: Any, at: int) -> int:
        nonlocal refusals
        if at > 1_000_000 and refusals:
            refusals -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data[:100_000], at)  # short writes as well

    monkeypatch.setattr("crawler.fanout.partfile.os.pwrite", refuse)
    monkeypatch.setattr("crawler.fanout.disk.LOOK_WHILE_WAITING_S", 0.01)
    with RawServer(answer("200 OK", DATA, ETAG)) as server:
        run = Run(plan_of(tmp_path), [Item(server.url + "/a.bin", path="a.bin")])
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                while True:
                    if run.stats.paused not in paused:
                        paused.append(run.stats.paused)
                    await anyio.sleep(0.001)

            group.start_soon(watch)
            outcome = await run.execute()
            group.cancel_scope.cancel()

    assert outcome.exit_code == 0, outcome.message
    assert (tmp_path / "files" / "a.bin").read_bytes() == DATA
    assert any(text is not None and "the disk is full" in text for text in paused)
    assert run.stats.paused is None


async def test_a_failed_fsync_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may not be on the disk is not gone on with: the run stops, the URL stays, the part goes."""

    def refuse(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with RawServer(answer("200 OK", DATA, ETAG)) as server:
        run = Run(plan_of(tmp_path), [Item(server.url + "/a.bin", path="a.bin")])
        monkeypatch.setattr("crawler.fanout.partfile.os.fsync", refuse)
        outcome = await run.execute()
        monkeypatch.undo()

        assert outcome.exit_code == 4
        assert outcome.summary["pending"] == 1
        assert files(tmp_path) == {}
        outcome, (record,) = await download(plan_of(tmp_path), Item(server.url + "/a.bin", path="a.bin"))

    assert (outcome.exit_code, record["sha256"]) == (0, SHA256)


async def test_a_list_of_checksums(tmp_path: Path) -> None:
    """A list from a URL is read once before all, and decides; without it nothing is downloaded."""

    def serve(connection: RawConnection) -> None:
        request = connection.read_request()
        body = f"{SHA256}  a.bin\n".encode() if b"/SUMS" in request else DATA
        connection.send(head("200 OK", len(body), "Connection: close") + body)

    with RawServer(serve) as server:
        plan = plan_of(tmp_path / "1", checksums_from=server.url + "/SUMS")
        _, (record,) = await download(plan, Item(server.url + "/a.bin"))
        assert record["checksum_ok"] is True
        assert sum(b"/SUMS" in request for request in server.received) == 1
    with RawServer(answer("404 Gone", b"")) as server:
        plan = plan_of(tmp_path / "2", checksums_from=server.url + "/SUMS")
        with pytest.raises(Exception, match=r"SUMS cannot be used: the server answered 404") as raised:
            await download(plan, Item(server.url + "/a.bin"))
    assert getattr(raised.value, "exit_code", None) == 2


MORE = [
    head("206 Partial", len(DATA) - 1_400_000, f"Content-Range: bytes 1400000-{len(DATA) - 1}/{len(DATA)}", ETAG),
    DATA[1_400_000:1_500_000],
]


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [(1_400_000, MORE, "body_incomplete"), (1_500_000, answer("503 Busy", b""), "http_5xx")],
)
async def test_a_part_stays_for_a_later_run(tmp_path: Path, first: int, second: Any, kind: str) -> None:
    """What fails for good as the connection broke, or the server was busy, is gone on with when it is tried again."""
    plan = plan_of(tmp_path, retry=RetryPolicy(attempts=2, base=0.001, budget=None))
    with RawServer(broken_after(first, ETAG), second, ranged) as server:
        item = Item(server.url + "/a.bin", path="a.bin")
        outcome, (record,) = await download(plan, item)
        assert (outcome.exit_code, record["error"]["kind"]) == (1, kind)
        assert set(files(tmp_path)) == {"a.bin.part", "a.bin.part.json"}
        assert reopen(plan, state_file=tmp_path / "state" / STATE_FILE) == 1
        outcome, (record,) = await download(plan, item)
        assert b"bytes=1500000-" in server.received[2]

    assert (record["outcome"], record["resumed_from"], record["sha256"]) == ("ok", 1_500_000, SHA256)
    assert files(tmp_path) == {"a.bin": len(DATA)}


async def test_a_part_that_is_of_no_use_goes(tmp_path: Path) -> None:
    """Without a validator nobody could go on with it."""
    with RawServer(broken_after(1_500_000)) as server:
        plan = plan_of(tmp_path, retry=RetryPolicy(attempts=1))
        (tmp_path / "files").mkdir()
        (tmp_path / "files" / "b.bin.part").write_bytes(b"left by a kill")
        _, records = await download(
            plan,
            Item(server.url + "/a.bin", path="a.bin", key="1"),
            Item("http://127.0.0.1:1/b.bin", path="b.bin", key="2"),
        )

    assert [record["error"]["kind"] for record in records] == ["body_incomplete", "connect_refused"]
    assert files(tmp_path) == {}

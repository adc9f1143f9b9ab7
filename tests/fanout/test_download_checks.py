"""Checks on downloads: asked before the body is fetched where the head can tell, and before a file gets its name."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from crawler.fanout import Item, Plan, RetryPolicy
from crawler.fanout.checks import CheckFailed, ResponseCheck
from crawler.fanout.download_policy import PackPolicy
from crawler.models import Response
from crawler.testbed.raw import RawConnection, RawServer
from tests.peers.downloads import DATA, ETAG, download, files, head, plan_of

pytestmark = pytest.mark.anyio

TEXT = DATA + b"the end"


def without(word: bytes) -> Callable[[Response, bytes], None]:
    """A check of the text."""

    def judge(response: Response, body: bytes) -> None:
        if word in body:
            raise CheckFailed(f"{word!r} is there", kind="check_failed", check="text")

    return judge


def checked(folder: Path, check: ResponseCheck, hold: int = 10**8, **more: Any) -> Plan:
    """A plan of downloads with a check, each tried once."""
    plan = plan_of(folder, {"hold": hold, "must_hold": True}, **{"retry": RetryPolicy(attempts=1), **more})
    return replace(plan, checks=(check,))


def serve(body: bytes, *lines: str, chunked: bool = False) -> Callable[[RawConnection], None]:
    """Serve a body to whoever asks, with or without its length."""

    def answer(connection: RawConnection) -> None:
        connection.read_request()
        if not chunked:
            connection.send(head("200 OK", len(body), *lines) + body)
            return
        connection.send("\r\n".join(("HTTP/1.1 200 OK", "Transfer-Encoding: chunked", *lines, "", "")).encode())
        for start in range(0, len(body), 100_000):
            piece = body[start : start + 100_000]
            connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        connection.send(b"0\r\n\r\n")

    return answer


@pytest.mark.parametrize(
    ("check", "kind"),
    [
        (ResponseCheck("c", content_type=("image/*",)), "content_type"),
        (ResponseCheck("c", status=frozenset({203})), "check_failed"),
        (ResponseCheck("c", min_size=len(DATA) + 1), "check_failed"),
        (ResponseCheck("c", max_size=len(DATA) - 1), "check_failed"),
    ],
)
async def test_a_wrong_head_spares_the_body(tmp_path: Path, check: ResponseCheck, kind: str) -> None:
    """Status, media type and announced size are judged without a byte of the body, and nothing is left."""
    with RawServer([head("200 OK", len(DATA), "Content-Type: text/html", ETAG)]) as server:  # no body ever comes
        _, (record,) = await download(checked(tmp_path, check), Item(server.url + "/a.bin", path="a.bin"))

    assert (record["error"]["kind"], record["error"]["check"]) == (kind, "c")
    assert (record["path"], record["bytes"]) == (None, 0)
    assert files(tmp_path) == {}


async def test_too_large_is_seen_while_it_comes(tmp_path: Path) -> None:
    """Without a length the body is broken off at the largest good size."""
    with RawServer(serve(DATA * 20, chunked=True)) as server:
        plan = checked(tmp_path, ResponseCheck("c", max_size=1_500_000))
        _, (record,) = await download(plan, Item(server.url + "/a.bin", path="a.bin"))

    assert "more than 1500000 bytes" in record["error"]["message"]
    assert record["bytes"] < len(DATA) * 20
    assert files(tmp_path) == {}


@pytest.mark.parametrize("body", [TEXT, TEXT[-1000:]])
@pytest.mark.parametrize(("coding", "decode"), [(False, False), (True, False), (True, True)])
async def test_the_text_is_judged_before_the_name(tmp_path: Path, body: bytes, coding: bool, decode: bool) -> None:
    """Of large files and small ones, coded or not: what fails has no file, and what passes has its own."""
    sent = gzip.compress(body, 0) if coding else body
    with RawServer(serve(sent, *(("Content-Encoding: gzip",) if coding else ()))) as server:
        for name, unwanted in (("bad", b"the end"), ("good", b"not there")):
            plan = checked(tmp_path / name, ResponseCheck("c", text=without(unwanted)))
            plan = replace(plan, body=replace(plan.body, decode=decode))
            _, (record,) = await download(plan, Item(server.url + "/a.bin", path="a.bin"))
            assert (record["outcome"], record["path"]) == (("failed", None) if name == "bad" else ("ok", "a.bin"))

    assert files(tmp_path / "bad") == {}
    assert files(tmp_path / "good") == {"a.bin": len(body if decode else sent)}


async def test_a_text_too_large_to_look_at(tmp_path: Path) -> None:
    """A check that cannot be answered is a failure, not a success."""
    with RawServer(serve(DATA)) as server:
        plan = checked(tmp_path, ResponseCheck("c", text=without(b"x")), hold=1000)
        _, (record,) = await download(plan, Item(server.url + "/a.bin", path="a.bin"))

    assert record["error"]["kind"] == "too_large"
    assert files(tmp_path) == {}


async def test_the_rest_of_a_file_says_less(tmp_path: Path) -> None:
    """A 206 that answers our own range is no other status, and need not repeat the media type."""

    def rest(connection: RawConnection) -> None:
        match = re.search(rb"(?i)range: bytes=(\d+)-", connection.read_request())
        assert match is not None
        start = int(match[1])
        line = f"Content-Range: bytes {start}-{len(DATA) - 1}/{len(DATA)}"
        connection.send(head("206 Partial Content", len(DATA) - start, line, ETAG) + DATA[start:])

    first = [head("200 OK", len(DATA), ETAG, "Content-Type: image/png"), DATA[:1_500_000]]
    check = ResponseCheck("c", status=frozenset({200}), content_type=("image/*",), min_size=len(DATA))
    with RawServer(first, rest) as server:
        plan = checked(tmp_path, check, retry=RetryPolicy(attempts=2, base=0.001, budget=None))
        _, (record,) = await download(plan, Item(server.url + "/a.bin", path="a.bin"))

    assert (record["outcome"], record["resumed_from"]) == ("ok", 1_500_000)


async def test_a_page_in_the_place_of_a_file_costs_no_part(tmp_path: Path) -> None:
    """What a check refuses by its head does not replace the part that is there."""
    first = [head("200 OK", len(DATA), ETAG, "Content-Type: image/png"), DATA[:1_500_000]]

    def rest(connection: RawConnection) -> None:
        assert b"bytes=1500000-" in connection.read_request()
        line = f"Content-Range: bytes 1500000-{len(DATA) - 1}/{len(DATA)}"
        connection.send(head("206 Partial Content", len(DATA) - 1_500_000, line, ETAG) + DATA[1_500_000:])

    check = ResponseCheck("c", content_type=("image/*",), is_transient=True)
    with RawServer(first, serve(b"<html>", "Content-Type: text/html"), rest) as server:
        plan = checked(tmp_path, check, retry=RetryPolicy(attempts=3, base=0.001, budget=None))
        _, (record,) = await download(plan, Item(server.url + "/a.bin", path="a.bin"))

    assert record["attempt_errors"] == ["body_incomplete", "content_type"]
    assert (record["outcome"], files(tmp_path)) == ("ok", {"a.bin": len(DATA)})


async def test_nothing_bad_is_packed(tmp_path: Path) -> None:
    """Archives hold what passed the checks."""

    def by_path(connection: RawConnection) -> None:
        body = b"bad" if b"/bad" in connection.read_request() else b"good"
        connection.send(head("200 OK", len(body), "Connection: close") + body)

    with RawServer(by_path) as server:
        plan = checked(tmp_path, ResponseCheck("c", text=without(b"bad")), pack=PackPolicy())
        items = [Item(f"{server.url}/{name}.png", key=name) for name in ("bad", "good")]
        _, (bad, good) = await download(plan, *items)

    assert (bad["error"]["kind"], good["path"]) == ("check_failed", "000000.tar!good.png")
    assert (tmp_path / "files" / "000000.jsonl").read_bytes().count(b"\n") == 1

"""The engine with the real client against the embedded testbed, on every event loop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

import crawler
from crawler.fanout import BodyPolicy, Item, Output, Plan, RetryPolicy, Run, as_completed, gather
from crawler.models import Timeout
from crawler.testbed import Testbed


@pytest.fixture(scope="module")
def bed() -> Iterator[Testbed]:
    """One testbed for all tests of this file."""
    with Testbed() as bed:
        yield bed


@pytest.mark.anyio
async def test_gather(bed: Testbed) -> None:
    """A mixture of good and bad URLs, each with its result; redirects are followed, and time limits hold."""
    paths = ["/bytes/1000?seed=1", "/redirect/2", "/status/404", "/delay/5s", "/gzip"]

    good, redirected, missing, slow, coded = await gather(
        [bed.url + path for path in paths], timeout=Timeout(5.0, read=0.3)
    )

    assert (good.ok, good.bytes, good.attempts) == (True, 1000, 1)
    assert redirected.ok
    assert redirected.final_url == bed.url + "/get"
    assert (missing.ok, missing.status, missing.error_kind) == (False, 404, "http_4xx")
    assert (slow.error_kind, slow.status) == ("timeout_read", None)
    assert coded.bytes != coded.bytes_wire
    assert good.timing is not None
    assert 0 <= good.timing.ttfb <= good.total


@pytest.mark.anyio
async def test_refused_and_unresolved(bed: Testbed) -> None:
    """What cannot be reached has a kind of its own and a message with the URL or host."""
    results = await gather(["http://127.0.0.1:1/", "ftp://127.0.0.1/", "nonsense", "http://127.0.0.1:99999/"])

    assert [result.error_kind for result in results] == [
        "connect_refused",
        "unsupported_scheme",
        "unsupported_scheme",
        "invalid_url",
    ]


@pytest.mark.anyio
async def test_as_completed_left_early(bed: Testbed) -> None:
    """Leaving the block closes its client with all its connections; a client of one's own stays usable."""
    async with crawler.AsyncClient() as client:
        async with as_completed((f"{bed.url}/bytes/100?seed={n}" for n in range(10_000)), client=client) as results:
            async for result in results:
                assert result.ok
                break
        assert (await client.get(bed.url + "/get")).status_code == 200


@pytest.mark.anyio
async def test_no_cookies_travel_between_requests(bed: Testbed) -> None:
    """The requests of a call do not know of each other: what one is given the next does not send."""
    first, second = await gather([bed.url + "/cookies/set?a=b", bed.url + "/cookies"], concurrency=1)

    assert first.ok
    assert second.response is not None
    assert second.response.json()["cookies"] == {}


@pytest.mark.anyio
async def test_run(bed: Testbed, tmp_path: Path) -> None:
    """Files, redirects, a flaky URL, an error page and a body larger than memory may hold: records tell it all."""
    plan = Plan(
        "real",
        outputs=(Output(tmp_path / "out.jsonl"),),
        state_dir=tmp_path / "state",
        body=BodyPolicy(keep="file", directory=tmp_path / "files", memory_limit=64 * 1024),
        retry=RetryPolicy(base=0.01, max_wait=0.01, retry_after="cap"),
        timeout=Timeout(5.0, total=10.0),
    )
    paths = ["/bytes/3000000?seed=5", f"/flaky?fail=2&key={tmp_path.name}", "/redirect/2", "/status/404"]

    outcome = await Run(plan, [Item(bed.url + path, key=path[1:6]) for path in paths]).execute()

    assert outcome.exit_code == 1
    records = {record["key"]: record for record in map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())}
    large, flaky, moved, missing = (records[path[1:6]] for path in paths)
    data = (tmp_path / "files" / large["path"]).read_bytes()
    assert (len(data), sha256(data).hexdigest()) == (large["bytes"], large["sha256"]) == (3_000_000, large["sha256"])
    assert (flaky["outcome"], flaky["attempts"], flaky["attempt_errors"]) == ("ok", 3, ["rate_limited"] * 2)
    assert [hop["status"] for hop in moved["redirects"]] == [302, 302]
    assert moved["final_url"] == bed.url + "/get"
    assert (missing["outcome"], missing["error"]["kind"], missing["path"]) == ("failed", "http_4xx", None)
    assert large["remote_ip"] == "127.0.0.1"
    timing = large["timing"]
    parts = sum(timing[name] for name in ("dns", "connect", "tls", "send", "ttfb", "receive"))
    assert parts <= timing["total"] + 0.001

"""The API against a service in this process: what it gives, and what it refuses."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from crawler.service.states import State
from crawler.service.store import NewRun
from tests.service.conftest import Bench, Sluice

Serve = Callable[..., None]
WriteJob = Callable[[str, str], Path]

GOOD = "contact: a@example.org\nurls: [BED/get, BED/bytes/500, BED/status/404]\nbody: {keep: file}\n"
TOKEN, READ = "t" * 32, "r" * 32


def test_a_run_from_its_start_to_its_records(serve: Serve, write_job: WriteJob) -> None:
    """Submitted, watched, read by page, its files fetched; and everything of it is told afterwards.

    Its own output is packed and its log has a file: both lie in its folder, and its records can be read all the same.
    """
    write_job("demo", GOOD + "output: {path: out/all.jsonl.gz}\nlog: {file: logs/tries.jsonl, level: debug}\n")

    async def work(bench: Bench) -> None:
        answer = await bench.post("/v1/runs", {"job": "demo"})
        assert answer.status_code == 202
        run = await bench.until(answer.json()["id"], "finished")
        assert answer.headers["location"] == f"/v1/runs/{run['id']}"
        assert (run["exit_code"], run["progress"]["counts"]["ok"]) == (1, 2)

        first = (await bench.client.get(f"/v1/runs/{run['id']}/results?limit=2")).json()
        rest = (await bench.client.get(f"/v1/runs/{run['id']}/results?cursor={first['cursor']}")).json()
        records = first["records"] + rest["records"]
        assert (len(first["records"]), len(records), rest["is_end"]) == (2, 3, True)
        assert {record["run_id"] for record in records} == {run["id"]}
        failed = (await bench.client.get(f"/v1/runs/{run['id']}/results?outcome=failed&kind=http_4xx")).json()
        assert [record["status"] for record in failed["records"]] == [404]

        path = next(record["path"] for record in records if record["bytes"] == 500)
        file = await bench.client.get(f"/v1/runs/{run['id']}/files/{path}")
        assert (len(file.content), file.headers["content-disposition"].split(";")[0]) == (500, "attachment")
        assert "is finished" in (await bench.client.get(f"/v1/runs/{run['id']}/log")).text
        folder = bench.service.settings.folder("demo", run["id"])
        assert len(gzip.decompress((folder / "all.jsonl.gz").read_bytes()).splitlines()) == 3
        assert "http_4xx" in (folder / "tries.jsonl").read_text(encoding="utf-8")
        events = (await bench.client.get(f"/v1/runs/{run['id']}/events")).text
        assert "event: end" in events
        for page in ("/", "/jobs/demo", f"/runs/{run['id']}", "/docs"):
            shown = await bench.client.get(page, headers={"Accept": "text/html"})
            assert shown.status_code == 200, page
        assert (await bench.client.get("/v1/audit")).json()["audit"][0]["action"] == "submit"
        metrics = (await bench.client.get("/metrics")).text
        assert 'crawler_requests_total{job="demo",outcome="ok"} 2.0' in metrics
        assert 'http_route="/v1/runs/{run_id}"' in metrics

    serve(work)


def test_a_run_that_pauses_goes_on_where_it_stopped(serve: Serve, write_job: WriteJob, sluice: Sluice) -> None:
    """No record twice, none missing; then one is cancelled, and its overlap is told before."""
    write_job("slow", sluice.job(10, 10))

    async def work(bench: Bench) -> None:
        run_id = (await bench.post("/v1/runs", {"job": "slow"})).json()["id"]
        await bench.until_done(run_id, 10)
        assert (await bench.post("/v1/runs", {"job": "slow"})).status_code == 409
        assert (await bench.post(f"/v1/runs/{run_id}/resume")).status_code == 409
        assert (await bench.post(f"/v1/runs/{run_id}/pause")).status_code == 202
        paused = await bench.until(run_id, "paused")
        assert paused["progress"]["done"] == 10
        again = await bench.post("/v1/runs", {"job": "slow"})
        assert again.status_code == 409
        assert (await bench.post(f"/v1/runs/{run_id}/resume")).status_code == 202
        sluice.open()
        run = await bench.until(run_id, "finished")
        assert run["progress"]["counts"]["ok"] == 20
        records = (await bench.client.get(f"/v1/runs/{run_id}/results?limit=1000")).json()["records"]
        assert sorted(record["key"] for record in records) == sorted(str(n) for n in range(1, 21))

    serve(work)


def test_a_run_is_cancelled(serve: Serve, write_job: WriteJob, sluice: Sluice) -> None:
    """What it has fetched stays, the rest is left; and it is over."""
    write_job("slow", sluice.job(2, 4))

    async def work(bench: Bench) -> None:
        run_id = (await bench.post("/v1/runs", {"job": "slow"})).json()["id"]
        await bench.until_done(run_id, 2)
        assert (await bench.post(f"/v1/runs/{run_id}/cancel")).status_code == 202
        stopped = await bench.until(run_id, "stopped")
        assert (stopped["reason"], stopped["progress"]["done"]) == ("cancelled", 2)
        assert (await bench.post(f"/v1/runs/{run_id}/cancel")).status_code == 409

    serve(work)


def test_a_job_that_comes_with_the_request(serve: Serve, bed: Any) -> None:
    """It runs once, however often it is asked for by the same key; to forbidden addresses it does not go."""

    async def work(bench: Bench) -> None:
        body = {"inline": {"urls": [f"{bed.url}/get"], "retry": {"attempts": 1}}}
        headers = {"Idempotency-Key": "one"}
        answers = await asyncio.gather(*(bench.post("/v1/runs", body, headers=headers) for _ in range(3)))
        first, *again = answers
        assert {answer.json()["id"] for answer in again} == {first.json()["id"]}
        assert len(list(bench.service.settings.state.glob("runs/inline/*"))) == 1
        run = await bench.until(first.json()["id"], "finished")
        records = (await bench.client.get(f"/v1/runs/{run['id']}/results")).json()["records"]
        assert records[0]["error"]["kind"] == "blocked_address"

    serve(work, allow=())


def test_a_redirect_into_the_private_net_is_refused(serve: Serve, bed: Any) -> None:
    """The address is checked of each hop; here the first is allowed and the second is not."""

    async def work(bench: Bench) -> None:
        target = f"http://127.0.0.9:{bed.url.rpartition(':')[2]}/get"
        body = {"inline": {"urls": [f"{bed.url}/redirect-to?url={target}"], "retry": {"attempts": 1}}}
        run = await bench.until((await bench.post("/v1/runs", body)).json()["id"], "finished")
        (record,) = (await bench.client.get(f"/v1/runs/{run['id']}/results")).json()["records"]
        assert record["error"]["kind"] == "blocked_address"

    serve(work, allow=("127.0.0.1/32",))


@pytest.mark.parametrize(
    ("inline", "detail"),
    [
        ({"input": {"path": "/etc/passwd"}}, "input: "),
        ({"urls": ["https://example.org/"], "testbed": True}, "testbed: "),
        ({"urls": ["https://example.org/"], "env_file": "x"}, "env_file: "),
        ({"urls": ["https://example.org/"], "extends": "x"}, "extends: "),
        ({"urls": ["https://example.org/"], "network": {"allow": "127.0.0.1"}}, "network: "),
        ({"urls": ["https://example.org/"], "notify": {"command": ["sh"]}}, "notify: "),
        ({"urls": ["https://example.org/${file:/etc/passwd}"]}, "cannot read files"),
        ({"urls": ["https://example.org/${PATH}"]}, "PATH is not set"),
        ({"urls": ["https://example.org/"], "download": {"dir": "/tmp/x"}}, "download.dir: "),
        ({"urls": ["https://example.org/"], "output": [{"path": "../x.jsonl"}]}, "file names only"),
        ({"urls": ["https://example.org/"], "tls": {"ca_file": "/etc/passwd"}}, "tls: "),
        ({"urls": ["https://example.org/"], "kind": "bench"}, "kind: "),
        ({"urls": ["https://example.org/"], "name": "../x"}, "a name is made of"),
        ("urls", "JSON object"),
    ],
)
def test_what_a_stranger_may_not_ask_for(serve: Serve, inline: object, detail: str) -> None:
    """No file, no environment, no program, no address of its own choice; and nothing of it is left behind."""

    async def work(bench: Bench) -> None:
        answer = await bench.post("/v1/runs", {"inline": inline})
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        assert detail in answer.text
        assert bench.service.store.runs() == []
        assert not list((bench.service.settings.state).glob("runs/*/*"))

    serve(work)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"job": "a", "job": "b"}', 400),
        (b'{"job": NaN}', 400),
        (b'{"job": 1e999}', 400),
        (b"[" * 100_000, 400),
        (b'{"job": "\xff"}', 400),
        (b'{"job": "\\ud800"}', 400),
        (b'{"inline": {"concurrency": 99999999999999999999999}}', 400),
        (b"[]", 422),
        (b'{"job": "a", "inline": {}}', 422),
        (b'{"job": 3}', 422),
        (b'{"job": "../../etc/passwd"}', 404),
        (b'{"job": "nobody"}', 404),
        (b"x" * (1024 * 1024 + 1), 413),
    ],
)
def test_bodies_that_are_no_request(serve: Serve, body: bytes, status: int) -> None:
    """Each is a problem document with its status, and the service goes on."""

    async def work(bench: Bench) -> None:
        answer = await bench.client.post("/v1/runs", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == status
        problem = answer.json()
        assert (problem["status"], answer.headers["content-type"]) == (status, "application/problem+json")

    serve(work)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/runs/../../etc/passwd", 404),
        ("/v1/runs/%2e%2e%2f%2e%2e", 404),
        ("/v1/runs/01ARZ3NDEKTSV4RRFFQ69G5FAV", 404),
        ("/v1/jobs/%00", 404),
        ("/v1/jobs/..", 404),
        ("/v1/runs?limit=1000000", 400),
        ("/v1/runs?limit=-1", 400),
        ("/v1/runs?state=gone", 400),
        ("/v1/runs?token=abc", 400),
        ("/static/..%2fserve.py", 404),
        ("/nowhere", 404),
        ("/v1/nowhere", 404),
    ],
)
def test_names_that_lead_nowhere(serve: Serve, path: str, status: int) -> None:
    """Traversal, odd numbers, tokens in URLs: refused in one form."""

    async def work(bench: Bench) -> None:
        answer = await bench.client.get(path)
        assert (answer.status_code, answer.json()["status"]) == (status, status)

    serve(work)


def test_files_outside_the_run_are_not_there(serve: Serve, write_job: WriteJob) -> None:
    """Whatever the spelling, and through links too."""
    write_job("demo", GOOD)

    async def work(bench: Bench) -> None:
        run = bench.service.store.add(NewRun("demo"), bench.service.wall())
        bench.service.store.move(run.id, State.FAILED, bench.service.wall())
        folder = bench.service.settings.folder("demo", run.id) / "files"
        folder.mkdir(parents=True)
        (folder / "link").symlink_to(bench.service.settings.jobs / "demo.yaml")
        for name in ("../job.yaml", "%2e%2e/%2e%2e", "..%2f..%2fx", "/etc/passwd", "link", "a%00b", "."):
            answer = await bench.client.get(f"/v1/runs/{run.id}/files/{name}")
            assert answer.status_code == 404, name

    serve(work)


def test_with_a_token_everything_but_health_needs_it(serve: Serve) -> None:
    """The right one, in the header or by the dashboard's login; the one for reading only reads."""

    async def work(bench: Bench) -> None:
        get = bench.client.get
        for path in ("/v1/jobs", "/metrics", "/openapi.json", "/docs", "/", "/static/style.css", "/v1/nowhere"):
            answer = await get(path)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert (await get(path, headers={"Authorization": f"Bearer {TOKEN[:-1]}x"})).status_code == 401
        assert [(await get(path)).status_code for path in ("/healthz", "/readyz")] == [200, 200]
        assert (await bench.post("/healthz")).status_code == 401
        assert (await get("/v1/jobs", headers={"Authorization": f"Bearer {READ}"})).status_code == 200
        refused = await bench.post("/v1/runs", {"job": "x"}, headers={"Authorization": f"Bearer {READ}"})
        assert refused.status_code == 403
        known = await bench.post("/v1/runs", {"job": "x"}, headers={"Authorization": f"Bearer {TOKEN}"})
        assert known.status_code == 404

        page = await get("/", headers={"Accept": "text/html"})
        assert (page.status_code, 'name="token"' in page.text) == (401, True)
        assert (await bench.client.post("/login", data={"token": "wrong"})).status_code == 401
        entered = await bench.client.post("/login", data={"token": TOKEN})
        cookie = entered.headers["set-cookie"]
        assert (entered.status_code, TOKEN in cookie) == (303, False)
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        value = cookie.split(";")[0]
        assert (await get("/", headers={"Cookie": value})).status_code == 200
        assert (await get("/", headers={"Cookie": value[:-1]})).status_code == 401

    serve(work, token=TOKEN, read_token=READ)


def test_pages_of_others_change_nothing(serve: Serve) -> None:
    """Another origin, another host name, another content type: refused before anything is done."""

    async def work(bench: Bench) -> None:
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Host": "evil.example"},
        ):
            answer = await bench.post("/v1/runs", {"job": "x"}, headers=headers)
            assert answer.status_code == 403, headers
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            answer = await bench.client.post("/v1/runs", content=b'{"job": "x"}', headers={"Content-Type": kind})
            assert answer.status_code == 415, kind
        assert (await bench.client.get("/", headers={"Host": "evil.example"})).status_code == 403
        same = await bench.post("/v1/runs", {"job": "x"}, headers={"Origin": "http://localhost"})
        assert same.status_code == 404

    serve(work)


def test_every_answer_carries_its_headers_and_none_of_cors(serve: Serve) -> None:
    """Also errors and static files."""

    async def work(bench: Bench) -> None:
        for path in ("/", "/v1/jobs", "/v1/nowhere", "/static/style.css", "/healthz"):
            headers = (await bench.client.get(path, headers={"Origin": "https://evil.example"})).headers
            assert "default-src 'none'" in headers["content-security-policy"]
            assert "unsafe" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert not [name for name in headers if name.startswith("access-control-")]

    serve(work)


def test_what_came_from_outside_is_escaped(serve: Serve, write_job: WriteJob) -> None:
    """A description, a URL and an error with markup in them are text on the pages."""
    evil = "<script>alert(1)</script>"
    write_job("demo", GOOD + f'description: "{evil}"\n')
    write_job("broken", f'urls: ["{evil}"]\n')

    async def work(bench: Bench) -> None:
        run = bench.service.store.add(NewRun("demo"), bench.service.wall())
        bench.service.store.move(run.id, State.FAILED, bench.service.wall(), message=evil)
        path = bench.service.settings.folder("demo", run.id) / "results.jsonl"
        path.parent.mkdir(parents=True)
        record = {"url": evil, "outcome": "ok", "status": 200, "bytes": 1, "elapsed": 1, "error": None, "path": None}
        path.write_text(json.dumps(record) + "\n")
        bench.service.store.update(run.id, outputs=[{"path": str(path), "format": "jsonl"}])
        evil_urls = "/jobs/broken", f"/runs/{run.id}", f"/runs/{run.id}?url=%3Cscript%3E"
        for page in ("/", "/jobs/demo", *evil_urls):
            shown = await bench.client.get(page, headers={"Accept": "text/html"})
            assert shown.status_code == 200
            assert "<script>" not in shown.text.replace('<script src="/static/', "")
            assert "&lt;script&gt;" in shown.text

    serve(work)


def test_the_description_of_the_api_knows_every_route(serve: Serve) -> None:
    """It is made from the same table, and every schema it names is there."""

    async def work(bench: Bench) -> None:
        description = (await bench.client.get("/openapi.json")).json()
        assert description["openapi"].startswith("3.1")
        assert {"/v1/jobs", "/v1/jobs/{name}", "/v1/runs", "/v1/runs/{run_id}/results", "/healthz"} <= set(
            description["paths"]
        )
        assert set(description["paths"]["/v1/runs"]) == {"get", "post"}
        text = (await bench.client.get("/openapi.json")).text
        for name in description["components"]["schemas"]:
            text = text.replace(f"#/components/schemas/{name}", "")
        assert "#/components/schemas/" not in text
        assert (await bench.client.delete("/v1/runs")).status_code in (405, 415)

    serve(work)


def test_more_runs_than_may_wait_are_refused(serve: Serve, write_job: WriteJob) -> None:
    """With 429, and the time to come again."""
    write_job("demo", GOOD)

    async def work(bench: Bench) -> None:
        bench.service.store.add(NewRun("other", start_by=None, state=State.QUEUED), 2e9)
        answer = await bench.post("/v1/runs", {"job": "demo"})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")

    serve(work, max_queued=0)

"""`paginate`: one row of the input, many pages, each of them a request of its own."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import anyio
import orjson
import pytest

import crawler
from crawler.fanout import Run
from crawler.jobs import JobError, load_job
from crawler.jobs.job import Job

FAST = "retry: {attempts: 1}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(folder: Path, text: str) -> Job:
    (folder / "job.yaml").write_text(text + FAST)
    return load_job("job.yaml")


class Api:
    """Answers by a function, and remembers what it was asked."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer
        self.asked: list[crawler.Request] = []

    def __call__(self, request: crawler.Request) -> crawler.Response:
        self.asked.append(request)
        answer = self._answer(request)
        return answer if isinstance(answer, crawler.Response) else crawler.Response(200, content=orjson.dumps(answer))

    @property
    def targets(self) -> list[str]:
        """The paths with queries, as they were asked for."""
        return [request.url.raw_path.decode() for request in self.asked]


def run(job: Job, api: Api, **changes: Any) -> list[dict[str, Any]]:
    """The records of the job, in the order in which they were written."""

    async def execute() -> None:
        plan = job.plan(out="out")
        async with crawler.AsyncClient(transport=crawler.MockTransport(api)) as client:
            await Run(plan, job.items(), job.processor(), client=client).execute()

    anyio.run(execute)
    return [json.loads(line) for line in Path("out/results.jsonl").read_text().splitlines()]


CURSOR = """
input: {path: rows.jsonl, key: "{who}"}
request:
  method: POST
  url: "https://api.example/{region}/search"
  headers: {Idempotency-Key: "{key}-{page}"}
  json: {who: "{who:int}", after: "{cursor}", page: "{page:int}"}
paginate: {type: cursor, cursor: next}
"""


def by_cursor(request: crawler.Request) -> Any:
    """Three pages per customer."""
    body = orjson.loads(request.content)
    n = int(body.get("after", "c0")[1:])
    return {"rows": [n], "next": f"c{n + 1}" if n < 2 else None}


def test_a_cursor_is_put_into_the_next_request(folder: Path) -> None:
    """Templates are filled anew for each page; what is made of the cursor is left out on the first."""
    (folder / "rows.jsonl").write_text('{"who": 7, "region": "eu", "note": "n"}\n{"who": 8, "region": "us"}\n')
    api = Api(by_cursor)
    records = run(load(folder, CURSOR), api)

    of_seven = [request for request in api.asked if orjson.loads(request.content)["who"] == 7]
    assert [orjson.loads(request.content) for request in of_seven] == [
        {"who": 7, "page": 1},
        {"who": 7, "after": "c1", "page": 2},
        {"who": 7, "after": "c2", "page": 3},
    ]
    assert [request.headers["Idempotency-Key"] for request in of_seven] == ["7-1", "7-2", "7-3"]
    assert len(api.asked) == 6
    mine = [record for record in records if record["key"] == "7"]
    assert [(record["page"], record["discovered_by"]) for record in mine] == [(1, None), (2, "page"), (3, "page")]
    assert [record["parent"] for record in mine] == [None, mine[0]["id"], mine[1]["id"]]
    assert {record["meta"]["note"] for record in mine} == {"n"}


@pytest.mark.parametrize("circle", [1, 3])
def test_a_cursor_that_comes_back_is_the_end(folder: Path, caplog: pytest.LogCaptureFixture, circle: int) -> None:
    """The pages so far are good, and a warning says why there are no more."""
    (folder / "rows.jsonl").write_text('{"who": 7, "region": "eu"}\n')
    api: Api = Api(lambda request: {"next": f"c{len(api.asked) % circle}"})
    with caplog.at_level(logging.WARNING, "crawler.jobs"):
        records = run(load(folder, CURSOR), api)

    assert len(api.asked) == circle + 1
    assert {record["outcome"] for record in records} == {"ok"}
    assert "the cursor came back" in caplog.text


def test_the_numbers_of_pages(folder: Path) -> None:
    """Without a template for it the number is a query parameter; an empty list is the end."""
    api = Api(lambda request: {"rows": [1, 2] if int(request.url.params["p"]) < 6 else []})
    text = "urls: [https://api.example/l?a=1]\npaginate: {type: page, into: p, start: 0, step: 2}\n"
    run(load(folder, text), api)

    assert api.targets == ["/l?a=1&p=0", "/l?a=1&p=2", "/l?a=1&p=4", "/l?a=1&p=6"]


def test_a_page_that_is_not_full_is_the_last(folder: Path) -> None:
    """`page_size` saves the request for the empty page."""
    api = Api(lambda request: [1] * (3 if request.url.params["page"] == "1" else 2))
    run(load(folder, "urls: [https://api.example/l]\npaginate: {type: page, page_size: 3}\n"), api)

    assert api.targets == ["/l?page=1", "/l?page=2"]


@pytest.mark.parametrize(
    ("keys", "total", "targets"),
    [
        ("type: page, total: pages", 3, ["page=1", "page=2", "page=3"]),
        ("type: page, total: pages, page_size: 10", 21, ["page=1", "page=2", "page=3"]),
        ("type: page, total: pages", "2", ["page=1", "page=2"]),
        ("type: page, total: pages, max_pages: 2", 50, ["page=1", "page=2"]),
        ("type: page, total: pages, parallel: false", 3, ["page=1", "page=2", "page=3"]),
        ("type: offset, total: pages, page_size: 10", 25, ["offset=0", "offset=10", "offset=20"]),
        ("type: offset, total: pages, page_size: 10, start: 5", 0, ["offset=5"]),
    ],
)
def test_a_known_total_names_all_pages_at_once(folder: Path, keys: str, total: object, targets: list[str]) -> None:
    """It counts rows where `page_size` is said, else pages."""
    api = Api(lambda request: {"pages": total})
    records = run(load(folder, f"urls: [https://api.example/l]\npaginate: {{{keys}}}\n"), api)

    assert sorted(api.targets) == [f"/l?{target}" for target in targets]
    parents = {record["parent"] for record in records if record["page"] != 1}
    if "parallel" not in keys:
        assert parents <= {record["id"] for record in records if record["page"] == 1}


def test_links(folder: Path) -> None:
    """The `Link` header by default; relative URLs count from the page."""

    def answer(request: crawler.Request) -> crawler.Response:
        n = int(request.url.path[-1])
        link = {"Link": f'</p0>; rel="prev", <p{n + 1}>; rel="next"'} if n < 3 else {}
        return crawler.Response(200, headers=link, content=b"[]")

    api = Api(answer)
    run(load(folder, "urls: [{url: 'https://api.example/p1', headers: {X-A: a}}]\npaginate: {type: link}\n"), api)

    assert api.targets == ["/p1", "/p2", "/p3"]
    assert {request.headers["X-A"] for request in api.asked} == {"a"}


@pytest.mark.parametrize(
    ("source", "page"),
    [
        ("a.next@href", '<a class="next" href="{}">more</a>'),
        ('re:"more": "([^"]+)"', '{{"more": "{}"}}'),
        ("jmespath:links.next", '{{"links": {{"next": "{}"}}}}'),
        ("header:X-Next", ""),
    ],
)
def test_links_stand_anywhere(folder: Path, source: str, page: str) -> None:
    """In the page, found by a selector or an expression, or in a header of any name."""

    def answer(request: crawler.Request) -> crawler.Response:
        is_first = request.url.path == "/1"
        headers = {"Content-Type": "text/html" if "<" in page else "application/json"}
        if is_first and not page:
            headers["X-Next"] = "/2"
        return crawler.Response(200, headers=headers, text=page.format("/2") if is_first else "{}")

    api = Api(answer)
    run(load(folder, f"urls: [https://api.example/1]\npaginate: {{type: link, next: '{source}'}}\n"), api)

    assert api.targets == ["/1", "/2"]


def test_stop_when(folder: Path) -> None:
    """An expression of the job's own says when it is over."""
    api: Api = Api(lambda request: {"last": len(api.asked) == 3})
    run(load(folder, "urls: [https://api.example/l]\npaginate: {type: page, stop_when: last}\n"), api)

    assert len(api.asked) == 3


def test_max_pages(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An endless row of pages ends, and somebody is told that there is more."""
    api = Api(lambda request: [1])
    run(load(folder, "urls: [https://api.example/l]\npaginate: {type: page, max_pages: 4}\n"), api)

    assert len(api.asked) == 4
    assert "stopped at paginate.max_pages, 4; there is more" in caplog.text


@pytest.mark.parametrize(
    ("keys", "body", "message"),
    [
        ("type: cursor, cursor: next", "no", "the answer is no JSON"),
        ("type: cursor, cursor: next", '{"next": {"a": 1}}', "the cursor is no text and no number"),
        ("type: page, total: n", '{"n": "many"}', "paginate.total is no whole number: many"),
        ("type: page", '{"n": 1}', "the answer holds no list"),
        ("type: page, stop_when: 'length(n)'", '{"n": 1}', "cannot be said of this answer"),
    ],
)
def test_an_answer_that_cannot_be_read(folder: Path, keys: str, body: str, message: str) -> None:
    """It is a failure of the page, not the silent end of the row."""
    api = Api(lambda request: crawler.Response(200, text=body))
    (record,) = run(load(folder, f"urls: [https://api.example/l]\npaginate: {{{keys}}}\n"), api)

    assert record["error"]["kind"] == "bad_payload"
    assert message in record["error"]["message"]


def test_a_body_too_large_to_look_at_is_a_failure(folder: Path) -> None:
    """Nobody knows whether more would have followed."""
    api = Api(lambda request: crawler.Response(200, text=" " * 2000))
    text = "urls: [https://api.example/l]\nbody: {max_size: 1000}\npaginate: {type: link}\n"
    job = load(folder, text)
    assert (job.plan().body.hold, job.plan().body.must_hold) == (1000, True)
    (record,) = run(job, api)
    assert record["error"]["kind"] == "too_large"


def test_pages_go_on_after_an_interruption(folder: Path) -> None:
    """What the next page is made of stands in the state: another process takes the row up in its middle."""
    (folder / "rows.jsonl").write_text('{"who": 7, "region": "eu"}\n')
    api = Api(by_cursor)
    text = CURSOR + "stop: {requests: 1}\n"
    run(load(folder, text), api)
    run(load(folder, text), api)
    records = run(load(folder, text), api)

    assert [orjson.loads(request.content).get("after") for request in api.asked] == [None, "c1", "c2"]
    assert [record["page"] for record in records] == [1, 2, 3]


@pytest.mark.parametrize(
    ("keys", "finding"),
    [
        ("{type: cursor}", "paginate: `type: cursor` needs `cursor`"),
        ("{type: offset}", "paginate: `type: offset` needs `page_size`"),
        ("{type: link, page_size: 3}", "paginate.page_size: has no effect with `type: link`"),
        ("{type: page, parallel: false}", "paginate.parallel: has no effect without `total`"),
        ("{type: cursor, cursor: 'a[['}", "paginate: 'a[[' is no JMESPath: "),
        ("{type: link, next: 'a.next'}", "paginate: 'a.next' does not say which attribute holds the link"),
        ("{into: x}", "paginate.type: is missing"),
    ],
)
def test_findings(folder: Path, keys: str, finding: str) -> None:
    """Keys of another type and expressions that do not compile are found at the start."""
    with pytest.raises(JobError) as caught:
        load(folder, f"urls: [https://api.example/l]\npaginate: {keys}\n")
    assert finding in str(caught.value)

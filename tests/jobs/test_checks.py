"""`checks`: what counts as a good answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio
import pytest

import crawler
from crawler.fanout import Run
from crawler.jobs import JobError, load_job
from crawler.jobs.job import Job

GOOD = crawler.Response(200, headers={"Content-Type": "Application/JSON; charset=utf-8"}, text='{"rows": [1], "é": 2}')


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(folder: Path, checks: str, more: str = "") -> Job:
    text = f"urls: [https://api.example/a/b]\nretry: {{backoff: {{base: 1ms}}}}\nchecks: {checks}\n{more}"
    (folder / "job.yaml").write_text(text)
    return load_job("job.yaml")


def fetch(job: Job, *responses: crawler.Response) -> dict[str, Any]:
    """The record of the job's one URL."""
    answers = iter(responses)

    def answer(request: crawler.Request) -> crawler.Response:
        given = next(answers)
        return crawler.Response(given.status_code, headers=given.headers, content=given.content)

    async def execute() -> None:
        async with crawler.AsyncClient(transport=crawler.MockTransport(answer)) as client:
            await Run(job.plan(out="out"), job.items(), job.processor(), client=client).execute()

    anyio.run(execute)
    (line,) = Path("out/results.jsonl").read_text().splitlines()
    record: dict[str, Any] = json.loads(line)
    return record


@pytest.mark.parametrize(
    "check",
    [
        "{status: 200}",
        "{status: [204, 200]}",
        "{content_type: application/json}",
        "{content_type: ['text/*', 'Application/*']}",
        "{min_size: 22, max_size: 22}",
        "{contains: é}",
        "{contains: [rows, '1']}",
        "{not_contains: [captcha, 'not found']}",
        "{regex: '(?i)ROWS.*\\d'}",
        "{jmespath: \"type(rows) == 'array'\"}",
        "{jmespath: 'rows[0]'}",
        "{status: 201, match: 'https://other.example/**'}",
        "{contains: nowhere, match: 're:^https://other'}",
    ],
)
def test_checks_that_hold(folder: Path, check: str) -> None:
    """They change nothing."""
    assert fetch(load(folder, check), GOOD)["outcome"] == "ok"


@pytest.mark.parametrize(
    ("check", "kind", "name", "message"),
    [
        ("{status: 204}", "check_failed", "checks[0]", "status 200, expected 204"),
        (
            "{content_type: ['image/*', text/html]}",
            "content_type",
            "checks[0]",
            "content type application/json, expected image/* or text/html",
        ),
        ("{min_size: 23}", "check_failed", "checks[0]", "a body of 22 bytes, expected at least 23"),
        ("{max_size: 21}", "check_failed", "checks[0]", "a body of 22 bytes, expected at most 21"),
        ("{contains: nowhere}", "check_failed", "checks[0].contains", "the body does not contain 'nowhere'"),
        ("{not_contains: rows}", "check_failed", "checks[0].not_contains", "the body contains 'rows'"),
        ("{regex: '^x'}", "check_failed", "checks[0].regex", "'^x' is not found in the body"),
        ("{regex: '(a|aa)+$x'}", "check_failed", "checks[0].regex", "'(a|aa)+$x' is not found in the body"),
        ("{jmespath: missing}", "check_failed", "checks[0].jmespath", "'missing' is not true of the body"),
        ("{jmespath: 'length(rows[0])'}", "check_failed", "checks[0].jmespath", "cannot be said of this body"),
        ("{contains: nowhere, kind: challenge_page}", "challenge_page", "checks[0].contains", None),
        ("{status: 204, kind: bad_payload}", "bad_payload", "checks[0]", None),
        ("[{status: 200}, {contains: nowhere}]", "check_failed", "checks[1].contains", None),
        ("{status: 204, match: '/a/*'}", "check_failed", "checks[0]", None),
    ],
)
def test_checks_that_do_not_hold(folder: Path, check: str, kind: str, name: str, message: str | None) -> None:
    """The record names the kind and the check; they are not tried again."""
    record = fetch(load(folder, check), GOOD)
    assert record["outcome"] == "failed"
    assert (record["error"]["kind"], record["error"]["check"]) == (kind, name)
    assert message is None or message in record["error"]["message"]
    assert record["attempts"] == 1


def test_a_failure_may_be_worth_another_try(folder: Path) -> None:
    """`retry: true` sends the request again, whatever `retry.kinds` says."""
    bad = crawler.Response(200, text="please wait")
    for check in ("{not_contains: wait, retry: true}", "{content_type: application/json, retry: true}"):
        record = fetch(load(folder, check, f"state: {{dir: out/{len(check)}}}\n"), bad, bad, GOOD)
        assert (record["outcome"], record["attempts"]) == ("ok", 3)
        Path("out/results.jsonl").unlink()
        (folder / "out" / "state" / "state.sqlite3").unlink()


def test_no_json_where_json_is_expected(folder: Path) -> None:
    """An expression about JSON fails on anything else."""
    record = fetch(load(folder, "{jmespath: rows, kind: bad_payload}"), crawler.Response(200, text="<html>"))
    assert (record["error"]["kind"], record["error"]["family"]) == ("bad_payload", "extract")
    assert record["error"]["message"].startswith("the body is no JSON")


def test_a_wrong_head_spares_the_body(folder: Path) -> None:
    """Status and media type are judged before the body is read."""
    record = fetch(load(folder, "{content_type: image/png}"), GOOD)
    assert record["bytes"] == 0


def test_errors_of_the_server_stay_what_they_are(folder: Path) -> None:
    """Checks are for responses that would count as good ones."""
    record = fetch(load(folder, "[{status: 200}, {contains: x}]"), crawler.Response(404, text="gone"))
    assert (record["error"]["kind"], record["error"]["check"]) == ("http_4xx", None)


@pytest.mark.parametrize(
    ("check", "finding"),
    [
        ("{status: 404}", "checks[0].status[0]: expected a status between 100 and 399, not 404; a status of 400"),
        ("{regex: '('}", "checks[0]: '(' is no regular expression"),
        ("{jmespath: 'a['}", "checks[0]: 'a[' is no JMESPath"),
        ("{match: 're:('}", "checks[0]: "),
        ("{kind: timeout}", "checks[0].kind: expected check_failed or challenge_page or bad_payload or content_type"),
        ("{contain: x}", "checks[0].contain: unknown key; did you mean 'contains'?"),
        ("{kind: bad_payload, match: /a}", "checks[0]: says no condition"),
    ],
)
def test_findings(folder: Path, check: str, finding: str) -> None:
    """Mistakes are found at the start."""
    with pytest.raises(JobError) as caught:
        load(folder, check)
    assert finding in str(caught.value)

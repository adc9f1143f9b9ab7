"""A changed job and an old state; and when two requests are the same one."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

import crawler
from crawler.fanout import Run, StateChanged
from crawler.jobs import load_job
from crawler.jobs.job import Job

TEXT = "urls: [https://a.example/1, https://a.example/2]\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(folder: Path, text: str, **environment: str) -> Job:
    (folder / "job.yaml").write_text(text)
    return load_job("job.yaml", (), environment)


def run(job: Job, *, continues_anyway: bool = False) -> int:
    """Run it on the state of the folder, and give the number of records."""

    async def execute() -> None:
        plan = replace(job.plan(out="out"), continues_anyway=continues_anyway)
        transport = crawler.MockTransport(lambda request: crawler.Response(200))
        async with crawler.AsyncClient(transport=transport) as client:
            await Run(plan, job.items(), job.processor(), client=client).execute()

    anyio.run(execute)
    return len(Path("out/results.jsonl").read_text().splitlines())


@pytest.mark.parametrize(
    "change",
    ["concurrency: 3\n", "retry: {attempts: 2}\n", "stop: {failures: 9}\n", "request: {user_agent: x}\n"],
)
def test_what_makes_no_other_requests_goes_on(folder: Path, change: str) -> None:
    """Limits, retries and the like."""
    assert run(load(folder, TEXT)) == 2
    assert run(load(folder, TEXT + change)) == 2


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ("request: {params: {a: b}}\n", "request"),
        ("request: {method: POST}\n", "request"),
        ("dedupe: {by: url}\n", "dedupe"),
        ("paginate: {type: link}\n", "paginate"),
    ],
)
def test_other_requests_are_not_mixed_with_old_ones(folder: Path, change: str, name: str) -> None:
    """Unless one says so; then it is the new job's state."""
    assert run(load(folder, TEXT)) == 2
    changed = load(folder, TEXT + change)
    with pytest.raises(StateChanged, match=f"^{name} changed since this run began.*--new-state.*--continue-anyway"):
        run(changed)
    assert run(load(folder, TEXT)) == 2

    after = run(changed, continues_anyway=True)
    assert run(changed) == after


def test_a_renewed_secret_is_no_change(folder: Path) -> None:
    """It counts by its variable's name."""
    text = TEXT + "request: {headers: {Authorization: 'Bearer ${TOKEN}'}}\n"
    assert load(folder, text, TOKEN="one-two").plan().made_by == load(folder, text, TOKEN="three-four").plan().made_by
    other = load(folder, text.replace("TOKEN", "SECRET"), SECRET="one-two").plan()
    assert other.made_by != load(folder, text, TOKEN="one-two").plan().made_by


@pytest.mark.parametrize(
    ("keys", "records"),
    [
        ("{}", 3),
        ("{by: url}", 1),
        ("{body_hash: false}", 1),
        ("{by: none}", 6),
        ("{headers: X-A}", 5),
        ("{by: url, headers: [x-a]}", 2),
    ],
)
def test_when_requests_are_the_same(folder: Path, keys: str, records: int) -> None:
    """By URL, by URL and body, with headers, or never."""
    rows = [(1, "p"), (1, "p"), (2, "p"), (2, "q"), (3, "p"), (1, "q")]
    (folder / "l.jsonl").write_text("".join(json.dumps({"n": n, "h": h}) + "\n" for n, h in rows))
    request = "{method: POST, url: 'https://a.example/', json: {n: '{n}'}, headers: {X-A: '{h}'}}"
    assert run(load(folder, f"input: {{path: l.jsonl}}\nrequest: {request}\ndedupe: {keys}\n")) == records


def test_a_body_of_its_own_counts(folder: Path) -> None:
    """That of a URL of the list, too."""
    entries = "".join(f"  - {{url: 'https://a.example/', method: POST, body: '{n}'}}\n" for n in range(3))
    assert run(load(folder, f"urls:\n{entries}dedupe: {{headers: X-A}}\n")) == 3

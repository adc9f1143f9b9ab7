"""Selectors tried on a page, before there is a job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crawler.cli.main import app
from crawler.jobs import load_job
from crawler.testbed import Testbed

PAGE = """<html><head><meta name="description" content="All about tea"></head><body><h1>Tea</h1>
<div class="p"><b>Green</b><i>1,50 EUR</i></div><div class="p"><b>Black</b><i>2.00</i></div>
<a href="/more">more</a> <a href="mailto:x@example.org">mail</a></body></html>"""


@pytest.fixture
def page(tmp_path: Path) -> str:
    """A page in a file."""
    path = tmp_path / "page.html"
    path.write_text(PAGE, encoding="utf-8")
    return str(path)


def test_fields_of_a_file_and_the_lines_for_the_job(page: str, tmp_path: Path) -> None:
    """Items on stdout; what is on stderr can be pasted into a job."""
    done = CliRunner().invoke(
        app,
        [
            *("extract", page, "--css", "name=b", "--css", "price=i", "--meta", "about=description"),
            *("--each", "div.p", "--type", "price=decimal"),
        ],
    )

    assert done.exit_code == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"name": "Green", "price": 1.5, "about": "All about tea"},
        {"name": "Black", "price": 2.0, "about": "All about tea"},
    ]
    lines = "extract:" + done.stderr.partition("extract:")[2]
    job = tmp_path / "job.yaml"
    job.write_text(f"urls: [https://example.org/]\n{lines}\noutput: [{{path: items.jsonl, records: items}}]\n")
    assert load_job(job).kind == "fetch"


def test_a_url(tmp_path: Path) -> None:
    """What the server answers is looked at."""
    with Testbed() as bed:
        done = CliRunner().invoke(
            app, ["extract", f"{bed.url}/site/", "--css", "a@href", "--all", "--type", "url", "-q"]
        )

    (row,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert row["field1"][0].startswith(f"{bed.url}/site/")
    assert done.exit_code == 0


def test_standard_input_of_json() -> None:
    """JSON is known by its first bytes."""
    done = CliRunner().invoke(
        app, ["extract", "-", "--jmespath", "ids=items[].id", "--all"], input='{"items":[{"id":7}]}'
    )

    assert json.loads(done.stdout) == {"ids": ["7"]}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "say what to look for"),
        (["--css", "h1["], 2, "no CSS selector"),
        (["--css", "h6"], 1, "fields:"),
        (["--css", "h1", "--type", "number"], 2, "is no type"),
        (["--css", "h1", "--type", "x=int"], 2, "there is no field 'x'"),
        (["--css", "n=h1", "--type", "n=int"], 1, "n: what was found does not fit"),
    ],
)
def test_what_is_wrong_is_said(page: str, arguments: list[str], code: int, said: str) -> None:
    """In one message, with the exit code of a wrong call, or of nothing found."""
    done = CliRunner().invoke(app, ["extract", page, *arguments])

    assert (done.exit_code, said in done.stderr) == (code, True), done.stderr


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Says that a URL has a scheme."""
    done = CliRunner().invoke(app, ["extract", str(tmp_path / "none"), "--css", "h1"])

    assert done.exit_code == 2
    assert "a URL begins with https://" in done.stderr


def test_the_shell(page: str) -> None:
    """A session: try, keep, type, items, links, and the rule at the end."""
    said = [
        "css h1",
        "css nonsense[",
        "each div.p",
        "css name=b",
        "css price=i",
        "type price=decimal",
        "all name",
        "drop name",
        "drop name",
        "links",
        "frobnicate",
        "help",
        "quit",
    ]
    done = CliRunner().invoke(app, ["shell", page], input="\n".join(said) + "\n")

    assert done.exit_code == 0
    assert "  Tea\n  1 found" in done.stdout
    assert "is no CSS selector" in done.stdout
    assert '{"name": "Green", "price": 1.5}' in done.stdout
    assert '{"name": ["Green"], "price": 1.5}' in done.stdout
    assert "? there is no field 'name'" in done.stdout
    assert "  http://localhost/more\n  1 links, 1 that lead to no page" in done.stdout
    assert "? 'frobnicate' is no word" in done.stdout
    assert done.stdout.endswith('extract:\n  each: "div.p"\n  fields:\n    price: {css: "i", type: decimal}\n')

"""`crawler export` as a user runs it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from crawler.testbed import Testbed

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(bed: Testbed, crawler: Run, tmp_path: Path) -> Path:
    """A run of six URLs of which two failed, in parts of two rows."""
    urls = [f"{bed.url}/bytes/{n}" for n in range(4)] + [f"{bed.url}/status/404", f"{bed.url}/status/410"]
    job = f"""
urls: {json.dumps(urls)}
output:
  - {{path: "o/r-{{seq}}.jsonl.zst", roll_rows: 2}}
  - {{path: o/t.csv, format: csv}}
  - {{path: o/p.parquet, format: parquet}}
"""
    (tmp_path / "job.yaml").write_text(job, encoding="utf-8")
    assert crawler("run", "job.yaml", "--quiet").returncode == 1
    return tmp_path


def test_records_in_another_form(crawler: Run, folder: Path) -> None:
    """Chosen fields and rows, by the name of the job, to a table, to Parquet and to standard output."""
    done = crawler(
        "export", "job", "--out", "bad.csv", "--fields", "url,status,timing.total", "--where", "status > `400`"
    )
    assert (done.returncode, done.stderr) == (0, "crawler: 2 rows written to bad.csv\n")
    rows = list(csv.DictReader(io.StringIO((folder / "bad.csv").read_text(), newline="")))
    assert sorted(row["status"] for row in rows) == ["404", "410"]
    assert list(rows[0]) == ["url", "status", "timing.total"]

    assert crawler("export", "out/job", "--out", "all.parquet").returncode == 0
    assert pq.read_table(folder / "all.parquet").num_rows == 6

    shown = crawler("export", "job.yaml", "--out", "-", "--fields", "status", "--quiet")
    assert sorted(json.loads(line)["status"] for line in shown.stdout.splitlines()) == [200, 200, 200, 200, 404, 410]
    assert shown.stderr == ""
    assert sorted(path.name for path in folder.iterdir()) == ["all.parquet", "bad.csv", "job.yaml", "o", "out"]


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_tables_become_records_again(crawler: Run, folder: Path, form: str) -> None:
    """From a run whose only full output is a table, nested fields come back nested."""
    job = (folder / "job.yaml").read_text().splitlines()
    job = [line for line in job if f"format: {form}" in line or "path" not in line]
    (folder / "job.yaml").write_text("\n".join(job))

    assert crawler("export", "job.yaml", "--out", "all.jsonl").returncode == 0

    rows: list[Any] = [json.loads(line) for line in (folder / "all.jsonl").read_text().splitlines()]
    assert sorted(int(row["status"]) for row in rows) == [200, 200, 200, 200, 404, 410]
    bad = next(row for row in rows if row["error"])
    assert bad["error"]["kind"] == "http_4xx"
    assert bad["attempt_errors"] == ["http_4xx"]
    assert bad["tls"] is None
    assert float(bad["timing"]["total"]) > 0


def test_what_cannot_be_done_is_said(crawler: Run, folder: Path) -> None:
    """Exit code 2 and one sentence; what was there stays."""
    (folder / "there.csv").write_text("mine")
    for arguments, message in [
        (("job", "--out", "there.csv"), "there.csv exists already; choose another name, or replace it with --force"),
        (("job", "--out", "a.csv", "--fields", "stauts"), "--fields: records have no field 'stauts'; did you mean"),
        (("job", "--out", "a.csv", "--where", "status >"), "--where: is no JMESPath expression"),
        (("job", "--out", "a.csv", "--records", "items"), "no output of this run has all its items"),
        (("job", "--out", "a.csv", "--format", "warc"), "--format: expected jsonl, csv, parquet, sha256sums"),
        (("nobody", "--out", "a.csv"), "there is no run in nobody or out/nobody"),
    ]:
        result = crawler("export", *arguments)
        assert (result.returncode, message in result.stderr) == (2, True), result.stderr
    assert (folder / "there.csv").read_text() == "mine"
    assert not (folder / "a.csv").exists()
    assert crawler("export", "job", "--out", "there.csv", "--force").returncode == 0

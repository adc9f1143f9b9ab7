"""The keys of `output[]`: what they come to, and what would do nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from crawler.fanout import Output
from crawler.jobs import JobError, load_job
from crawler.jobs.document import parse_document
from crawler.jobs.outputs import item_columns


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def outputs(text: str, out: str | None = None) -> list[Output]:
    """The outputs of a job with these entries."""
    Path("job.yaml").write_text(f"urls: [http://127.0.0.1:1/]\noutput: {text}\n", encoding="utf-8")
    return list(load_job("job.yaml").plan(out=out).outputs)


@pytest.mark.parametrize(
    ("entry", "finding"),
    [
        ("roll_rows: 5", "output[0].roll_rows: has no effect without {seq} in the path"),
        ("path: a.jsonl, roll_size: 1MiB", "output[0].roll_size: has no effect without {seq} in the path"),
        ('path: "a{seq:5x}"', "output[0].path: {seq:5x} is no form of the part's number; write {seq} or {seq:05d}"),
        ('path: "{run}.jsonl"', "output[0].path: {run}: a path knows {run_id}, {run_date}, {name} and {seq}"),
        ("fields: [stauts]", "output[0].fields: records have no field 'stauts'; did you mean 'status'?"),
        ("fields: [url, timing.totl]", "did you mean 'timing.total'?"),
        ('where: "status >"', "output[0].where: is no JMESPath expression:"),
        ("records: items", "output[0].records: items need `extract`, which says what they are"),
        ("cdxj: true", "output[0].cdxj: has no effect without `format: warc`"),
        ("format: parquet, compress: gz", "output[0].compress: has no effect on parquet"),
        ("format: warc, fields: [url]", "output[0].fields: has no effect on warc"),
        ("format: warc, compress: zst", "output[0].compress: archives are compressed with gzip"),
        ("format: sha256sums, records: attempts", "output[0].records: has no effect on sha256sums"),
        ("path: '-', compress: gz", "output[0].compress: has no effect on standard output"),
        ("path: '-', format: parquet", "output[0].path: parquet needs a file"),
        ("roll_rows: 0", "output[0].roll_rows: must be at least 1"),
    ],
)
def test_each_rule(entry: str, finding: str) -> None:
    """Each breach is said at its place, with what to do."""
    with pytest.raises(JobError) as caught:
        outputs(f"{{{entry}}}")
    assert finding in str(caught.value)


def test_bodies_in_an_archive_need_one() -> None:
    """`body.keep: warc` says where bodies are; the output says in which file."""
    body = "\nbody: {keep: warc}\ncontact: me@example.org"
    with pytest.raises(JobError, match="an archive needs an output of `format: warc`"):
        outputs("{}" + body)
    (one,) = outputs("{format: warc}" + body)
    assert one.comment == (("isPartOf", "job"), ("operator", "me@example.org"))


def test_packages_that_are_missing_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the start, with the command that installs them."""
    monkeypatch.setattr("crawler.jobs.output_rules.find_spec", lambda name: None)
    for entry, extra in [("format: parquet", "crawler[parquet]"), ("path: 's3://b/k'", "crawler[remote]")]:
        with pytest.raises(JobError, match="not installed: pip install") as caught:
            outputs(f"{{{entry}}}")
        assert extra in str(caught.value)


def test_outputs_as_the_engine_takes_them() -> None:
    """All keys arrive; names are filled in but for the part's number, which the engine counts."""
    (one,) = outputs(
        '{path: "o/{name}-{run_date}-{seq:03d}-{{x}}.csv.gz", format: csv, fields: [url, status], where: "status", '
        "roll_rows: 7, roll_size: 1KiB, append: false}"
    )
    name = one.path.name
    assert name.startswith("job-20")
    assert name.endswith("-{seq:03d}-{x}.csv.gz")
    assert one.identity == "o/{name}-{run_date}-{seq:03d}-{{x}}.csv.gz"
    assert (one.format, one.fields, one.where) == ("csv", ("url", "status"), "status")
    assert (one.roll_rows, one.roll_size, one.append) == (7, 1024, False)


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        ("{}", "out/job/results.jsonl"),
        ("{compress: zst}", "out/job/results.jsonl.zst"),
        ("{format: csv}", "out/job/results.csv"),
        ("{format: parquet}", "out/job/results.parquet"),
        ("{format: warc}", "out/job/results.warc.gz"),
        ("{format: sha256sums}", "out/job/SHA256SUMS"),
        ("{records: attempts}", "out/job/attempts.jsonl"),
    ],
)
def test_default_names(entry: str, path: str) -> None:
    """Each format has its usual name in the job's folder."""
    assert outputs(entry)[0].path == Path(path)


def test_another_folder_takes_all() -> None:
    """`--out` moves files by their names, also those of an object store; standard output stays."""
    entries = "[{path: 'a/b-{seq}.jsonl'}, {path: 'memory://bucket/key.jsonl'}, {path: '-'}]"
    assert [str(output.path) for output in outputs(entries, out="x")] == ["x/b-{seq}.jsonl", "x/key.jsonl", "-"]
    (kept,) = outputs("{path: 'memory://bucket/{run_date}.jsonl'}")
    assert kept.remote.startswith("memory://bucket/20")


def test_items_have_typed_columns() -> None:
    """A column per extracted field; lists are JSON, and fields of two types text."""
    tree, _ = parse_document(
        "extract:\n- {fields: {title: {css: h1}, price: {css: p, type: decimal}, tags: {css: a, all: true}}}\n"
        "- {fields: {price: {css: q, type: int}, n: {css: b, type: int}, u: {css: a, type: url}}}\n",
        "job.yaml",
    )
    assert tree is not None
    assert dict(item_columns(tree)) == {"title": "str", "price": "str", "tags": "json", "n": "int", "u": "str"}

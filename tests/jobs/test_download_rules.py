"""Jobs of kind `download`: their own defaults, what belongs to them alone, and what rows say of their files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from crawler.fanout import Item, Plan
from crawler.fanout.download_policy import DownloadPolicy, PackPolicy
from crawler.jobs import JobError, load_job

SHA = "ab" * 32


def write(folder: Path, text: str, kind: str = "download") -> Path:
    """A job file with one URL."""
    path = folder / "job.yaml"
    path.write_text(f"kind: {kind}\nurls: [http://127.0.0.1:1/]\n{text}\n", encoding="utf-8")
    return path


def plan(folder: Path, text: str = "") -> Plan:
    """The plan of such a job."""
    return load_job(write(folder, text)).plan()


def rows(folder: Path, table: str, text: str = "") -> list[Item]:
    """The items of a job with a CSV file as input."""
    (folder / "in.csv").write_text(table, encoding="utf-8")
    path = folder / "job.yaml"
    path.write_text(f"kind: download\ninput: {{path: in.csv}}\n{text}\n", encoding="utf-8")
    return list(load_job(path).items())


def test_defaults_of_the_kind(tmp_path: Path) -> None:
    """Fewer at once, more tries, no total time, no size limit, files kept, room left; no content coding."""
    got = plan(tmp_path)

    assert (got.concurrency, got.politeness.limits.concurrency) == (16, 4)
    assert (got.retry.attempts, got.timeout.total) == (6, None)
    assert (got.body.keep, got.body.max_size) == ("file", None)
    assert got.stop.disk_free == 1024**3
    assert got.download == DownloadPolicy()
    assert "checksum_mismatch" in got.retry.once
    assert ("Accept-Encoding", "identity") in got.client.headers


def test_packing(tmp_path: Path) -> None:
    """Archives of so many files."""
    got = plan(tmp_path, "download: {pack: tar, pack_items: 5, max_size: 25MiB}").download

    assert got is not None
    assert got.pack == PackPolicy(items=5)


def test_what_the_job_says_stays(tmp_path: Path) -> None:
    """Defaults of the kind never overrule a key."""
    got = plan(
        tmp_path,
        "concurrency: 3\nper_host: {concurrency: null}\nretry: {attempts: 2}\n"
        "timeout: {total: 5s, min_speed: 10KiB/s}\n"
        "bandwidth: 2MiB/s\nstop: {disk_free: null}\nrequest: {headers: {accept-encoding: gzip}}\n"
        "download: {segments: 4, segment_min_size: 32MiB, on_mismatch: keep_bad, max_size: 1MiB, if_exists: skip,"
        " mtime: false, preallocate: true, checksums_from: https://h/SUMS}",
    )

    assert (got.concurrency, got.politeness.limits.concurrency, got.retry.attempts) == (3, None, 2)
    assert (got.timeout.total, got.bandwidth, got.stop.disk_free) == (5.0, 2 * 1024**2, None)
    assert got.body.max_size == 1024**2
    assert got.client.headers[0] == ("accept-encoding", "gzip")
    assert len([name for name, _ in got.client.headers if name.lower() == "accept-encoding"]) == 1
    assert got.retry.once == {"range_mismatch", "changed_during_resume"}
    assert got.download == DownloadPolicy(
        if_exists="skip",
        segments=4,
        segment_min_size=32 * 1024**2,
        preallocate=True,
        mtime=False,
        on_mismatch="keep_bad",
        checksums_from="https://h/SUMS",
        min_speed=10 * 1024,
    )


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("body: {keep: none}", "3:8: body.keep: a download keeps files; leave it out"),
        ("body: {hash: false}", "body.hash: a download is always hashed"),
        ("extract: {title: {css: h1}}", "extract: a download looks at no pages"),
        ("body: {max_size: 1}\ndownload: {max_size: 1}", "body.max_size: `download.max_size` says it already"),
        ("download: {resume: false, segments: 2}", "download.segments: has no effect with `resume: false`"),
        ("download: {segment_min_size: 1MiB}", "download.segment_min_size: has no effect without `segments`"),
        ("download: {segments: 17}", "must be between 1 and 16"),
        ("download: {pack_items: 5}", "download.pack_items: has no effect without `pack: tar`"),
        ("download: {pack: tar, path: x}", "download.path: has no effect with `pack: tar`"),
        ("timeout: {min_speed_for: 1s}", "timeout.min_speed_for: has no effect without `min_speed`"),
        ("bandwidth: 0", "0 is no limit one can keep; write null for no limit"),
        ("bandwidth: fast", "bandwidth: "),
        ("download: {checksums_from: none.txt}", "download.checksums_from: there is no file"),
        ("download: {path: '{sha256:03d}'}", "{sha256:03d} takes a number of characters only"),
        ("per_host: {concurrency: 17}", "per_host.concurrency: 17 is more than the job's concurrency of 16"),
        ("urls: [{url: http://h/, size: -1}]", "size: must be at least 0"),
        ("urls: [{url: http://h/, sha256: 12}]", "sha256: "),
        ("urls: [{url: http://h/, md5: abc}]", "2:30: urls[0].md5: 'abc' is no md5: that has 32 hexadecimal digits"),
    ],
)
def test_findings(tmp_path: Path, text: str, finding: str) -> None:
    """What would do nothing, and what is no value, is said with its place."""
    path = write(tmp_path, text)
    if text.startswith("urls"):
        path.write_text(f"kind: download\n{text}\n", encoding="utf-8")

    with pytest.raises(JobError) as raised:
        load_job(path)

    assert finding in str(raised.value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("body: {keep: file}\ndownload: {if_exists: skip}", "download.if_exists"),
        ("timeout: {min_speed: 1}", "timeout.min_speed"),
        ("urls: [{url: http://h/, sha256: x}]", "urls[].sha256"),
    ],
)
def test_keys_of_downloads_are_not_for_fetching(tmp_path: Path, text: str, key: str) -> None:
    """In another kind of job they are errors, not ignored."""
    path = write(tmp_path, text, kind="fetch")
    if text.startswith("urls"):
        path.write_text(f"kind: fetch\n{text}\n", encoding="utf-8")

    with pytest.raises(JobError) as raised:
        load_job(path)

    assert f"{key}: has no effect without `kind: download`" in str(raised.value)


def test_columns_say_what_a_file_comes_to(tmp_path: Path) -> None:
    """Digests and sizes of rows; an empty cell says nothing, and they are no meta data."""
    got = rows(tmp_path, f"url,sha256,size,note\nhttp://h/a,{SHA.upper()},5,x\nhttp://h/b,,,y\n")

    assert [(item.checksums, item.size, item.meta) for item in got] == [
        ((("sha256", SHA),), 5, {"note": "x"}),
        ((), None, {"note": "y"}),
    ]


def test_columns_of_other_names(tmp_path: Path) -> None:
    """`input.columns` says where they are."""
    (tmp_path / "in.csv").write_text(f"URL,MD5,bytes\nhttp://h/a,{'0' * 32},7\n", encoding="utf-8")
    path = tmp_path / "job.yaml"
    path.write_text("kind: download\ninput: {path: in.csv, columns: {url: URL, md5: MD5, size: bytes}}\n")

    (item,) = load_job(path).items()

    assert (item.checksums, item.size, item.meta) == ((("md5", "0" * 32),), 7, None)


@pytest.mark.parametrize("cells", ["abc,", ",1.5", ",-1"])
def test_rows_with_nonsense_are_bad_rows(tmp_path: Path, cells: str) -> None:
    """A digest that is none must not mean "unchecked"."""
    (item,) = rows(tmp_path, f"url,sha256,size\nhttp://h/a,{cells}\n")

    assert "bad_row" in (item.meta or {})


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{index:08d}{ext}", "00000000.bin"),
        ("{row:03d}-{meta.note}{ext}", "001-x{y}.bin"),
        ("{basename}", "a.bin"),
        ("{note:1}/{host}/{path}", "x/h/d/a.bin"),
        ("{sha256:2}/{sha256}", f"ab/{SHA}"),
        ("{date}/{note}.{status}", "{date}/x{{y}}.{status}"),
    ],
)
def test_file_names(tmp_path: Path, template: str, name: str) -> None:
    """Names from the row and the URL; what only the finished file tells stays in braces, all other braces doubled."""
    got: Any = rows(
        tmp_path,
        f"url,note,sha256\nhttp://h/d/a.bin,x{{y}},{SHA}\n",
        f"download: {{path: '{template}'}}",
    )

    assert got[0].path == name

"""Whole runs with outputs of every format, against the embedded testbed and its real client."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import anyio
import pytest
from warcio.archiveiterator import ArchiveIterator
from warcio.checker import Checker

from crawler.fanout import BodyPolicy, ClientOptions, Item, Outcome, Output, Plan, RetryPolicy, Run
from crawler.testbed import Testbed


@pytest.fixture(scope="module")
def bed() -> Any:
    """One testbed with TLS for all."""
    with Testbed(tls=True) as bed:
        yield bed


def execute(folder: Path, urls: list[str], *outputs: Output, **plan: Any) -> Outcome:
    """Run it."""
    made = Plan("job", outputs=outputs, state_dir=folder / "state", input_id="list", **plan)
    return anyio.run(Run(made, [Item(url, key=str(n)) for n, url in enumerate(urls)]).execute)


def lines(path: Path) -> list[Any]:
    """The rows of a file."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def archived(path: Path) -> list[tuple[Any, ...]]:
    """Type, URL, status and payload of all records of an archive."""
    found = []
    with open(path, "rb") as file:
        for record in ArchiveIterator(file):
            status = record.http_headers.get_statuscode() if record.rec_type in ("response", "revisit") else None
            found.append((record.rec_type, record.rec_headers.get_header("WARC-Target-URI"), status,
                          record.content_stream().read()))  # fmt: skip
    return found


def secrets_of(path: Path) -> set[str]:
    """What requests say in the header of a secret."""
    with open(path, "rb") as file:
        return {
            record.http_headers.get_header("Authorization")
            for record in ArchiveIterator(file)
            if record.rec_type == "request"
        }


def check(path: Path) -> None:
    """The field's own validator has nothing to say: digests, lengths, one member per record."""

    class Arguments:
        inputs = (str(path),)
        verbose = True

    checker = Checker(Arguments())
    checker.process_all()
    assert checker.exit_value == 0


@pytest.mark.parametrize("name", ["a.warc.gz", "a.warc"])
def test_archives(tmp_path: Path, bed: Testbed, name: str) -> None:
    """Requests and responses with redirects, coded and large bodies; the same payload once; an index; a place each."""
    urls = [
        f"{bed.url}/bytes/100?seed=1",
        f"{bed.url}/redirect/2",
        f"{bed.url}/gzip",
        f"{bed.url}/status/404",
        f"{bed.url}/bytes/300000?seed=2",
        f"{bed.url}/bytes/100?seed=1&again=1",
        f"{bed.url}/bytes/10?token=hidden",
    ]
    outcome = execute(
        tmp_path,
        urls,
        Output(tmp_path / name, "warc", cdxj=True),
        Output(tmp_path / "out.jsonl"),
        concurrency=1,
        body=BodyPolicy(memory_limit=50_000),
        client=ClientOptions(headers=(("Authorization", "Bearer hidden"), ("User-Agent", "test"))),
    )
    assert outcome.exit_code == 1

    check(tmp_path / name)
    found = archived(tmp_path / name)
    assert found[0][0] == "warcinfo"
    answers = {url: (kind, status, body) for kind, url, status, body in found if kind in ("response", "revisit")}
    assert sum(kind == "request" for kind, *_ in found) == len(answers) == 7 + 2
    assert sum(kind == "metadata" for kind, *_ in found) == 7
    assert answers[urls[1]][1] == "302"
    assert answers[urls[3]][1] == "404"
    assert len(answers[urls[4]][2]) == 300_000
    assert answers[urls[5]][0] == "revisit"
    assert json.loads(answers[urls[2]][2])["coding"] == "gzip"  # archived as it came, decoded by the reader
    assert secrets_of(tmp_path / name) == {"***"}
    assert f"{bed.url}/bytes/10?token=***" in answers

    for record in lines(tmp_path / "out.jsonl"):
        place = record["warc"]
        assert place["file"] == str(tmp_path / name)
        piece = (tmp_path / name).read_bytes()[place["offset"] :][: place["length"]]
        piece = gzip.decompress(piece) if name.endswith("gz") else piece
        assert f"WARC-Record-ID: {place['record_id']}".encode() in piece
        assert f"WARC-Target-URI: {record['final_url']}".encode() in piece
    index = (tmp_path / "a.cdxj").read_text().splitlines()
    assert index == sorted(index)
    assert len(index) == 9
    facts = json.loads(next(line for line in index if "/status/404" in line).split(" ", 2)[2])
    assert (facts["status"], facts["filename"]) == ("404", name)
    assert not list((tmp_path / "state" / "outputs").glob("*"))


def test_archives_in_parts(tmp_path: Path, bed: Testbed) -> None:
    """A part ends when it has its size; each begins with a record of itself and has its index."""
    urls = [f"{bed.url}/bytes/3000?seed={n}" for n in range(12)]
    execute(tmp_path, urls, Output(tmp_path / "a-{seq:02d}.warc.gz", "warc", roll_size=10_000, cdxj=True))

    paths = sorted(tmp_path.glob("*.warc.gz"))
    assert len(paths) > 2
    found = []
    for path in paths:
        check(path)
        kinds = archived(path)
        assert kinds[0][0] == "warcinfo"
        found += [url for kind, url, *_ in kinds if kind == "response"]
        assert path.with_name(path.name.replace(".warc.gz", ".cdxj")).exists()
    assert sorted(found) == sorted(urls)


def test_every_try_is_a_row(tmp_path: Path, bed: Testbed) -> None:
    """`attempts` has a row per try with its number, the failed ones first; `requests` one row."""
    url = f"{bed.url}/flaky?fail=2&status=500&retry_after=&key={tmp_path.name}"
    execute(
        tmp_path,
        [url, f"{bed.url}/get"],
        Output(tmp_path / "tries.jsonl", records="attempts"),
        Output(tmp_path / "out.jsonl"),
        Output(tmp_path / "a.warc", "warc"),
        retry=RetryPolicy(base=0.01, budget=None),
    )

    tries = [row for row in lines(tmp_path / "tries.jsonl") if row["key"] == "0"]
    (record,) = (row for row in lines(tmp_path / "out.jsonl") if row["key"] == "0")
    assert [(row["attempt"], row["outcome"], row["status"]) for row in tries] == [
        (1, "failed", 500),
        (2, "failed", 500),
        (3, "ok", 200),
    ]
    assert (record["attempts"], len(lines(tmp_path / "tries.jsonl"))) == (3, 4)
    check(tmp_path / "a.warc")


def test_headers_and_tls(tmp_path: Path, bed: Testbed) -> None:
    """Headers are in the output that names them alone; a record says how its connection was secured."""
    ca = tmp_path / "ca.pem"
    ca.write_text(bed.ca_pem)
    execute(
        tmp_path,
        [f"{bed.tls_url}/get", f"{bed.url}/get"],
        Output(tmp_path / "a.jsonl", fields=("key", "headers", "tls")),
        Output(tmp_path / "b.jsonl"),
        client=ClientOptions(ca_file=ca),
    )

    secure, plain = sorted(lines(tmp_path / "a.jsonl"), key=lambda row: row["key"])
    assert secure["headers"]["content-type"] == ["application/json"]
    assert secure["tls"]["version"].startswith("TLSv1.")
    assert secure["tls"]["verified"] is True
    assert secure["tls"]["not_after"].endswith("Z")
    assert plain["tls"] is None
    assert all(row["headers"] is None for row in lines(tmp_path / "b.jsonl"))

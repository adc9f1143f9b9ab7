from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from crawler.jobs.inputs import Format, InputFile, Row, find_files, format_of, read_columns, read_rows
from crawler.jobs.lines import InputError


def rows_of(tmp_path: Path, data: bytes, format: Format) -> list[Row]:
    path = tmp_path / "list"
    path.write_bytes(data)
    return list(read_rows([InputFile("list", path, format)]))


def test_text_list(tmp_path: Path) -> None:
    """Blank lines and comments are passed over, white space is taken off, rows and lines have their numbers."""
    rows = rows_of(tmp_path, b"\xef\xbb\xbf# list\r\nhttp://a/#x\r\n\r\n  http://b/\t\n#http://c/\n\xff\n", "txt")
    assert rows == [
        Row(1, "list:2", {"url": "http://a/#x"}),
        Row(2, "list:4", {"url": "http://b/"}),
        Row(3, "list:6", {}, "byte 0xff at position 1 is not UTF-8"),
    ]


def test_csv(tmp_path: Path) -> None:
    """Quoted fields with line ends, blank lines, short and long rows, broken bytes: each row alone."""
    data = (
        b'url,note\r\nhttp://a/,"two\r\nlines"\r\n\r\nhttp://b/\r\nhttp://c/,x,y\r\nhttp://d/,"\xff\r\nhttp://e/,ok\r\n'
    )
    assert rows_of(tmp_path, data, "csv") == [
        Row(1, "list:3", {"url": "http://a/", "note": "two\nlines"}),
        Row(2, "list:5", {"url": "http://b/", "note": ""}),
        Row(3, "list:6", {}, "3 fields, but 2 columns"),
        Row(4, "list:7", {}, "byte 0xff at position 12 is not UTF-8"),
        Row(5, "list:8", {"url": "http://e/", "note": "ok"}),
    ]


def test_csv_field_over_the_limit_is_one_bad_row(tmp_path: Path) -> None:
    """The csv module's own limit ends a row, not the run."""
    rows = rows_of(tmp_path, b"url\n" + b"x" * 200_000 + b"\nhttp://a/\n", "csv")
    assert rows[0].problem == "field larger than field limit (131072)"
    assert rows[1].fields == {"url": "http://a/"}


def test_tsv(tmp_path: Path) -> None:
    """Tabs part the fields."""
    assert rows_of(tmp_path, b"url\tn\nhttp://a/\t1,5\n", "tsv") == [Row(1, "list:2", {"url": "http://a/", "n": "1,5"})]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "list: the file is empty"),
        (b"a,,b\n", "list:1: the first line names the columns, and column 2 has no name"),
        (b"a,b,a\n", "list:1: the first line names the columns, and 'a' stands twice"),
        (b"a,\xff\n", "list: the header cannot be read: byte 0xff"),
    ],
)
def test_csv_without_a_good_header(tmp_path: Path, data: bytes, message: str) -> None:
    """Rows without names are of no use."""
    with pytest.raises(InputError, match=message):
        rows_of(tmp_path, data, "csv")


def test_json_lines(tmp_path: Path) -> None:
    """Objects and plain URLs; anything else is a bad row with its line."""
    data = b'{"url": "http://a/", "n": 1.0, "tags": ["x"]}\r\n\n"http://b/"\n[1]\n{"url":\n'
    rows = rows_of(tmp_path, data, "jsonl")
    assert rows[:3] == [
        Row(1, "list:1", {"url": "http://a/", "n": 1.0, "tags": ["x"]}),
        Row(2, "list:3", {"url": "http://b/"}),
        Row(3, "list:4", {}, "expected an object or a URL in quotes"),
    ]
    assert rows[3].place == "list:5"
    assert rows[3].problem is not None
    assert rows[3].problem.startswith("not JSON: ")


def test_json_array(tmp_path: Path) -> None:
    """One array of objects and URLs."""
    assert rows_of(tmp_path, b'["http://a/", {"url": "http://b/"}]', "json") == [
        Row(1, "list[0]", {"url": "http://a/"}),
        Row(2, "list[1]", {"url": "http://b/"}),
    ]


@pytest.mark.parametrize(("data", "message"), [(b"[1,", "list:1:4: not JSON"), (b"{}", "expected a JSON array")])
def test_json_that_is_no_array(tmp_path: Path, data: bytes, message: str) -> None:
    """A broken array has no good rows."""
    with pytest.raises(InputError, match=message):
        rows_of(tmp_path, data, "json")


def test_files_are_numbered_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several files are one input, in order; standard input is one of them."""
    (tmp_path / "a.txt").write_text("http://a/\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"http://b/\n")))
    rows = list(read_rows([*find_files("a.txt", tmp_path, None), *find_files("-", tmp_path, None)]))
    assert [(row.number, row.fields["url"]) for row in rows] == [(1, "http://a/"), (2, "http://b/")]
    assert rows[1].place == "<stdin>:1"


def test_rows_are_a_stream(tmp_path: Path) -> None:
    """The first row comes before the file was read to its end: a broken end is met only there."""
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"".join(b"http://h/%d\n" % n for n in range(500_000)))[:-2000])
    rows = read_rows(find_files("a.txt.gz", tmp_path, None))
    assert next(rows).fields == {"url": "http://h/0"}
    with pytest.raises(InputError):
        list(rows)


def test_finding_files(tmp_path: Path) -> None:
    """Globs are sorted; a file whose name looks like a glob is a file; folders and nothing are refused."""
    for name in ("b.txt", "a.txt", "[x].txt"):
        (tmp_path / name).touch()
    (tmp_path / "sub").mkdir()
    names = [file.path.name for file in find_files("?.txt", tmp_path, None) if file.path]
    assert names == ["a.txt", "b.txt"]
    assert len(find_files("[x].txt", tmp_path, None)) == 1
    with pytest.raises(InputError, match="sub is a folder; write sub/\\* for the files in it"):
        find_files("sub", tmp_path, None)
    with pytest.raises(InputError, match="there is no file"):
        find_files("c.txt", tmp_path, None)
    with pytest.raises(InputError, match="no file matches"):
        find_files("*.csv", tmp_path, None)


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.csv", "csv"),
        ("a.TSV", "tsv"),
        ("a.jsonl.zst", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("a.json", "json"),
        ("a.gz", "txt"),
        ("a", "txt"),
        ("a.urls", "txt"),
    ],
)
def test_format_by_suffix(name: str, format: str) -> None:
    """The suffix in front of a compression's tells the format."""
    assert format_of(Path(name)) == format


def test_columns(tmp_path: Path) -> None:
    """The header of a table can be looked at before the run; other formats have none."""
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfurl, note \nx\n")
    (tmp_path / "a.txt").write_bytes(b"x")
    assert read_columns(find_files("a.csv", tmp_path, None)[0]) == ["url", "note"]
    assert read_columns(find_files("a.txt", tmp_path, None)[0]) == ["url"]
    assert read_columns(find_files("-", tmp_path, "csv")[0]) is None

"""Rows of input files: text lists, CSV and TSV, JSON lines, JSON arrays; streamed, numbered, never whole in memory.

A row that cannot be read is a row with a `problem`: whether it is recorded, passed over or ends the run is the caller's
decision (`input.on_bad_row`).
"""

from __future__ import annotations

import contextlib
import csv
import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import BinaryIO, Final, Literal
from urllib.parse import urlsplit

import orjson

from crawler.fanout.record import mask
from crawler.jobs import feeds
from crawler.jobs.lines import COMPRESSED_SUFFIXES, InputError, Line, open_input, read_lines, read_whole
from crawler.jobs.parquet_rows import parquet_columns, parquet_rows
from crawler.jobs.remote import RemoteLists
from crawler.spider.sitemaps import read_sitemap

Format = Literal["txt", "csv", "tsv", "jsonl", "json", "parquet", "sitemap", "feed"]
MAX_SITEMAP_BYTES: Final = 50 * 1024 * 1024
"""Of one sitemap, unpacked: the protocol's own limit."""
MAX_SITEMAP_DEPTH: Final = 3
SITEMAP_COLUMNS: Final = ("url", "lastmod")
MAX_JSON_BYTES: Final = 16 * 1024 * 1024
"""A JSON array is parsed whole; larger ones must be JSON lines."""
_BY_SUFFIX: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".xml": "sitemap",
    ".rss": "feed",
    ".atom": "feed",
}


@dataclass(slots=True)
class Row:
    """One row of the input.

    Attributes:
        number: 1-based, counted over all files.
        place: `FILE:LINE`, for messages.
        fields: Values by name; of a bad row nothing.
        problem: Why the row cannot be used, None if it can.
    """

    number: int
    place: str
    fields: dict[str, object]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file to read rows from.

    Attributes:
        name: As messages call it.
        path: None is standard input, or a list on a server.
        format: How its rows are written.
        url: Of a list on a server.
    """

    name: str
    path: Path | None
    format: Format
    url: str | None = None

    @property
    def is_stdin(self) -> bool:
        """Whether it is standard input, which can be read once only."""
        return self.path is None and self.url is None


def find_files(pattern: str, base: Path, format: Format | None) -> list[InputFile]:
    """The files a path or glob of `input.path` stands for, in sorted order.

    Args:
        pattern: Path or glob, relative to `base`; http(s) URL; `-` is standard input.
        base: Folder of the job file.
        format: `input.format`; None goes by the suffix.

    Raises:
        InputError: There is no such file.
    """
    if pattern == "-":
        return [InputFile("<stdin>", None, format or "txt")]
    if is_remote(pattern):
        path = PurePosixPath(urlsplit(pattern).path)
        return [InputFile(mask(pattern), None, format or format_of(path), pattern)]
    whole = base / pattern
    if whole.is_file():  # also a file whose name looks like a glob
        paths = [whole]
    else:
        paths = [Path(name) for name in sorted(glob.glob(str(whole), recursive=True)) if os.path.isfile(name)]
    if not paths:
        if whole.is_dir():
            raise InputError(f"{pattern} is a folder; write {pattern.rstrip('/')}/* for the files in it")
        looked = f"no file matches {whole}" if glob.has_magic(pattern) else f"there is no file {whole}"
        raise InputError(looked)
    return [InputFile(_name(path), path, format or format_of(path)) for path in paths]


def is_remote(pattern: str) -> bool:
    """Whether an `input.path` is a list on a server."""
    return pattern.lower().startswith(("http://", "https://"))


def format_of(path: PurePath) -> Format:
    """The format a file's name says, `txt` if it says nothing."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED_SUFFIXES:
        suffixes.pop()
    return _BY_SUFFIX.get(suffixes[-1], "txt") if suffixes else "txt"


def _name(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def read_columns(file: InputFile) -> list[str] | None:
    """The column names that are known before the rows are read; None for JSON, standard input and lists on servers.

    Raises:
        InputError: The file cannot be read or has no header.
    """
    match file.format:
        case "txt":
            return ["url"]
        case "sitemap":
            return list(SITEMAP_COLUMNS)
        case "feed":
            return list(feeds.COLUMNS)
        case "parquet" if file.path is not None:
            return parquet_columns(file.path)
        case "json" | "jsonl" | "parquet":
            return None
    if file.path is None:
        return None
    with open_input(file.path) as stream:
        _, header = _header(_Lines(read_lines(stream, file.name)), file)
        return header


def read_rows(files: Iterable[InputFile], remote: RemoteLists | None = None) -> Iterator[Row]:
    """Every row of every file, numbered through.

    Args:
        files: In their order.
        remote: Fetches lists on servers.

    Raises:
        InputError: A file cannot be read, or has no usable header.
    """
    remote = remote or RemoteLists()
    number = 0
    for file in files:
        for row in _rows_of(file, remote):
            number += 1
            row.number = number
            yield row


def _rows_of(file: InputFile, remote: RemoteLists, depth: int = 0) -> Iterator[Row]:
    with remote.local(file.url) if file.url is not None else contextlib.nullcontext(file.path) as path:
        if file.format == "parquet":
            yield from _parquet_rows(path, file)
            return
        with open_input(path) as stream:
            if file.format == "sitemap":
                yield from _sitemap_rows(stream, file, remote, depth)
            elif file.format == "feed":
                for entry in feeds.read_feed(stream, file.name, file.url or ""):
                    yield Row(0, f"{file.name}[{entry['id'] or entry['url']}]", entry)
            elif file.format == "json":
                yield from _json_rows(read_whole(stream, file.name, MAX_JSON_BYTES), file)
            else:
                lines = read_lines(stream, file.name)
                match file.format:
                    case "txt":
                        yield from _text_rows(lines, file)
                    case "jsonl":
                        yield from _json_line_rows(lines, file)
                    case "csv" | "tsv":
                        yield from _table_rows(_Lines(lines), file)


def _parquet_rows(path: Path | None, file: InputFile) -> Iterator[Row]:
    if path is None:
        raise InputError("a Parquet list cannot be read from standard input: its end says where its rows are")
    for index, fields in enumerate(parquet_rows(path)):
        yield Row(0, f"{file.name}[{index}]", fields)


def _sitemap_rows(stream: BinaryIO, file: InputFile, remote: RemoteLists, depth: int) -> Iterator[Row]:
    """The pages of a sitemap, and of the sitemaps that an index names."""
    for entry in read_sitemap(read_whole(stream, file.name, MAX_SITEMAP_BYTES)):
        if entry.kind == "sitemap":
            if depth >= MAX_SITEMAP_DEPTH or not is_remote(entry.url):
                yield Row(0, file.name, {}, f"the sitemap {entry.url[:200]} cannot be followed from here")
                continue
            further = InputFile(mask(entry.url), None, "sitemap", entry.url)
            try:
                yield from _rows_of(further, remote, depth + 1)
            except InputError as error:
                yield Row(0, file.name, {}, str(error))
        else:
            lastmod = entry.lastmod.isoformat() if entry.lastmod is not None else ""
            yield Row(0, f"{file.name}[{entry.url[:200]}]", {"url": entry.url, "lastmod": lastmod})


def _text_rows(lines: Iterator[Line], file: InputFile) -> Iterator[Row]:
    for line in lines:
        text = line.text.strip()
        if line.problem is not None:
            yield _bad(file, line.number, line.problem)
        elif text and not text.startswith("#"):
            yield Row(0, f"{file.name}:{line.number}", {"url": text})


def _json_line_rows(lines: Iterator[Line], file: InputFile) -> Iterator[Row]:
    for line in lines:
        if line.problem is not None:
            yield _bad(file, line.number, line.problem)
        elif line.text and not line.text.isspace():
            try:
                value = orjson.loads(line.text)
            except orjson.JSONDecodeError as exc:
                yield _bad(file, line.number, f"not JSON: {exc}")
            else:
                yield _json_row(value, f"{file.name}:{line.number}")


def _json_rows(data: bytes, file: InputFile) -> Iterator[Row]:
    try:
        values = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise InputError(f"{file.name}:{exc.lineno}:{exc.colno}: not JSON: {exc.msg}") from exc
    if not isinstance(values, list):
        raise InputError(f"{file.name}: expected a JSON array of URLs or objects")
    for index, value in enumerate(values):
        yield _json_row(value, f"{file.name}[{index}]")


def _json_row(value: object, place: str) -> Row:
    if isinstance(value, str):
        return Row(0, place, {"url": value})
    if isinstance(value, dict):
        return Row(0, place, value)
    return Row(0, place, {}, "expected an object or a URL in quotes")


class _Lines:
    """Lines as the csv module wants them: text only. It remembers the number, and the problem of a bad line."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self.number = 0
        self._problem: str | None = None

    def take_problem(self) -> str | None:
        """The problem of the lines since the last call, if one had any."""
        problem, self._problem = self._problem, None
        return problem

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.number = line.number
            self._problem = self._problem or line.problem
            # A quoted field may go on in the next line, so its end must be kept. Of a bad line the csv module gets
            # no part at all: half a quote in it would swallow the good lines that follow.
            yield "\n" if line.problem else line.text + "\n"


def _header(lines: _Lines, file: InputFile) -> tuple[Iterator[list[str]], list[str]]:
    reader = csv.reader(lines, delimiter="\t" if file.format == "tsv" else ",")
    try:
        header = next((cells for cells in reader if cells), None)
    except csv.Error as exc:
        raise InputError(f"{file.name}:{lines.number}: {exc}") from exc
    problem = lines.take_problem()
    if problem is not None:
        raise InputError(f"{file.name}: the header cannot be read: {problem}")
    if header is None:
        raise InputError(f"{file.name}: the file is empty; its first line names the columns")
    names = [name.strip() for name in header]
    for index, name in enumerate(names):
        if not name or name in names[:index]:
            reason = f"{name!r} stands twice" if name else f"column {index + 1} has no name"
            raise InputError(f"{file.name}:{lines.number}: the first line names the columns, and {reason}")
    return reader, names


def _table_rows(lines: _Lines, file: InputFile) -> Iterator[Row]:
    reader, names = _header(lines, file)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as exc:
            yield _bad(file, lines.number, str(exc))
            continue
        problem = lines.take_problem()
        if problem is not None:
            yield _bad(file, lines.number, problem)
        elif len(cells) > len(names):
            yield _bad(file, lines.number, f"{len(cells)} fields, but {len(names)} columns")
        elif cells:
            cells += [""] * (len(names) - len(cells))
            yield Row(0, f"{file.name}:{lines.number}", dict(zip(names, cells, strict=True)))


def _bad(file: InputFile, line: int, problem: str) -> Row:
    return Row(0, f"{file.name}:{line}", {}, problem)

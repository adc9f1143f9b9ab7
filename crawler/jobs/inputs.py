"""Rows of input files: text lists, CSV and TSV, JSON lines, JSON arrays; streamed, numbered, never whole in memory.

A row that cannot be read is a row with a `problem`: whether it is recorded, passed over or ends the run is the caller's
decision (`input.on_bad_row`).
"""

from __future__ import annotations

import csv
import glob
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import orjson

from crawler.jobs.lines import COMPRESSED_SUFFIXES, InputError, Line, open_input, read_lines, read_whole

Format = Literal["txt", "csv", "tsv", "jsonl", "json"]
MAX_JSON_BYTES: Final = 16 * 1024 * 1024
"""A JSON array is parsed whole; larger ones must be JSON lines."""
_BY_SUFFIX: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
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
        path: None is standard input.
        format: How its rows are written.
    """

    name: str
    path: Path | None
    format: Format


def find_files(pattern: str, base: Path, format: Format | None) -> list[InputFile]:
    """The files a path or glob of `input.path` stands for, in sorted order.

    Args:
        pattern: Path or glob, relative to `base`; `-` is standard input.
        base: Folder of the job file.
        format: `input.format`; None goes by the suffix.

    Raises:
        InputError: There is no such file.
    """
    if pattern == "-":
        return [InputFile("<stdin>", None, format or "txt")]
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


def format_of(path: Path) -> Format:
    """The format a file's name says, `txt` if it says nothing."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED_SUFFIXES:
        suffixes.pop()
    return _BY_SUFFIX.get(suffixes[-1], "txt") if suffixes else "txt"


def _name(path: Path) -> str:
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def read_columns(file: InputFile) -> list[str] | None:
    """The column names of a CSV or TSV file; None for formats without a header, and for standard input.

    Raises:
        InputError: The file cannot be read or has no header.
    """
    if file.format not in ("csv", "tsv") or file.path is None:
        return None
    with open_input(file.path) as stream:
        _, header = _header(_Lines(read_lines(stream, file.name)), file)
        return header


def read_rows(files: list[InputFile]) -> Iterator[Row]:
    """Every row of every file, numbered through.

    Raises:
        InputError: A file cannot be read, or has no usable header.
    """
    number = 0
    for file in files:
        with open_input(file.path) as stream:
            if file.format == "json":
                rows = _json_rows(read_whole(stream, file.name, MAX_JSON_BYTES), file)
            else:
                lines = read_lines(stream, file.name)
                match file.format:
                    case "txt":
                        rows = _text_rows(lines, file)
                    case "jsonl":
                        rows = _json_line_rows(lines, file)
                    case "csv" | "tsv":
                        rows = _table_rows(_Lines(lines), file)
            for row in rows:
                number += 1
                row.number = number
                yield row


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

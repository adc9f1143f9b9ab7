"""Rows as requests: the templates of `request`, compiled once, filled per row."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import orjson

from crawler.fanout import Item
from crawler.fanout.checksums import ALGORITHMS
from crawler.fanout.names import LATE_NAMES
from crawler.jobs.download_job import checks_of
from crawler.jobs.inputs import Row
from crawler.jobs.paginate_values import first_values, turned_name
from crawler.jobs.rules import has_line_break
from crawler.jobs.schema import JobFile, UrlEntry
from crawler.jobs.template import Row as Names
from crawler.jobs.template import Template, TemplateError
from crawler.jobs.urls import url_problem
from crawler.models import URL
from crawler.version import __version__

_METHOD: Final = re.compile(r"[A-Z][A-Z0-9_-]{0,31}", re.ASCII)
_ROW_KEYS: Final = ("url", "method", "path", "priority")
_CHECK_KEYS: Final = (*ALGORITHMS, "size")


class RowError(ValueError):
    """A row that gives no request; the message says why."""


class BadUrl(RowError):
    """A row whose URL is none; `url` is the text."""

    def __init__(self, message: str, url: str) -> None:
        super().__init__(message)
        self.url = url


@dataclass(frozen=True, slots=True)
class BodyFile:
    """What `request.body_file` holds."""

    content: bytes
    content_type: str


class RequestMaker:
    """Makes items of rows.

    Attributes:
        client_headers: Headers that are the same for every request; the client sends them, the items do not hold them.
        names: Names that its templates need of a row.
    """

    def __init__(self, job: JobFile, testbed_url: str | None = None, body_file: BodyFile | None = None) -> None:
        """Compile the job's request.

        Args:
            job: The checked job.
            testbed_url: What URLs that begin with `/` are put behind; None leaves them as they are.
            body_file: What `request.body_file` holds.

        Raises:
            TemplateError: A text in `request.json` does not compile.
        """
        request = job.request
        self._testbed = job.testbed
        self._testbed_url = testbed_url or ""
        self._method = request.method or "GET"
        self._url = request.url
        self._key = job.input.key if job.input is not None else None
        self._columns = job.input.columns if job.input is not None else {}
        self._path = job.download.path
        self._keeps_files = job.body.keep == "file"
        self._is_download = job.kind == "download"
        self._is_named_late = (
            self._is_download and self._path is not None and not LATE_NAMES.isdisjoint(self._path.names)
        )
        self._idempotent = request.idempotent
        self._dedupe = job.dedupe
        self._first_page = first_values(job.paginate) if job.paginate is not None else None
        self._turned = turned_name(job.paginate) if job.paginate is not None else ""
        columns = self._columns
        row_keys = (*_ROW_KEYS, *_CHECK_KEYS) if self._is_download else _ROW_KEYS
        self._used_columns = {columns.get(name, name) for name in row_keys if name != "path" or self._keeps_files}
        self._meta_names = {column: name[5:] for name, column in columns.items() if name.startswith("meta.")}
        self._params = [(name, value) for name, values in request.params.items() for value in values]
        static = {name: value for name, value in request.headers.items() if value.is_static}
        self._headers = [(name, value) for name, value in request.headers.items() if not value.is_static]
        self._has_content_type = "content-type" in {name.lower() for name in request.headers}
        self.client_headers = _client_headers(job, static)
        self._content_type, self._body, body_names = _compile_body(job, body_file)
        # What is put after the filling cannot be missing: the row's number, and for file names the parts of the URL.
        needed = [self._url, self._key, *(value for _, value in self._params), *(value for _, value in self._headers)]
        self.names = frozenset(name for template in needed if template for name in template.names) | body_names
        placed = [self._url, *(value for _, value in self._params)]
        # A page's number that only a header holds turns no page: the request would be the same again.
        is_placed = self._turned in body_names or any(self._turned in template.names for template in placed if template)
        self._turned_param = self._turned if self._turned and not is_placed else None
        if self._url is None:
            self.names |= {"url"}
        self.names -= frozenset(self._first_page or ())
        self.names -= {"row"} | ({"key"} if self._key is not None else set())

    def from_row(self, row: Row) -> Item:
        """The request of an input row.

        Raises:
            RowError: The row is bad, lacks a name, or gives no URL.
        """
        if row.problem is not None:
            raise RowError(row.problem)
        names = self._mapped(row)
        method = names.get("method")
        method = str(method).upper() if method not in (None, "") else None
        item = self._make(self._on_first_page(names), row.number, method=method)
        self._remember(item, row.fields, row.number, method)
        item.identity = self._identity(item, f"{row.number}")
        item.priority = _priority(names.get("priority"))
        item.meta = self._meta(row)
        if self._is_download:
            try:
                item.checksums, item.size = checks_of(names)
            except ValueError as exc:
                raise RowError(str(exc)) from exc
        return item

    def from_entry(self, entry: UrlEntry, number: int) -> Item:
        """The request of an item of `urls`."""
        names: dict[str, object] = {**entry.meta, "url": entry.url}
        if entry.path is not None:
            names["path"] = entry.path
        if entry.sha256 is not None:
            names["sha256"] = entry.sha256
        item = self._make(self._on_first_page(names), number, method=entry.method)
        if entry.body is not None or "json_" in entry.model_fields_set:
            item.body, content_type = _entry_body(entry)
            item.headers = (*_without_content_type(item.headers), *_content_type(entry.headers, content_type))
        if entry.headers:
            item.headers = _laid_over(item.headers, tuple(entry.headers.items()))
        if self._is_download:
            item.checksums, item.size = checks_of({name: getattr(entry, name) for name in _CHECK_KEYS})
        self._remember(item, names, number, entry.method, entry)
        item.identity = self._identity(item, f"{number}")
        item.priority = entry.priority
        item.meta = dict(entry.meta) or None
        return item

    def turn(self, item: Item, values: Mapping[str, object]) -> Item:
        """The request of another page.

        Args:
            item: That of an earlier page, as it came from here or from the state.
            values: What the names of templates are on that page.

        Raises:
            RowError: It gives no request.
        """
        memo = item.memo or {}
        row: dict[str, object] = memo.get("row") or {}  # type: ignore[assignment]  # as `_remember` has put it
        number, method = int(str(memo.get("n", 0))), memo.get("method")
        names = {**self._mapped(Row(number, "", row)), **values} if memo.get("is_row") else {**row, **values}
        turned = self._make(names, number, method=None if method is None else str(method))
        if memo.get("has_body"):
            kept = tuple(header for header in item.headers if header[0].lower() == "content-type")
            turned.body, turned.headers = item.body, (*_without_content_type(turned.headers), *kept)
        own: dict[str, str] = memo.get("headers") or {}  # type: ignore[assignment]  # likewise
        turned.headers = _laid_over(turned.headers, tuple(own.items()))
        turned.identity = self._identity(turned, f"{number} {values.get('page')}")
        turned.memo = {name: value for name, value in memo.items() if name != "seen"}
        return turned

    def _on_first_page(self, names: dict[str, object]) -> dict[str, object]:
        return names if self._first_page is None else {**names, **self._first_page}

    def _remember(
        self, item: Item, row: dict[str, object], number: int, method: str | None, entry: UrlEntry | None = None
    ) -> None:
        """Keep with a first page what further pages are made of."""
        if self._first_page is None:
            return
        item.page = 1
        item.memo = {"row": row, "n": number}
        if method is not None:
            item.memo["method"] = method
        if entry is None:
            item.memo["is_row"] = True
            return
        if entry.body is not None or "json_" in entry.model_fields_set:
            item.memo["has_body"] = True
        if entry.headers:
            item.memo["headers"] = dict(entry.headers)

    def _make(self, names: dict[str, object], number: int, *, method: str | None) -> Item:
        """The request of filled-in names; adds `row` and `key` to them."""
        names.setdefault("row", number)
        # What is made of a cursor is left out where there is none yet.
        absent = frozenset([self._turned]) if names.get(self._turned, "") is None else _NONE
        try:
            key = self._key.fill(names) if self._key is not None else str(number)
            if self._key is not None:
                names["key"] = key
            else:
                names.setdefault("key", key)  # a column of that name is what its owner means by {key}
            url = self._url.fill(names) if self._url is not None else _text(names.get("url"))
            params = [(name, value.fill(names)) for name, value in self._params if not value.names & absent]
            headers = tuple((name, value.fill(names)) for name, value in self._headers if not value.names & absent)
            body = self._body(names, absent) if self._body is not None else None
        except (TemplateError, orjson.JSONEncodeError) as exc:  # the latter for a number beyond 64 bits
            raise RowError(str(exc)) from exc
        url = self._absolute(url)
        if self._turned_param is not None and not absent and self._turned in names:
            url = str(URL(url).copy_set_param(self._turned_param, _text_of(names[self._turned])))
        for name, value in headers:
            if has_line_break(value):
                raise RowError(f"the header {name} would hold a line break")
        if self._content_type is not None and not self._has_content_type:
            headers = (*headers, ("Content-Type", self._content_type))
        method = method or self._method
        if _METHOD.fullmatch(method) is None:
            raise RowError(f"{method[:40]!r} is no method")
        return Item(
            url=_with_params(url, params) if params else url,
            method=method,
            headers=headers,
            body=body,
            key=key,
            path=self._file_name(names, url) if self._keeps_files else None,
            idempotent=self._idempotent,
        )

    def _identity(self, item: Item, row: str) -> bytes | None:
        """What tells requests of the same method and URL apart; `None` is the body."""
        dedupe = self._dedupe
        if dedupe.by == "none":
            return row.encode()
        if dedupe.by == "url_body" and dedupe.body_hash and not dedupe.headers:
            return None
        wanted = {name.lower() for name in dedupe.headers}
        told = "".join(f"{name.lower()}: {value}\n" for name, value in item.headers if name.lower() in wanted).encode()
        return told + (item.body or b"") if dedupe.by == "url_body" and dedupe.body_hash else told

    def _absolute(self, url: str) -> str:
        problem = url_problem(url, testbed=self._testbed)
        if problem is not None:
            raise BadUrl(problem, url)
        return self._testbed_url + url if url.startswith("/") else url

    def _mapped(self, row: Row) -> dict[str, object]:
        """The row's values by their columns' names and by the names that `input.columns` gives them."""
        names = dict(row.fields)
        for name, column in self._columns.items():
            if column not in row.fields:
                raise RowError(f"the row has no {column!r}")
            names[name.removeprefix("meta.")] = row.fields[column]
        return names

    def _meta(self, row: Row) -> dict[str, object] | None:
        """Every column that says nothing about the request itself, and those mapped to `meta.NAME` under that name."""
        named, used = self._meta_names, self._used_columns
        return {named.get(name, name): value for name, value in row.fields.items() if name not in used} or None

    def _file_name(self, names: Names, url: str) -> str | None:
        if self._path is None:
            path = names.get("path")
            return _text(path) or None
        if isinstance(names.get("row"), int):
            names = {"index": int(str(names["row"])) - 1, **names}
        whole = {**url_names(url), **names, **{f"meta.{name}": value for name, value in names.items()}}
        try:
            if not self._is_named_late:
                return self._path.fill(whole)
            return self._path.fill_but(LATE_NAMES, {name: whole[name] for name in whole if _is_known(name, whole)})
        except TemplateError as exc:
            raise RowError(str(exc)) from exc


def url_names(url: str) -> dict[str, str]:
    """What a URL gives to `download.path`: `host`, `path` without its first slash, `basename`, `ext` with its dot."""
    parts = urlsplit(url)
    path = parts.path.lstrip("/")
    basename = path.rsplit("/", 1)[-1]
    stem, dot, suffix = basename.rpartition(".")
    return {"host": parts.hostname or "", "path": path, "basename": basename, "ext": dot + suffix if stem else ""}


def _is_known(name: str, values: Names) -> bool:
    """Whether a row says something under a name; of a digest, an empty cell says nothing."""
    return name not in LATE_NAMES or (name == "sha256" and bool(_text(values[name])))


URL_NAMES: Final = frozenset({"host", "path", "basename", "ext", "url", "row", "index", "key"})
"""Names that `download.path` has without any column."""


def path_names(path: Template, job: JobFile) -> frozenset[str]:
    """Give the columns that `download.path` needs: those that neither the URL nor the finished file gives."""
    late = LATE_NAMES if job.kind == "download" else frozenset()
    return frozenset(name.removeprefix("meta.") for name in path.names - late) - URL_NAMES


def _client_headers(job: JobFile, static: Mapping[str, Template]) -> tuple[tuple[str, str], ...]:
    headers = [(name, value.fill({})) for name, value in static.items()]
    given = {name.lower() for name in job.request.headers}
    if "compression" in job.http.model_fields_set and "accept-encoding" not in given:
        headers.append(("Accept-Encoding", ", ".join(job.http.compression) or "identity"))
    if "user-agent" not in given:
        contact = f" (+{job.contact})" if job.contact else ""
        headers.append(("User-Agent", job.request.user_agent or f"crawler/{__version__}{contact}"))
    return tuple(headers)


_MakeBody = Callable[[Names, frozenset[str]], bytes]
"""Makes a body of a row; what needs the names of the second argument is left out."""

_NONE: Final[frozenset[str]] = frozenset()


def _compile_body(job: JobFile, file: BodyFile | None) -> tuple[str | None, _MakeBody | None, frozenset[str]]:
    """Content type, maker and needed names of the request's body."""
    request = job.request
    if file is not None:
        return file.content_type, lambda row, absent: file.content, _NONE
    if "json_" in request.model_fields_set:
        names: set[str] = set()
        compiled = _compile_json(request.json_, names)
        if not names:
            fixed = orjson.dumps(_fill_json(compiled, {}, _NONE))
            return "application/json", lambda row, absent: fixed, _NONE
        return (
            "application/json",
            lambda row, absent: orjson.dumps(_fill_json(compiled, row, absent)),
            frozenset(names),
        )
    if request.form:
        pairs = [(name, value) for name, values in request.form.items() for value in values]
        needed = frozenset(name for _, value in pairs for name in value.names)
        return (
            "application/x-www-form-urlencoded",
            lambda row, absent: urlencode(
                [(name, value.fill(row)) for name, value in pairs if not value.names & absent]
            ).encode("ascii"),
            needed,
        )
    if request.body is not None:
        body = request.body
        return "text/plain; charset=utf-8", lambda row, absent: body.fill(row).encode("utf-8"), body.names
    return None, None, frozenset()


def _compile_json(value: object, names: set[str]) -> object:
    if isinstance(value, str):
        template = Template(value)
        names |= template.names
        return template
    if isinstance(value, list):
        return [_compile_json(part, names) for part in value]
    if isinstance(value, dict):
        return {key: _compile_json(part, names) for key, part in value.items()}
    return value


def _fill_json(value: object, row: Names, absent: frozenset[str]) -> object:
    def is_there(part: object) -> bool:
        return not (isinstance(part, Template) and part.names & absent)

    if isinstance(value, Template):
        return value.fill_typed(row)
    if isinstance(value, list):
        return [_fill_json(part, row, absent) for part in value if is_there(part)]
    if isinstance(value, dict):
        return {key: _fill_json(part, row, absent) for key, part in value.items() if is_there(part)}
    return value


def _entry_body(entry: UrlEntry) -> tuple[bytes, str]:
    if entry.body is not None:
        return entry.body.encode("utf-8"), "text/plain; charset=utf-8"
    return orjson.dumps(entry.json_), "application/json"


def _content_type(headers: Mapping[str, str], default: str) -> tuple[tuple[str, str], ...]:
    return () if "content-type" in {name.lower() for name in headers} else (("Content-Type", default),)


def _laid_over(headers: tuple[tuple[str, str], ...], own: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """`headers` with those of `own` in place of theirs."""
    replaced = {name.lower() for name, _ in own}
    return (*(header for header in headers if header[0].lower() not in replaced), *own)


def _without_content_type(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(header for header in headers if header[0].lower() != "content-type")


def _with_params(url: str, params: list[tuple[str, str]]) -> str:
    """`url` with the parameters appended, percent-encoded, in front of a fragment."""
    head, hash_sign, fragment = url.partition("#")
    joint = "" if head.endswith(("?", "&")) else "&" if "?" in head else "?"
    return head + joint + urlencode(params, quote_via=quote) + hash_sign + fragment


def _priority(value: object) -> int:
    if value is None or value == "":
        return 0
    try:
        return int(str(value))
    except ValueError:
        raise RowError(f"the priority {str(value)[:40]!r} is no whole number") from None


def _text_of(value: object) -> str:
    """A cursor or number as it stands in a query."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _text(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RowError(f"expected text for the URL or path, not {str(value)[:40]}")
    return value.strip()

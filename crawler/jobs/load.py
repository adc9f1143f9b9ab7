"""From files, options and environment to a `Job`; every finding of all steps in one error."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from crawler.fanout import ClientOptions
from crawler.fanout.transport import trust_of
from crawler.jobs.auth import AuthError, auth_of
from crawler.jobs.bench_rules import model_rules
from crawler.jobs.body_file import read_body_file
from crawler.jobs.check import check_schema
from crawler.jobs.checks import response_checks
from crawler.jobs.crawl_rules import crawl_model_rules, crawl_warnings
from crawler.jobs.download_rules import ROW_CHECKS, download_model_rules
from crawler.jobs.envfile import read_env_file
from crawler.jobs.extract_job import extract_rules
from crawler.jobs.fields import nearest
from crawler.jobs.findings import Finding, JobError, Mark
from crawler.jobs.inputs import InputFile, find_files, read_columns
from crawler.jobs.interpolate import Interpolation
from crawler.jobs.job import Job, Source
from crawler.jobs.lines import InputError
from crawler.jobs.masking import mask_text
from crawler.jobs.merge import apply_overrides, read_files
from crawler.jobs.nodes import Entry, Items, Map, Node, Scalar, dotted, locate
from crawler.jobs.output_rules import output_rules
from crawler.jobs.paginate import Paginator
from crawler.jobs.recrawl_job import recrawl_rules
from crawler.jobs.requests import RequestMaker, path_names
from crawler.jobs.rules import check_rules
from crawler.jobs.schema import JobFile
from crawler.jobs.template import TemplateError
from crawler.jobs.transport_job import transport_options
from crawler.spider.errors import BadExpression

_COLUMN_NAMES: Final = ("url", "method", "path", "priority")


def load_job(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    *,
    allow_outside: bool = False,
    anonymous: bool = False,
) -> Job:
    """Read, merge, fill in and check a job file.

    Args:
        paths: The YAML file; several are merged left to right (maps deep, lists replaced). Relative paths inside mean
            the first file's folder for what is read, the working directory for what is written.
        overrides: `a.b=c` as given to `--set`; the value is read as YAML.
        environment: Stands in for `os.environ`.
        allow_outside: Records may be written outside the working directory.
        anonymous: A crawl may go without a `contact`.

    Raises:
        JobError: With every finding.
    """
    files = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    if not files:
        raise JobError([Finding(Mark("job"), "no job file given")])
    tree, findings = read_files(files)
    if tree is None:
        raise JobError(findings)
    first = Path(files[0])
    loading = _Loading(first.parent, environment, findings=findings, allow_outside=allow_outside, anonymous=anonymous)
    return loading.finish(tree, overrides, default_name=_name_of(first))


def job_from_urls(
    urls: Sequence[str],
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    *,
    anonymous: bool = False,
) -> Job:
    """The job of `crawler run URL...`: everything but the URLs is a default, or comes from `--set`.

    The name is made from the URLs, so the same command resumes its own run and no other. A single `-` reads the list
    from standard input.

    Raises:
        JobError: No URL, a URL without scheme, a bad override.
    """
    mark = Mark("command line")
    if "-" in urls:
        if len(urls) > 1:
            raise JobError([Finding(mark, "`-` reads the whole list from standard input; give no URL beside it")])
        entries: dict[str, Node] = {"input": Map(mark, {"path": Entry(mark, Scalar(mark, "-"))})}
        name = "stdin"
    else:
        # A `$` in a URL of the command line is no reference: the shell had its turn.
        entries = {"urls": Items(mark, [Scalar(mark, url.replace("$", "$$")) for url in urls])}
        digest = hashlib.blake2b("\n".join(urls).encode("utf-8", "surrogateescape"), digest_size=4)
        name = f"urls-{digest.hexdigest()}"
    tree = Map(mark, {key: Entry(mark, node) for key, node in entries.items()})
    return _Loading(Path(), environment, anonymous=anonymous).finish(tree, overrides, default_name=name)


def job_from_lists(
    paths: Sequence[str],
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    *,
    anonymous: bool = False,
) -> Job:
    """The job of `crawler run urls.txt`: the rows of files; everything else is a default, or comes from `--set`.

    The name is that of the first file.

    Raises:
        JobError: A file is missing or cannot be read, a bad override.
    """
    mark = Mark("command line")
    # A `$` in a name is no reference: the shell had its turn.
    names = Items(mark, [Scalar(mark, path.replace("$", "$$")) for path in paths])
    tree = Map(mark, {"input": Entry(mark, Map(mark, {"path": Entry(mark, names)}))})
    return _Loading(Path(), environment, anonymous=anonymous).finish(
        tree, overrides, default_name=_name_of(Path(paths[0]))
    )


def _name_of(path: Path) -> str:
    """The job's name from its file's: lower case, other characters as `-`."""
    name = re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._")
    return name[:63] or "job"


@dataclass(slots=True)
class _Loading:
    """One job on its way; the steps stand in the order they are taken."""

    base: Path
    environment: Mapping[str, str] | None
    findings: list[Finding] = field(default_factory=list)
    allow_outside: bool = False
    anonymous: bool = False

    def finish(self, tree: Map, overrides: Sequence[str], default_name: str) -> Job:
        """Everything after reading the files."""
        tree, problems = apply_overrides(tree, overrides)
        self.findings += problems
        filling = self._filling(tree)
        filled = filling.fill(tree)
        assert isinstance(filled, Map)
        self.findings += filling.findings
        # A value that could not be filled in is empty now; what the schema says about its place would mislead.
        broken = {finding.mark for finding in self.findings}
        model, problems = check_schema(filled)
        self.findings += [finding for finding in (*problems, *check_rules(filled)) if finding.mark not in broken]
        files = self._check_model(filled, model) if model is not None else ()
        if model is None or self.findings:
            # A message quotes what it found, and that may be a secret in the wrong place.
            masked = (
                replace(finding, message=mask_text(finding.message, filling.secrets)) for finding in self.findings
            )
            raise JobError(list(masked))
        source = Source(filled, self.base, files, frozenset(filling.secrets))
        warnings = {*filling.warnings, *crawl_warnings(filled, model)}
        return Job(model.name or default_name, model, source, sorted(warnings))

    def _filling(self, tree: Map) -> Interpolation:
        """The interpolation with all variables: the files of `env_file` below the real environment."""
        real = os.environ if self.environment is None else self.environment
        names = Interpolation(real, self.base)
        merged: dict[str, str] = {}
        node = tree.get("env_file")
        for value in node.values if isinstance(node, Items) else [node]:
            if isinstance(value, Scalar) and isinstance(value.value, str):
                path = names.fill_scalar(value).value
                values, problems = read_env_file(self.base / str(path), value.mark)
                merged.update(values)
                self.findings += problems
        variables = tree.get("vars")
        return Interpolation({**merged, **real}, self.base, variables if isinstance(variables, Map) else None)

    def _check_model(self, tree: Map, model: JobFile) -> tuple[InputFile, ...]:
        """What needs the whole model and a look at the disk: inputs, templates' names, output paths."""
        files = self._find_inputs(tree, model)
        self._check_templates(tree, model, files)
        self.findings += output_rules(tree, model, allow_outside=self.allow_outside)
        self.findings += model_rules(tree, model)
        self.findings += download_model_rules(tree, model, self.base)
        self.findings += crawl_model_rules(tree, model, anonymous=self.anonymous)
        self.findings += extract_rules(tree, model)
        self.findings += recrawl_rules(tree, model)
        self._check_expressions(tree, model)
        try:
            auth_of(model)
        except AuthError as exc:
            self._find(tree, ("auth",), str(exc))
        for key in ("ca_file", "client_cert", "client_key"):
            name = getattr(model.tls, key)
            if name and not (self.base / name).is_file():
                self._find(tree, ("tls", key), f"there is no file {self.base / name}")
        if model.tls.client_cert and not self.findings:
            try:
                trust_of(ClientOptions(**transport_options(model, self.base)))
            except OSError as exc:
                self._find(tree, ("tls", "client_cert"), f"cannot be used: {exc}")
        try:
            read_body_file(model, self.base)
        except InputError as exc:
            self._find(tree, ("request", "body_file"), str(exc))
        return tuple(files)

    def _check_expressions(self, tree: Map, model: JobFile) -> None:
        for index, check in enumerate(model.checks):
            if not check.model_fields_set - {"kind", "match", "retry"}:
                self._find(tree, ("checks", index), "says no condition")
            try:
                response_checks([check])
            except BadExpression as exc:
                self._find(tree, ("checks", index), str(exc))
        if model.paginate is not None:
            try:
                Paginator(model.paginate, lambda item, values: item)
            except BadExpression as exc:
                self._find(tree, ("paginate",), str(exc))

    def _find(self, tree: Map, path: tuple[str | int, ...], message: str) -> None:
        self.findings.append(Finding(locate(tree, path), f"{dotted(path)}: {message}"))

    def _find_inputs(self, tree: Map, model: JobFile) -> list[InputFile]:
        if model.input is None:
            return []
        files: list[InputFile] = []
        for index, pattern in enumerate(model.input.path):
            try:
                files += find_files(pattern, self.base, model.input.format)
            except InputError as exc:
                self._find(tree, ("input", "path", index), str(exc))
        if sum(file.is_stdin for file in files) > 1:
            self._find(tree, ("input", "path"), "standard input (`-`) can be read once only")
        return files

    def _check_templates(self, tree: Map, model: JobFile, files: Sequence[InputFile]) -> None:
        try:
            maker = RequestMaker(model)
        except TemplateError as exc:
            self._find(tree, ("request", "json"), str(exc))
            return
        path = model.download.path
        needed = maker.names | (path_names(path, model) if path is not None else frozenset())
        if model.input is not None:
            self._check_columns(tree, model, files, needed)
            return
        for index, entry in enumerate(model.urls or ()):
            lacking = sorted(needed - {"url", "path"} - set(entry.meta))
            if lacking:
                self._find(tree, ("urls", index), f"a template needs {_names(lacking)}, which `meta` does not have")
                return  # one is enough: the others are mended the same way

    def _check_columns(self, tree: Map, model: JobFile, files: Sequence[InputFile], needed: frozenset[str]) -> None:
        assert model.input is not None
        mapped: set[str] = set()
        for name in model.input.columns:
            if name not in (*_COLUMN_NAMES, *ROW_CHECKS) and not re.fullmatch(r"meta\.[A-Za-z_][A-Za-z0-9_.-]*", name):
                self._find(
                    tree, ("input", "columns", name), "expected url, method, path, priority, sha256, size or meta.NAME"
                )
            mapped.add(name.removeprefix("meta."))
        for file in files:
            try:
                columns = read_columns(file)
            except InputError as exc:
                self._find(tree, ("input", "path"), str(exc))
                continue
            if columns is not None:
                self._check_header(tree, model, file, set(columns), needed - mapped)

    def _check_header(
        self, tree: Map, model: JobFile, file: InputFile, columns: set[str], needed: frozenset[str]
    ) -> None:
        assert model.input is not None
        for name, column in model.input.columns.items():
            if column not in columns:
                near = nearest(column, columns)
                hint = f"did you mean {near!r}?" if near else f"it has {_names(sorted(columns))}"
                self._find(tree, ("input", "columns", name), f"{file.name} has no column {column!r}; {hint}")
        lacking = sorted(needed - columns)
        if lacking:
            have = _names(sorted(columns))
            self._find(tree, ("input", "path"), f"a template needs {_names(lacking)}; {file.name} has {have}")


def _names(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:12]) + (", …" if len(names) > 12 else "")

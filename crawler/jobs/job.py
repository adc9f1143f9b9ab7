"""A job, ready to run: a checked model and what it was made of.

    files ──document, merge──▶ tree ──interpolate──▶ values ──check, rules──▶ Job ──▶ fanout.Plan, fanout.Item

`load_job`, `job_from_lists` and `job_from_urls` (in `load`) make jobs; this file turns one into what the engine takes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final, Literal

from crawler.fanout import BodyPolicy, ClientOptions, Item, Output, Plan, RetryPolicy
from crawler.fanout.crew_setup import Hands
from crawler.fanout.ids import new_run_id
from crawler.fanout.pages import Gate, Processor
from crawler.fanout.plan import RETRIED_KINDS, RETRIED_STATUS
from crawler.fanout.recrawl import MAX_COMPARED
from crawler.fanout.run import STATE_FILE
from crawler.jobs.auth import auth_of
from crawler.jobs.bench_cells import expand
from crawler.jobs.bench_job import MAX_URLS, BenchJob, ReportFile, cells_of, one_request, seed_of
from crawler.jobs.body_file import read_body_file
from crawler.jobs.checks import response_checks
from crawler.jobs.crawl_job import crawl_of, extraction_of, gate_of, held_of
from crawler.jobs.crew_schema import cores
from crawler.jobs.download_job import client_headers_of, download_of, once_of
from crawler.jobs.findings import Finding, JobError, Mark
from crawler.jobs.identity import job_digests
from crawler.jobs.input_order import sampled, shuffled
from crawler.jobs.inputs import InputFile, Row, read_rows
from crawler.jobs.lines import InputError
from crawler.jobs.masking import mask_text, shown_tree
from crawler.jobs.network import guard_of
from crawler.jobs.nodes import Map, plain
from crawler.jobs.output_rules import report_name
from crawler.jobs.outputs import Naming, make_output
from crawler.jobs.paginate import Paginator
from crawler.jobs.politeness import politeness_of, stop_limits_of
from crawler.jobs.processors import chain
from crawler.jobs.recrawl_job import recrawl_of
from crawler.jobs.remote import RemoteLists
from crawler.jobs.requests import BadUrl, RequestMaker, RowError
from crawler.jobs.schema import JobFile
from crawler.jobs.service_schema import Network, Notify, Retention, Schedule
from crawler.jobs.transport_job import timeout_of, transport_options
from crawler.jobs.watch_rules import log_plan, telemetry_plan
from crawler.spider.crawl import Crawl

BENCH_TIMEOUT_S: Final = 30.0
"""Of a request of a benchmark, unless `timeout.total` says otherwise; without an end one hung server would hang it."""

MAX_HELD_BYTES: Final = 64 * 1024 * 1024
"""Of a body that checks or pagination look at; a larger one fails with `too_large`."""

MAX_TRACKED_KEYS: Final = 1_000_000
"""Keys of rows remembered to find duplicates of `input.key`, about 100 MB; later duplicates go unseen."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a job was made of.

    Attributes:
        tree: The merged tree, filled in.
        base: Folder that relative input paths start at.
        files: The input's files, found when the job was loaded.
        secrets: Values that are never shown.
    """

    tree: Map
    base: Path
    files: tuple[InputFile, ...] = ()
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Staff:
    """What a run works with, besides its plan.

    Attributes:
        items: The requests.
        processor: Looks at the pages, if anybody does.
        gate: Says which requests may go out, if anybody does.
        crawl: The one among the processors that follows links, for a job of kind `crawl`.
    """

    items: Iterator[Item]
    processor: Processor | None = None
    gate: Gate | None = None
    crawl: Crawl | None = None


class Job:
    """A checked job; made by the functions of `load` only.

    Attributes:
        name: Name of the job; part of the default output paths.
        kind: `fetch`, `download` or `crawl` (give `plan` and `staff` to the engine) or `bench` (`bench_job`).
        testbed: The run wants the embedded testbed; give its address to `items`.
        warnings: Findings that do not stop the run (a secret file that everyone may read).
        progress_mode: `progress.mode`.
        progress_interval: `progress.interval` in seconds.
        log: Where a log goes, if one is wanted.
        telemetry: What monitoring sees.
        workers: Processes that fetch.
        description, tags, contact: For people, and for filters.
        schedule, retention, notify, network: What the service goes by.
    """

    def __init__(self, name: str, model: JobFile, source: Source, warnings: Iterable[Finding] = ()) -> None:
        self.name = name
        self.kind: Literal["fetch", "download", "crawl", "bench"] = model.kind
        self.testbed = model.testbed
        self.warnings = tuple(warnings)
        self.progress_mode: Literal["auto", "bar", "lines", "none"] = model.progress.mode
        self.progress_interval = model.progress.interval
        self.log = log_plan(model.log)
        self.telemetry = telemetry_plan(model.telemetry)
        self.workers = cores(model.workers)
        self.description = model.description or ""
        self.tags = tuple(model.tags)
        self.contact = model.contact
        self.schedule: Schedule | None = model.schedule
        self.retention: Retention = model.retention
        self.notify: tuple[Notify, ...] = tuple(model.notify)
        self.network: Network = model.network
        self._model = model
        self._source = source

    def plan(
        self,
        *,
        out: str | os.PathLike[str] | None = None,
        run_id: str | None = None,
        begun: datetime | None = None,
        guard: Callable[[str], bool] | None = None,
    ) -> Plan:
        """Say how the engine is to run: limits, retries, outputs.

        Args:
            out: Folder that takes everything this job writes (`--out`): records by their file names, bodies under
                `files`, state under `state`. Default: as the job says, below `out/<name>`.
            run_id, begun: Name and first start of the run, where somebody else keeps them: paths are made from them.
            guard: Which addresses it may reach; default: as `network` says.
        """
        model, run_id = self._model, run_id or new_run_id()
        folder = Path(out) if out is not None else Path("out") / self.name
        return Plan(
            name=self.name,
            run_id=run_id,
            concurrency=model.concurrency,
            timeout=timeout_of(model),
            queue=model.timeout.queue,
            retry=self._retry(),
            politeness=politeness_of(model),
            stop=stop_limits_of(model),
            follow_redirects=model.redirects.follow and model.kind != "crawl",  # which finds them like links
            max_redirects=model.redirects.max,
            cross_host_redirects=model.redirects.cross_host,
            downgrade_redirects=model.redirects.downgrade,
            body=self._body(folder, moved=out is not None),
            download=download_of(model, self._source.base),
            bandwidth=model.bandwidth,
            client=self._client(guard or guard_of(model.network, public_only=False)),
            outputs=self._outputs(folder, run_id, begun, moved=out is not None),
            state_dir=Path(model.state.dir) if model.state.dir and out is None else folder / "state",
            durability=model.state.durability,
            input_id=self._input_id(),
            grace=model.stop.grace,
            checks=response_checks(self._model.checks),
            recrawl=recrawl_of(model),
            made_by=job_digests(self._source.tree),
            secrets=self._source.secrets,
        )

    def items(self, *, testbed_url: str | None = None, plan: Plan | None = None) -> Iterator[Item]:
        """Stream the job's requests in input order; never holds the whole input in memory.

        A row that gives no request becomes, by `input.on_bad_row`, an item that fails at once and says why in its
        record, nothing, or the end of the run.

        Args:
            testbed_url: Address of the running testbed, without a slash at the end. Without it (a dry run), URLs of the
                testbed stay as written.
            plan: As `plan` gave it: lists on servers are fetched by its rules and kept beside its state, so that a run
                that is gone on with reads the same.

        Raises:
            JobError: An input file cannot be read; or a bad row under `on_bad_row: fail`.
        """
        maker = self._maker(testbed_url)
        if self._model.input is None:
            for number, entry in enumerate(self._model.urls or (), 1):
                yield maker.from_entry(entry, number)
            return
        seen: set[int] | None = set() if self._model.input.key is not None else None
        try:
            for row in self._rows(self._remote(testbed_url, plan)):
                item = self._item(maker, row, seen)
                if item is not None:
                    yield item
        except InputError as exc:
            raise JobError([Finding(Mark("input"), str(exc))]) from exc

    def staff(self, plan: Plan, *, testbed_url: str | None = None, is_retry: bool = False) -> Staff:
        """Give what a run of the job works with, besides the plan.

        Args:
            plan: Of the run, made by `plan`.
            testbed_url: As for `items`.
            is_retry: Only what stands in the state is done; an input that can be read once only is left alone.

        Raises:
            JobError: The input of a crawl cannot be read.
        """
        items: Iterator[Item] = (
            iter(()) if is_retry and plan.input_id is None else self.items(testbed_url=testbed_url, plan=plan)
        )
        gate = gate_of(self._model, plan.politeness)
        others = self.processor(testbed_url=testbed_url)
        if self.kind != "crawl":
            return Staff(items, others, gate)
        state_file = None if plan.state_dir is None else plan.state_dir / STATE_FILE
        crawl = crawl_of(self._model, items, gate, state_file, testbed_url)
        return Staff(crawl.items(), chain([processor for processor in (others, crawl) if processor]), gate, crawl)

    def hands(self, plan: Plan, *, guard: Callable[[str], bool] | None, testbed_url: str | None = None) -> Hands:
        """Give what one process of several works with.

        Args:
            plan: Of the process, without `client` and `checks`.
            guard: Which addresses it may reach.
            testbed_url: As for `items`.
        """
        model = self._model
        plan = replace(plan, client=self._client(guard), checks=response_checks(model.checks))
        gate = gate_of(model, plan.politeness)
        others = self.processor(testbed_url=testbed_url)
        if self.kind != "crawl":
            return Hands(plan, others, gate)
        state_file = None if plan.state_dir is None else plan.state_dir / STATE_FILE
        items = self.items(testbed_url=testbed_url, plan=plan)
        crawl = crawl_of(model, items, gate, state_file, testbed_url, is_limited=False)
        return Hands(plan, chain([processor for processor in (others, crawl) if processor]), gate)

    def processor(self, *, testbed_url: str | None = None) -> Processor | None:
        """What looks at the pages of the run: what takes rows out, what names further pages; `None` if nobody does.

        Args:
            testbed_url: As for `items`.
        """
        model = self._model
        processors: list[Processor] = []
        if (extraction := extraction_of(model)) is not None:
            processors.append(extraction)
        if model.paginate is not None:
            processors.append(Paginator(model.paginate, self._maker(testbed_url).turn))
        return chain(processors)

    def _maker(self, testbed_url: str | None = None) -> RequestMaker:
        return RequestMaker(self._model, testbed_url, read_body_file(self._model, self._source.base))

    @property
    def needs_tls(self) -> bool:
        """Whether an arm of the benchmark speaks HTTP/2, which servers offer over TLS."""
        return any(cell.http_version == "2" for cell in expand(self._model.bench))

    def bench_job(
        self,
        *,
        out: str | os.PathLike[str] | None = None,
        testbed_url: str | None = None,
        testbed_ca: Path | None = None,
    ) -> BenchJob:
        """Say what the benchmark is to do (`kind: bench`); reads the whole input.

        Args:
            out: Folder that takes every report (`--out`).
            testbed_url: As for `items`.
            testbed_ca: PEM file with the authority of the testbed's certificate, if `testbed_url` is its TLS address.

        Raises:
            JobError: The input cannot be read, or its requests differ in more than the URL.
        """
        model, source = self._model, self._source
        items = list(islice(self.items(testbed_url=testbed_url), MAX_URLS + 1))
        request = one_request(items)
        ca_file = source.base / model.tls.ca_file if model.tls.ca_file else testbed_ca
        written = "total" in model.timeout.model_fields_set
        return BenchJob(
            name=self.name,
            urls=tuple(item.url for item in items),
            method=request.method,
            headers=(*RequestMaker(model).client_headers, *request.headers),
            body=request.body,
            timeout_s=model.timeout.total if written and model.timeout.total is not None else BENCH_TIMEOUT_S,
            verify=model.tls.verify,
            ca_file=ca_file,
            cells=cells_of(model.bench, testbed_url),
            settings=model.bench,
            seed=seed_of(model.bench),
            thresholds=tuple(model.thresholds.values()),
            reports=self._reports(Path(out) if out is not None else Path("out") / self.name, moved=out is not None),
        )

    def merged(self) -> dict[str, object]:
        """The job as one mapping, filled in, with secrets shown as `${NAME}` or `***`; defaults are left out."""
        return {"name": self.name, **shown_tree(self._source.tree, self._model)}

    def mask(self, text: str) -> str:
        """`text` with every secret of the job replaced by `***`."""
        return mask_text(text, self._source.secrets)

    def _rows(self, remote: RemoteLists) -> Iterator[Row]:
        """The rows that are wanted, in the order in which they are."""
        spec = self._model.input
        assert spec is not None
        rows: Iterator[Row] = islice(read_rows(self._source.files, remote), spec.offset, None)
        if spec.sample is not None:
            rows = sampled(rows, spec.sample, spec.seed)
        rows = islice(rows, spec.limit)
        return shuffled(rows, spec.shuffle, spec.seed) if spec.shuffle else rows

    def _remote(self, testbed_url: str | None, plan: Plan | None) -> RemoteLists:
        headers = RequestMaker(self._model).client_headers
        agent = tuple(header for header in headers if header[0].lower() == "user-agent")
        if plan is None:
            return RemoteLists(None, agent, testbed_url or "")
        return RemoteLists(plan.state_dir, agent, testbed_url or "", plan.client.guard)

    def _item(self, maker: RequestMaker, row: Row, seen: set[int] | None) -> Item | None:
        """The item of a row, None if it is to be passed over."""
        spec = self._model.input
        assert spec is not None
        try:
            item = maker.from_row(row)
            if seen is not None and item.key is not None:
                _refuse_duplicate(item.key, seen)
        except RowError as exc:
            if spec.on_bad_row == "fail":
                raise JobError([Finding(Mark(row.place), f"bad row: {exc}")]) from exc
            # With keys of the caller's own, a bare row number could be one of them.
            key = str(row.number) if spec.key is None else row.place
            return None if spec.on_bad_row == "skip" else _bad_item(row, key, exc)
        return item

    def _retry(self) -> RetryPolicy:
        retry = self._model.retry
        status = RETRIED_STATUS if retry.status is None else _expand_status(retry.status)
        return RetryPolicy(
            attempts=retry.attempts,
            rate_limit_attempts=retry.rate_limit_attempts,
            status=status,
            kinds=RETRIED_KINDS if retry.kinds is None else tuple(retry.kinds),
            base=retry.backoff.base,
            factor=retry.backoff.factor,
            max_backoff=retry.backoff.max,
            jitter=retry.backoff.jitter,
            retry_after=retry.retry_after,
            max_wait=retry.max_wait,
            budget=retry.budget,
            once=once_of(self._model),
        )

    def _body(self, folder: Path, *, moved: bool) -> BodyPolicy:
        body, download = self._model.body, self._model.download
        directory = Path(download.dir) if download.dir and not moved else folder / "files"
        return BodyPolicy(
            keep="none" if body.keep == "warc" else body.keep,  # an output of archives has its own way to them
            directory=directory if body.keep == "file" else None,
            memory_limit=body.memory_limit,
            max_size=body.max_size if download.max_size is None else download.max_size,
            inline_max=body.inline_max,
            decode=body.decode,
            hash=body.hash,
            fsync=download.fsync,
            hold=self._held(),
            must_hold=self._held() is not None and self.kind != "crawl",
        )

    def _held(self) -> int | None:
        """How much of a body the processors may need."""
        looked_at = any(check.looks_at_text for check in self._model.checks) or self._model.paginate is not None
        compared = MAX_COMPARED if self._model.recrawl.diff != "none" else 0
        most = max(MAX_HELD_BYTES if looked_at else 0, held_of(self._model) or 0, compared)
        return min(most, self._model.body.max_size or most) or None

    def _client(self, guard: Callable[[str], bool] | None) -> ClientOptions:
        tls = self._model.tls
        return ClientOptions(
            headers=(*RequestMaker(self._model).client_headers, *client_headers_of(self._model)),
            http1=self._model.http.version != "2",
            http2=self._model.http.version != "1.1",
            verify=tls.verify,
            ca_file=self._source.base / tls.ca_file if tls.ca_file else None,
            keepalive_expiry=self._model.http.keepalive,
            guard=guard,
            auth=auth_of(self._model),
            **transport_options(self._model, self._source.base),
        )

    def _outputs(self, folder: Path, run_id: str, begun: datetime | None, *, moved: bool) -> tuple[Output, ...]:
        naming = Naming(folder, moved, self.name, run_id, begun or datetime.now(UTC), self._model.contact)
        return tuple(make_output(section, naming, self._source.tree) for section in self._model.output)

    def _reports(self, folder: Path, *, moved: bool) -> tuple[ReportFile, ...]:
        if "output" not in self._model.model_fields_set:
            return tuple(ReportFile(form, folder / report_name(form)) for form in ("bench_json", "html", "hlog"))
        return tuple(ReportFile(form, path) for form, path in self._written(folder, new_run_id(), moved=moved))

    def _written(self, folder: Path, run_id: str, *, moved: bool) -> Iterator[tuple[str, Path]]:
        """Format and path of each report."""
        names = {"run_id": run_id, "run_date": datetime.now(UTC).strftime("%Y-%m-%d"), "name": self.name}
        for output in self._model.output:
            path = Path(output.path.fill(names)) if output.path is not None else Path(report_name(output.format))
            if output.path is None or (moved and str(path) != "-"):
                path = folder / path.name
            yield output.format, path

    def _input_id(self) -> str | None:
        """A name for the input as it is now; None if it cannot be told whether it changed (standard input)."""
        if any(file.is_stdin for file in self._source.files):
            return None
        tree = self._source.tree
        parts: list[object] = [
            plain(node) for key in ("urls", "input", "request") if (node := tree.get(key)) is not None
        ]
        body_file = read_body_file(self._model, self._source.base)
        if body_file is not None:
            parts.append(hashlib.blake2b(body_file.content, digest_size=16).hexdigest())
        for file in self._source.files:
            if file.path is None:  # on a server: a run reads the copy that it began with
                parts.append(file.url)
                continue
            try:
                stat = file.path.stat()
            except OSError:
                return None  # reading it will say what is wrong
            parts.append([str(file.path), stat.st_size, stat.st_mtime_ns])
        text = json.dumps(parts, sort_keys=True, default=str)
        return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _refuse_duplicate(key: str, seen: set[int]) -> None:
    digest = int.from_bytes(hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
    if digest in seen:
        raise RowError(f"the key {key[:80]!r} was used by an earlier row")
    if len(seen) < MAX_TRACKED_KEYS:
        seen.add(digest)


def _bad_item(row: Row, key: str, error: RowError) -> Item:
    """An item that no client can send, so that the row has its failed record with the reason in its `meta`.

    Its URL is the row's if that is what is wrong. Otherwise it is the reason: the row's own URL might be a good one.
    """
    reason = f"{row.place}: {error}"
    url = error.url if isinstance(error, BadUrl) and error.url else f"bad row {reason}"
    return Item(url=url[:500], key=key, meta={**row.fields, "bad_row": reason})


def _expand_status(statuses: Iterable[int | str]) -> frozenset[int]:
    expanded: set[int] = set()
    for status in statuses:
        expanded |= set(range(500, 600)) if isinstance(status, str) else {status}
    return frozenset(expanded)

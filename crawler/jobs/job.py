"""A job, ready to run: a checked model and what it was made of.

    files ──document, merge──▶ tree ──interpolate──▶ values ──check, rules──▶ Job ──▶ fanout.Plan, fanout.Item

`load_job` and `job_from_urls` (in `load`) make jobs; this file turns one into what the engine takes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final, Literal

from crawler.fanout import BodyPolicy, ClientOptions, Item, Output, Plan, RetryPolicy
from crawler.fanout.ids import new_run_id
from crawler.fanout.plan import RETRIED_KINDS, RETRIED_STATUS
from crawler.jobs.findings import Finding, JobError, Mark
from crawler.jobs.inputs import InputFile, Row, read_rows
from crawler.jobs.lines import InputError
from crawler.jobs.masking import mask_text, shown_tree
from crawler.jobs.nodes import Map, plain
from crawler.jobs.requests import BadUrl, RequestMaker, RowError
from crawler.jobs.schema import JobFile
from crawler.models import Timeout

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


class Job:
    """A checked job; made by `load_job` and `job_from_urls` only.

    Attributes:
        name: Name of the job; part of the default output paths.
        testbed: The run wants the embedded testbed; give its address to `items`.
        warnings: Findings that do not stop the run (a secret file that everyone may read).
        progress_mode: `progress.mode`.
        progress_interval: `progress.interval` in seconds.
    """

    def __init__(self, name: str, model: JobFile, source: Source, warnings: Iterable[Finding] = ()) -> None:
        self.name = name
        self.testbed = model.testbed
        self.warnings = tuple(warnings)
        self.progress_mode: Literal["auto", "bar", "lines", "none"] = model.progress.mode
        self.progress_interval = model.progress.interval
        self._model = model
        self._source = source

    def plan(self, *, out: str | os.PathLike[str] | None = None) -> Plan:
        """Say how the engine is to run: limits, retries, outputs.

        Args:
            out: Folder that takes everything this job writes (`--out`): records by their file names, bodies under
                `files`, state under `state`. Default: as the job says, below `out/<name>`.
        """
        model, run_id = self._model, new_run_id()
        folder = Path(out) if out is not None else Path("out") / self.name
        return Plan(
            name=self.name,
            run_id=run_id,
            concurrency=model.concurrency,
            timeout=Timeout(
                connect=model.timeout.connect,
                read=model.timeout.read,
                write=model.timeout.read,
                pool=None,
                total=model.timeout.total,
            ),
            retry=self._retry(),
            follow_redirects=model.redirects.follow,
            max_redirects=model.redirects.max,
            body=self._body(folder, moved=out is not None),
            client=self._client(),
            outputs=self._outputs(folder, run_id, moved=out is not None),
            state_dir=Path(model.state.dir) if model.state.dir and out is None else folder / "state",
            durability=model.state.durability,
            input_id=self._input_id(),
            grace=model.stop.grace,
        )

    def items(self, *, testbed_url: str | None = None) -> Iterator[Item]:
        """Stream the job's requests in input order; never holds the whole input in memory.

        A row that gives no request becomes, by `input.on_bad_row`, an item that fails at once and says why in its
        record, nothing, or the end of the run.

        Args:
            testbed_url: Address of the running testbed, without a slash at the end. Without it (a dry run), URLs of the
                testbed stay as written.

        Raises:
            JobError: An input file cannot be read; or a bad row under `on_bad_row: fail`.
        """
        maker = RequestMaker(self._model, testbed_url)
        if self._model.input is None:
            for number, entry in enumerate(self._model.urls or (), 1):
                yield maker.from_entry(entry, number)
            return
        seen: set[int] | None = set() if self._model.input.key is not None else None
        try:
            for row in self._rows():
                item = self._item(maker, row, seen)
                if item is not None:
                    yield item
        except InputError as exc:
            raise JobError([Finding(Mark("input"), str(exc))]) from exc

    def merged(self) -> dict[str, object]:
        """The job as one mapping, filled in, with secrets shown as `${NAME}` or `***`; defaults are left out."""
        return {"name": self.name, **shown_tree(self._source.tree, self._model)}

    def mask(self, text: str) -> str:
        """`text` with every secret of the job replaced by `***`."""
        return mask_text(text, self._source.secrets)

    def _rows(self) -> Iterator[Row]:
        spec = self._model.input
        assert spec is not None
        end = None if spec.limit is None else spec.offset + spec.limit
        return islice(read_rows(list(self._source.files)), spec.offset, end)

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
        )

    def _body(self, folder: Path, *, moved: bool) -> BodyPolicy:
        body, download = self._model.body, self._model.download
        directory = Path(download.dir) if download.dir and not moved else folder / "files"
        return BodyPolicy(
            keep=body.keep,
            directory=directory if body.keep == "file" else None,
            memory_limit=body.memory_limit,
            max_size=body.max_size,
            inline_max=body.inline_max,
            decode=body.decode,
            hash=body.hash,
            fsync=download.fsync,
        )

    def _client(self) -> ClientOptions:
        tls = self._model.tls
        return ClientOptions(
            headers=RequestMaker(self._model).client_headers,
            http1=self._model.http.version != "2",
            http2=self._model.http.version != "1.1",
            verify=tls.verify,
            ca_file=self._source.base / tls.ca_file if tls.ca_file else None,
            keepalive_expiry=self._model.http.keepalive,
        )

    def _outputs(self, folder: Path, run_id: str, *, moved: bool) -> tuple[Output, ...]:
        names = {"run_id": run_id, "run_date": datetime.now(UTC).strftime("%Y-%m-%d")}
        outputs = []
        for output in self._model.output:
            path = Path(output.path.fill(names)) if output.path is not None else Path("results.jsonl")
            if output.path is None or (moved and str(path) != "-"):
                path = folder / path.name
            outputs.append(Output(path, output.format))
        return tuple(outputs)

    def _input_id(self) -> str | None:
        """A name for the input as it is now; None if it cannot be told whether it changed (standard input)."""
        if any(file.path is None for file in self._source.files):
            return None
        tree = self._source.tree
        parts: list[object] = [
            plain(node) for key in ("urls", "input", "request") if (node := tree.get(key)) is not None
        ]
        for file in self._source.files:
            assert file.path is not None
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

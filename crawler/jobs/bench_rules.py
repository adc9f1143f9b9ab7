"""Rules between the keys of a benchmark, and between `kind` and the keys of the other kind.

A key of another kind is an error, not ignored: somebody believes that it does something.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from crawler.jobs.bench_cells import MAX_CELLS, count_cells, expand, matches
from crawler.jobs.bench_schema import Bench
from crawler.jobs.findings import Finding
from crawler.jobs.nodes import Items, Map, Node, Scalar, ScalarValue, dotted, locate
from crawler.jobs.output_schema import RECORD_FORMATS, REPORT_FORMATS
from crawler.jobs.schema import JobFile
from crawler.jobs.urls import url_problem

BENCH_ONLY: Final = ("bench", "thresholds")
_FETCH_ONLY: Final = {
    ("workers",): "each arm has a process of its own",
    ("concurrency",): "say how many at once by `vus` of each arm",
    ("per_host",): "a benchmark asks its one target as hard as each arm says",
    ("hosts",): "a benchmark asks its one target as hard as each arm says",
    ("rate",): "say `bench.rate`",
    ("bandwidth",): "a benchmark is as fast as it can",
    ("autothrottle",): "a benchmark asks its one target as hard as each arm says",
    ("circuit",): "a benchmark counts failures and goes on",
    ("retry",): "a benchmark sends each request once",
    ("redirects",): "a benchmark follows no redirects; give the final URL",
    ("http",): "say `http_version` of each arm",
    ("body",): "a benchmark reads bodies and keeps none",
    ("download",): "a benchmark keeps no bodies",
    ("state",): "a benchmark is not resumed",
    ("stop",): "a benchmark ends by `bench.requests` or `bench.duration`",
    ("timeout", "connect"): "a benchmark has `timeout.total` alone, which every client understands",
    ("timeout", "read"): "a benchmark has `timeout.total` alone, which every client understands",
    ("timeout", "queue"): "a benchmark has `timeout.total` alone, which every client understands",
    ("timeout", "dns"): "a benchmark has `timeout.total` alone, which every client understands",
    ("timeout", "tls"): "a benchmark has `timeout.total` alone, which every client understands",
    ("timeout", "ttfb"): "a benchmark has `timeout.total` alone, which every client understands",
    ("checks",): "a benchmark counts statuses and errors alone",
    ("paginate",): "a benchmark asks for the URLs it was given",
    ("dns",): "a benchmark asks one target",
    ("dedupe",): "a benchmark sends what it was told to, again and again",
    ("auth",): "give the header by `request.headers`",
    ("request", "cookies"): "give the header by `request.headers`",
    ("request", "proxy"): "a benchmark asks its target directly",
    ("request", "body_file"): "give the body by `request.body`",
    ("request", "idempotent"): "a benchmark sends each request once",
}


def kind_rules(tree: Map) -> Iterator[Finding]:
    """Keys that say nothing to the job's kind, and formats of the other one."""
    is_bench = _text(tree.get("kind")) == "bench"
    if is_bench:
        yield from _fetch_keys(tree)
        yield from _load(tree)
    else:
        for key in BENCH_ONLY:
            if key in tree.entries:
                yield Finding(tree.entries[key].key_mark, f"{key}: has no effect without `kind: bench`")
    output = tree.get("output")
    for node in output.values if isinstance(output, Items) else [output]:
        form = node.get("format") if isinstance(node, Map) else None
        known, other = (REPORT_FORMATS, RECORD_FORMATS) if is_bench else (RECORD_FORMATS, REPORT_FORMATS)
        if isinstance(form, Scalar) and form.value not in known and form.value in other:
            yield Finding(form.mark, f"output.format: a job of this kind writes {', '.join(known)}, not {form.value}")
        if is_bench and isinstance(node, Map) and "records" in node.entries:
            yield Finding(node.entries["records"].key_mark, "output.records: a benchmark has no records")


def _fetch_keys(tree: Map) -> Iterator[Finding]:
    for path, instead in _FETCH_ONLY.items():
        node: Node | None = tree
        for part in path:
            node = node.get(part) if isinstance(node, Map) else None
        if node is not None:
            yield Finding(
                locate(tree, path, key=True), f"{'.'.join(path)}: has no effect with `kind: bench`; {instead}"
            )
    urls = tree.get("urls")
    for entry in urls.values if isinstance(urls, Items) else [urls]:
        for key in ("path", "priority"):
            if isinstance(entry, Map) and key in entry.entries:
                yield Finding(entry.entries[key].key_mark, f"urls[].{key}: has no effect with `kind: bench`")


def _load(tree: Map) -> Iterator[Finding]:
    """How requests are started: each executor has its own keys."""
    bench = tree.get("bench")
    if not isinstance(bench, Map):
        return
    given = {key for key in bench.entries if not _is_null(bench.get(key))}
    executor = _text(bench.get("executor")) or "closed"

    def wrong(key: str, message: str) -> Finding:
        return Finding(bench.entries[key].key_mark, f"bench.{key}: {message}")

    if {"requests", "duration"} <= given:
        yield wrong("duration", "a round ends by `requests` or by `duration`, not by both")
    homes = {"requests": ("closed",), "duration": ("closed", "constant_rate"), "rate": ("constant_rate",)}
    homes |= {"stages": ("ramping_rate",), "max_vus": ("constant_rate", "ramping_rate")}
    for key, executors in homes.items():
        if key in given and executor not in executors and executor in ("closed", "constant_rate", "ramping_rate"):
            yield wrong(key, f"has no effect with `executor: {executor}`; it belongs to {' and '.join(executors)}")
    needed = {"constant_rate": "rate", "ramping_rate": "stages"}.get(executor)
    if needed is not None and needed not in given:
        yield Finding(locate(tree, ("bench", "executor")), f"bench.executor: {executor} needs `bench.{needed}`")
    stages = bench.get("stages")
    if executor == "ramping_rate" and isinstance(stages, Items) and not stages.values:
        yield Finding(stages.mark, "bench.stages: the list is empty")


def model_rules(tree: Map, model: JobFile) -> Iterator[Finding]:
    """What needs every arm: names, the size of the matrix, and who is meant by `baseline` and `thresholds`."""
    if model.kind != "bench":
        return
    bench = model.bench
    yield from _arms(tree, model)
    cells = count_cells(bench)
    if cells > MAX_CELLS:
        place = ("bench", "matrix")
        yield Finding(
            locate(tree, place, key=True),
            f"bench.matrix: with the arms it makes {cells} cells, and {MAX_CELLS} are allowed; leave out values",
        )
        return
    yield from _names(tree, model)


def _arms(tree: Map, model: JobFile) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, arm in enumerate(model.bench.arms or ()):
        place = ("bench", "arms", index)
        if arm.name in seen:
            yield _at(tree, (*place, "name"), f"arm {seen[arm.name]} has this name already")
        seen.setdefault(arm.name, index)
        if arm.engine == "sync" and arm.vus not in (None, 1):
            yield _at(tree, (*place, "vus"), "the engine `sync` has one user; for more, take `threads` or `async`")
        if arm.streams_per_connection is not None and not _may_be_h2(arm.http_version, model.bench):
            yield _at(tree, (*place, "streams_per_connection"), 'has no effect without `http_version: "2"`')
        problem = url_problem(arm.url, testbed=model.testbed) if arm.url is not None else None
        if problem:
            yield _at(tree, (*place, "url"), problem)


def _may_be_h2(version: str | None, bench: Bench) -> bool:
    return version == "2" if version is not None else "2" in bench.matrix.http_version


def _names(tree: Map, model: JobFile) -> Iterator[Finding]:
    cells = expand(model.bench)
    known = ", ".join(f"'{name}'" for name in dict.fromkeys(cell.group for cell in cells))
    if model.bench.baseline is not None and not matches(model.bench.baseline, cells):
        yield _at(tree, ("bench", "baseline"), f"there is no arm of this name; there are {known}")
    for key, threshold in model.thresholds.items():
        if not matches(threshold.arm, cells):
            mark = locate(tree, ("thresholds", key), key=True)
            yield Finding(mark, f"thresholds.{key}: there is no arm '{threshold.arm}'; there are {known}")


def _at(tree: Map, path: tuple[str | int, ...], message: str) -> Finding:
    return Finding(locate(tree, path), f"{dotted(path)}: {message}")


def _text(node: Node | None) -> str | None:
    return str(node.value) if isinstance(node, Scalar) and isinstance(node.value, str) else None


def _is_null(node: Node | None) -> bool:
    value: ScalarValue = node.value if isinstance(node, Scalar) else ""
    return value is None

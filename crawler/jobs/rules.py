"""Rules between keys: what no single value can tell.

They look at the tree, not at the model, and pass over what they do not understand: so they run, and their findings are
reported, even when single values are wrong as well.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Final

from crawler.jobs.auth_rules import auth_rules
from crawler.jobs.bench_rules import kind_rules
from crawler.jobs.crawl_rules import crawl_rules
from crawler.jobs.crew_rules import crew_rules
from crawler.jobs.download_rules import download_rules
from crawler.jobs.fields import loosen
from crawler.jobs.findings import Finding
from crawler.jobs.nodes import Items, Map, Node, Scalar, ScalarValue, locate
from crawler.jobs.paginate_rules import paginate_rules
from crawler.jobs.polite_rules import polite_rules
from crawler.jobs.service_rules import service_rules
from crawler.jobs.urls import url_problem
from crawler.jobs.watch_rules import watch_rules

FORBIDDEN_HEADERS: Final = frozenset(
    {
        "host",
        "content-length",
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers the client writes itself; a job that sets them could only break the framing (RFC 9110 §7.6.1)."""

_BODY_KEYS: Final = ("json", "form", "body", "body_file")
_SPARE_FILES: Final = 64
_HIDDEN: Final = "not a URL (not shown: it holds a secret)"


def check_rules(tree: Map) -> list[Finding]:
    """Every breach of a rule between keys."""
    return [finding for rule in _RULES for finding in rule(tree)]


def _value(tree: Node | None, *path: str) -> ScalarValue:
    """The plain value at `path`, None if there is none."""
    node = tree
    for part in path:
        node = node.get(part) if isinstance(node, Map) else None
    value = loosen(node.value) if isinstance(node, Scalar) else None
    return value if value is None or isinstance(value, str | int | float | bool) else None


def _has(tree: Map, *path: str) -> bool:
    node: Node | None = tree
    for part in path:
        node = node.get(part) if isinstance(node, Map) else None
    return node is not None


def _key_finding(tree: Map, path: tuple[str, ...], message: str) -> Finding:
    return Finding(locate(tree, path, key=True), f"{'.'.join(path)}: {message}")


def _one_source(tree: Map) -> Iterator[Finding]:
    has_urls, has_input = _has(tree, "urls"), _has(tree, "input")
    if has_urls and has_input:
        yield _key_finding(tree, ("input",), "a job has `urls` or `input`, not both")
    if not has_urls and not has_input and not _has(tree, "sitemaps", "urls"):
        yield Finding(tree.mark, "the job names no URLs: give `urls` or `input`")
    urls = tree.get("urls")
    if isinstance(urls, Items) and not urls.values:
        yield Finding(urls.mark, "urls: the list is empty")


def _urls(tree: Map) -> Iterator[Finding]:
    testbed = _value(tree, "testbed") is True
    urls = tree.get("urls")
    for entry in urls.values if isinstance(urls, Items) else [urls] if urls is not None else []:
        scalar = entry.get("url") if isinstance(entry, Map) else entry
        if isinstance(scalar, Scalar) and isinstance(scalar.value, str):
            problem = url_problem(scalar.value, testbed=testbed)
            if problem:
                yield Finding(scalar.mark, f"urls: {problem if scalar.shown is None else _HIDDEN}")
        if isinstance(entry, Map):
            yield from _request_rules(entry, "urls[]")


def _request(tree: Map) -> Iterator[Finding]:
    request = tree.get("request")
    if isinstance(request, Map):
        yield from _request_rules(request, "request")
    url = request.get("url") if isinstance(request, Map) else None
    if isinstance(url, Scalar) and isinstance(url.value, str) and not url.value.startswith("{"):
        problem = url_problem(url.value, testbed=_value(tree, "testbed") is True)
        if problem:
            yield Finding(url.mark, f"request.url: {problem if url.shown is None else _HIDDEN}")


def _request_rules(request: Map, name: str) -> Iterator[Finding]:
    bodies = [key for key in _BODY_KEYS if _has(request, key)]
    for extra in bodies[1:]:
        mark = request.entries[extra].key_mark
        yield Finding(mark, f"{name}.{extra}: a request has one body, and {name}.{bodies[0]} is one already")
    if bodies and name == "request" and not _has(request, "method"):
        mark = request.entries[bodies[0]].key_mark
        yield Finding(mark, f"{name}.{bodies[0]}: a body needs a method that carries it; add `method: POST`")
    headers = request.get("headers")
    for key, entry in headers.entries.items() if isinstance(headers, Map) else ():
        problem = header_problem(key)
        if problem:
            yield Finding(entry.key_mark, f"{name}.headers: {problem}")
        if isinstance(entry.node, Scalar) and isinstance(entry.node.value, str) and has_line_break(entry.node.value):
            yield Finding(entry.node.mark, f"{name}.headers.{key}: a header holds no line break")


def header_problem(name: str) -> str | None:
    """Why a job may not set the header `name`; None if it may."""
    if not name or not name.isascii() or any(c <= " " or c in '"(),/:;<=>?@[\\]{}\x7f' for c in name):
        return f"{name!r} is no header name"
    if name.lower() in FORBIDDEN_HEADERS:
        return f"{name} is written by the client itself and cannot be set"
    return None


def has_line_break(value: str) -> bool:
    """Whether `value` would break out of its header line."""
    return any(character in value for character in "\r\n\0")


def _effectless(tree: Map) -> Iterator[Finding]:
    """Keys that would do nothing beside the others are errors: somebody believes that they do something."""
    follows = _value(tree, "redirects", "follow")
    for key in ("max", "cross_host", "downgrade") if follows is False else ():
        if _has(tree, "redirects", key):
            yield _key_finding(tree, ("redirects", key), "has no effect with `follow: false`")
    if _value(tree, "tls", "verify") is False and _has(tree, "tls", "ca_file"):
        yield _key_finding(tree, ("tls", "ca_file"), "has no effect with `verify: false`")
    if _has(tree, "dedupe", "body_hash") and _value(tree, "dedupe", "by") in ("url", "none"):
        yield _key_finding(tree, ("dedupe", "body_hash"), "has no effect without `by: url_body`")
    if _has(tree, "dedupe", "headers") and _value(tree, "dedupe", "by") == "none":
        yield _key_finding(tree, ("dedupe", "headers"), "has no effect with `by: none`")
    if _has(tree, "dns", "servers") and importlib.util.find_spec("dns") is None:
        yield _key_finding(tree, ("dns", "servers"), "needs one more package: pip install 'crawler[dns]'")
    if _has(tree, "tls", "client_key") and not _has(tree, "tls", "client_cert"):
        yield _key_finding(tree, ("tls", "client_key"), "has no effect without `client_cert`")
    keep = _value(tree, "body", "keep")
    if keep != "inline" and _has(tree, "body", "inline_max"):
        yield _key_finding(tree, ("body", "inline_max"), "has no effect without `keep: inline`")
    if keep != "file" and _has(tree, "download") and _value(tree, "kind") != "download":
        yield _key_finding(tree, ("download",), "has no effect without `body: {keep: file}`")
    if _has(tree, "input", "seed") and not (_has(tree, "input", "sample") or _has(tree, "input", "shuffle")):
        yield _key_finding(tree, ("input", "seed"), "has no effect without `sample` or `shuffle`")
    if _has(tree, "input", "columns") and _value(tree, "input", "format") == "txt":
        yield _key_finding(tree, ("input", "columns"), "a text file has no columns")


def _backoff(tree: Map) -> Iterator[Finding]:
    if _value(tree, "retry", "attempts") == 1:
        for key in ("backoff", "status", "kinds", "budget"):
            if _has(tree, "retry", key):
                yield _key_finding(tree, ("retry", key), "has no effect with `attempts: 1`")


def _open_files(tree: Map) -> Iterator[Finding]:
    concurrency = _value(tree, "concurrency")
    limit = _open_file_limit()
    if isinstance(concurrency, int) and limit is not None and concurrency > limit - _SPARE_FILES:
        yield Finding(
            locate(tree, ("concurrency",)),
            f"concurrency: {concurrency} needs more open files than the {limit} this process may have; "
            f"set at most {limit - _SPARE_FILES}, or raise `ulimit -n`",
        )


def _open_file_limit() -> int | None:
    """The most files this process may open; its hard limit, to which a run may raise its own. None is no limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return None if hard == resource.RLIM_INFINITY else hard


_RULES: Final = (
    _one_source,
    _urls,
    _request,
    _effectless,
    _backoff,
    _open_files,
    auth_rules,
    paginate_rules,
    polite_rules,
    download_rules,
    crawl_rules,
    crew_rules,
    service_rules,
    watch_rules,
    kind_rules,
)

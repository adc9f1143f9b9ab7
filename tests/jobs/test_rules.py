from __future__ import annotations

import sys

import pytest

from crawler.jobs.document import parse_document
from crawler.jobs.rules import check_rules

URLS = "urls: [http://a/]\n"


def rules_of(text: str) -> list[str]:
    tree, findings = parse_document(text, "job.yaml")
    assert tree is not None
    assert findings == []
    return [str(finding) for finding in sorted(check_rules(tree))]


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("name: x", "1:1: the job names no URLs: give `urls` or `input`"),
        ("urls: []", "1:7: urls: the list is empty"),
        (URLS + "input: {path: x}", "2:1: input: a job has `urls` or `input`, not both"),
        ("urls: example.org", "1:7: urls: 'example.org' has no scheme; write https://example.org"),
        (
            "urls:\n  - url: /get",
            "2:10: urls: '/get' has no scheme and host; only a job with `testbed: true` takes such URLs",
        ),
        (
            URLS + "request: {url: 'ftp://{url}'}",
            "2:16: request.url: 'ftp://{url}': the scheme ftp: is not http or https",
        ),
        (
            URLS + "request: {json: 1, method: POST, form: {a: b}}",
            "2:34: request.form: a request has one body, and request.json is one already",
        ),
        (URLS + "request: {body: x}", "2:11: request.body: a body needs a method that carries it; add `method: POST`"),
        (
            URLS + "request: {headers: {host: x}}",
            "2:21: request.headers: host is written by the client itself and cannot be set",
        ),
        (
            "urls: [{url: http://a/, headers: {Content-Length: 1}}]",
            "1:35: urls[].headers: Content-Length is written by the client itself and cannot be set",
        ),
        (URLS + "request: {headers: {'a b': x}}", "2:21: request.headers: 'a b' is no header name"),
        (URLS + 'request: {headers: {A: "x\\r\\nB: y"}}', "2:24: request.headers.A: a header holds no line break"),
        (URLS + "redirects: {follow: false, max: 3}", "2:28: redirects.max: has no effect with `follow: false`"),
        (
            URLS + "redirects: {follow: false, downgrade: true}",
            "2:28: redirects.downgrade: has no effect with `follow: false`",
        ),
        (URLS + "tls: {verify: false, ca_file: x}", "2:22: tls.ca_file: has no effect with `verify: false`"),
        (URLS + "body: {inline_max: 1}", "2:8: body.inline_max: has no effect without `keep: inline`"),
        (URLS + "download: {dir: x}", "2:1: download: has no effect without `body: {keep: file}`"),
        ("input: {path: a, format: txt, columns: {url: x}}", "1:31: input.columns: a text file has no columns"),
        (URLS + "retry: {attempts: 1, backoff: {base: 1s}}", "2:22: retry.backoff: has no effect with `attempts: 1`"),
    ],
)
def test_each_rule(text: str, finding: str) -> None:
    """Each breach is said at its place, with what to do."""
    assert rules_of(text) == [f"job.yaml:{finding}"]


def test_rules_pass_over_what_they_do_not_understand() -> None:
    """Wrong types are the schema's business; the rules go on beside them."""
    text = (
        "urls: {a: [1]}\nrequest: [1]\nbody: 5\nretry: null\ntls: {verify: [x]}\nconcurrency: x\nredirects: {max: {}}\n"
    )
    assert rules_of(text) == []


@pytest.mark.skipif(sys.platform == "win32", reason="open-file limits")
def test_concurrency_fits_the_open_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """More requests than this process may have sockets is an error before the start."""
    import resource

    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, 256))
    assert rules_of("urls: [http://a/]\nconcurrency: 192\n") == []
    (finding,) = rules_of("urls: [http://a/]\nconcurrency: 193\n")
    assert finding.startswith("job.yaml:2:14: concurrency: 193 needs more open files than the 256")
    monkeypatch.setattr(resource, "getrlimit", lambda which: (256, resource.RLIM_INFINITY))
    assert rules_of("urls: [http://a/]\nconcurrency: 10000\n") == []

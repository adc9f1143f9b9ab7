"""Jobs that come through the API: what a stranger may ask for.

An allow-list of keys, because a key that is added to the job format must not become a hole by itself. A job of the API
names URLs and how to fetch them; it names no file, reads no variable of the environment, starts no program, and chooses
neither addresses nor proxies. What it writes lies in its run's folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import orjson

from crawler.jobs import Job, load_job
from crawler.service.errors import ServiceError

ALLOWED: Final = frozenset(
    {
        *("version", "name", "description", "kind", "contact", "tags", "vars", "urls", "request", "auth"),
        *("concurrency", "per_host", "hosts", "rate", "bandwidth", "autothrottle", "circuit", "timeout", "retry"),
        *("redirects", "http", "body", "download", "output", "stop", "robots", "crawl", "sitemaps", "dedupe"),
        *("paginate", "extract", "checks"),
    }
)
"""Top keys that a job of the API may have."""

FORBIDDEN: Final = frozenset(
    {
        *(
            "dir",
            "ca_file",
            "client_cert",
            "client_key",
            "body_file",
            "proxy",
            "checksums_from",
            "file",
            "cookies_file",
        ),
        *("servers", "cdxj", "append"),
    }
)
"""Keys that name files or ways out, wherever they stand."""

_KINDS: Final = ("fetch", "download", "crawl")
_FILE_REFERENCE: Final = "${file:"


class InlineRefused(ServiceError):
    """A job of the API asks for what only a job file may; `findings` says what, one sentence each."""

    def __init__(self, findings: list[str]) -> None:
        super().__init__("; ".join(findings[:20]))
        self.findings = findings


def check_inline(job: object) -> dict[str, object]:
    """Refuse what a job of the API may not ask for; gives the job.

    Raises:
        InlineRefused: With every finding.
    """
    if not isinstance(job, dict):
        raise InlineRefused(['`inline` is a job as a JSON object, like {"urls": ["https://example.com/"]}'])
    findings = [f"{key}: a job of the API cannot have this key" for key in job if key not in ALLOWED]
    if job.get("kind", "fetch") not in _KINDS:
        findings.append(f"kind: a job of the API is one of {', '.join(_KINDS)}")
    auth = job.get("auth")
    if isinstance(auth, dict) and auth.get("type") == "netrc":
        findings.append("auth.type: netrc reads a file of the service")
    findings += _look(job, "")
    if findings:
        raise InlineRefused(findings)
    return job


def _look(value: object, path: str) -> Iterator[str]:
    """What is forbidden at any depth."""
    if isinstance(value, dict):
        for key, part in value.items():
            # Data of the caller's own: names in there mean nothing to us, and texts are sent as they are.
            if key in FORBIDDEN and not path.startswith(("request.json", "request.form", "request.params", "vars")):
                yield f"{path}{key}: a job of the API cannot have this key"
            yield from _look(part, f"{path}{key}.")
    elif isinstance(value, list):
        for part in value:
            yield from _look(part, path)
    elif isinstance(value, str) and _FILE_REFERENCE in value:
        yield f"{path.rstrip('.')}: a job of the API cannot read files (${{file:…}})"
    if path == "output." and isinstance(value, dict):
        target = str(value.get("path", ""))
        if "/" in target or "\\" in target or target in ("..", "."):
            yield "output.path: a job of the API gives file names only; they lie in the run's folder"


def write_inline(job: dict[str, object], path: Path) -> Job:
    """Write the job into its run's folder, and check it there as any job file is checked, without an environment.

    Raises:
        JobError: With every finding.
        OSError: The disk refused.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(orjson.dumps(job, option=orjson.OPT_INDENT_2))
    path.chmod(0o600)
    return load_job(path, environment={})

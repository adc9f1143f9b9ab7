"""What tests of downloads share: a file, a plan, how it is run and what came of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from crawler.fanout import BodyPolicy, Item, Outcome, Output, Plan, RetryPolicy, Run, StopLimits
from crawler.fanout.download_policy import DownloadPolicy
from crawler.fanout.plan import CircuitPolicy, Politeness

DATA = bytes(range(256)) * 8192  # 2 MiB, twice the memory limit
SHA256 = hashlib.sha256(DATA).hexdigest()
ETAG = 'ETag: "v1"'
ONCE = frozenset({"range_mismatch", "changed_during_resume", "checksum_mismatch", "size_mismatch"})


def plan_of(folder: Path, body: dict[str, Any] | None = None, **policy: Any) -> Plan:
    """A durable plan of downloads."""
    retry = policy.pop("retry", RetryPolicy(attempts=4, base=0.001, max_backoff=0.002, once=ONCE, budget=None))
    stop = policy.pop("stop", StopLimits())
    return Plan(
        "files",
        outputs=(Output(folder / "out.jsonl"),),
        state_dir=folder / "state",
        concurrency=4,
        retry=retry,
        stop=stop,
        politeness=Politeness(circuit=CircuitPolicy(failures=None)),
        body=BodyPolicy(keep="file", directory=folder / "files", max_size=None, **(body or {})),
        download=DownloadPolicy(**policy),
    )


async def download(plan: Plan, *items: Item) -> tuple[Outcome, list[dict[str, Any]]]:
    """Run it; gives the records by key."""
    outcome = await Run(plan, items).execute()
    lines = plan.outputs[0].path.read_bytes().splitlines()
    return outcome, sorted((json.loads(line) for line in lines), key=lambda record: str(record["key"]))


def files(folder: Path) -> dict[str, int]:
    """Names and sizes of all files of bodies."""
    root = folder / "files"
    return {str(path.relative_to(root)): path.stat().st_size for path in root.rglob("*") if path.is_file()}


def head(status: str = "200 OK", length: int = len(DATA), *lines: str) -> bytes:
    """The head of a response."""
    return "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {length}", *lines, "", "")).encode()

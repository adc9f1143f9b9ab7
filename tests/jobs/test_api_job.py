"""The worked example of an API job, whole: a token, cursor pages, checks, orders as rows, against the testbed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anyio

from crawler.fanout import Run
from crawler.jobs import load_job
from crawler.testbed import Testbed

CONFIG = Path(__file__).parents[2] / "configs" / "orders-export.yaml"


def read(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows of an output."""
    (path,) = folder.glob(f"{name}.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_order_of_every_customer(tmp_path: Path) -> None:
    """Each order once, each page in a record of its own; one token for all; no secret anywhere."""
    job = load_job(CONFIG, environment={"CLIENT_SECRET": "open sesame"})
    with Testbed() as bed:
        run = Run(job.plan(out=tmp_path), job.items(testbed_url=bed.url), job.processor(testbed_url=bed.url))
        outcome = anyio.run(run.execute)
        tokens = bed.app.stats.paths["/api/token"]

    assert (outcome.exit_code, tokens) == (0, 1)
    records, rows = read(tmp_path, "requests-*"), read(tmp_path, "orders-*")
    orders = {(row["key"], row["order_id"]) for row in rows}
    assert len(orders) == len(rows) == sum(customer * 13 % 97 for customer in range(1, 25))
    assert max(record["page"] for record in records) == 5
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"sesame" not in file.read_bytes(), file

"""The report as CSV, for a spreadsheet or one's own statistics: a row per arm and round, and one over all rounds.

Numbers are in base units: seconds, bytes, requests per second. A field is empty where nothing was measured.
"""

from __future__ import annotations

import csv
import io
from typing import Final

from crawler.bench.result import ArmResult, BenchResult, RoundResult

COLUMNS: Final = (
    "arm", "round", "engine", "client", "http_version", "vus", "requests", "errors", "error_ratio", "dropped", "bytes",
    "rate", "rate_low", "rate_high", "p50", "p90", "p95", "p99", "p99.9", "max", "mean", "cpu", "cpu_per_request",
    "rss_max", "loop_lag_p99", "speedup", "speedup_low", "speedup_high", "verdict", "client_limited",
)  # fmt: skip
"""In this order; `round` is `all` for the row over all rounds."""


def csv_text(result: BenchResult) -> str:
    """Write all rows, with a head, lines ended by CRLF (RFC 4180)."""
    target = io.StringIO(newline="")
    writer = csv.DictWriter(target, COLUMNS, restval="")
    writer.writeheader()
    for arm in result.arms:
        writer.writerow(_over_all(arm))
        writer.writerows(_one_round(arm, round_) for round_ in arm.rounds)
    return target.getvalue()


def _over_all(arm: ArmResult) -> dict[str, object]:
    times = arm.response_time
    return {
        **_who(arm),
        "round": "all",
        "requests": arm.requests,
        "errors": arm.errors.count,
        "error_ratio": arm.errors.ratio,
        "dropped": arm.dropped.count,
        "bytes": arm.bytes,
        "rate": arm.rate.median,
        "rate_low": arm.rate.low,
        "rate_high": arm.rate.high,
        **{name: times.percentiles.get(name) for name in ("p50", "p90", "p95", "p99", "p99.9")},
        "max": times.max,
        "mean": times.mean,
        "cpu": arm.cpu,
        "cpu_per_request": arm.cpu_per_request,
        "rss_max": arm.rss_max,
        "loop_lag_p99": arm.loop_lag_p99,
        "speedup": arm.speedup.ratio,
        "speedup_low": arm.speedup.low,
        "speedup_high": arm.speedup.high,
        "verdict": arm.speedup.verdict,
        "client_limited": str(arm.client_limited).lower(),
    }


def _one_round(arm: ArmResult, round_: RoundResult) -> dict[str, object]:
    return {
        **_who(arm),
        "round": round_.round,
        "requests": round_.requests,
        "errors": round_.errors,
        "error_ratio": round_.errors / round_.requests if round_.requests else None,
        "dropped": round_.dropped,
        "bytes": round_.bytes,
        "rate": round_.rate,
        **{name: round_.response_time.get(name) for name in ("p50", "p90", "p95", "p99", "mean")},
        "cpu": round_.cpu,
        "cpu_per_request": round_.cpu_per_request,
        "rss_max": round_.rss_max,
        "loop_lag_p99": round_.loop_lag_p99,
    }


def _who(arm: ArmResult) -> dict[str, object]:
    return {
        "arm": arm.name,
        "engine": arm.engine,
        "client": arm.client,
        "http_version": arm.http_version,
        "vus": arm.vus,
    }

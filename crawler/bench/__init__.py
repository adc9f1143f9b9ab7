"""Benchmarks of client strategies: arms side by side, in rounds, with intervals and guards."""

from crawler.bench.errors import BenchError
from crawler.bench.live import LiveStats
from crawler.bench.plan import TLS, Arm, BenchPlan, Executor, Guard, PlanError, RequestSpec, Stage
from crawler.bench.result import (
    PHASES,
    SCHEMA,
    ArmResult,
    BenchResult,
    BreakEven,
    Distribution,
    Dropped,
    Environment,
    Errors,
    Finding,
    HistogramLine,
    Interval,
    Outcome,
    RoundResult,
    Second,
    Speedup,
    Target,
    Verdict,
)
from crawler.bench.run import BenchRun

__all__ = [
    "PHASES",
    "SCHEMA",
    "TLS",
    "Arm",
    "ArmResult",
    "BenchError",
    "BenchPlan",
    "BenchResult",
    "BenchRun",
    "BreakEven",
    "Distribution",
    "Dropped",
    "Environment",
    "Errors",
    "Executor",
    "Finding",
    "Guard",
    "HistogramLine",
    "Interval",
    "LiveStats",
    "Outcome",
    "PlanError",
    "RequestSpec",
    "RoundResult",
    "Second",
    "Speedup",
    "Stage",
    "Target",
    "Verdict",
]

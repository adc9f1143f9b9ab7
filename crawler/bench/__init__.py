"""Benchmarks of client strategies: arms side by side, in rounds, with intervals and guards."""

from crawler.bench.errors import BenchError
from crawler.bench.live import LiveStats
from crawler.bench.plan import TLS, Arm, BenchPlan, Executor, Guard, PlanError, RequestSpec, Stage
from crawler.bench.result import (
    PHASES,
    SCHEMA,
    ArmResult,
    BenchResult,
    Distribution,
    Dropped,
    Environment,
    Errors,
    Finding,
    Interval,
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
    "Distribution",
    "Dropped",
    "Environment",
    "Errors",
    "Executor",
    "Finding",
    "Guard",
    "Interval",
    "LiveStats",
    "PlanError",
    "RequestSpec",
    "RoundResult",
    "Second",
    "Speedup",
    "Stage",
    "Target",
    "Verdict",
]

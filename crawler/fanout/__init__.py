"""The fan-out engine: many requests through one client, capped, retried, recorded once."""

from crawler.fanout.plan import (
    BodyPolicy,
    ClientOptions,
    Item,
    Outcome,
    Output,
    Plan,
    RetryPolicy,
    RunState,
    StopReason,
)
from crawler.fanout.run import Run
from crawler.fanout.stats import ErrorCount, HostCount, Stats

__all__ = [
    "BodyPolicy",
    "ClientOptions",
    "ErrorCount",
    "HostCount",
    "Item",
    "Outcome",
    "Output",
    "Plan",
    "RetryPolicy",
    "Run",
    "RunState",
    "Stats",
    "StopReason",
]

"""The fan-out engine: many requests through one client, capped, retried, recorded once."""

from crawler.fanout.completed import AsCompleted
from crawler.fanout.errors import OutputError, RunError, StateChanged, StateDamaged, StateLocked
from crawler.fanout.fetch import HTTPClient
from crawler.fanout.gather import as_completed, fetch_all, gather
from crawler.fanout.pages import UNKNOWN, Findings, Gate, Page, Processor, Unknown
from crawler.fanout.plan import (
    BodyPolicy,
    CircuitPolicy,
    ClientOptions,
    HostLimits,
    HostRule,
    Item,
    Outcome,
    Output,
    Plan,
    Politeness,
    RetryPolicy,
    RunState,
    StopLimits,
    StopReason,
)
from crawler.fanout.result import Result
from crawler.fanout.run import Run
from crawler.fanout.stats import ErrorCount, HostCount, Stats

__all__ = [
    "UNKNOWN",
    "AsCompleted",
    "BodyPolicy",
    "CircuitPolicy",
    "ClientOptions",
    "ErrorCount",
    "Findings",
    "Gate",
    "HTTPClient",
    "HostCount",
    "HostLimits",
    "HostRule",
    "Item",
    "Outcome",
    "Output",
    "OutputError",
    "Page",
    "Plan",
    "Politeness",
    "Processor",
    "Result",
    "RetryPolicy",
    "Run",
    "RunError",
    "RunState",
    "StateChanged",
    "StateDamaged",
    "StateLocked",
    "Stats",
    "StopLimits",
    "StopReason",
    "Unknown",
    "as_completed",
    "fetch_all",
    "gather",
]

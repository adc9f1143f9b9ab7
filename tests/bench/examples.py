"""A result made by hand, for the tests of what is made of results."""

from __future__ import annotations

from typing import Any

from crawler.bench import (
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

HOSTILE = '</script><img src=x onerror="alert(1)">|`*&'
"""A text that would break out of HTML, Markdown or an attribute."""


def times(scale: float, count: int = 1000) -> Distribution:
    """Response times around `scale` seconds; the highest percentiles were not measured."""
    return Distribution(
        count=count,
        mean=scale,
        max=4 * scale,
        percentiles={"p50": scale, "p90": 2 * scale, "p99": 3 * scale, "p99.9": None},
        buckets=((scale / 2, count // 4), (scale, count // 4), (2 * scale, count // 2)),
    )


def rounds(rate: float, p50: float, number: int = 5) -> tuple[RoundResult, ...]:
    """Rounds that differ by a per cent or so."""
    return tuple(
        RoundResult(
            round=place,
            duration=2.0,
            requests=200,
            errors=0,
            dropped=0,
            bytes=4096,
            rate=rate * (1 + 0.004 * place),
            response_time={"mean": p50, "p50": p50 * (1 + 0.003 * place), "p90": 2 * p50, "p95": None, "p99": 3 * p50},
            cpu=0.25,
            cpu_per_request=0.0002 * (1 + 0.01 * place),
            rss_max=30_000_000 + place,
            rss_start=20_000_000,
            loop_lag_p99=0.001,
        )
        for place in range(number)
    )


def arm(name: str, rate: float, p50: float, verdict: Verdict = "faster", /, **more: Any) -> ArmResult:
    """An arm; `more` replaces fields."""
    ratio = rate / 20
    fields: dict[str, Any] = {
        "name": name,
        "engine": "async",
        "client": "crawler",
        "http_version": "1.1",
        "vus": 6,
        "requests": 1000,
        "errors": Errors(),
        "rate": Interval(rate, 0.95 * rate, 1.05 * rate),
        "response_time": times(p50),
        "cpu_per_request": 0.0002,
        "rss_max": 30_000_000,
        "speedup": Speedup(ratio, 0.9 * ratio, 1.1 * ratio, verdict, 0.004, "rate", "sync"),
        "cpu": 0.25,
        "loop_lag_p99": 0.001,
        "phases": {"connect": times(p50 / 100, 10), "ttfb": times(p50 * 0.9), "receive": times(p50 * 0.1)},
        "rounds": rounds(rate, p50),
        "timeline": tuple(Second(0, second, int(rate), 0, p50, 2 * p50) for second in range(5)),
        "group": name,
        "versions": {"crawler": "1.2.3"},
    }
    return ArmResult(**{**fields, **more})


def result(*arms: ArmResult, **more: Any) -> BenchResult:
    """A result of `sync` against `async`, or of the arms given; `more` replaces fields."""
    fields: dict[str, Any] = {
        "name": "example",
        "baseline": "sync",
        "environment": Environment(
            crawler="1.2.3",
            python="3.11.7",
            implementation="CPython",
            platform="Linux x86_64",
            kernel="6.1",
            cpu="A CPU",
            cores=2,
            event_loop="uvloop 0.23",
            openssl="3.0",
            load_average=0.5,
            nofile=1024,
        ),
        "target": Target(("http://127.0.0.1:8008/delay/50ms",)),
        "executor": {"kind": "closed", "requests": 200, "max_vus": 1000},
        "rounds": 5,
        "seed": 7,
        "min_effect": 0.05,
        "confidence": 0.95,
        "started_at": "2026-11-21T06:00:00.000Z",
        "finished_at": "2026-11-21T06:00:42.500Z",
        "arms": arms or (arm("sync", 20, 0.05, "baseline", engine="sync", vus=1), arm("async", 120, 0.05)),
    }
    return BenchResult(**{**fields, **more})


def hostile() -> BenchResult:
    """A result whose every text from outside is `HOSTILE`, with errors, findings and dropped starts."""
    bad = arm(
        HOSTILE,
        50,
        0.02,
        "client_limited",
        errors=Errors(10, 0.01, {HOSTILE: 10}),
        dropped=Dropped(5, 0.005),
        findings=(Finding("cpu", 0.95, 0.9, HOSTILE),),
        client_limited=True,
        versions={"crawler": HOSTILE},
        speedup=Speedup(2.5, 2.4, 2.6, "client_limited", 0.01, "rate", HOSTILE),
    )
    return result(bad, name=HOSTILE, target=Target((f"http://h/{HOSTILE}",)), planned_rounds=9)

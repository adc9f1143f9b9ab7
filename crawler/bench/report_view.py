"""What is said about a result, in words and cells: the terminal, Markdown and HTML show the same.

    BenchResult ─▶ view() ─▶ View ─▶ report_text, report_markdown, report_html

Names and URLs in it came from a job file; each writer escapes them for its own format.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from crawler.bench.plan import MIN_ROUNDS
from crawler.bench.result import ArmResult, BenchResult, BreakEven, Outcome
from crawler.report import units
from crawler.report.page import Table

CLOSED_NOTE: Final = (
    "Closed load: each virtual user waits for an answer before it asks again, so a server that stalls is asked less "
    "often while it stalls, and the slow answers are under-counted (coordinated omission). Use an open executor "
    "(constant_rate) for questions about latency."
)
OPEN_NOTE: Final = (
    "Open load: response times count from the instant a request was due, not from when it was sent, so a stall counts "
    "for every request that had to wait behind it (no coordinated omission)."
)

_VERDICTS: Final = {
    "baseline": "baseline",
    "client_limited": "client limited",
    "too_few_rounds": "too few rounds",
    "no_data": "no data",
}


@dataclass(frozen=True, slots=True)
class View:
    """A result in words.

    Attributes:
        title: Name of the benchmark.
        headline: Who was faster than the baseline, one sentence each, and from how many at once on.
        about: Label and text: target, load, rounds, machine.
        arms: The main table: rate, speed-up and latency of each arm.
        break_even: From how many requests at once each arm beats the baseline; empty without a matrix over `vus`.
        costs: CPU and memory of the client, lag, bytes.
        thousand: CPU and memory of the client for 1,000 requests.
        percentiles: All of them, of the response times.
        starts: Open load: response times beside service times, and what lies between; empty for closed load.
        errors: Each kind with its arm; empty without errors.
        notes: What to know before believing it: coordinated omission, guards, too few rounds, an early end.
        breaches: Thresholds that do not hold.
        thresholds: All of them with what was measured; empty without any.
        is_partial: It was ended early.
    """

    title: str
    headline: tuple[str, ...]
    about: tuple[tuple[str, str], ...]
    arms: Table
    break_even: Table
    costs: Table
    thousand: Table
    percentiles: Table
    starts: Table
    errors: Table
    notes: tuple[str, ...]
    breaches: tuple[str, ...]
    thresholds: Table
    is_partial: bool


def view(result: BenchResult) -> View:
    """Choose what is said of a result, and how."""
    sentences = [_sentence(arm) for arm in result.arms if arm.speedup.verdict not in ("baseline", "no_data")]
    return View(
        title=result.name,
        headline=(*sentences, *map(_even_sentence, result.break_even)),
        about=_about(result),
        arms=_arm_table(result),
        break_even=_even_table(result),
        costs=_cost_table(result),
        thousand=_thousand_table(result),
        percentiles=_percentile_table(result),
        starts=_start_table(result),
        errors=_error_table(result),
        notes=tuple(_notes(result)),
        breaches=tuple(map(_breach, result.breaches)),
        thresholds=_threshold_table(result),
        is_partial=result.is_partial,
    )


def verdict(arm: ArmResult) -> str:
    """The verdict in words."""
    return _VERDICTS.get(arm.speedup.verdict, arm.speedup.verdict)


def is_open(result: BenchResult) -> bool:
    """Whether requests started by a timetable."""
    return result.executor.get("kind") != "closed"


def _sentence(arm: ArmResult) -> str:
    speed = arm.speedup
    interval = units.times_range(speed.low, speed.high)
    against = f"{speed.baseline}: {units.times(speed.ratio)} ({interval})"
    match speed.verdict:
        case "faster" | "slower":
            return f"{arm.name} is {speed.verdict} than {against}"
        case "no difference":
            return f"{arm.name}: no difference to {against}"
        case "client_limited":
            return f"{arm.name}: no verdict against {against}; the client was the limit"
        case "too_few_rounds" if speed.rounds_needed is not None:
            return f"{arm.name}: no verdict against {against}; too few rounds, {speed.rounds_needed} would do"
        case _:
            return f"{arm.name}: no verdict against {against}; {verdict(arm)}"


def _even_sentence(even: BreakEven) -> str:
    name = _even_name(even)
    if even.vus is None:
        return f"{name} is not faster than {even.baseline} at any number at once that was measured"
    return f"{name} beats {even.baseline} from {units.count(even.vus)} at once"


def _even_name(even: BreakEven) -> str:
    inside = ",".join(f"{key}={value}" for key, value in even.matrix.items())
    return f"{even.group}[{inside}]" if inside else even.group


def _about(result: BenchResult) -> tuple[tuple[str, str], ...]:
    machine = result.environment
    urls = list(result.target.urls)
    shown = ", ".join(urls[:3]) + (f" and {units.count(len(urls) - 3)} more" if len(urls) > 3 else "")
    load = f", load average {machine.load_average:.2f} before" if machine.load_average is not None else ""
    percent = f"{100 * result.confidence:g} %"
    files = "unlimited" if machine.nofile is None else units.count(machine.nofile)
    return (
        ("target", f"{result.target.method} {shown}"),
        ("load", _load(result)),
        ("rounds", f"{result.rounds} of each arm, seed {result.seed}; medians with {percent} intervals over rounds"),
        ("when", _period(result)),
        ("machine", f"{machine.cpu}, {units.count(machine.cores)} cores, {machine.platform}, {machine.kernel}{load}"),
        ("software", f"crawler {machine.crawler}, {machine.implementation} {machine.python}, {machine.event_loop}"),
        ("limits", f"{files} open files; {machine.openssl}"),
    )


def _load(result: BenchResult) -> str:
    executor = result.executor
    kind = str(executor.get("kind"))
    if executor.get("requests"):
        return f"{kind}, {units.count(int(executor['requests']))} requests per round"
    if executor.get("stages"):
        legs = ", ".join(f"{leg['rate']:g}/s in {units.time(leg['duration'])}" for leg in executor["stages"])
        return f"{kind}: {legs}; at most {executor['max_vus']} in flight"
    seconds = units.time(executor.get("duration"))
    if executor.get("rate"):
        return f"{kind}: {executor['rate']:g}/s for {seconds} per round, at most {executor['max_vus']} in flight"
    return f"{kind}, {seconds} per round"


def _period(result: BenchResult) -> str:
    start, end = (datetime.fromisoformat(text) for text in (result.started_at, result.finished_at))
    return f"{start:%Y-%m-%d %H:%M:%S} UTC, took {units.time(max(0.0, (end - start).total_seconds()))}"


def _arm_table(result: BenchResult) -> Table:
    rows = tuple(
        (
            arm.name,
            units.rate(arm.rate.median),
            units.rate_range(arm.rate.low, arm.rate.high),
            units.times(arm.speedup.ratio),
            units.times_range(arm.speedup.low, arm.speedup.high),
            verdict(arm),
            units.time(arm.response_time.percentiles.get("p50")),
            units.time(arm.response_time.percentiles.get("p99")),
            f"{units.count(arm.errors.count)} ({units.share(arm.errors.ratio)})" if arm.errors.count else "0",
        )
        for arm in result.arms
    )
    head = ("arm", "rate", "interval", "speed-up", "interval", "verdict", "p50", "p99", "errors")
    return Table(head, rows, frozenset({0, 5}))


def _even_table(result: BenchResult) -> Table:
    rows = tuple(
        (
            _even_name(even),
            even.baseline,
            units.NONE if even.vus is None else units.count(even.vus),
            units.NONE if even.below is None else units.count(even.below),
            ", ".join(map(units.count, even.measured)),
        )
        for even in result.break_even
    )
    return Table(("arm", "against", "faster from", "not yet at", "measured"), rows, frozenset({0, 1}))


def _cost_table(result: BenchResult) -> Table:
    opened = is_open(result)
    head = (
        "arm",
        "engine",
        "client",
        "HTTP",
        "vus",
        "requests",
        "CPU per request",
        "CPU",
        "peak memory",
        "loop lag p99",
    )
    rows = tuple(
        (
            arm.name,
            arm.engine + ("" if arm.reuse else ", no reuse"),
            _client(arm),
            arm.http_version,
            str(arm.vus) if not opened else str(result.executor.get("max_vus", "")),
            units.count(arm.requests),
            units.time(arm.cpu_per_request),
            units.NONE if arm.cpu is None else f"{100 * arm.cpu:.0f} %",
            units.size(arm.rss_max),
            units.time(arm.loop_lag_p99),
            *((f"{units.count(arm.dropped.count)} ({units.share(arm.dropped.ratio)})",) if opened else ()),
        )
        for arm in result.arms
    )
    return Table((*head, "dropped") if opened else head, rows, frozenset({0, 1, 2}))


def _thousand_table(result: BenchResult) -> Table:
    rows = tuple(
        (
            arm.name,
            units.time(arm.cpu_per_1000),
            units.NONE if arm.rss_per_1000 is None else units.size(round(arm.rss_per_1000)),
        )
        for arm in result.arms
    )
    return Table(("arm", "CPU for 1,000 requests", "memory for 1,000 requests"), rows)


def _client(arm: ArmResult) -> str:
    version = arm.versions.get(arm.client, "")
    return f"{arm.client} {version}".rstrip()


def _percentile_table(result: BenchResult) -> Table:
    names = sorted(
        {name for arm in result.arms for name in arm.response_time.percentiles}, key=lambda name: float(name[1:])
    )
    rows = tuple(
        (
            arm.name,
            *(units.time(arm.response_time.percentiles.get(name)) for name in names),
            units.time(arm.response_time.max),
            units.time(arm.response_time.mean),
        )
        for arm in result.arms
    )
    return Table(("arm", *names, "max", "mean"), rows)


def _start_table(result: BenchResult) -> Table:
    """From the instant a request was due, from when it was sent, and the wait between: only a timetable tells them."""
    head = ("arm", "response p50", "p99", "service p50", "p99", "send delay p99", "max")
    if not is_open(result):
        return Table(head, ())
    rows = tuple(
        (
            arm.name,
            *(units.time(arm.response_time.percentiles.get(name)) for name in ("p50", "p99")),
            *(units.time(arm.service_time.percentiles.get(name)) for name in ("p50", "p99")),
            units.time(arm.send_delay.percentiles.get("p99")),
            units.time(arm.send_delay.max),
        )
        for arm in result.arms
    )
    return Table(head, rows)


def _error_table(result: BenchResult) -> Table:
    rows = tuple(
        (arm.name, kind, units.count(number), units.share(number / arm.requests if arm.requests else None))
        for arm in result.arms
        for kind, number in sorted(arm.errors.kinds.items(), key=lambda item: -item[1])
    )
    return Table(("arm", "kind", "requests", "share"), rows, frozenset({0, 1}))


def _notes(result: BenchResult) -> list[str]:
    notes = [OPEN_NOTE if is_open(result) else CLOSED_NOTE]
    if result.is_partial:
        notes.insert(
            0,
            f"Ended early: {result.rounds} of {result.planned_rounds} rounds are whole; what they gave stands here.",
        )
    if few := [arm.speedup.rounds_needed or MIN_ROUNDS for arm in result.arms if _has_few_rounds(arm)]:
        notes.append(
            f"Too few rounds for a verdict: {max(few)} would do. The rank test is corrected for the number of arms "
            "(Holm), so more arms take more rounds."
        )
    notes += [f"{arm.name}: {finding.message}" for arm in result.arms for finding in arm.findings]
    if any(arm.client_limited for arm in result.arms):
        notes.append(
            "Where a guard was hit the client was measured rather than the server; such an arm cannot win a comparison."
        )
    if any(value is None for arm in result.arms for value in arm.response_time.percentiles.values()):
        notes.append("A percentile with fewer than ten samples above it is chance and is shown as –.")
    return notes


def _has_few_rounds(arm: ArmResult) -> bool:
    return arm.speedup.verdict == "too_few_rounds"


def _breach(breach: Outcome) -> str:
    measured = "was not measured" if breach.value is None else f"is {_in_unit(breach)}"
    return f"{breach.arm}: {breach.metric} {measured}; wanted {breach.threshold}"


def _threshold_table(result: BenchResult) -> Table:
    rows = tuple(
        (row.threshold, row.arm, units.NONE if row.value is None else _in_unit(row), "holds" if row.holds else "broken")
        for row in result.thresholds
    )
    return Table(("threshold", "arm", "measured", "outcome"), rows, frozenset({0, 1, 3}))


def _in_unit(outcome: Outcome) -> str:
    name, value = outcome.metric, outcome.value
    if name.startswith(("response_time", "service_time", "send_delay", "cpu_per_request", "loop_lag")):
        return units.time(value)
    if name.startswith("rate"):
        return units.rate(value)
    if name.endswith(".ratio"):
        return units.share(value)
    if name in ("rss_max", "bytes"):
        return units.size(value)
    return units.NONE if value is None else units.digits(value)

"""What the rounds gave, for people (a table on the terminal, Markdown for the documents) and programs (JSON)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.chart import Bar, bar_chart
from benchmarks.loads import Sample
from benchmarks.rounds import NOT_INSTALLED, ROOT, Outcome
from benchmarks.rows import OURS, ROWS, UNITS, Goal

BEGIN: Final = "<!-- benchmarks: begin (python -m benchmarks --update-docs) -->"
END: Final = "<!-- benchmarks: end -->"
CHART: Final = "docs/benchmarks.svg"
CHARTED: Final = "get"
CEILINGS: Final = frozenset({"wrk", "h2load"})  # load generators, no clients: the chart leaves them out


@dataclass(frozen=True)
class Report:
    """A run of the benchmarks.

    Attributes:
        machine: Where it ran.
        versions: Of the packages.
        settings: Seconds of each measurement, rounds.
        outcomes: One per row.
    """

    machine: dict[str, str]
    versions: dict[str, str]
    settings: dict[str, float]
    outcomes: Sequence[Outcome]

    # --- for programs ---

    def dump(self) -> str:
        """All samples and what follows from them, as JSON."""
        rows = [
            {
                "name": outcome.row.name,
                "title": outcome.row.title,
                "figure": outcome.row.figure,
                "unit": UNITS[outcome.row.figure],
                "medians": {label: outcome.median(label) for label in outcome.samples},
                "samples": {label: [asdict(sample) for sample in taken] for label, taken in outcome.samples.items()},
                "left_out": outcome.left_out,
                "goals": [_goal_fields(outcome, goal) for goal in outcome.row.goals],
            }
            for outcome in self.outcomes
        ]
        parts = {"machine": self.machine, "versions": self.versions, "settings": self.settings, "rows": rows}
        return json.dumps(parts, indent=1) + "\n"

    @classmethod
    def parse(cls, text: str) -> Report:
        """Read what `dump` gave; the goals are those of today."""
        parts = json.loads(text)
        by_name = {row.name: row for row in ROWS}
        outcomes = [
            Outcome(
                by_name[found["name"]],
                {label: [Sample(**sample) for sample in taken] for label, taken in found["samples"].items()},
                found["left_out"],
            )
            for found in parts["rows"]
        ]
        return cls(parts["machine"], parts["versions"], parts["settings"], outcomes)

    def missed(self) -> list[str]:
        """The goals whose must is not met, in words."""
        return [
            f"{outcome.row.title}: {goal.text}: {_reached(outcome, goal)}, must be {_bound(goal, goal.must)}"
            for outcome in self.outcomes
            for goal in outcome.row.goals
            if (value := goal.value(outcome.median)) is None or not goal.holds(value)
        ]

    def failures(self) -> list[str]:
        """The arms that were there and failed, in words."""
        return [
            f"{outcome.row.title}: {label} {why}"
            for outcome in self.outcomes
            for label, why in outcome.left_out.items()
            if why != NOT_INSTALLED
        ]

    # --- for people ---

    def text(self) -> str:
        """The whole table, for a terminal."""
        return "\n".join([*self._about(), "", *(line for outcome in self.outcomes for line in text_lines(outcome))])

    def summary(self) -> list[str]:
        """The goals as a Markdown table."""
        said = ["| what | crawler | compared | reached | must | aim |", "|---|--:|---|--:|--:|--:|"]
        for outcome in self.outcomes:
            title, ours = outcome.row.title, _own_figure(outcome)
            for goal in outcome.row.goals:
                value = goal.value(outcome.median)
                mark = "✓" if value is not None and goal.holds(value) else "✗"
                cells = (title, ours, goal.text, f"**{_reached(outcome, goal)}** {mark}")
                said.append(f"| {' | '.join(cells)} | {_bound(goal, goal.must)} | {_bound(goal, goal.aim)} |")
                title = ours = ""
        return said

    def details(self) -> list[str]:
        """One Markdown table per row: every client."""
        said: list[str] = []
        for outcome in self.outcomes:
            figures = _figures(outcome)
            heads = [f"{UNITS[figure]}: median (minimum)" for figure in figures]
            said += ["", f"#### {outcome.row.title}", "", f"| | {' | '.join(heads)} |", "|---|" + "--:|" * len(heads)]
            for arm in outcome.row.arms:
                if arm.label in outcome.samples:
                    cells = [_median_and_minimum(outcome, arm.label, figure) for figure in figures]
                    said.append(f"| {arm.label} | {' | '.join(cells)} |")
            if outcome.left_out:
                said += ["", "Left out: " + _left_out(outcome) + "."]
        return said

    def chart(self) -> str:
        """The picture of the row that all clients run, as SVG; empty if it was not measured."""
        for outcome in self.outcomes:
            if outcome.row.name == CHARTED and outcome.samples:
                rates = {label: outcome.median(label) or 0.0 for label in outcome.samples if label not in CEILINGS}
                bars = [Bar(label, rate, label.startswith(OURS)) for label, rate in rates.items()]
                return bar_chart("Requests a second on one core", outcome.row.title + ", 1 KiB bodies", bars)
        return ""

    def update_docs(self, root: Path = ROOT) -> None:
        """Write the picture, and the tables between the markers of README.md and docs/performance.md.

        Raises:
            ValueError: A file has no markers.
        """
        about = "  \n".join(self._about())
        readme = [f"![Requests a second of each client]({CHART})", "", *self.summary(), "", about]
        document = [about, "", *self.summary(), *self.details()]
        files = {
            name: between_markers((root / name).read_text(encoding="utf-8"), lines, name)
            for name, lines in {"README.md": readme, "docs/performance.md": document}.items()
        }
        files[CHART] = self.chart()
        for name, text in files.items():
            (root / name).write_text(text, encoding="utf-8")

    def _about(self) -> list[str]:
        machine = self.machine
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return [
            f"{machine['date']}; {machine['python']}, {machine['kernel']}, {machine['processor']}; "
            f"cores: {machine['cores']}; load before: {machine['load before']}.",
            f"{versions}; {machine['server']}, {machine['programs']}.",
            f"{self.settings['rounds']:.0f} interleaved rounds of {self.settings['seconds']:g} s each.",
        ]


def text_lines(outcome: Outcome) -> list[str]:
    """One row, for a terminal."""
    figures = _figures(outcome)
    said = [outcome.row.title, "  " + " " * 26 + "".join(f"{UNITS[figure] + ' (min)':>24}" for figure in figures)]
    for arm in outcome.row.arms:
        if arm.label in outcome.samples:
            cells = "".join(f"{_median_and_minimum(outcome, arm.label, figure):>24}" for figure in figures)
            said.append(f"  {arm.label:26}{cells}")
    if outcome.left_out:
        said.append("  left out: " + _left_out(outcome))
    for goal in outcome.row.goals:
        value = goal.value(outcome.median)
        verdict = "holds" if value is not None and goal.holds(value) else "DOES NOT HOLD"
        bounds = f"must {_bound(goal, goal.must)}, aim {_bound(goal, goal.aim)}"
        said.append(f"  → {goal.text}: {_reached(outcome, goal)}{_by_cpu(outcome, goal)} ({bounds}): {verdict}")
    return [*said, ""]


def between_markers(text: str, lines: Sequence[str], name: str) -> str:
    """Replace what stands between the markers.

    Raises:
        ValueError: There are none.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(
            f"{name} has no place for the table; put these two lines where it shall stand:\n{BEGIN}\n{END}"
        )
    return "\n".join([before + begin, "", *lines, "", end + after])


def _figures(outcome: Outcome) -> list[str]:
    """What is told of each arm: the row's own figure, then CPU and memory where they say something."""
    figure = outcome.row.figure
    return [figure, *(other for other in ("cpu_us", "peak_mib") if other != figure and figure != "milliseconds")]


def _median_and_minimum(outcome: Outcome, label: str, figure: str) -> str:
    median, minimum = outcome.median(label, figure), outcome.minimum(label, figure)
    return "–" if not median or minimum is None else f"{_number(median)} ({_number(minimum)})"


def _own_figure(outcome: Outcome) -> str:
    """Our first arm's median, with its unit."""
    label = outcome.row.arms[0].label
    median = outcome.median(label)
    return "–" if median is None else f"{_number(median)} {UNITS[outcome.row.figure]}"


def _reached(outcome: Outcome, goal: Goal) -> str:
    value = goal.value(outcome.median)
    return "not measured" if value is None else f"{value:.2f}{goal.unit}" if value < 10 else f"{value:.1f}{goal.unit}"


def _by_cpu(outcome: Outcome, goal: Goal) -> str:
    """The same comparison by CPU time per request, in brackets."""

    def requests_per_cpu_second(label: str) -> float | None:
        cpu_us = outcome.median(label, "cpu_us")
        return None if cpu_us is None else 1e6 / cpu_us

    value = goal.value(requests_per_cpu_second) if goal.is_cpu_bound else None
    return "" if value is None else f" [by CPU per request: {value:.2f}]"


def _bound(goal: Goal, bound: float) -> str:
    return f"{'≤' if goal.at_most else '≥'} {bound:g}{goal.unit}"


def _goal_fields(outcome: Outcome, goal: Goal) -> dict[str, Any]:
    value = goal.value(outcome.median)
    return {
        "text": goal.text,
        "value": value,
        "must": goal.must,
        "aim": goal.aim,
        "at_most": goal.at_most,
        "holds": value is not None and goal.holds(value),
    }


def _left_out(outcome: Outcome) -> str:
    return "; ".join(f"{label} ({why})" for label, why in outcome.left_out.items())


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"

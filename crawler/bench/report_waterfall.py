"""Where the time of a request goes, arm by arm."""

from __future__ import annotations

from collections.abc import Sequence

from crawler.bench.result import PHASES, ArmResult
from crawler.report.phases import phase_chart


def waterfall(arms: Sequence[ArmResult]) -> str:
    """Draw the phases of each arm whose client tells them; empty if none does."""
    return phase_chart([(arm.name, phase_means(arm)) for arm in arms if arm.phases])


def phase_means(arm: ArmResult) -> dict[str, float]:
    """Mean seconds of each phase per request; a phase that few requests had (connecting) counts that much less."""
    answered = arm.response_time.count or 1
    return {
        name: phase.mean * min(1.0, phase.count / answered)
        for name in PHASES
        if (phase := arm.phases.get(name)) is not None and phase.mean is not None
    }

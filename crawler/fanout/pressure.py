"""Why a run is not faster: what held it back, seen from regular looks at it, and the one setting to change.

Each look falls into one case, the first that fits: the processor is busy; finished work waits for the disk; all slots
are taken; requests wait for their hosts; the input has not come yet. A run is judged by its most frequent case.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from crawler.fanout.histogram import Histogram

if TYPE_CHECKING:
    from crawler.fanout.stats import Stats

LOOK_EVERY_S: Final = 0.25

_BUSY: Final = 0.85  # beyond it, what comes waits for its turn of the loop
_FULL: Final = 0.95  # of the slots
_LARGE: Final = 0.5  # share of the time of an attempt from which a phase is said to be what takes long


class Look(NamedTuple):
    """How things stand at one moment.

    Attributes:
        cpu: Share of the time since the look before in which the event loop's thread computed.
        in_flight, slots: Attempts on the wire; how many there may be.
        held: Requests that wait for their hosts.
        put_off: Requests that wait for their next try.
        is_behind: The disk is behind: finished work piles up.
        is_starved: There is nothing to send, and the input has not ended.
    """

    cpu: float
    in_flight: int
    slots: int
    held: int
    put_off: int
    is_behind: bool
    is_starved: bool


@dataclass(frozen=True, slots=True)
class Bottleneck:
    """What held a run back.

    Attributes:
        name: `network, politeness, dns, disk, cpu, input` or `concurrency`.
        evidence: What was seen.
        advice: What to change.
    """

    name: str
    evidence: str
    advice: str


_ADVICE: Final = {
    "cpu": "this process has no more to give: fewer bytes to decode and hash, or several processes",
    "disk": "put records, state and bodies on a faster disk",
    "politeness": "raise per_host.rate and per_host.concurrency if the hosts allow it, or fetch from more hosts",
    "retries": "see the errors; shorter waits by retry.backoff, if the servers bear it",
    "input": "the list comes more slowly than it is fetched: give a file instead of a pipe",
    "dns": "a resolver on this machine or nearby makes names cheap",
    "network": "bodies fill the line: ask for compressed or fewer ones, or take a faster line",
    "concurrency": "raise concurrency: all slots were waiting for servers while the processor was idle",
}


class Pressure:
    """Collects looks; constant memory.

    Attributes:
        looks: How often each case was seen.
        lag: Seconds by which the looks came late: how long the event loop kept everybody waiting.
    """

    def __init__(self) -> None:
        self.looks: Counter[str] = Counter()
        self.lag = Histogram()

    def note(self, look: Look, late: float) -> None:
        """Count a look that came `late` seconds after its time."""
        self.lag.add(max(0.0, late))
        case = _case(look)
        if case is not None:
            self.looks[case] += 1

    def judge(self, stats: Stats) -> Bottleneck | None:
        """Name what held the run back; `None` if it was too short to tell or nothing did."""
        if not self.looks:
            return None
        case, seen = self.looks.most_common(1)[0]
        evidence = f"in {_percent(seen / self.looks.total())} of the looks {_SEEN[case]}"
        if case == "retries":
            return Bottleneck("politeness", evidence, _ADVICE[case])
        if case != "concurrency":
            return Bottleneck(case, evidence, _ADVICE[case])
        phase, share = _longest_phase(stats)
        name = {"dns": "dns", "receive": "network"}.get(phase, "concurrency") if share >= _LARGE else "concurrency"
        return Bottleneck(name, f"{evidence}; {_percent(share)} of an attempt is {_PHASES[phase]}", _ADVICE[name])


_SEEN: Final = {
    "cpu": "the processor was busy",
    "disk": "finished requests waited for the disk",
    "politeness": "slots were free, and requests waited for their hosts",
    "retries": "slots were free, and failed requests waited for their next try",
    "input": "there was nothing to send before more of the list came",
    "concurrency": "all slots were taken",
}

_PHASES: Final = {
    "dns": "looking up names",
    "connect": "connecting",
    "tls": "TLS handshakes",
    "send": "sending",
    "ttfb": "waiting for the first byte",
    "receive": "receiving bodies",
}


def _case(look: Look) -> str | None:
    if look.cpu >= _BUSY:
        return "cpu"
    if look.is_behind:
        return "disk"
    if look.in_flight >= _FULL * look.slots:
        return "concurrency"
    if look.held:
        return "politeness"
    if look.put_off:
        return "retries"
    return "input" if look.is_starved else None


def _longest_phase(stats: Stats) -> tuple[str, float]:
    seconds = {phase: stats.phases[phase].total for phase in _PHASES}
    longest = max(seconds, key=lambda phase: seconds[phase])
    return longest, seconds[longest] / (sum(seconds.values()) or 1.0)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"

"""From how many requests at once an arm beats its baseline: read off the cells of a matrix over `vus`.

    async[vus=1]  async[vus=16]  async[vus=64]      baseline: sync
    no difference     faster         faster    ─▶   async is faster from 16 at once; at 1 it is not

Nothing is interpolated: the answer is one of the numbers that were measured, and the one below it that was not enough.
"""

from __future__ import annotations

from collections.abc import Sequence

from crawler.bench.result import ArmResult, BreakEven

_WON = ("faster", "client_limited")


def break_even(arms: Sequence[ArmResult]) -> tuple[BreakEven, ...]:
    """Give it for each arm that was measured with several `vus`, in the order of the arms.

    Cells that differ in another key of the matrix, too, are a line of their own. At the number itself the verdict must
    be `faster`; above it also `client_limited` counts, since the rate of such a cell is the least the arm can do.
    """
    lines: dict[tuple[object, ...], list[ArmResult]] = {}
    for arm in arms:
        if "vus" in arm.matrix and arm.speedup.verdict != "baseline":
            others = tuple((name, value) for name, value in arm.matrix.items() if name != "vus")
            lines.setdefault((arm.group, others), []).append(arm)
    return tuple(_of(sorted(cells, key=lambda arm: arm.vus)) for cells in lines.values() if len(cells) > 1)


def _of(cells: Sequence[ArmResult]) -> BreakEven:
    first = len(cells)
    while first and cells[first - 1].speedup.verdict in _WON:
        first -= 1
    while first < len(cells) and cells[first].speedup.verdict != "faster":
        first += 1
    return BreakEven(
        group=cells[0].group,
        matrix={name: value for name, value in cells[0].matrix.items() if name != "vus"},
        baseline=_baseline(cells),
        vus=cells[first].vus if first < len(cells) else None,
        below=cells[min(first, len(cells)) - 1].vus if first else None,
        measured=tuple(arm.vus for arm in cells),
    )


def _baseline(cells: Sequence[ArmResult]) -> str:
    """The arm they are compared with; if each cell has its own, the group of those."""
    names = dict.fromkeys(arm.speedup.baseline for arm in cells)
    return next(iter(names)) if len(names) == 1 else next(iter(names)).partition("[")[0]

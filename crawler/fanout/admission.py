"""Whether a request may go out at all: items that are refused from the start, and what a gate says.

lease ─▶ judge ─▶ an error    a record at once: no slot, no clock
                ─▶ UNKNOWN    waits for a turn of its host, which `prepare` takes; then judged again
                ─▶ None       waits for its turn
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Literal

from crawler.fanout.pages import UNKNOWN, Gate, Unknown

if TYPE_CHECKING:
    from crawler.fanout.fetch import HTTPClient
    from crawler.fanout.plan import Item
    from crawler.fanout.result import Result
    from crawler.fanout.turns import Turns

Judge = Callable[["Item"], "Exception | Unknown | None"]
"""Says whether a request may go out; never raises."""


class Refused(Exception):
    """An item says of itself that it is not to be sent."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def judge_with(gate: Gate | None) -> Judge:
    """Make the judge of a run: a refused item stays refused, whatever the gate says."""

    def judge(item: Item) -> Exception | Unknown | None:
        if item.refused is not None:
            return Refused(*item.refused)
        if gate is None:
            return None
        try:
            return gate.admit(item)
        except Exception as error:
            return error

    return judge


class Preparation:
    """Finds out what a gate has to know, in the turns of requests whose fate is unknown.

    Args:
        gate: Asked.
        judge: Asks it.
        client: The gate's to use.
        turns: Where the others of the host wait.
        clock: Monotonic seconds.
        deliver: Takes those that may not go out.
    """

    def __init__(
        self,
        gate: Gate,
        judge: Judge,
        client: HTTPClient,
        turns: Turns,
        clock: Callable[[], float],
        deliver: Callable[[Result], Awaitable[None] | None],
    ) -> None:
        self._gate = gate
        self._judge = judge
        self._client = client
        self._turns = turns
        self._clock = clock
        self._deliver = deliver

    async def use_turn(self, result: Result) -> Literal["go", "wait", "over"]:
        """Use the turn of a request whose fate is unknown.

        Returns:
            `go`: nothing had to be found out, the request may go out in this turn. `wait`: the turn was used up, it
            needs another. `over`: it may not go out.
        """
        turns, begun = self._turns, self._clock()
        item = _item_of(result)
        verdict = self._judge(item)
        may_go = verdict is None
        try:
            if verdict is UNKNOWN:
                verdict = await self._prepare(item)
                turns.space(result.host, begun)
        finally:
            if not may_go:
                turns.cancel(result.host, self._clock())
            result.is_unprepared = False
            gone = turns.release(result.host, self._clock(), self._may_stay)
        for other in gone:
            if (blocked := self._deliver(other)) is not None:
                await blocked
        if isinstance(verdict, Exception):
            result.skip(verdict, self._clock())
            return "over"
        return "go" if may_go else "wait"

    async def _prepare(self, item: Item) -> Exception | None:
        try:
            await self._gate.prepare(item, self._client)
        except Exception as error:
            return error
        verdict = self._judge(item)
        if isinstance(verdict, Unknown):
            return RuntimeError(f"{type(self._gate).__name__} has prepared for {item.url} and still cannot say")
        return verdict

    def _may_stay(self, result: Result) -> bool:
        """Judge one that waits; `skip` it if it may not go out."""
        if not result.is_unprepared:
            return True
        verdict = self._judge(_item_of(result))
        if isinstance(verdict, Exception):
            result.skip(verdict, self._clock())
            return False
        result.is_unprepared = verdict is UNKNOWN
        return True


def _item_of(result: Result) -> Item:
    """What is to be sent next: the item, or where it was redirected to."""
    item: Item = result.target.item if result.hop is None else result.hop.item
    return item

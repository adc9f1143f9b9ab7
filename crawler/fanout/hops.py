"""Redirects of a run: each hop is a request of the host it leads to, and waits for that host's turn.

    response 3xx ─▶ limits, rules, gate ─▶ same host, no rate ─▶ sent at once, in the same slot
                                        └▶ another host, or a rate ─▶ Elsewhere: the slot is given back; the hop
                                                                      goes out when its host may be asked

What a hop sends is the client's to say (`Response.next_request`): method, body, credentials and cookies are as if the
client had followed by itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import anyio

from crawler.client.redirects import STATUSES, redirect_request
from crawler.errors import RequestError, StreamError, TooManyRedirects
from crawler.fanout.errors import RedirectBlocked
from crawler.fanout.hosts import host_key
from crawler.fanout.pages import UNKNOWN
from crawler.models import Request, Response
from crawler.models.url import without_credentials

if TYPE_CHECKING:
    from crawler.fanout.addresses import Addresses
    from crawler.fanout.admission import Judge
    from crawler.fanout.plan import Item, Plan
    from crawler.fanout.result import Result
    from crawler.fanout.turns import Turns

MAX_DRAINED: Final = 64 * 1024
"""Of the body of a redirect: read, so that its connection can be used again; of a larger one the connection goes."""


@dataclass(slots=True)
class Hop:
    """A request that is on its way to another URL than it was made for.

    Attributes:
        item: The item, with the URL it goes to.
        request: What is sent there.
        history: The redirects until here.
        since: Monotonic time from which it waited.
        is_home: All hops until here stayed with the origin that was asked first.
    """

    item: Item
    request: Request
    history: list[Response]
    since: float
    is_home: bool


class Elsewhere(Exception):
    """Not an error: the next hop, which stands in `Result.hop`, waits for its host."""


Send = Callable[..., Awaitable[Response]]


class Hops:
    """Follows redirects.

    Args:
        plan: How many, and where to.
        send: The client's.
        judge: Says whether a hop may go out.
        turns: Knows which hosts have a rate.
        clock: Monotonic seconds.
        addresses: Name hosts, where they are counted by address.
    """

    def __init__(
        self,
        plan: Plan,
        send: Send,
        judge: Judge,
        turns: Turns,
        clock: Callable[[], float],
        addresses: Addresses | None = None,
    ) -> None:
        self._addresses = addresses
        self._plan = plan
        self._send = send
        self._judge = judge
        self._turns = turns
        self._clock = clock

    async def send(self, result: Result, request: Request) -> Response:
        """Send a request of a result, or the hop that waited, and follow where it may be done now.

        Raises:
            Elsewhere: The next hop waits for its host.
            TooManyRedirects, RedirectBlocked: As they say; the response that leads on is the result's.
            Exception: What the gate says of a hop, or the client.
        """
        hop, result.hop = result.hop, None
        if hop is None:
            response = await self._send(request, stream=True, follow_redirects=False)
            if response.status_code not in STATUSES:
                return response
            hop = Hop(result.target.item, request, [], 0.0, is_home=True)
        else:
            waited = self._clock() - hop.since
            result.note_wait(waited)
            result.response = None
            response = await self._send_hop(result, hop)
        while response.status_code in STATUSES and "Location" in response.headers:
            result.response = response
            try:
                hop = self._next(hop, response)
            finally:
                await _drain(response)
            self._check(hop, response)
            if self._addresses is None:
                key = host_key(hop.item.url, self._plan.politeness.by)
            else:
                key = await self._addresses.find(hop.item.url)
            if self._must_wait(result, hop, key):
                hop.since = self._clock()
                result.hop = hop
                raise Elsewhere
            result.response = None
            response = await self._send_hop(result, hop)
        return response

    def _next(self, hop: Hop, response: Response) -> Hop:
        """What following a redirect sends."""
        before = hop.request
        following = response.next_request or redirect_request(before, response)
        is_home = hop.is_home and following.url.origin == before.url.origin
        item = replace(hop.item, url=str(following.url), method=following.method)
        return Hop(item, following, [*hop.history, response], 0.0, is_home)

    def _check(self, hop: Hop, response: Response) -> None:
        """Refuse what the plan does not allow."""
        plan, request = self._plan, hop.request
        before, after = response.request.url, request.url
        shown = without_credentials(after)
        if len(hop.history) > plan.max_redirects:
            raise TooManyRedirects(
                f"More than {plan.max_redirects} redirects; the last led to {shown}.", request=request
            )
        if any(_is_same(request, earlier.request) for earlier in hop.history):
            raise TooManyRedirects(f"The redirects lead back to {shown}.", request=request, kind="redirect_loop")
        if not plan.cross_host_redirects and before.origin.host != after.origin.host:
            raise RedirectBlocked(f"redirected to another host, {shown}; redirects.cross_host: true allows it")
        if not plan.downgrade_redirects and (before.scheme, after.scheme) == ("https", "http"):
            raise RedirectBlocked(f"redirected from https to {shown}; redirects.downgrade: true allows it")

    def _must_wait(self, result: Result, hop: Hop, key: str) -> bool:
        """Whether a hop is a start of its own, for which there is a time."""
        verdict = self._judge(hop.item)
        if isinstance(verdict, Exception):
            raise verdict
        is_known, result.is_unprepared = key == result.host, verdict is UNKNOWN
        result.host = key
        return verdict is UNKNOWN or not is_known or self._turns.has_rate(key)

    async def _send_hop(self, result: Result, hop: Hop) -> Response:
        request = hop.request
        assert result.request is not None
        timeouts = result.request.extensions.get("timeout")
        if timeouts is not None and timeouts.get("total") is not None:  # of the whole attempt, but for the waits
            left = timeouts["total"] - (self._clock() - result.begun - result.overhead)
            request.extensions = {**request.extensions, "timeout": {**timeouts, "total": max(left, 1e-3)}}
        # The client's own credentials are for those who were asked first; the request has what may go along.
        options: dict[str, None] = {} if hop.is_home else {"auth": None}
        response = await self._send(request, stream=True, follow_redirects=False, **options)
        response.history = list(hop.history)
        return response


def _is_same(one: Request, other: Request) -> bool:
    """Whether the same is asked again: also with the same cookies, as those are what such a redirect may set."""
    return (
        one.url == other.url and one.method == other.method and one.headers.get("cookie") == other.headers.get("cookie")
    )


async def _drain(response: Response) -> None:
    """Be done with the body of a redirect, which is kept with it if it is small."""
    if response.is_closed:
        return
    pieces: list[bytes] = []
    left = MAX_DRAINED
    try:
        with contextlib.suppress(RequestError, StreamError):
            async for piece in response.aiter_raw():
                pieces.append(piece)
                left -= len(piece)
                if left < 0:
                    break
            else:
                response.keep(b"".join(pieces))
    finally:
        with anyio.CancelScope(shield=True):  # the connection goes back, also when we are being cancelled
            await response.aclose()

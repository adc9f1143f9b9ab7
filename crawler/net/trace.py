"""The `trace` extension of a request: a callback that hears of each step of its exchange.

Events are HTTPX's: `connection.connect_tcp`, `connection.start_tls`, `http11.send_request_headers`, … each with
`.started`, then `.complete` (with `return_value`) or `.failed` (with `exception`).
"""

from __future__ import annotations

import inspect
from types import TracebackType
from typing import Any

from crawler.models import Request
from crawler.net.logs import log_step, logs_wire


class Step:
    """One step being traced; `async with step: ...`, and set `value` to what it gave."""

    __slots__ = ("callback", "info", "name", "value")

    def __init__(self, callback: Any, name: str, info: dict[str, Any]) -> None:
        self.callback = callback
        self.name = name
        self.info = info
        self.value: Any = None

    async def __aenter__(self) -> Step:
        await self._tell("started", self.info)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exc is None:
            await self._tell("complete", {"return_value": self.value})
        elif isinstance(exc, Exception):  # a cancelled step must not await anything more
            await self._tell("failed", {"exception": exc})

    async def _tell(self, state: str, info: dict[str, Any]) -> None:
        if logs_wire():
            log_step(self.name, state, info)
        if self.callback is not None:
            answer = self.callback(f"{self.name}.{state}", info)
            if inspect.isawaitable(answer):
                await answer


class Trace:
    """Makes the steps of one request; costs nothing but the calls when nobody listens.

    Args:
        request: Its extension `trace` is the callback, a plain function or (async clients) a coroutine function.
    """

    __slots__ = ("callback",)

    def __init__(self, request: Request) -> None:
        self.callback = request.extensions.get("trace")

    def step(self, name: str, **info: Any) -> Step:
        """A step to wrap in `async with`."""
        return Step(self.callback, name, info)

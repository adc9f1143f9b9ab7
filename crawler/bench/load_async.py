"""Drives a client from tasks of one event loop: closed, by a timetable, or through the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle, islice
from time import perf_counter
from typing import Any, Final

from crawler.bench.clients import (
    Answer,
    AsyncSender,
    Sender,
    Sending,
    like_httpx,
    load,
    open_async,
    timing_of,
    version_of,
)
from crawler.bench.load import Amount, Round, looker
from crawler.bench.plan import Arm, BenchPlan
from crawler.bench.recorder import Recorder

GRAIN_S: Final = 0.001
"""Shortest sleep of the pacer. Timers of event loops count in milliseconds; shorter sleeps would be a busy loop."""

BURST: Final = 64
"""Starts in one go before other tasks get their turn, when the pacer is late."""


async def run(round_: Round) -> None:
    """Run a round: open the clients, warm up, measure.

    Raises:
        BenchError: The library is missing, or the server speaks another HTTP version.
    """
    assert round_.watch.lag is not None
    watching = asyncio.ensure_future(round_.watch.lag.watch_loop())
    try:
        await (_run_engine(round_) if round_.arm.engine == "engine" else _run_client(round_))
    finally:
        watching.cancel()


async def _run_client(round_: Round) -> None:
    arm, plan = round_.arm, round_.plan
    async with AsyncExitStack() as stack:
        senders = [await stack.enter_async_context(_opened(arm, plan)) for _ in range(_client_count(arm, plan))]
        look = looker(arm, round_.watch, senders[0].version, senders[0].timing)
        sends = [sender.send for sender in senders]

        async def drive(amount: Amount, recorder: Recorder) -> None:
            if amount.timetable is not None:
                await _by_timetable(sends, round_.urls, recorder, amount.timetable(), plan.executor.max_vus)
            else:
                await _closed(sends, round_.urls, recorder, amount, arm.vus)

        warmup = round_.warmup()
        if warmup is not None:
            round_.watch.recorder = Recorder(plan, look)
            await drive(warmup, round_.watch.recorder)
        recorder = Recorder(plan, look)
        round_.begin(recorder)
        await drive(round_.measured(), recorder)
        round_.stop()


def _client_count(arm: Arm, plan: BenchPlan) -> int:
    """Clients, of one connection each, that keep every connection at `streams_per_connection` or below."""
    vus = plan.executor.max_vus if plan.executor.is_open else arm.vus
    return 1 if arm.streams_per_connection is None else -(-vus // arm.streams_per_connection)


@asynccontextmanager
async def _opened(arm: Arm, plan: BenchPlan) -> AsyncIterator[AsyncSender]:
    """A client; without reuse, one that opens another for each request."""
    async with open_async(arm, plan) as sender:
        if arm.reuse:
            yield sender
            return

        async def send(url: str) -> Answer:
            async with open_async(arm, plan) as fresh:
                return await fresh.send(url)

        yield Sender(send, sender.version, sender.timing)


async def _closed(sends: list[Sending], urls: tuple[str, ...], recorder: Recorder, amount: Amount, vus: int) -> None:
    targets, until, clock, note = amount.targets(urls), perf_counter() + amount.seconds, perf_counter, recorder.answer

    async def user(send: Sending) -> None:
        for url in targets:
            begun = clock()
            if begun >= until:
                return
            try:
                answer = await send(url)
            except Exception as error:
                recorder.error(clock(), error)
            else:
                note(begun, begun, clock(), answer)

    await asyncio.gather(*(user(send) for send in islice(cycle(sends), vus)))


async def _by_timetable(
    sends: list[Sending], urls: tuple[str, ...], recorder: Recorder, timetable: Iterator[float], max_vus: int
) -> None:
    clock, total, zero = perf_counter, len(urls), perf_counter()
    busy: set[asyncio.Task[None]] = set()

    async def once(number: int, intended: float) -> None:
        begun = clock()
        try:
            answer = await sends[number % len(sends)](urls[number % total])
        except Exception as error:
            recorder.error(clock(), error)
        else:
            recorder.answer(intended, begun, clock(), answer)

    try:
        for number, offset in enumerate(timetable):
            intended = zero + offset
            wait = intended - clock()
            if wait > 0:
                await asyncio.sleep(max(wait, GRAIN_S))
            elif not number % BURST:
                await asyncio.sleep(0)
            if len(busy) >= max_vus:
                recorder.sample.dropped += 1
                continue
            task = asyncio.ensure_future(once(number, intended))
            busy.add(task)
            task.add_done_callback(busy.discard)
        await asyncio.gather(*busy)
    finally:
        for task in busy:
            task.cancel()


async def _run_engine(round_: Round) -> None:
    """The engine paces itself: it pulls requests from an iterator as its slots become free."""
    arm, plan, library = round_.arm, round_.plan, load("crawler")
    async with library.AsyncClient(**like_httpx(arm, plan, library)) as client:
        look = looker(arm, round_.watch, version_of, timing_of)
        warmup = round_.warmup()
        if warmup is not None:
            round_.watch.recorder = Recorder(plan, look)
            await _through_engine(client, round_, round_.watch.recorder, warmup)
        recorder = Recorder(plan, look)
        round_.begin(recorder)
        await _through_engine(client, round_, recorder, round_.measured())
        round_.stop()


async def _through_engine(client: Any, round_: Round, recorder: Recorder, amount: Amount) -> None:
    from crawler.fanout.clock import loop_clock

    method, body, urls = round_.plan.request.method, round_.plan.request.body, round_.urls
    until = perf_counter() + amount.seconds
    offset = perf_counter() - loop_clock()()  # the engine's clock need not count from where ours does

    def targets() -> Iterator[Any]:
        for number in amount.numbers():
            if perf_counter() >= until:
                return
            url = urls[number % len(urls)]
            is_plain = method == "GET" and body is None
            yield url if is_plain else client.build_request(method, url, content=body)

    async with load("crawler").as_completed(targets(), concurrency=round_.arm.vus, client=client) as results:
        async for result in results:
            begun, ended = result.begun + offset, result.ended + offset
            if result.response is None:
                assert result.error is not None
                recorder.error(ended, result.error)
                continue
            recorder.phase("queue", result.queue, 1)
            recorder.answer(begun, begun, ended, (result.response.status_code, result.bytes, result.response))

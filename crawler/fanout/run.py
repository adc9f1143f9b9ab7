"""A run: a plan and a stream of items, brought to an outcome.

    items ─▶ ledger ─▶ frontier (SQLite or memory)        run = Run(plan, items)
               │ ▲                                        outcome = await run.execute()    # asyncio or trio
        leases ▼ │ records
      turns ─ engine ─▶ fetcher ─▶ one client

While it goes, `run.stats` is live, and whoever runs in the same event loop may call `run.stop()` or `run.abort()`.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, closing, contextmanager
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread

from crawler.errors import InvalidURL, ResponseTooLarge
from crawler.fanout.addresses import Addresses, system_addresses
from crawler.fanout.admission import Preparation, judge_with
from crawler.fanout.attempt_log import Observer
from crawler.fanout.bandwidth import Bandwidth
from crawler.fanout.bodies import BodyKeeper, open_bodies
from crawler.fanout.books import Books, Workforce
from crawler.fanout.clock import loop_clock
from crawler.fanout.cookie_file import COOKIE_FILE, load_cookies, save_cookies
from crawler.fanout.crawl_tally import CrawlTally, Telling
from crawler.fanout.database import DatabaseFrontier
from crawler.fanout.download import Downloads
from crawler.fanout.download_setup import open_downloads
from crawler.fanout.errors import HostSuspended, OutputError, StateChanged, output_error
from crawler.fanout.extras import Extras, watched
from crawler.fanout.fetch import Fetcher, HTTPClient, asked_for, make_client, wait_before_retry
from crawler.fanout.files import Claim, DiskError
from crawler.fanout.frontier import Finished, Frontier, Lease, MemoryFrontier
from crawler.fanout.hops import Hops
from crawler.fanout.host_options import for_hosts
from crawler.fanout.kinds import DISK_KINDS
from crawler.fanout.ledger import Ledger
from crawler.fanout.lock import StateLock
from crawler.fanout.memory import MemoryWatch, memory_share
from crawler.fanout.overdue import Overdue
from crawler.fanout.pages import Gate, Processor, process
from crawler.fanout.plan import Item, Outcome, Plan, RunState, StopReason
from crawler.fanout.polite import PoliteSource
from crawler.fanout.pressure import LOOK_EVERY_S, Look
from crawler.fanout.record import Record, Recorder, WrittenRecord, masker
from crawler.fanout.record_lines import LineRecorder
from crawler.fanout.recrawl import Recrawl
from crawler.fanout.result import Result
from crawler.fanout.run_report import run_report
from crawler.fanout.sinks import Sink, finish_all, make_sink
from crawler.fanout.sinks.rows import wants_headers, wants_lines
from crawler.fanout.stats import Stats
from crawler.fanout.stopping import StopRules
from crawler.fanout.summary import make_summary, write_summary
from crawler.fanout.tracing import TRACEPARENT, TracedClient, Tracer
from crawler.fanout.turns import Turns
from crawler.fanout.workers import Engine
from crawler.models import URL

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

    from crawler.client import AsyncClient
    from crawler.models import Request

STATE_FILE: Final = "state.sqlite3"
LOCK_FILE: Final = "lock"
SUMMARY_FILE: Final = "summary.json"

_EXIT_CODES: Final[dict[StopReason, int]] = {"interrupted": 130, "terminated": 143, "requested": 3}


class Run:
    """One execution of a plan.

    Args:
        plan: What to do and how.
        items: The requests, pulled as needed. An ordinary iterable is pulled in a worker thread, so that it may read
            files.
        processor: Looks at the pages, up to `plan.body.hold` bytes each, and may add to the requests.
        gate: Says which requests may go out, and how far apart.
        client: Sends the requests instead of one made as the plan says, and stays open.
        observers: Are told of every attempt that ended.

    Raises:
        ValueError: There is a processor, but the plan holds no bodies for it.

    Attributes:
        plan: As given.
        stats: Live counters; see `Stats`.
        observers: Who is told of attempts; may be added to before `execute`.
        tracer: Names the spans that requests tell of by `traceparent`; may be set before `execute`.
    """

    def __init__(
        self,
        plan: Plan,
        items: Iterable[Item] | AsyncIterable[Item],
        processor: Processor | None = None,
        gate: Gate | None = None,
        *,
        client: HTTPClient | None = None,
        observers: Iterable[Observer] = (),
    ) -> None:
        if processor is not None and plan.body.hold is None:
            raise ValueError("a processor needs bodies: set BodyPolicy.hold to the size of the largest it should see")
        self.plan = plan
        self._processor = processor
        self._gate = gate
        self._judge = judge_with(gate)
        self.stats = Stats(time.monotonic())
        self.stats.mask = masker(plan.secrets)
        self._items = items
        self._client = client
        self.observers = list(observers)
        self.tracer: Tracer | None = None
        self._rules = StopRules(plan.stop)
        self._writes_lines = wants_lines(plan.outputs)
        self._addresses = Addresses(system_addresses(plan.client.names)) if plan.politeness.by == "ip" else None
        interval: Callable[[str], float | None] | None = None if gate is None else gate.interval
        if self._addresses is not None and gate is not None:
            interval = self._addresses.widest(gate.interval)
        self._turns = Turns(plan.politeness, plan.retry, plan.concurrency, interval=interval)
        self.stats.throttled = self._turns.throttled
        self._reason: StopReason | None = None
        self._disk_error: OutputError | None = None
        self._engine: Workforce | None = None
        self._watch_queue: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._stopped: anyio.Event | None = None
        self._recrawl: Recrawl | None = None
        self._crawl_tally = CrawlTally()
        self._is_aborted = False

    # -- from outside -------------------------------------------------------------------------------------------------

    async def execute(self) -> Outcome:
        """Fetch every item to its final state, or until stopped; write records, files and `summary.json`.

        One failed URL never raises: it is counted and recorded. Call it once.

        Raises:
            StateLocked: Another run holds the state (exit code 6).
            StateDamaged: The state cannot be trusted or is of a newer version; the message names the file (exit code
                2).
            OutputError: An output or state folder cannot be written, seen before the first request (exit code 4).
                All three are `RunError`s with `exit_code` and a message for people.
            Exception: Whatever iterating the items raised; what was finished until then is recorded.
        """
        clock = loop_clock()
        started_at = datetime.now(UTC)
        self.stats.begin(clock())
        with self._open_frontier() as (frontier, sinks):
            self._note_earlier(frontier)
            self._turns.restore(frontier.hosts(), clock())
            await self._work(self._ledger(frontier, clock), clock)
            await self._finish_outputs(sinks)
            return await self._summarise(started_at, clock(), sinks, frontier)

    def stop(self, reason: StopReason = "interrupted") -> None:
        """End the run gracefully: no new request; those in flight may finish within `plan.grace` seconds.

        What is not finished stays pending in the state. Idempotent; returns at once.
        """
        if self._reason is None:
            self._reason = reason
        if self._engine is not None:
            self._engine.stop()
        if self._stopped is not None:
            self._stopped.set()

    def abort(self, reason: StopReason = "interrupted") -> None:
        """End the run at once: requests in flight are cancelled and stay pending; finished ones are committed."""
        self._is_aborted = True
        self.stop(reason)
        if self._engine is not None:
            self._engine.cancel()

    @property
    def is_stopping(self) -> bool:
        """Whether `stop()` or `abort()` was called, or the disk failed."""
        return self._reason is not None or self._disk_error is not None

    # -- the work -----------------------------------------------------------------------------------------------------

    def _ledger(self, frontier: Frontier, clock: Callable[[], float]) -> Ledger:
        plan = self.plan
        return Ledger(
            frontier,
            self._items,
            input_id=plan.input_id,
            stats=self.stats,
            clock=clock,
            concurrency=plan.concurrency,
            turns=self._turns,
            by=plan.politeness.by,
            addresses=self._addresses,
            may_grow=self._processor is not None,
            judge=self._judge,
        )

    async def _work(self, ledger: Books, clock: Callable[[], float]) -> None:
        """Run the engine and the two helpers beside it; afterwards commit what is left."""
        plan = self.plan
        async with AsyncExitStack() as stack:
            downloads = await self._hire(stack, ledger, clock)
            assert self._engine is not None
            if self.is_stopping:  # asked before there was an engine to ask
                self._engine.stop()
            failure: Exception | None = None
            async with anyio.create_task_group() as helpers:
                helpers.start_soon(self._keep_committing, ledger)
                helpers.start_soon(self._enforce_grace)
                helpers.start_soon(self._watch, ledger, clock)
                if plan.stop.after is not None:
                    helpers.start_soon(self._stop_after, plan.stop.after)
                if self._watch_queue is not None:
                    helpers.start_soon(self._watch_queue)
                try:
                    if downloads is not None:
                        await downloads.prepare()
                    await self._engine.run()
                except Exception as error:
                    failure = error  # raised below, where no task group wraps it
                finally:
                    await self._commit(ledger)
                helpers.cancel_scope.cancel()
            if failure is not None:
                raise failure

    async def _hire(self, stack: AsyncExitStack, ledger: Books, clock: Callable[[], float]) -> Downloads | None:
        """Make the engine and what it works with; gives what has to be prepared before it runs."""
        plan = self.plan
        client = self._client
        if client is None:
            client = await stack.enter_async_context(_client_of(plan))
            if plan.client.keeps_cookies and plan.state_dir is not None:
                stack.enter_context(_kept_cookies(client.cookies.jar, plan.state_dir / COOKIE_FILE))
        sender = for_hosts(client, plan.politeness)
        bodies = stack.enter_context(closing(self._open_bodies(ledger.claim, sender, clock)))
        self._engine = self._make_engine(ledger, bodies, sender, clock)
        return bodies if isinstance(bodies, Downloads) else None

    def _make_engine(
        self, ledger: Books, bodies: BodyKeeper | Downloads, client: HTTPClient, clock: Callable[[], float]
    ) -> Engine:
        plan, stats, turns, rules = self.plan, self.stats, self._turns, self._rules
        processor, gate, observers = self._processor, self._gate, self.observers
        epoch, tracer = time.time() - clock(), self.tracer
        recorder = Recorder(
            plan.run_id, plan.name, plan.worker, epoch, plan.secrets, wants_headers=wants_headers(plan.outputs)
        )

        def record_of(result: Result) -> Record:
            return recorder.record(result, result.target.item, result.target.fp)

        recrawl, tally = self._recrawl, self._crawl_tally

        def build(result: Result) -> Request:
            request = build_request(client, result.target.item)
            if recrawl is not None:
                recrawl.ask(result, request)
            return request

        # Nobody looks into a record that only becomes a line.
        is_for_lines = self._writes_lines and gate is None and processor is None and recrawl is None
        line_of = LineRecorder(recorder).line if is_for_lines else None
        extras = Extras(plan, record_of, epoch, stats.mask)
        sender = watched(client if tracer is None else TracedClient(client), plan)
        fetcher = Fetcher(
            sender,
            clock=clock,
            build=build,
            follow_redirects=plan.follow_redirects,
            bodies=bodies if isinstance(bodies, BodyKeeper) else None,
            naming=lambda result: (result.target.item.path, result.target.fp),
            downloads=bodies if isinstance(bodies, Downloads) else None,
            checks=plan.checks,
            hops=Hops(plan, sender.send, self._judge, turns, clock, self._addresses) if plan.follow_redirects else None,
        )

        overdue = None if plan.queue is None else Overdue(plan.queue, turns, clock)

        async def attempt(result: Result) -> bool:
            if result.attempts:
                stats.waiting -= 1
            if result.is_unprepared:
                assert preparation is not None  # a judge without a gate knows
                if (fate := await preparation.use_turn(result)) != "go":
                    stats.waiting += bool(result.attempts and fate == "wait")
                    return fate == "wait"
            if overdue is not None and overdue.refuse(result):
                return False
            if turns.is_given_up(result.host):
                turns.cancel(result.host, clock())
                result.skip(HostSuspended(f"{result.host} wants no more requests for now"), clock())
                return False
            if result.hop is not None:
                stats.in_flight += 1
            else:
                stats.start_attempt(result.attempts + 1)
                if not result.attempts and rules.begin():
                    self.stop("requested")
            asked, begun = result.host, clock()
            if tracer is not None:
                TRACEPARENT.set(tracer.begin(result))
            try:
                is_over = not await fetcher.attempt(result)
            except BaseException:
                stats.in_flight -= 1  # cancelled: it did not end, it was not made
                turns.cancel(asked, clock())
                raise
            if tracer is not None:
                TRACEPARENT.set(None)
            if not is_over:
                stats.in_flight -= 1
                stats.waiting += 1
                turns.end(asked, begun, clock(), None, asked_for(result, plan.retry, time.time))
                return True
            result.host = result.target.host  # whose budget and row it is, wherever it was redirected to
            host = host_of(result)
            stats.end_attempt(result, host)
            for observer in observers:
                observer.attempt(result, host)
            wanted = asked_for(result, plan.retry, time.time)
            turns.end(asked, begun, result.ended, result.error_kind, wanted, result)
            if rules.receive(stats.bytes_wire):
                self.stop("requested")
            if recrawl is not None:
                await recrawl.look(result)
            if processor is not None and result.page is not None:
                await process(processor, result)
            elif processor is not None and plan.body.must_hold and result.outcome == "ok":
                result.fail(
                    ResponseTooLarge(f"the body is larger than the {plan.body.hold} bytes that can be looked at")
                )
            return False

        def again(result: Result) -> float | None:
            if result.error_kind == HostSuspended.kind:
                return None
            wait = wait_before_retry(plan.retry, result, result.target.item.idempotent, random.random)
            if wait is None or (result.error_kind != "rate_limited" and not turns.may_retry(result.host)):
                return None
            stats.waiting += 1
            extras.note_failure(result)
            return wait

        def deliver(result: Result) -> Awaitable[None] | None:
            if isinstance(result.error, DiskError | MemoryError) and result.error_kind in DISK_KINDS:
                cause = result.error.__cause__  # the system's own error, which the advice goes by
                error = cause if isinstance(cause, OSError) else result.error
                self._stop_for_disk(output_error(str(plan.body.directory), error))
                return None  # this machine's trouble, not the URL's: it stays pending
            lease: Lease = result.target
            outcome = result.outcome
            stats.finish(result, host_of(result), result.ended, outcome)
            if rules.finish(outcome == "failed"):
                self.stop("requested")
            if line_of is not None and (line := line_of(result, lease.item, lease.fp)) is not None:
                return ledger.record(Finished(lease.id, outcome, WrittenRecord(line)))
            record = recorder.record(result, lease.item, lease.fp)
            tally.note(record)
            exchange = extras.exchange(result)
            kept = None
            if recrawl is not None:
                record.update(recrawl.fields(result, record))
                kept = recrawl.kept(result, record)
            if gate is not None:
                record.update(gate.fields(lease.item))
            if (findings := result.findings) is None:
                attempts = extras.attempts(result, record)
                finished = Finished(lease.id, result.outcome, record, (), (), attempts, exchange, kept)
            else:
                record.update(findings.fields)
                attempts = extras.attempts(result, record)
                found, rows = findings.found, findings.rows
                finished = Finished(lease.id, result.outcome, record, found, rows, attempts, exchange, kept)
            if result.error_kind is not None and bodies.has_remains:
                return forget_first(lease, result.error_kind, finished)
            return ledger.record(finished)

        async def forget_first(lease: Lease, kind: str, finished: Finished) -> None:
            """What a request that failed for good left on the disk goes before its record comes."""
            await bodies.forget(lease, kind)
            if (blocked := ledger.record(finished)) is not None:
                await blocked

        def drop(result: Result) -> Awaitable[None] | None:  # one that waited, perhaps behind a redirect
            stats.waiting -= bool(result.attempts)
            return deliver(result)

        ledger.deliver = deliver
        preparation = None if gate is None else Preparation(gate, self._judge, client, turns, clock, drop)
        source = PoliteSource(ledger, turns, clock, lambda result: str(result.target.host))
        slots = plan.concurrency
        engine = Engine(source, attempt=attempt, again=again, deliver=deliver, concurrency=slots, clock=clock)
        if overdue is not None:
            self._watch_queue = partial(overdue.watch, drop, engine.wake, engine.fail)
        return engine

    def _open_bodies(self, claim: Claim, client: HTTPClient, clock: Callable[[], float]) -> BodyKeeper | Downloads:
        plan = self.plan
        bandwidth = Bandwidth(plan.bandwidth, clock)
        try:
            if plan.download is None:
                return open_bodies(plan.body, claim, bandwidth, has_remains=self.stats.submitted > 0)
            return open_downloads(
                plan,
                plan.download,
                claim,
                client,
                bandwidth,
                clock,
                lambda item: build_request(client, item),
                self.stats,
                lambda result: self._take_slot(result, clock),
            )
        except OSError as error:
            raise output_error(str(plan.body.directory), error) from error

    def _take_slot(self, result: Result, clock: Callable[[], float]) -> Callable[[], None] | None:
        """Take one more slot and turn of a request's host, for another segment of it; `None` if there is none now."""
        engine, turns, host = self._engine, self._turns, result.host
        assert isinstance(engine, Engine)
        if not engine.borrow():
            return None
        if not turns.start_another(host, clock()):
            engine.give_back()
            return None

        def release() -> None:
            turns.cancel(host, clock())
            engine.give_back()

        return release

    async def _keep_committing(self, ledger: Books) -> None:
        try:
            await ledger.keep_committing()
        except OutputError as error:
            self._stop_for_disk(error)
        except Exception as error:
            assert self._engine is not None
            self._engine.fail(error)

    async def _commit(self, ledger: Books) -> None:
        """Commit the last records, also while being cancelled."""
        try:
            with anyio.CancelScope(shield=True):
                await ledger.commit()
        except OutputError as error:
            self._stop_for_disk(error)

    async def _finish_outputs(self, sinks: Sequence[Sink]) -> None:
        """Leave outputs that can be read, however the run ended."""
        try:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(finish_all, sinks)
        except OutputError as error:
            self._stop_for_disk(error)

    async def _enforce_grace(self) -> None:
        """Once stopped, give what is in flight its time, then cancel it."""
        assert self._engine is not None
        if self._reason is None:
            self._stopped = anyio.Event()
            await self._stopped.wait()
        if not self._is_aborted:
            await anyio.sleep(self.plan.grace)
        self._engine.cancel()

    async def _watch(self, ledger: Books, clock: Callable[[], float]) -> None:
        """Look now and then at what holds the run back, and at the memory it uses."""
        assert self._engine is not None
        limit = self.plan.stop.memory
        memory = None if limit is None else MemoryWatch(limit)
        at, cpu = clock(), time.thread_time()
        while True:
            await anyio.sleep(LOOK_EVERY_S)
            now, spent = clock(), time.thread_time()
            self.stats.pressure.note(self._look(ledger, (spent - cpu) / (now - at)), now - at - LOOK_EVERY_S)
            if memory is not None and memory.note(self._memory_share(), now):
                self._rules.run_out_of_memory()
                self.stop("requested")
            self._engine.pause(memory is not None and memory.is_holding_back)
            at, cpu = now, spent

    def _look(self, ledger: Books, cpu: float) -> Look:
        assert self._engine is not None
        return Look(
            cpu=cpu,
            in_flight=self.stats.in_flight,
            slots=self.plan.concurrency,
            held=self._turns.waiting,
            put_off=self._engine.waiting,
            is_behind=ledger.is_behind,
            is_starved=ledger.is_starved,
        )

    def _memory_share(self) -> float | None:
        return memory_share()

    async def _stop_after(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        self._rules.pass_time()
        self.stop("requested")

    def _stop_for_disk(self, error: OutputError) -> None:
        if self._disk_error is None:
            self._disk_error = error
        if self._engine is not None:
            self._engine.cancel()

    # -- before and after ---------------------------------------------------------------------------------------------

    @contextmanager
    def _open_frontier(self) -> Iterator[tuple[Frontier, list[Sink]]]:
        """Lock the state, open it and the outputs, and close all of it at the end."""
        plan = self.plan
        sinks = [make_sink(output, plan.state_dir) for output in plan.outputs]
        if plan.state_dir is None:
            with closing(MemoryFrontier()) as memory:
                memory.open(sinks)
                yield memory, sinks
            return
        try:
            plan.state_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(str(plan.state_dir), error) from error
        lock = StateLock(plan.state_dir / LOCK_FILE)
        try:
            with closing(DatabaseFrontier(plan.state_dir / STATE_FILE, plan.durability)) as database:
                changed = database.note_maker(dict(plan.made_by), is_forced=plan.continues_anyway)
                if changed:
                    raise StateChanged(
                        f"{', '.join(changed)} changed since this run began, and {plan.state_dir} holds its requests; "
                        "say --new-state to begin anew, or --continue-anyway to go on with both"
                    )
                database.open(sinks)
                if plan.recrawl is None:
                    yield database, sinks
                    return
                database.begin_round(plan.recrawl.due_before(time.time()))
                with closing(Recrawl(plan.recrawl, plan.state_dir / STATE_FILE)) as self._recrawl:
                    yield database, sinks
        finally:
            lock.release()

    def _note_earlier(self, frontier: Frontier) -> None:
        """Start the counters from what earlier runs on the same state have done."""
        counts = frontier.counts()
        self.stats.submitted = sum(counts.values())
        for outcome in self.stats.counts:
            self.stats.counts[outcome] = counts[outcome]
        self.stats.earlier = self.stats.done

    def _verdict(self) -> tuple[RunState, int]:
        """Say how it ended; a run that was asked to stop but had nothing left to do has finished."""
        stats = self.stats
        if self._disk_error is not None:
            return "stopped", self._disk_error.exit_code
        if self._reason is not None and (stats.pending or not stats.is_total_known):
            return ("stopped" if self._reason == "requested" else "interrupted"), _EXIT_CODES[self._reason]
        return "finished", 0 if self._rules.are_tolerable(stats.failed, stats.done) else 1

    async def _summarise(self, started_at: datetime, now: float, sinks: Sequence[Sink], frontier: Frontier) -> Outcome:
        state, exit_code = self._verdict()
        self.stats.suspended = self._suspended()
        outputs = await anyio.to_thread.run_sync(
            lambda: [sink.describe(with_digest=state == "finished") for sink in sinks]
        )
        hit = self._rules.hit if state == "stopped" and self._disk_error is None else None
        summary = make_summary(self.plan, self.stats.summary(now), state, exit_code, started_at, outputs)
        summary["limits_hit"] = [] if hit is None else [f"stop.{hit}"]
        if self._crawl_tally.is_crawl:
            summary["crawl"] = await anyio.to_thread.run_sync(self._crawled, frontier)
        message = "" if self._disk_error is None else str(self._disk_error)
        if hit is not None:
            message = f"stopped by stop.{hit}; the same command goes on with what is left"
        path = self._summary_path()
        if path is not None:
            try:
                await anyio.to_thread.run_sync(write_summary, path, summary, run_report(summary))
            except OSError as error:
                message = message or str(output_error(str(path), error))
                state, exit_code = ("stopped", 4) if state == "finished" else (state, exit_code)
        return Outcome(state, exit_code, summary, message)

    def _suspended(self) -> dict[str, float]:
        """For how long each host wanted no requests, by its key."""
        return dict(self._turns.suspended)

    def _crawled(self, frontier: Frontier) -> dict[str, object]:
        """Say what a crawl has seen, and what it left out."""

        def url_of(number: str) -> str | None:
            url = frontier.url_of(bytes.fromhex(number.removeprefix("b2:")))
            return None if url is None else self.stats.mask(url)

        told: dict[str, object] = {}
        parts: tuple[object, ...] = (self._processor, self._gate)
        for one in parts:
            if isinstance(one, Telling):
                told.update(one.told())
        return {**self._crawl_tally.summary(url_of), **told}

    def _summary_path(self) -> Path | None:
        """Beside the first output that is a file, else with the state."""
        for output in self.plan.outputs:
            if output.is_local:
                return output.path.parent / SUMMARY_FILE
        return None if self.plan.state_dir is None else self.plan.state_dir / SUMMARY_FILE


def host_of(result: Result) -> str:
    """Give host and port of a request as the summary groups by them."""
    try:
        origin = (URL(result.url) if result.request is None else result.request.url).origin
        return _name_of(origin.netloc)
    except (InvalidURL, ValueError):
        return "(invalid)"


@lru_cache(maxsize=1024)
def _name_of(netloc: bytes) -> str:
    return netloc.decode("ascii", "replace")


def build_request(client: HTTPClient, item: Item) -> Request:
    """Make the request for an item; a plain GET takes the client's short way.

    Raises:
        InvalidURL: The item's URL is none.
    """
    if not item.headers and item.body is None:
        return client.build_request(item.method, item.url)
    return client.build_request(item.method, item.url, headers=list(item.headers), content=item.body)


@contextmanager
def _kept_cookies(jar: CookieJar, path: Path) -> Iterator[None]:
    load_cookies(jar, path)
    try:
        yield
    finally:
        try:
            save_cookies(jar, path)
        except OSError as error:
            raise output_error(str(path), error) from error


def _client_of(plan: Plan) -> AsyncClient:
    return make_client(
        plan.client,
        plan.timeout,
        plan.concurrency,
        max_redirects=plan.max_redirects,
        max_response_size=plan.body.max_size,
    )

"""Drives a client with blocking calls: one after the other in this thread, or from a pool of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from itertools import cycle, islice
from queue import SimpleQueue
from time import perf_counter, sleep

from crawler.bench.clients import Answer, BlockingSender, Sender, SendingNow, open_blocking
from crawler.bench.load import Amount, Round, looker
from crawler.bench.plan import Arm, BenchPlan
from crawler.bench.recorder import Recorder


def run(round_: Round) -> None:
    """Run a round: open the clients, warm up, measure.

    Raises:
        BenchError: The library is missing, or the server speaks another HTTP version.
    """
    arm, plan, lag = round_.arm, round_.plan, round_.watch.lag
    with ExitStack() as stack:
        senders = [stack.enter_context(_opened(arm, plan)) for _ in range(_client_count(arm, plan))]
        look = looker(arm, round_.watch, senders[0].version, senders[0].timing)
        drive = _driver(arm, plan, [sender.send for sender in senders], round_.urls)
        stack.enter_context(nullcontext() if lag is None else lag.watch_threads())
        warmup = round_.warmup()
        if warmup is not None:
            round_.watch.recorder = Recorder(plan, look)
            drive(warmup, round_.watch.recorder)
        recorder = Recorder(plan, look)
        round_.begin(recorder)
        drive(round_.measured(), recorder)
        round_.stop()


def _client_count(arm: Arm, plan: BenchPlan) -> int:
    vus = plan.executor.max_vus if plan.executor.is_open else arm.vus
    return 1 if arm.streams_per_connection is None else -(-vus // arm.streams_per_connection)


@contextmanager
def _opened(arm: Arm, plan: BenchPlan) -> Iterator[BlockingSender]:
    """A client; without reuse, one that opens another for each request."""
    with open_blocking(arm, plan) as sender:
        if arm.reuse:
            yield sender
            return

        def send(url: str) -> Answer:
            with open_blocking(arm, plan) as fresh:
                return fresh.send(url)

        yield Sender(send, sender.version, sender.timing)


def _driver(
    arm: Arm, plan: BenchPlan, sends: list[SendingNow], urls: tuple[str, ...]
) -> Callable[[Amount, Recorder], None]:
    def drive(amount: Amount, recorder: Recorder) -> None:
        if arm.engine == "sync":
            if amount.timetable is None:
                _User(urls, recorder, nullcontext()).closed(sends[0], amount.numbers(), perf_counter() + amount.seconds)
            else:
                _User(urls, recorder, nullcontext()).by_timetable(sends[0], amount.timetable())
        elif amount.timetable is None:
            _closed_threads(sends, urls, recorder, amount, arm.vus)
        else:
            _Pool(sends, urls, recorder, plan.executor.max_vus).by_timetable(amount.timetable())

    return drive


class _User:
    """One thread that sends; several share a recorder, and then a lock around it."""

    def __init__(self, urls: tuple[str, ...], recorder: Recorder, lock: threading.Lock | nullcontext[None]) -> None:
        self._urls = urls
        self._recorder = recorder
        self._lock = lock

    def once(self, send: SendingNow, number: int, intended: float | None = None) -> None:
        """Send a request and take down what became of it."""
        begun = perf_counter()
        try:
            answer = send(self._urls[number % len(self._urls)])
        except Exception as error:
            ended = perf_counter()
            with self._lock:
                self._recorder.error(ended, error)
        else:
            ended = perf_counter()
            with self._lock:
                self._recorder.answer(begun if intended is None else intended, begun, ended, answer)

    def closed(self, send: SendingNow, numbers: Iterator[int], until: float) -> None:
        """Send one request after the other."""
        for number in numbers:
            if perf_counter() >= until:
                return
            self.once(send, number)

    def by_timetable(self, send: SendingNow, timetable: Iterator[float]) -> None:
        """Send when the timetable says so; what falls due while a request is under way is dropped."""
        zero = free = perf_counter()
        for number, offset in enumerate(timetable):
            intended = zero + offset
            if intended < free:
                self._recorder.sample.dropped += 1
                continue
            sleep(max(0.0, intended - perf_counter()))
            self.once(send, number, intended)
            free = perf_counter()


def _closed_threads(
    sends: list[SendingNow], urls: tuple[str, ...], recorder: Recorder, amount: Amount, vus: int
) -> None:
    user = _User(urls, recorder, threading.Lock())
    numbers, until = amount.numbers(), perf_counter() + amount.seconds
    failures: list[BaseException] = []

    def work(send: SendingNow) -> None:
        try:
            user.closed(send, numbers, until)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(send,), daemon=True) for send in islice(cycle(sends), vus)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


class _Pool:
    """Threads, started as they are needed, for a timetable that this thread keeps."""

    def __init__(self, sends: list[SendingNow], urls: tuple[str, ...], recorder: Recorder, max_vus: int) -> None:
        self._sends = sends
        self._recorder = recorder
        self._max_vus = max_vus
        self._lock = threading.Lock()
        self._user = _User(urls, recorder, self._lock)
        self._due: SimpleQueue[tuple[int, float] | None] = SimpleQueue()
        self._busy = 0
        self._threads: list[threading.Thread] = []
        self._failures: list[BaseException] = []

    def by_timetable(self, timetable: Iterator[float]) -> None:
        """Hand out each request when it is due, and wait for the last."""
        zero = perf_counter()
        for number, offset in enumerate(timetable):
            intended = zero + offset
            sleep(max(0.0, intended - perf_counter()))
            if self._failures:
                break
            if self._has_room():
                self._due.put((number, intended))
        for _ in self._threads:
            self._due.put(None)
        for thread in self._threads:
            thread.join()
        if self._failures:
            raise self._failures[0]

    def _has_room(self) -> bool:
        """Take a place for one more request, with a thread for it; if there is none, count it as dropped."""
        with self._lock:
            if self._busy >= self._max_vus:
                self._recorder.sample.dropped += 1
                return False
            self._busy += 1
            needs_thread = self._busy > len(self._threads)
        if needs_thread:
            thread = threading.Thread(target=self._work, args=(len(self._threads),), daemon=True)
            self._threads.append(thread)
            thread.start()
        return True

    def _work(self, place: int) -> None:
        send = self._sends[place % len(self._sends)]
        while (due := self._due.get()) is not None:
            try:
                self._user.once(send, *due)
            except BaseException as error:
                self._failures.append(error)
            with self._lock:
                self._busy -= 1

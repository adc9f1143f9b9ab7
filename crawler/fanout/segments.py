"""A large file in several parts at once: ranges under one strong tag, written where they belong, hashed at the end.

    the first response ──▶ span 0 ┐
    Range of span 1    ──▶ span 1 ├──▶ one part, one note with the spans ──▶ hashed, verified, named as any other
    Range of span 2    ──▶ span 2 ┘

Each request beside the first takes a slot of the run and a turn of its host, as any request does; a span for which
there is none waits until another one is done. An attempt ends with the first error; the next goes on with every span.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from crawler.errors import RequestError
from crawler.fanout.bandwidth import Bandwidth, SpeedWatch
from crawler.fanout.partfile import PartOnDisk
from crawler.fanout.resume import Answer, ChangedDuringResume, PartNote, Span, advance, is_strong, judge
from crawler.fanout.threads import Threads
from crawler.fanout.writer import MARK, PartWriter

if TYPE_CHECKING:
    from crawler.models import Headers, Response

Release = Callable[[], None]
TakeSlot = Callable[[], Release | None]
"""Takes one more slot of the run and turn of the host, if there is one now; what it gives gives both back."""

Fetch = Callable[[PartNote, int, int], Awaitable["Response"]]
"""Asks for a range of the version a note names."""


class SegmentRefused(RequestError):
    """The server answered a range with an error.

    Attributes:
        response: Its answer.
    """

    def __init__(self, response: Response) -> None:
        super().__init__(f"a segment was answered with {response.status_code}")
        self.response = response


def cut(note: PartNote, headers: Headers, most: int, smallest: int) -> int:
    """Give the number of segments a file may be fetched in; 1 if it must come in one piece.

    It takes a strong tag, a server that says that it serves ranges, and a known length.
    """
    if most < 2 or note.total is None or not is_strong(note.validator):
        return 1
    if headers.get("accept-ranges", "").strip().lower() != "bytes":
        return 1
    return max(1, min(most, note.total // smallest))


def spans_of(total: int, n: int) -> tuple[Span, ...]:
    """Cut a file into `n` spans of nearly the same length."""
    edges = [total * number // n for number in range(n + 1)]
    return tuple(Span(start, end, start) for start, end in itertools.pairwise(edges))


def unfinished(note: PartNote, request: str, length: int, boot: str) -> PartNote | None:
    """Give the note of a part whose spans can be gone on with; `None` if it has to begin anew.

    Of one whose spans are all there the last byte is asked for again: the answer shows that the file is still the same.
    """
    if note.request != request or note.boot != boot or note.total is None or not is_strong(note.validator):
        return None
    if not note.spans or any(span.at > span.start and span.at > length for span in note.spans):
        return None
    if note.spans[0].start != 0 or note.spans[-1].end != note.total:
        return None
    if any(span.at < span.end for span in note.spans):
        return note
    last = note.spans[-1]
    return advance(note, spans=(*note.spans[:-1], replace(last, at=max(last.start, last.end - 1))))


class Segments:
    """One download in several spans.

    Args:
        note: With the spans; it lies beside the part already.
        part: Open.
        fetch: Asks for a range.
        make_writer: Makes the writer of a span from its position on.
        threads: Write notes.
        bandwidth: The cap of the run.
        watch: Sees to the speed of all spans together.
        received: Told of bytes that came.
    """

    def __init__(
        self,
        note: PartNote,
        part: PartOnDisk,
        fetch: Fetch,
        make_writer: Callable[[int], PartWriter],
        threads: Threads,
        bandwidth: Bandwidth,
        watch: SpeedWatch,
        received: Callable[[int], None],
    ) -> None:
        self._note = note
        self._part = part
        self._fetch = fetch
        self._make_writer = make_writer
        self._threads = threads
        self._bandwidth = bandwidth
        self._watch = watch
        self._received = received
        self._positions = [span.at for span in note.spans]
        self._todo = [number for number, span in enumerate(note.spans) if span.at < span.end]
        self._unsaved = 0
        self._writers: list[tuple[int, PartWriter]] = []
        self._error: Exception | None = None
        self.responses: list[Response] = []
        """Responses besides the first."""

    @property
    def first(self) -> Span:
        """The span that the first response has to begin with."""
        return self._note.spans[self._todo[0]]

    async def run(self, first: Response, slots: Sequence[Release]) -> None:
        """Fetch every span; `slots` are the slots for requests beside the first, and given back.

        Raises:
            Exception: The first thing that went wrong in any span.
        """
        number = self._todo.pop(0)
        releases = list(slots)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._work, group.cancel_scope, number, first, None)
                while releases and self._todo:
                    group.start_soon(self._work, group.cancel_scope, self._todo.pop(0), None, releases.pop())
        finally:
            for release in releases:
                release()
            with anyio.CancelScope(shield=True):
                await self._save_all()
        if self._error is not None:
            raise self._error

    async def _work(
        self, scope: anyio.CancelScope, number: int, response: Response | None, release: Release | None
    ) -> None:
        """Fetch a span, then the next one that nobody fetches."""
        try:
            while True:
                await self._span(number, response)
                if not self._todo:
                    return
                number, response = self._todo.pop(0), None
        except Exception as error:
            if self._error is None:
                self._error = error
            scope.cancel()
        finally:
            if release is not None:
                release()

    async def _span(self, number: int, response: Response | None) -> None:
        span = self._note.spans[number]
        if response is None:
            response = await self._fetch(self._note, span.at, span.end)
            self.responses.append(response)
        try:
            if self.responses and response is self.responses[-1]:
                self._check(response, span)
            await self._receive(number, span, response)
        finally:
            if not response.is_closed:
                with anyio.CancelScope(shield=True):
                    await response.aclose()

    def _check(self, response: Response, span: Span) -> None:
        if response.status_code >= 400 and response.status_code != 416:
            raise SegmentRefused(response)
        answer = judge(self._note, span.at, response.status_code, response.headers, span.end)
        if answer is not Answer.GO_ON:
            raise ChangedDuringResume("a range was answered with the whole file: it is another version now")

    async def _receive(self, number: int, span: Span, response: Response) -> None:
        writer = self._make_writer(span.at)
        self._writers.append((number, writer))
        left = span.end - span.at
        async for piece in response.aiter_raw():
            data = piece[:left]  # the first response goes on with the next span, which is not its business
            left -= len(data)
            self._received(len(data))
            self._watch.count(len(data))
            if self._bandwidth.is_capped:
                self._watch.excuse(await self._bandwidth.pace(len(data)))
            waited = writer.waited
            await writer.write(data)
            self._watch.excuse(writer.waited - waited)
            await self._note_progress(number, writer.written)
            if not left:
                break
        await writer.flush()
        await self._note_progress(number, writer.written)

    async def _note_progress(self, number: int, position: int) -> None:
        self._unsaved += position - self._positions[number]
        self._positions[number] = position
        if self._unsaved >= MARK:
            self._unsaved = 0
            await self._threads.run(self._write_note)

    def _write_note(self) -> None:
        """In a thread."""
        spans = tuple(
            replace(span, at=position) for span, position in zip(self._note.spans, self._positions, strict=True)
        )
        self._part.note(advance(self._note, spans=spans), sync=False)

    async def _save_all(self) -> None:
        """Write what was received, and how far each span got."""
        for number, writer in self._writers:
            await writer.settle(save=True)
            self._positions[number] = writer.written
        try:
            await self._threads.run(self._write_note)
        except OSError:
            return  # the older note says less, and is right

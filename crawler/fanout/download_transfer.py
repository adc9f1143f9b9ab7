"""One attempt at one download, from the look at what is there to the last byte."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from crawler.errors import ResponseTooLarge
from crawler.fanout.bandwidth import SpeedWatch
from crawler.fanout.checks import Judge, announced
from crawler.fanout.checksums import Checksum, server_checksums
from crawler.fanout.download_existing import is_same, keep_found, spare
from crawler.fanout.download_finish import SizeMismatch, finish
from crawler.fanout.download_packing import is_packed
from crawler.fanout.download_part import begin_note, begin_part, look, make_part, new_writer, open_again, span_writer
from crawler.fanout.download_state import Download, Headers, Send
from crawler.fanout.heads import coding_of
from crawler.fanout.resume import (
    Answer,
    PartNote,
    RangeMismatch,
    advance,
    judge,
    parse_content_range,
    range_headers,
)
from crawler.fanout.segments import Release, Segments, cut, spans_of

if TYPE_CHECKING:
    from crawler.models import Response

_HASHED_AT_ONCE: Final = 32 * 1024
"""Bytes that are hashed in the event loop, some 20 µs; a visit to a thread costs more."""


class Transfer:
    """Gets one file.

    Args:
        download: What is to be done.
        send: Sends requests.
    """

    def __init__(self, download: Download, send: Send) -> None:
        self._download = download
        self._shop = download.shop
        self._policy = download.policy
        self._result = download.result
        self._send = send

    async def run(self) -> bool:
        """Do it; see `Downloads.fetch`."""
        download, result, shop = self._download, self._result, self._shop
        result.request = shop.build(download.item)  # also where none is sent: it gives the record its URL
        if is_packed(download):
            return True
        found = await look(download)
        headers: Headers = ()
        if found is not None:
            condition = await spare(download, found)
            if condition is None:
                return True
            headers = condition
        start, spans = await open_again(download)
        if start is not None:
            assert download.note is not None
            headers = range_headers(download.note, start)
        elif spans is not None:
            first = next(span for span in spans.spans if span.at < span.end)
            headers = range_headers(spans, first.at, first.end)
        if headers:
            result.request = shop.build(replace(download.item, headers=(*download.item.headers, *headers)))
        response = download.response = await self._send(result.request)
        status = response.status_code
        if status == 304:
            if found is not None:
                await keep_found(download, found)
                return True
            result.path = None  # a condition of the job's own held: there is no body
            return False
        if status >= 400 and (not download.is_kept or status != 416):
            result.path = None
            await download.drop_body()
            return False
        if found is not None and is_same(download, found):
            await keep_found(download, found)
            return True
        self._judge_head()
        if spans is not None and await self._go_on_in_segments(spans):
            return True
        if start is None:
            if status == 206:
                raise RangeMismatch("the server sent a part of the file (206), though the whole was asked for")
            await self._receive(begin_note(download), 0)
        else:
            await self._go_on(start)
        return True

    def _judge_head(self) -> None:
        """Ask the checks about the head; the part there is stays, as another try may get a better answer."""
        response = self._download.response
        if not self._shop.checks:
            return
        is_rest = response.status_code != 200
        judge = self._download.judge = Judge(self._shop.checks, response, is_rest=is_rest)
        if response.status_code < 400:
            judge.head(
                parse_content_range(response.headers.get("content-range", ""))[2] if is_rest else announced(response)
            )

    async def _go_on(self, start: int) -> None:
        download = self._download
        assert download.note is not None
        response = download.response
        answer = judge(download.note, start, response.status_code, response.headers)
        if answer is Answer.RESTART:
            download.digests = download.new_digests()
            await self._receive(begin_note(download), 0)
            return
        if answer is Answer.GO_ON and coding_of(response) is not None:
            raise RangeMismatch("the rest of the file came with a content coding")
        download.is_kept = True
        self._result.resumed_from = start
        if answer is Answer.COMPLETE:
            await download.drop_body()
            await finish(download, start, download.expected)
        else:
            await self._receive(download.note, start)

    # -- the body -----------------------------------------------------------------------------------------------------

    async def _receive(self, note: PartNote, start: int) -> None:
        download, response = self._download, self._download.response
        total = note.total if start == 0 else parse_content_range(response.headers.get("content-range", ""))[2]
        self._check_length(note.total if total is None else total)
        expected = download.expected
        said = server_checksums(response.headers.raw, response.status_code, is_coded=coding_of(response) is not None)
        if start == 0:
            download.digests = download.new_digests(said)
            expected = (*expected, *said)
        else:
            expected = (*expected, *(one for one in said if one[0] in download.digests))
        if response.is_closed:
            data = response.content if self._shop.body.decode else b"".join(response.stream)  # type: ignore[arg-type]
            self._count(len(data), start)
            await self._take_whole(note, start, data, expected)
            return
        n = cut(note, response.headers, self._policy.segments, self._policy.segment_min_size) if start == 0 else 1
        if response.status_code == 200 and (slots := self._take_slots(n - 1)):
            assert note.total is not None
            note = advance(note, spans=spans_of(note.total, len(slots) + 1))
            await self._shop.insist(lambda: make_part(download, note, None))
            download.is_kept = True
            await self._in_segments(note, slots, expected)
            return
        held = await self._stream(response, note, start)
        if download.writer is None:
            await self._take_whole(note, start, held, expected)
            return
        await download.writer.flush()
        await finish(download, download.writer.written, expected)

    async def _take_whole(self, note: PartNote, start: int, data: bytes, expected: tuple[Checksum, ...]) -> None:
        """A body that is in memory: written at once, unless it is the end of a part."""
        download = self._download
        if start:
            writer = download.writer = new_writer(download, note, start)
            await writer.write(data)
            await writer.flush()
            await finish(download, writer.written, expected)
            return
        if len(data) <= _HASHED_AT_ONCE:
            download.digests.update(data)
        else:
            await self._shop.threads.run(download.digests.update, data)
        await finish(download, len(data), expected, data)

    async def _stream(self, response: Response, note: PartNote, start: int) -> bytes:
        """Receive the body: into the part, or into memory as long as it is small; gives what is in memory."""
        shop, policy, download = self._shop, self._policy, self._download
        limit = shop.body.memory_limit
        is_capped = shop.bandwidth.is_capped
        held: list[bytes] = []
        size = start
        writer = None
        if start or (note.total is not None and note.total > limit):
            writer = await begin_part(download, note, start)
        pieces = response.aiter_bytes() if shop.body.decode else response.aiter_raw()
        with SpeedWatch(policy.min_speed, policy.min_speed_for, shop.clock) as watch:
            async for piece in pieces:
                size += len(piece)
                self._count(len(piece), size - len(piece))
                watch.count(len(piece))
                if is_capped:
                    watch.excuse(await shop.bandwidth.pace(len(piece)))
                if writer is None:
                    held.append(piece)
                    if size <= limit:
                        continue
                    writer = await begin_part(download, note, 0)
                    held, taken = [], held
                    for one in taken:
                        await writer.write(one)
                    continue
                waited = writer.waited
                await writer.write(piece)
                if writer.waited != waited:
                    watch.excuse(writer.waited - waited)
        return held[0] if len(held) == 1 else b"".join(held)

    def _count(self, size: int, before: int) -> None:
        """Count bytes that came, behind those that were there."""
        self._result.bytes = before + size
        most = self._shop.body.max_size
        if most is not None and before + size > most:
            self._download.is_kept = False
            raise ResponseTooLarge(f"the file is larger than {most} bytes")
        if self._download.judge is not None:
            self._download.judge.so_far(before + size)

    def _check_length(self, total: int | None) -> None:
        """Refuse a file whose length is wrong before it is received."""
        most = self._shop.body.max_size
        if total is not None and most is not None and total > most:
            self._download.is_kept = False
            raise ResponseTooLarge(f"the file has {total} bytes, and at most {most} are wanted")
        wanted = self._download.item.size
        if total is not None and wanted is not None and total != wanted and self._policy.on_mismatch == "fail":
            self._download.is_kept = False
            raise SizeMismatch(f"the file has {total} bytes, expected {wanted}")

    # -- several parts at once ----------------------------------------------------------------------------------------

    async def _go_on_in_segments(self, note: PartNote) -> bool:
        """Go on with every span; false if the whole file came instead."""
        download, response = self._download, self._download.response
        todo = [span for span in note.spans if span.at < span.end]
        if judge(note, todo[0].at, response.status_code, response.headers, todo[0].end) is not Answer.GO_ON:
            return False
        if coding_of(response) is not None:
            raise RangeMismatch("the rest of the file came with a content coding")
        self._result.resumed_from = sum(span.at - span.start for span in note.spans)
        slots = self._take_slots(min(len(todo), self._policy.segments) - 1)
        await self._in_segments(note, slots, download.expected)
        return True

    def _take_slots(self, n: int) -> list[Release]:
        """Take up to `n` slots for more requests to this host."""
        slots: list[Release] = []
        while len(slots) < n and (release := self._shop.take_slot(self._result)) is not None:
            slots.append(release)
        return slots

    async def _in_segments(self, note: PartNote, slots: list[Release], expected: tuple[Checksum, ...]) -> None:
        """Fetch all spans of a part, the first with the response at hand; then as for any other file."""
        shop, download, result = self._shop, self._download, self._result
        part = download.part
        assert part is not None
        assert note.total is not None
        result.bytes = sum(span.at - span.start for span in note.spans)
        with SpeedWatch(self._policy.min_speed, self._policy.min_speed_for, shop.clock) as watch:
            segments = Segments(
                note,
                part,
                self._ask,
                lambda start: span_writer(download, start),
                shop.threads,
                shop.bandwidth,
                watch,
                self._count_span,
            )
            try:
                await segments.run(download.response, slots)
            finally:
                more = sum(response.num_bytes_downloaded for response in segments.responses)
                result.attempt_bytes_wire += more
                result.bytes_wire += more
        download.digests = download.new_digests(expected)
        await shop.read(part.fd, download.digests, 0, note.total)
        await finish(download, note.total, expected)

    async def _ask(self, note: PartNote, start: int, end: int) -> Response:
        item = self._download.item
        headers = range_headers(note, start, end)
        return await self._send(self._shop.build(replace(item, headers=(*item.headers, *headers))))

    def _count_span(self, size: int) -> None:
        self._result.bytes += size

"""The reference HTTP/1.1 reader: h11 judges every byte after our own rules have.

h11 is the strict and much-read implementation; this reader hands on the bodies h11 decoded, and refuses when h11 sees
another head, another framing or another end than `http1_machine` does. It is slow (about 50 µs a response) and there
for tests, and for users who want to know whether a fault is ours (`CRAWLER_CODECS=reference`).

h11 reads a response only after a request: a dummy of the same method is written and thrown away. What h11 would decide
otherwise than our rules is kept from it: repeated `Content-Length` fields are merged before, trailers are not shown.
"""

from __future__ import annotations

import h11

from crawler.errors import RemoteProtocolError
from crawler.wire.http1 import LIMITS, Http1Limits
from crawler.wire.http1_chunked import ChunkedDecoder
from crawler.wire.http1_head import Fields, Head
from crawler.wire.http1_machine import TO_CLOSE, Http1Machine

_FRAMING = (b"content-length", b"transfer-encoding")


class Http1Reader(Http1Machine):
    """Reads the responses of one connection; see `http1.Http1Reader`."""

    __slots__ = ("_h11", "_h11_ended")

    def __init__(self, limits: Http1Limits = LIMITS) -> None:
        super().__init__(limits)
        self._h11 = h11.Connection(h11.CLIENT)
        self._h11_ended = False

    def expect(self, method: str) -> None:
        """Begin the next response cycle; see `http1.Http1Reader`."""
        super().expect(method)
        limits = self._limits
        self._h11_ended = False
        self._h11 = h11.Connection(h11.CLIENT, max_incomplete_event_size=limits.head_bytes + limits.line_bytes)
        # The upgrade is offered always: whether a 101 was asked for is the owner's question.
        offer = [("Host", "dummy"), ("Connection", "upgrade"), ("Upgrade", "dummy")]
        self._h11.send(h11.Request(method=method, target="/", headers=offer))
        self._h11.send(h11.EndOfMessage())

    def _accept(self, head: Head) -> None:
        for event in self._ask(_encode(head)):
            if isinstance(event, h11.InformationalResponse | h11.Response):
                _compare(head, event)
            elif not isinstance(event, h11.EndOfMessage):
                raise _disagreement(f"{event!r} within a head")

    def _take(self, data: bytes) -> None:
        self._take_data(data)

    def _take_chunked(self, data: bytes, pieces: list[bytes], chunks: ChunkedDecoder) -> None:
        coded = data[: max(0, chunks.coded_bytes)]
        taken = self._take_data(coded + b"\r\n" if chunks.is_complete else coded)
        if taken != b"".join(pieces):
            raise _disagreement(f"{len(taken)} bytes of chunk data")

    def _ended(self) -> None:
        if self._state is TO_CLOSE:
            self._ask(b"")
        if not self._h11_ended:
            raise _disagreement("no end of the message")

    def _take_data(self, data: bytes) -> bytes:
        taken = [bytes(event.data) for event in self._ask(data) if isinstance(event, h11.Data)] if data else []
        self.body += taken
        return b"".join(taken)

    def _ask(self, data: bytes) -> list[h11.Event]:
        """Show bytes to h11, none for the end of them; returns what it makes of them."""
        events: list[h11.Event] = []
        try:
            self._h11.receive_data(data)
            while True:
                event = self._h11.next_event()
                if event is h11.NEED_DATA or event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                    return events
                assert isinstance(event, h11.Event)
                events.append(event)
                if isinstance(event, h11.EndOfMessage):
                    self._h11_ended = True
                    return events
        except h11.RemoteProtocolError as exc:
            raise RemoteProtocolError(f"refused by h11: {exc}") from exc


def _encode(head: Head) -> bytes:
    lines = [b"HTTP/1.%d %d %b\r\n" % (head.minor, head.status, head.reason)]
    lines += [b"%b: %b\r\n" % pair for pair in head.fields if pair[0].lower() != b"content-length"]
    if head.length is not None:
        lines.append(b"Content-Length: %d\r\n" % head.length)
    return b"".join([*lines, b"\r\n"])


def _compare(head: Head, event: h11.InformationalResponse | h11.Response) -> None:
    theirs = _plain(event.headers.raw_items())
    if event.status_code != head.status or event.reason != head.reason or theirs != _plain(head.fields):
        raise _disagreement(f"another head, {event!r}")


def _plain(fields: Fields) -> Fields:
    return [(name, value) for name, value in fields if name.lower() not in _FRAMING]


def _disagreement(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"in doubt about framing: h11 saw {what}")

"""Server-sent events: a body of type `text/event-stream`, event by event.

    bytes --> BodyDecoder --> EventDecoder --> ServerSentEvent

    id: 7                      ServerSentEvent(event="price", data='{"eur":\\n12}', id="7", retry=None)
    event: price
    data: {"eur":
    data: 12}
                               a blank line ends an event

Source: HTML Living Standard §9.2.6 (interpreting an event stream). As in httpx2, and unlike in browsers, an event
without data (an id or a retry alone) is given, too.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from crawler.errors import SSEError

if TYPE_CHECKING:
    from crawler.models.response import Response

DEFAULT_MAX_EVENT_SIZE: Final = 2**20
"""Bytes one event may have: 1 MiB, as in httpx2; its pieces are held in memory until it ends."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One event.

    Attributes:
        event: Its type; "message" where the server names none.
        data: Its lines, joined by line feeds.
        id: The last id the server sent, with this event or an earlier one; what `Last-Event-ID` should say on
            reconnecting.
        retry: Milliseconds to wait before reconnecting, if this event says.
    """

    event: str = "message"
    data: str = ""
    id: str = ""
    retry: int | None = None

    def json(self) -> Any:
        """The data as JSON; `ValueError` if it is none."""
        from json import loads

        return loads(self.data)


class EventDecoder:
    """Bytes to events, wherever the pieces were cut; a stage of a `Pipe`.

    An event is given as soon as its blank line is there, also where that ends in CR and a LF may follow.

    Args:
        max_event_size: Bytes that the lines of one event may have together, or None.

    Raises:
        SSEError: In `feed`: an event is larger.
    """

    def __init__(self, max_event_size: int | None = DEFAULT_MAX_EVENT_SIZE) -> None:
        self._max_size = max_event_size
        self._begun: list[bytes] = []  # the pieces of the line whose end has not come
        self._size = 0  # of the event so far, the begun line included
        self._had_cr = False  # the last piece ended in CR: a LF at the next one's beginning belongs to it
        self._is_first = True
        self._id = ""
        self._event = ""
        self._data: list[str] = []
        self._retry: int | None = None
        self._is_pending = False

    def feed(self, data: bytes, /) -> Iterable[ServerSentEvent]:
        """See `Stage`."""
        if self._had_cr and data:
            data = data.removeprefix(b"\n")
            self._had_cr = False
        start = 0
        for end in _LINE_END.finditer(data):
            self._hold(data[start : end.start()])
            start = end.end()
            line = b"".join(self._begun)
            self._begun.clear()
            if line:
                self._take(line)
            else:
                self._size = 0
                if self._is_pending:
                    yield self._event_so_far()
        if start < len(data):
            self._hold(data[start:])
        elif data:
            self._had_cr = data.endswith(b"\r")

    def end(self) -> Iterable[ServerSentEvent]:
        """See `Stage`; an event without its blank line is incomplete and dropped."""
        return ()

    def _hold(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._max_size is not None and self._size > self._max_size:
            raise SSEError(f"A server-sent event is larger than max_event_size, {self._max_size} bytes.")
        if piece:
            self._begun.append(piece)

    def _take(self, line: bytes) -> None:
        """Take in one line that is not blank."""
        if self._is_first:
            line = line.removeprefix(_BYTE_ORDER_MARK)
            self._is_first = False
        if line.startswith(b":"):  # a comment, mostly to keep the connection alive
            self._size -= len(line)
            return
        name, _, rest = line.partition(b":")
        value = rest.removeprefix(b" ").decode("utf-8", "replace")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value
        elif name == b"id" and "\0" not in value:
            self._id = value
        elif name == b"retry" and value.isascii() and value.isdigit() and len(value) < 19:  # milliseconds of an age
            self._retry = int(value)
        else:
            return
        self._is_pending = True

    def _event_so_far(self) -> ServerSentEvent:
        event = ServerSentEvent(self._event or "message", "\n".join(self._data), self._id, self._retry)
        self._event = ""
        self._data = []
        self._retry = None
        self._is_pending = False
        return event


class EventSource:
    """The events of one response; iterate it once, by `for` or by `async for` as the client is.

    Attributes:
        response: The response; its status is not looked at, `source.response.raise_for_status()` does.

    Raises:
        SSEError: On iterating: the response is no event stream, or an event is larger than `max_event_size` bytes.
    """

    def __init__(self, response: Response, max_event_size: int | None = DEFAULT_MAX_EVENT_SIZE) -> None:
        self.response = response
        self._max_event_size = max_event_size

    def __iter__(self) -> Iterator[ServerSentEvent]:
        self._check_content_type()
        return self.response._iter(EventDecoder(self._max_event_size))

    def __aiter__(self) -> AsyncIterator[ServerSentEvent]:
        self._check_content_type()
        return self.response._aiter(EventDecoder(self._max_event_size))

    def _check_content_type(self) -> None:
        response = self.response
        content_type = response.headers.get("Content-Type", "")
        if content_type.partition(";")[0].strip().lower() != "text/event-stream":
            raise SSEError(
                f"Expected an event stream (Content-Type: text/event-stream), got {content_type!r} "
                f"with status {response.status_code}.",
                request=response.request if response.has_request else None,
            )

"""WebSockets without I/O: the handshake's headers, and a conversation of messages; time and randomness come in.

    bytes ──feed──▶ wsproto's frames ──▶ Conversation ──next_message──▶ whole messages
                                             │ pongs, keep-alive pings, the answer to a close
                                             └──take_output──▶ bytes to send

The states, as wsproto has them, and what is left to do in each:

    OPEN ──close()────────▶ LOCAL_CLOSING ──the peer's close──▶ CLOSED      messages that still come are dropped
      └─the peer's close──▶ REMOTE_CLOSING ──our answer───────▶ CLOSED      at once: the answer is made where it is read
      └─a violation───────▶ LOCAL_CLOSING (1002, 1007, 1009)                `closed` says so; nothing is read any more

The frames are the business of wsproto, imported when a conversation begins; no extension (compression) is offered.

Source: RFC 6455.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from crawler.errors import LocalProtocolError

if TYPE_CHECKING:
    from wsproto.connection import Connection
    from wsproto.events import CloseConnection, Event, Message

    from crawler.models import Headers

NEVER: Final = float("inf")

_GUID: Final = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_NO_STATUS: Final = 1005
_TOO_BIG: Final = 1009


def handshake_headers(nonce: bytes, subprotocols: list[str] | None) -> dict[str, str]:
    """What a request for a WebSocket says.

    Args:
        nonce: 16 random bytes.
        subprotocols: What the client would like to speak, best first.

    Source: RFC 6455 §4.1.
    """
    import base64

    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": base64.b64encode(nonce).decode("ascii"),
        "Sec-WebSocket-Version": "13",
    }
    if subprotocols:
        headers["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
    return headers


def accept_token(key: str) -> str:
    """The `Sec-WebSocket-Accept` that proves that a server understood the request with `key` (RFC 6455 §4.2.2)."""
    import base64
    import hashlib

    digest = hashlib.sha1((key + _GUID).encode("ascii"), usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")


def handshake_fault(status: int, asked: Headers, answer: Headers) -> str | None:
    """What is wrong with the answer to a request for a WebSocket; None if it is one now.

    Args:
        status: Of the answer.
        asked: The request's headers.
        answer: The answer's headers.

    Source: RFC 6455 §4.1, the client's requirements on the answer.
    """
    if status != 101:
        return f"the server answered with status {status} instead of 101"
    if answer.get("Upgrade", "").strip().lower() != "websocket":
        return f"the server switched to {answer.get('Upgrade')!r} instead of 'websocket'"
    if "upgrade" not in [token.lower() for token in answer.get_list("Connection", split_commas=True)]:
        return f"the answer says 'Connection: {answer.get('Connection', '')}' instead of 'Upgrade'"
    expected, got = accept_token(asked["Sec-WebSocket-Key"]), answer.get("Sec-WebSocket-Accept", "").strip()
    if got != expected:
        return f"Sec-WebSocket-Accept is {got!r} instead of {expected!r}: the server did not understand the request"
    if "Sec-WebSocket-Extensions" in answer:
        return f"the server uses an extension that was not offered: {answer['Sec-WebSocket-Extensions']!r}"
    subprotocol = answer.get("Sec-WebSocket-Protocol")
    if subprotocol is not None and subprotocol not in asked.get_list("Sec-WebSocket-Protocol", split_commas=True):
        return f"the server chose the subprotocol {subprotocol!r}, which was not offered"
    return None


class Conversation:
    """What one end, the client, makes of the bytes of a WebSocket and what it says to them.

    Args:
        max_message_size: Bytes one message may have, all its fragments together; more closes with 1009.
        ping_interval: Seconds between two keep-alive pings; None for none.
        ping_timeout: Seconds after such a ping within which the peer must be heard of; None for no limit.
        now: Monotonic seconds.

    Attributes:
        closed: Code and reason with which the conversation ended; None while it goes on, and while the peer's close
            is awaited.
        due: When `tick` is to be called next: monotonic seconds, or `NEVER`.

    Raises:
        ImportError: wsproto is missing.
    """

    def __init__(
        self, max_message_size: int, ping_interval: float | None, ping_timeout: float | None, now: float
    ) -> None:
        self._connection = _connection()
        self._max_size = max_message_size
        self._fragments: list[Any] = []  # of the message that has begun: all text, or all bytes
        self._size = 0  # of the message that has begun, in bytes
        self._output = bytearray()
        self._pong_owed: bytes | None = None
        self._interval = NEVER if ping_interval is None else ping_interval
        self._patience = NEVER if ping_timeout is None else ping_timeout
        self._is_waiting = False  # a keep-alive ping was sent, and nothing has come since
        self._pings: dict[bytes, None] = {}  # the user's, unanswered, in their order
        self._pings_made = 0
        self.due = now + self._interval
        self.closed: tuple[int, str] | None = None

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._connection.state.name == "OPEN"

    # --- receiving ---

    def feed(self, data: bytes, now: float) -> None:
        """Take in what came; then ask for `next_message` until there is none, and send `take_output`."""
        if self.closed is None:
            self._connection.receive_data(data)
        self._is_waiting = False  # whatever it was: the peer is there
        self.due = now + self._interval if self.is_open else NEVER

    def next_message(self) -> Event | None:
        """The next whole message of what was fed, a `TextMessage` or a `BytesMessage` of wsproto.

        None: it takes more bytes, or the conversation is over.
        """
        from wsproto import events

        while self.closed is None:
            event = next(self._connection.events(), None)
            if event is None:
                break
            if isinstance(event, events.Ping):
                self._pong_owed = bytes(event.payload)  # only the latest needs an answer: RFC 6455 §5.5.3
            elif isinstance(event, events.Pong):
                self._acknowledge(bytes(event.payload))
            elif isinstance(event, events.CloseConnection):
                self._take_close(event)
            elif isinstance(event, events.Message):
                message = self._take_fragment(event)
                if message is not None and self.is_open:
                    return message
        return None

    def _take_fragment(self, fragment: Message[Any]) -> Event | None:
        data = fragment.data
        self._size += len(data) if not isinstance(data, str) or data.isascii() else len(data.encode("utf-8"))
        if self._size > self._max_size:
            self._fragments.clear()
            self._end(_TOO_BIG, f"The message is larger than {self._max_size} bytes")
            return None
        if fragment.message_finished and not self._fragments:
            self._size = 0
            return fragment
        if data or not self._fragments:  # empty ones without end would fill the memory, too
            self._fragments.append(data)
        if not fragment.message_finished:
            return None
        fragments, self._fragments, self._size = self._fragments, [], 0
        return type(fragment)(data=data[:0].join(fragments))

    def _take_close(self, event: CloseConnection) -> None:
        """The peer's close, or wsproto's word for a violation of the protocol: then our state is unchanged."""
        code, reason = int(event.code), event.reason or ""
        if self.is_open:
            self._end(code, reason)
            return
        if self._connection.state.name == "REMOTE_CLOSING":
            self._pong_owed = None  # RFC 6455 §5.5.2: no longer
            self._output += self._connection.send(event.response())
        self.closed = (code, reason)

    def _end(self, code: int, reason: str) -> None:
        """Close for a fault of the peer's, and do not wait for its answer."""
        self._output += self.close(code, reason)
        self.closed = (code, reason)

    # --- sending ---

    def send(self, event: Event) -> bytes:
        """The bytes of an event of wsproto: a message, a fragment, a ping, a pong.

        Raises:
            LocalProtocolError: It cannot be sent, in this state or at all.
        """
        from wsproto.utilities import LocalProtocolError as Refusal

        try:
            return bytes(self._connection.send(event))
        except (Refusal, ValueError, TypeError) as exc:
            raise LocalProtocolError(f"Not to be sent on this WebSocket: {exc}") from exc

    def ping(self, payload: bytes) -> tuple[bytes, bytes]:
        """The payload of a ping, made up if it is empty, and the bytes to send.

        Raises:
            LocalProtocolError: The payload is longer than 125 bytes.
        """
        from wsproto.events import Ping

        if not payload:
            self._pings_made += 1
            payload = b"%d" % self._pings_made
        data = self.send(Ping(payload))
        self._pings.pop(payload, None)
        self._pings[payload] = None
        return payload, data

    def awaits_pong(self, payload: bytes) -> bool:
        """Whether the ping with `payload` has not been answered yet."""
        return payload in self._pings

    def _acknowledge(self, payload: bytes) -> None:
        """A pong answers the ping with its payload and all before it (RFC 6455 §5.5.3); others say nothing."""
        if payload in self._pings:
            for earlier in list(self._pings):
                del self._pings[earlier]
                if earlier == payload:
                    return

    def close(self, code: int, reason: str) -> bytes:
        """The bytes that begin the closing handshake; none if it has begun.

        Args:
            code: 1000 to 4999; see RFC 6455 §7.4.
            reason: Cut down to 123 bytes of UTF-8.

        Raises:
            LocalProtocolError: The code is none.
        """
        from wsproto.events import CloseConnection

        if not 1000 <= code <= 4999:
            raise LocalProtocolError(f"The code of a close is a number from 1000 to 4999, not {code}.")
        if not self.is_open:
            return b""
        self.due = NEVER
        return self.send(CloseConnection(code=code, reason=reason or None))

    def give_up(self, code: int, reason: str) -> None:
        """The peer's close is awaited no longer."""
        if self.closed is None:
            self.closed = (code, reason)

    @property
    def has_output(self) -> bool:
        """Whether there is something for `take_output`."""
        return bool(self._output) or self._pong_owed is not None

    def take_output(self) -> bytes:
        """What is to be sent without having been asked for."""
        from wsproto.events import Pong

        if self._pong_owed is not None and self.is_open:
            self._output += self.send(Pong(self._pong_owed))
        self._pong_owed = None
        output, self._output = bytes(self._output), bytearray()
        return output

    def tick(self, now: float) -> bool:
        """Nothing has come until `due`: make a ping, or tell that the peer is gone.

        Returns:
            Whether the peer may still be there.
        """
        from wsproto.events import Ping

        if now < self.due or not self.is_open:
            return True
        if self._is_waiting:
            return False
        self._output += self.send(Ping())
        self._is_waiting = True
        self.due = now + self._patience
        return True


def _connection() -> Connection:
    try:
        from wsproto.connection import Connection, ConnectionType
    except ImportError as exc:
        raise ImportError("WebSockets need the package wsproto: pip install 'crawler[ws]'") from exc
    return Connection(ConnectionType.CLIENT)

"""The WebSocket conversation without I/O: handshake, messages at every split, size limit, pings, closing."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, Pong, TextMessage

from crawler.errors import LocalProtocolError
from crawler.models import Headers
from crawler.wire.websocket import NEVER, Conversation, accept_token, handshake_fault, handshake_headers

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 0x1, 0x2, 0x0, 0x8, 0x9, 0xA


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, mask: bytes = b"") -> bytes:
    """One frame as a server sends it; `mask` makes it one that only clients may send."""
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 1 << 16:
        head += struct.pack("!BH", bit | 126, len(payload))
    else:
        head += struct.pack("!BQ", bit | 127, len(payload))
    return head + mask + bytes(byte ^ mask[at % 4] if mask else byte for at, byte in enumerate(payload))


def conversation(
    limit: int = 100, interval: float | None = None, timeout: float | None = None, now: float = 0.0
) -> Conversation:
    """A conversation that has just begun."""
    return Conversation(limit, interval, timeout, now)


def read(talk: Conversation, pieces: Iterable[bytes]) -> list[str | bytes]:
    """The messages that come of these pieces."""
    messages: list[str | bytes] = []
    for piece in pieces:
        talk.feed(piece, 0.0)
        while (event := talk.next_message()) is not None:
            assert isinstance(event, TextMessage | BytesMessage)
            messages.append(event.data if isinstance(event, TextMessage) else bytes(event.data))
    return messages


def understood(data: bytes) -> list[Event]:
    """What a server makes of our bytes."""
    server = Connection(ConnectionType.SERVER)
    server.receive_data(data)
    return list(server.events())


# --- the handshake ---


def test_the_accept_token_is_that_of_the_rfc() -> None:
    """The example of RFC 6455 §1.3."""
    assert accept_token("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_the_handshake_asks_for_version_13() -> None:
    """The headers of RFC 6455 §4.1; the subprotocols only where some are offered."""
    headers = handshake_headers(b"the sample nonce", ["chat", "log"])
    assert headers == {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "chat, log",
    }
    assert "Sec-WebSocket-Protocol" not in handshake_headers(b"0123456789abcdef", None)


GOOD = {
    "upgrade": "WebSocket",
    "connection": "keep-alive, Upgrade",
    "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
    "sec-websocket-protocol": "log",
}


@pytest.mark.parametrize(
    ("status", "changed", "fault"),
    [
        (101, {}, None),
        (200, {}, "status 200"),
        (101, {"upgrade": "h2c"}, "'h2c'"),
        (101, {"upgrade": None}, "switched to None"),
        (101, {"connection": "close"}, "'Connection: close'"),
        (101, {"connection": None}, "'Connection: '"),
        (101, {"sec-websocket-accept": "dGhlIHNhbXBsZSBub25jZQ=="}, "Sec-WebSocket-Accept"),
        (101, {"sec-websocket-accept": None}, "Sec-WebSocket-Accept"),
        (101, {"sec-websocket-extensions": "permessage-deflate"}, "extension"),
        (101, {"sec-websocket-protocol": "mail"}, "'mail'"),
        (101, {"sec-websocket-protocol": None}, None),
    ],
)
def test_an_answer_that_is_no_websocket_is_told(status: int, changed: dict[str, str | None], fault: str | None) -> None:
    """Each requirement of RFC 6455 §4.1 on the answer, alone."""
    asked = Headers(handshake_headers(b"the sample nonce", ["chat", "log"]))
    answer = Headers({name: value for name, value in {**GOOD, **changed}.items() if value is not None})
    found = handshake_fault(status, asked, answer)
    if fault is None:
        assert found is None
    else:
        assert found is not None
        assert fault in found


# --- receiving ---

SPEECH = b"".join(
    [
        frame(TEXT, "grüß".encode()),
        frame(TEXT, "käse ".encode()[:2], fin=False),  # within a character
        frame(PING, b"there?"),
        frame(CONTINUATION, b"", fin=False),
        frame(CONTINUATION, "käse ".encode()[2:], fin=False),
        frame(CONTINUATION, b"brot"),
        frame(BINARY, bytes(90)),
        frame(BINARY, b""),
        frame(PONG, b"unasked"),
        frame(TEXT, b"", fin=False),
        frame(CONTINUATION, b""),
        frame(CLOSE, struct.pack("!H", 1001) + b"going"),
    ]
)
MESSAGES = ["grüß", "käse brot", bytes(90), b"", ""]


def splits() -> Iterable[list[bytes]]:
    """The speech whole, byte by byte, and cut once at every place."""
    yield [SPEECH]
    yield [SPEECH[at : at + 1] for at in range(len(SPEECH))]
    for at in range(1, len(SPEECH)):
        yield [SPEECH[:at], SPEECH[at:]]


def test_no_split_changes_the_messages() -> None:
    """Text, fragments, control frames between them, empty messages, the close: the same however the bytes are cut."""
    for pieces in splits():
        talk = conversation()
        assert read(talk, pieces) == MESSAGES
        assert talk.closed == (1001, "going")
        assert understood(talk.take_output()) == [CloseConnection(1001, "going")]


def test_messages_are_given_one_by_one() -> None:
    """What was fed stays with the conversation until it is asked for."""
    talk = conversation()
    talk.feed(frame(TEXT, b"one") + frame(TEXT, b"two"), 0.0)
    first, second = talk.next_message(), talk.next_message()
    assert (first, second, talk.next_message()) == (TextMessage("one"), TextMessage("two"), None)


VIOLATIONS = [
    ("a masked frame", frame(TEXT, b"hello", mask=b"abcd"), 1002),
    ("an unknown opcode", frame(0x3, b"hello"), 1002),
    ("a reserved bit", frame(TEXT, b"hello", rsv=0b100), 1002),
    ("a fragmented ping", frame(PING, b"", fin=False), 1002),
    ("a ping that is too long", frame(PING, bytes(126)), 1002),
    ("a continuation of nothing", frame(CONTINUATION, b"hello"), 1002),
    ("a message within a message", frame(TEXT, b"one", fin=False) + frame(TEXT, b"two"), 1002),
    ("text that is no UTF-8", frame(TEXT, b"\xff\xfe"), 1007),
    ("text that ends within a character", frame(TEXT, "ß".encode()[:1]), 1007),
    ("fragments that are no UTF-8 together", frame(TEXT, b"\xc3", fin=False) + frame(CONTINUATION, b"("), 1007),
    ("a close of one byte", frame(CLOSE, b"\x03"), 1002),
    ("a close with a reserved code", frame(CLOSE, struct.pack("!H", 1005)), 1002),
    ("a close with a code that is none", frame(CLOSE, struct.pack("!H", 99)), 1002),
    ("a close whose reason is no UTF-8", frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), 1007),
    ("too large a message", frame(BINARY, bytes(101)), 1009),
    ("too large a text in bytes", frame(TEXT, "ß".encode() * 51), 1009),
    ("too many fragments", frame(TEXT, bytes(60), fin=False) + frame(CONTINUATION, bytes(41), fin=False), 1009),
    ("the length of the universe", bytes([0x82, 127]) + struct.pack("!Q", 2**62) + bytes(101), 1009),
]


@pytest.mark.parametrize(("data", "code"), [case[1:] for case in VIOLATIONS], ids=[case[0] for case in VIOLATIONS])
def test_a_violation_closes_with_its_code(data: bytes, code: int) -> None:
    """The peer is told, at whatever place its bytes are cut; nothing that follows counts."""
    cuts = [[data], *([data[:at], data[at:]] for at in range(1, len(data)))]
    for pieces in cuts:
        talk = conversation()
        assert read(talk, [frame(TEXT, b"before"), *pieces, frame(TEXT, b"after")]) == ["before"]
        assert talk.closed is not None
        assert talk.closed[0] == code
        [close] = understood(talk.take_output())
        assert isinstance(close, CloseConnection)
        assert close.code == code
        assert not talk.is_open


def test_a_message_may_be_as_large_as_the_limit() -> None:
    """The limit is for the message, not for all of them; and for its bytes, not its characters."""
    pieces = [frame(BINARY, bytes(100)), frame(TEXT, "ß".encode() * 50), frame(TEXT, bytes(60), fin=False)]
    assert read(conversation(), [*pieces, frame(CONTINUATION, bytes(40))]) == [bytes(100), "ß" * 50, "\0" * 100]


def test_empty_fragments_take_no_memory() -> None:
    """A message without end, made of nothing, is held as nothing."""
    talk = conversation()
    assert read(talk, [frame(TEXT, b"", fin=False), *[frame(CONTINUATION, b"", fin=False)] * 50]) == []
    assert len(talk._fragments) == 1
    assert read(talk, [frame(CONTINUATION, b"done")]) == ["done"]


# --- pings ---


def test_the_latest_ping_is_answered() -> None:
    """One pong for all pings that came together (RFC 6455 §5.5.3), so that a flood makes no flood."""
    talk = conversation()
    read(talk, [frame(PING, b"one") + frame(PING, b"two")])
    assert talk.has_output
    assert understood(talk.take_output()) == [Pong(b"two")]
    assert not talk.has_output


def test_a_pong_answers_its_ping_and_those_before() -> None:
    """As a peer may answer only the latest; pongs nobody asked for say nothing."""
    talk = conversation()
    sent = [talk.ping(b"a"), talk.ping(b""), talk.ping(b""), talk.ping(b"d")]
    payloads = [payload for payload, _ in sent]
    assert len(set(payloads)) == 4
    assert understood(b"".join(data for _, data in sent)) == [Ping(payload) for payload in payloads]
    read(talk, [frame(PONG, b"else"), frame(PONG, payloads[2])])
    assert [talk.awaits_pong(payload) for payload in payloads] == [False, False, False, True]


def test_a_ping_of_more_than_125_bytes_is_refused() -> None:
    """RFC 6455 §5.5."""
    with pytest.raises(LocalProtocolError, match="too long"):
        conversation().ping(bytes(126))


def test_a_silent_peer_is_pinged_and_then_given_up() -> None:
    """After the interval a ping, after the timeout the end; before either, nothing."""
    talk = conversation(interval=20.0, timeout=5.0, now=100.0)
    assert talk.due == 120.0
    assert talk.tick(119.0)
    assert not talk.has_output
    assert talk.tick(120.0)
    assert understood(talk.take_output()) == [Ping(b"")]
    assert talk.due == 125.0
    assert talk.tick(124.0)
    assert not talk.tick(125.0)


def test_whatever_comes_shows_that_the_peer_is_there() -> None:
    """A pong, or anything else, begins the interval anew."""
    talk = conversation(interval=20.0, timeout=5.0)
    assert talk.tick(20.0)
    talk.feed(frame(PONG), 22.0)
    assert talk.due == 42.0
    assert talk.tick(30.0)
    assert talk.tick(42.0)
    assert talk.due == 47.0


def test_without_an_interval_nothing_is_due() -> None:
    """None for no pings; without a timeout the peer is never given up."""
    assert conversation().due == NEVER
    talk = conversation(interval=1.0)
    assert talk.tick(1.0)
    assert talk.due == NEVER


# --- closing ---


def test_our_close_ends_with_the_peers() -> None:
    """After it nothing can be sent, messages that still come are dropped, and nothing is due."""
    talk = conversation(interval=1.0)
    assert understood(talk.close(4000, "bye")) == [CloseConnection(4000, "bye")]
    assert talk.closed is None
    assert not talk.is_open
    assert talk.close(1000, "") == b""
    with pytest.raises(LocalProtocolError, match="LOCAL_CLOSING"):
        talk.send(TextMessage("late"))
    assert read(talk, [frame(TEXT, b"late"), frame(PING, b"?")]) == []
    assert talk.take_output() == b""
    assert talk.due == NEVER
    assert talk.tick(9.0)
    read(talk, [frame(CLOSE, struct.pack("!H", 4000))])
    assert talk.closed == (4000, "")


def test_a_violation_while_closing_ends_the_conversation() -> None:
    """Garbage in the place of the peer's close."""
    talk = conversation()
    talk.close(1000, "")
    read(talk, [frame(TEXT, b"x", mask=b"abcd"), b"more"])
    assert talk.closed is not None
    assert talk.closed[0] == 1002


def test_a_close_without_a_code_is_1005() -> None:
    """And it is answered by one without a code (RFC 6455 §7.1.5)."""
    talk = conversation()
    read(talk, [frame(CLOSE)])
    assert talk.closed == (1005, "")
    assert understood(talk.take_output()) == [CloseConnection(1005, "")]


def test_giving_up_keeps_what_the_peer_said() -> None:
    """The code is ours only where the peer gave none."""
    talk = conversation()
    talk.close(1000, "")
    talk.give_up(1000, "done")
    assert talk.closed == (1000, "done")
    talk.give_up(4000, "else")
    assert talk.closed == (1000, "done")


@pytest.mark.parametrize("code", [0, 999, 5000, 70000])
def test_a_code_out_of_range_is_refused(code: int) -> None:
    """And the conversation goes on."""
    talk = conversation()
    with pytest.raises(LocalProtocolError, match=str(code)):
        talk.close(code, "")
    assert talk.is_open


def test_a_long_reason_is_cut() -> None:
    """To what fits into a control frame, and not within a character."""
    [close] = understood(conversation().close(1000, "ß" * 100))
    assert isinstance(close, CloseConnection)
    assert close.reason == "ß" * 61

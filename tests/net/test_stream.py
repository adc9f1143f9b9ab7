"""The faces of a stream that users may hold, blocking and async."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from crawler.errors import ConnectError, ReadTimeout
from crawler.net.blocking import run_blocking
from crawler.net.stream import AsyncHTTPNetworkStream, HTTPNetworkStream, Stream
from tests.peers.streams import STALL, ScriptedStream


class DeadlineStream(ScriptedStream):
    """Notes the deadlines it gets."""

    def __init__(self) -> None:
        super().__init__([b"abc"])
        self.deadlines: list[float | None] = []

    def read(self, max_bytes: int, deadline: float | None) -> Any:
        """Note the deadline and read."""
        self.deadlines.append(deadline)
        return super().read(max_bytes, deadline)


def test_the_blocking_face_reads_and_writes() -> None:
    """Bytes go through as they are, pieces no larger than asked for, then the end."""
    stream = ScriptedStream([b"abcdef", b"gh"])
    face = HTTPNetworkStream(stream)
    face.write(b"hello", timeout=1)

    assert [face.read(4), face.read(4), face.read(4), face.read(4)] == [b"abcd", b"ef", b"gh", b""]
    assert stream.written == b"hello"


def test_the_async_face_reads_and_writes() -> None:
    """The same, awaited."""
    stream = ScriptedStream([b"abcdef"])

    async def use() -> list[bytes]:
        face = AsyncHTTPNetworkStream(stream)
        await face.write(b"hello", timeout=1)
        pieces = [await face.read(4), await face.read(4)]
        await face.aclose()
        return pieces

    assert run_blocking(use()) == [b"abcd", b"ef"]
    assert stream.written == b"hello"
    assert stream.was_aborted


def test_leftover_bytes_come_first() -> None:
    """What the server sent behind its head is not lost, in either face."""

    async def use() -> list[bytes]:
        face = AsyncHTTPNetworkStream(ScriptedStream([b"cd"]), b"ab")
        return [await face.read(1), await face.read(9), await face.read(9)]

    face = HTTPNetworkStream(ScriptedStream([b"cd"]), b"ab")

    assert [face.read(1), face.read(9), face.read(9)] == [b"a", b"b", b"cd"]
    assert run_blocking(use()) == [b"a", b"b", b"cd"]


def test_timeouts_become_deadlines() -> None:
    """Seconds become an instant on the monotonic clock, and no timeout no deadline."""
    stream = DeadlineStream()
    face = HTTPNetworkStream(stream)
    face.read(1)
    face.read(1, timeout=5)
    face.read(1, timeout=50)

    none, early, late = stream.deadlines
    assert none is None
    assert early is not None
    assert late is not None
    assert 40 < late - early < 50


def test_errors_of_the_stream_come_through() -> None:
    """A timeout of the stream is the user's."""
    with pytest.raises(ReadTimeout):
        HTTPNetworkStream(ScriptedStream([STALL])).read(1, timeout=0.1)


def test_close_is_repeatable() -> None:
    """Closing twice is closing once."""
    stream = ScriptedStream([])
    face = HTTPNetworkStream(stream)
    face.close()
    face.close()

    assert stream.was_aborted


def test_start_tls_gives_a_new_face() -> None:
    """The encrypted stream stands behind a face of the same kind."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    async def use() -> bytes:
        face = await AsyncHTTPNetworkStream(ScriptedStream([b"x"])).start_tls(context, "h", timeout=1)
        return await face.read(1)

    assert HTTPNetworkStream(ScriptedStream([b"x"])).start_tls(context, "h").read(1) == b"x"
    assert run_blocking(use()) == b"x"


def test_bytes_ahead_of_tls_are_refused() -> None:
    """Plain bytes from before a handshake never pass for encrypted ones."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    with pytest.raises(ConnectError, match="3 bytes ahead"):
        HTTPNetworkStream(ScriptedStream([]), b"bad").start_tls(context, "h")
    with pytest.raises(ConnectError, match="3 bytes ahead"):
        run_blocking(AsyncHTTPNetworkStream(ScriptedStream([]), b"bad").start_tls(context, "h"))


def test_extra_info_is_the_streams() -> None:
    """Questions go to the stream, except that held-back bytes are readable."""
    stream: Stream = ScriptedStream([])

    assert HTTPNetworkStream(stream).get_extra_info("server_addr") == "the server_addr"
    assert AsyncHTTPNetworkStream(stream).get_extra_info("socket") == "the socket"
    assert HTTPNetworkStream(stream).get_extra_info("is_readable") is False
    assert HTTPNetworkStream(stream, b"x").get_extra_info("is_readable") is True


def test_a_blocking_face_over_an_async_stream_says_so() -> None:
    """Mixing the worlds fails with words, not with a hang."""

    class Suspending(ScriptedStream):
        def read(self, max_bytes: int, deadline: float | None) -> Any:
            return self

        def __await__(self) -> Any:
            yield

    with pytest.raises(RuntimeError, match="async client"):
        HTTPNetworkStream(Suspending([])).read(1)

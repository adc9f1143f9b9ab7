"""The buffer between TLS transports and protocols."""

from __future__ import annotations

import asyncio

from crawler.net.asyncio_buffer import BUFFER_BYTES, ThroughBuffer


class Recorder(asyncio.Protocol):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def data_received(self, data: bytes) -> None:
        self.calls.append(data)

    def eof_received(self) -> bool | None:
        self.calls.append("eof")
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append(exc)

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")


def test_each_read_is_handed_on_by_itself() -> None:
    """What comes later into the same buffer does not change what was handed on before."""
    recorder = Recorder()
    through = ThroughBuffer(recorder)
    for data in (b"first", b"2nd", b"x" * BUFFER_BYTES):
        through.get_buffer(-1)[: len(data)] = data
        through.buffer_updated(len(data))

    assert recorder.calls == [b"first", b"2nd", b"x" * BUFFER_BYTES]


def test_every_other_call_passes_through() -> None:
    """In the same order."""
    recorder = Recorder()
    through = ThroughBuffer(recorder)
    error = ConnectionResetError()
    through.pause_writing()
    through.resume_writing()
    assert through.eof_received() is None
    through.connection_lost(error)

    assert recorder.calls == ["pause", "resume", "eof", error]


def test_event_loops_take_it_for_a_buffered_one() -> None:
    """uvloop would treat it as an ordinary protocol if it were one as well."""
    through = ThroughBuffer(Recorder())

    assert isinstance(through, asyncio.BufferedProtocol)
    assert not isinstance(through, asyncio.Protocol)

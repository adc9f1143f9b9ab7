"""What differs between the two worlds in which connections are read: the blocking one and trio's."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable

from crawler.models import AsyncByteStream, SyncByteStream
from crawler.net.pool import Event
from crawler.net.pull_body import PulledBody
from crawler.net.readiness import Readiness
from crawler.net.stream import AsyncHTTPNetworkStream, HTTPNetworkStream, Stream


class World:
    """The parts of one world.

    Attributes:
        chunks: Gives the pieces of a request's body.
        body: Makes the face of a streamed response body.
        face: Makes the face of the connection that users may hold.
        event: Makes an event.
        readiness: Makes what waits for a socket.
        upgraded: Makes the body of a response after which the connection belongs to the caller.
    """

    __slots__ = ("body", "chunks", "event", "face", "readiness", "upgraded")

    def __init__(
        self,
        chunks: Callable[[SyncByteStream | AsyncByteStream], AsyncIterator[bytes]],
        body: Callable[[PulledBody], SyncByteStream | AsyncByteStream],
        face: type[HTTPNetworkStream] | type[AsyncHTTPNetworkStream],
        event: Callable[[], Event],
        readiness: Callable[[socket.socket], Readiness],
        upgraded: Callable[[Stream], SyncByteStream | AsyncByteStream],
    ) -> None:
        self.chunks = chunks
        self.body = body
        self.face = face
        self.event = event
        self.readiness = readiness
        self.upgraded = upgraded

"""The `trace` extension: HTTPX's events, in their order, and nothing for those who do not ask."""

from __future__ import annotations

from typing import Any

import pytest

import crawler
from crawler.testbed.raw import Do, RawServer
from tests.exchange.test_tls import serve
from tests.peers.certificates import Authority
from tests.peers.http2 import http2_server
from tests.peers.listener import Listener
from tests.peers.worlds import Face

OK = b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nok"
EXCHANGE = ("send_request_headers", "send_request_body", "receive_response_headers")
BODY = ("receive_response_body", "response_closed")


def told(*names: str) -> list[str]:
    """Each step begun and done."""
    return [f"{name}.{state}" for name in names for state in ("started", "complete")]


def http11(*names: str) -> list[str]:
    """The same, of HTTP/1.1."""
    return told(*(f"http11.{name}" for name in names))


class Listening:
    """Notes the events."""

    def __init__(self, face: Face) -> None:
        self.names: list[str] = []
        self.info: dict[str, dict[str, Any]] = {}
        self.options: dict[str, Any] = {"extensions": {"trace": face.hook(self)}}

    def __call__(self, name: str, info: dict[str, Any]) -> None:
        self.names.append(name)
        self.info[name] = info


async def test_a_whole_exchange(face: Face) -> None:
    """Connect, send, receive, close; on a connection that is open there is nothing to connect."""
    with RawServer([OK, Do.READ, OK, Do.HOLD]) as server:
        async with face.client() as client:
            first, second = Listening(face), Listening(face)
            response = await client.get(server.url, **first.options)
            await client.post(server.url, content=face.chunks([b"x"]), **second.options)

    assert first.names == told("connection.connect_tcp") + http11(*EXCHANGE, *BODY)
    assert second.names == http11(*EXCHANGE, *BODY)
    assert first.info["connection.connect_tcp.started"]["port"] == server.port
    version, status, reason, headers = first.info["http11.receive_response_headers.complete"]["return_value"]
    assert (version, status, reason, headers[0]) == (b"HTTP/1.1", 200, b"OK", (b"A", b"b"))
    assert first.info["http11.send_request_headers.started"]["request"] is response.request
    assert response.text == "ok"
    assert response.elapsed.total_seconds() > 0


async def test_a_streamed_body(face: Face) -> None:
    """Its steps come as it is read and closed."""
    with RawServer([OK, Do.HOLD]) as server:
        async with face.client() as client:
            listening = Listening(face)
            async with client.stream("GET", server.url, **listening.options) as response:
                assert listening.names[-1] == "http11.receive_response_headers.complete"
                assert await face.read(response) == b"ok"
            assert listening.names[-4:] == http11(*BODY)


async def test_a_body_left_unread_is_only_closed(face: Face) -> None:
    """No step for what did not happen."""
    with RawServer([OK, Do.HOLD]) as server:
        async with face.client() as client:
            listening = Listening(face)
            async with client.stream("GET", server.url, **listening.options):
                pass

    assert listening.names[-2:] == http11("response_closed")
    assert "http11.receive_response_body.started" not in listening.names


async def test_failures(face: Face) -> None:
    """`.failed`, with the exception; before the head and within the body."""
    with RawServer([Do.CLOSE], [OK[:-1], Do.CLOSE]) as server:
        async with face.client() as client:
            for step in ("receive_response_headers", "receive_response_body"):
                listening = Listening(face)
                with pytest.raises(crawler.RemoteProtocolError) as caught:
                    await client.get(server.url, **listening.options)
                assert listening.info[f"http11.{step}.failed"]["exception"] is caught.value


async def test_tls_and_refused_connections(face: Face, authority: Authority) -> None:
    """The steps of connecting."""
    with Listener(serve, authority.server_context()) as server:
        async with face.client(verify=authority.client_context()) as client:
            secure = Listening(face)
            await client.get(f"https://localhost:{server.port}/", **secure.options)
    async with face.client() as client:
        refused = Listening(face)
        with pytest.raises(crawler.ConnectError) as caught:
            await client.get(f"http://127.0.0.1:{server.port}/", **refused.options)

    assert secure.names[:4] == told("connection.connect_tcp", "connection.start_tls")
    assert secure.info["connection.start_tls.started"]["server_hostname"] == "localhost"
    assert refused.names == ["connection.connect_tcp.started", "connection.connect_tcp.failed"]
    assert refused.info["connection.connect_tcp.failed"]["exception"] is caught.value


async def test_http2_has_names_of_its_own(face: Face) -> None:
    """The steps of an exchange begin with `http2.`; the response tells its stream, and has no words of its own."""
    with http2_server(lambda peer: peer.serve()) as server:
        async with face.client(http1=False, http2=True) as client:
            listening = Listening(face)
            first = await client.get(server.url, **listening.options)
            second = await client.get(server.url)

    assert listening.names == told("connection.connect_tcp", *(f"http2.{name}" for name in (*EXCHANGE, *BODY)))
    assert [response.extensions["stream_id"] for response in (first, second)] == [1, 3]
    assert first.extensions["http_version"] == b"HTTP/2"
    assert "reason_phrase" not in first.extensions
    assert (first.http_version, first.reason_phrase) == ("HTTP/2", "OK")


async def test_what_the_callback_raises_is_passed_on(face: Face) -> None:
    """At each of its calls; the pool is whole."""

    class Oops(Exception):
        pass

    for n in range(1, 13):
        calls = 0

        def fail(name: str, info: dict[str, Any], n: int = n) -> None:
            nonlocal calls
            calls += 1
            if calls == n:
                raise Oops

        with RawServer([OK, Do.READ, OK]) as server:
            async with face.client() as client:
                with pytest.raises(Oops):
                    await client.get(server.url, extensions={"trace": face.hook(fail)})
                client.check_pool()

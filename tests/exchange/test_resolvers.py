"""Where addresses come from, if not from the system: name servers, and functions of the user's own."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

import anyio
import pytest

import crawler
from crawler.net import Names
from crawler.testbed import RawServer
from tests.exchange.test_addresses import called
from tests.peers.names import SILENCE, NameServer
from tests.peers.worlds import Face, FaceClient

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
ASYNC = pytest.mark.parametrize("face", ["asyncio", "uvloop", "trio"], indirect=True)


def asking(face: Face, server: NameServer, **options: Any) -> FaceClient:
    """A client that asks `server`."""
    transport = face.transport(names=Names(servers=(server.address,), **options))
    return face.client(transport=transport, timeout=crawler.Timeout(15.0, dns=5.0))


async def test_name_servers(face: Face) -> None:
    """Names are asked for while their records do not hold any more."""
    with NameServer({"a.test": ["60 IN A 127.0.0.1"]}) as names, RawServer(OK) as server:
        async with asking(face, names) as client:
            answers = await face.gather(*(client.get(called(server, "a.test")) for _ in range(5)))
            questions = len(names.asked)
            answers.append(await client.get(called(server, "a.test")))

    assert [getattr(answer, "text", answer) for answer in answers] == ["ok"] * 6
    assert set(names.asked) == {"A a.test", "AAAA a.test"}
    assert len(names.asked) == questions


async def test_a_name_that_no_server_knows(face: Face) -> None:
    """ConnectError of the kind `dns_not_found`, remembered."""
    with NameServer() as names:
        async with asking(face, names, family="ipv4") as client:
            for _ in range(2):
                with pytest.raises(crawler.ConnectError) as caught:
                    await client.get("http://missing.test/")
                assert caught.value.kind == "dns_not_found"

    assert names.asked == ["A missing.test"]


async def test_a_silent_name_server(face: Face) -> None:
    """ConnectTimeout at the limit of look-ups."""
    with NameServer() as names:
        names.trouble["*"] = SILENCE
        async with asking(face, names) as client:
            with pytest.raises(crawler.ConnectTimeout) as caught:
                await client.get("http://silent.test/", timeout=crawler.Timeout(15.0, dns=0.05))

    assert caught.value.kind == "dns_timeout"


async def test_a_function(face: Face) -> None:
    """Is asked once for a name while the answer is remembered; never for an address."""
    asked: list[str] = []

    def resolver(host: str) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    with RawServer(OK) as server:
        async with face.client(resolver=resolver) as client:
            for host in ("a.test", "127.0.0.1", "a.test", "b.test"):
                assert (await client.get(called(server, host))).text == "ok"

    assert asked == ["a.test", "b.test"]


@ASYNC
async def test_a_coroutine_function(face: Face) -> None:
    """Of an async client, with its time limit."""

    async def resolver(host: str) -> Iterable[str]:
        await anyio.sleep(0 if host == "a.test" else 15)
        return ("127.0.0.1",)

    with RawServer(OK) as server:
        async with face.client(resolver=resolver, timeout=crawler.Timeout(10.0, dns=0.3)) as client:
            assert (await client.get(called(server, "a.test"))).text == "ok"
            with pytest.raises(crawler.ConnectTimeout) as caught:
                await client.get(called(server, "slow.test"))

    assert caught.value.kind == "dns_timeout"


@pytest.mark.parametrize(
    ("answer", "error", "kind"),
    [
        ([], crawler.ConnectError, "dns_not_found"),
        (socket.gaierror(socket.EAI_NONAME, "no"), crawler.ConnectError, "dns_not_found"),
        (OSError("down"), crawler.ConnectError, "dns_temporary"),
        (crawler.ReadError("down"), crawler.ConnectError, "dns_temporary"),
        (TimeoutError(), crawler.ConnectTimeout, "dns_timeout"),
        (["nonsense"], TypeError, None),
        ("10.0.0.300", TypeError, None),
        (KeyError("a bug"), KeyError, None),
    ],
    ids=lambda value: repr(value)[:20],
)
async def test_answers_without_an_address(face: Face, answer: Any, error: type[Exception], kind: str | None) -> None:
    """Are errors of the tree; what breaks the contract is passed on."""

    def resolver(host: str) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with face.client(resolver=resolver) as client:
        with pytest.raises(error) as caught:
            await client.get("http://a.test/")

    assert getattr(caught.value, "kind", None) == kind


@pytest.mark.parametrize("face", ["blocking"], indirect=True)
async def test_a_blocking_client_cannot_wait(face: Face) -> None:
    """It says so."""

    async def resolver(host: str) -> list[str]:
        return ["127.0.0.1"]

    async with face.client(resolver=resolver) as client:
        with pytest.raises(RuntimeError, match="async resolver"):
            await client.get("http://a.test/")


async def test_a_guard_sees_what_a_resolver_gives(face: Face) -> None:
    """Addresses of one's own resolver are checked like all."""
    async with face.client(resolver=lambda host: ["127.0.0.1"], address_guard=crawler.is_public_address) as client:
        with pytest.raises(crawler.ConnectError) as caught:
            await client.get("http://a.test/")

    assert caught.value.kind == "blocked_address"

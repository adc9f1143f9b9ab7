"""Through proxies: forwarding, tunnels, TLS to the proxy, SOCKS; whose credentials go where."""

from __future__ import annotations

import pytest

import crawler
from crawler.testbed import Testbed
from tests.exchange.test_tls import serve
from tests.peers.certificates import Authority
from tests.peers.listener import Listener
from tests.peers.proxies import HTTPProxy, SOCKSProxy
from tests.peers.worlds import Face


async def test_http_is_forwarded(face: Face, bed: Testbed) -> None:
    """The whole URL on the request line, to one connection for all origins; the proxy's credentials for it alone."""
    with HTTPProxy(auth=("u", "p")) as proxy:
        async with face.client(proxy=proxy.url) as client:
            answers = [await client.get(f"{bed.url}/anything/{n}", headers={"X-A": "1"}) for n in range(2)]

        assert [answer.json()["url"] for answer in answers] == [f"{bed.url}/anything/{n}" for n in range(2)]
        assert "Proxy-Authorization" not in answers[0].json()["headers"]
        assert [seen.target for seen in proxy.seen] == [f"{bed.url}/anything/{n}" for n in range(2)]
        assert proxy.seen[0].headers["proxy-authorization"] == "Basic dTpw"
        assert proxy.seen[0].headers["host"] == bed.url.removeprefix("http://")
        assert answers[1].extensions["crawler.timing"].conn_reused


async def test_https_goes_through_a_tunnel(face: Face, authority: Authority) -> None:
    """CONNECT, then TLS with the server, who never sees the proxy's credentials."""
    with Listener(serve, authority.server_context("inner.test")) as server:
        hosts = {("inner.test", 443): (server.host, server.port)}
        with HTTPProxy(auth=("u", "p"), hosts=hosts) as proxy:
            async with face.client(proxy=proxy.url, verify=authority.client_context()) as client:
                first = await client.get("https://inner.test/")
                second = await client.get("https://inner.test/")

            assert (first.text, second.text) == ("ok", "ok")
            assert [(seen.method, seen.target) for seen in proxy.seen] == [("CONNECT", "inner.test:443")]
            assert proxy.seen[0].headers["proxy-authorization"] == "Basic dTpw"


async def test_tls_within_tls(face: Face, authority: Authority) -> None:
    """An https proxy, and an https server behind it; one context of the user's for both."""
    context = authority.client_context()
    with Listener(serve, authority.server_context("inner.test")) as server:
        hosts = {("inner.test", 443): (server.host, server.port)}
        with HTTPProxy(tls=authority.server_context(), hosts=hosts) as proxy:
            through = crawler.Proxy(proxy.url.replace("127.0.0.1", "localhost"), ssl_context=context)
            async with face.client(proxy=through, verify=context) as client:
                assert (await client.get("https://inner.test/")).text == "ok"


async def test_forwarding_by_an_https_proxy(face: Face, bed: Testbed, authority: Authority) -> None:
    """TLS to the proxy only."""
    with HTTPProxy(tls=authority.server_context()) as proxy:
        through = crawler.Proxy(proxy.url, ssl_context=authority.client_context())
        async with face.client(proxy=through) as client:
            assert (await client.get(f"{bed.url}/get")).json()["url"] == f"{bed.url}/get"

        assert proxy.seen[0].target == f"{bed.url}/get"


async def test_an_untrusted_https_proxy(face: Face, authority: Authority) -> None:
    """Refused before anything is said to it."""
    with HTTPProxy(tls=authority.server_context()) as proxy:
        async with face.client(proxy=proxy.url) as client:
            with pytest.raises(crawler.ConnectError) as caught:
                await client.get("http://inner.test/")

    assert caught.value.kind == "tls_untrusted"


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("auth", [None, ("u", "p")])
async def test_socks(face: Face, bed: Testbed, scheme: str, auth: tuple[str, str] | None) -> None:
    """The proxy resolves the name; requests look as without it."""
    port = int(bed.url.rpartition(":")[2])
    with SOCKSProxy(auth=auth, hosts={("inner.test", 80): ("127.0.0.1", port)}) as proxy:
        async with face.client(proxy=proxy.url.replace("socks5", scheme)) as client:
            response = await client.get("http://inner.test/get")

        assert response.json()["url"] == "http://inner.test/get"
        assert proxy.seen[0].target == "inner.test:80"


async def test_socks_to_a_tls_server(face: Face, authority: Authority) -> None:
    """TLS inside."""
    with (
        Listener(serve, authority.server_context("inner.test")) as server,
        SOCKSProxy(hosts={("inner.test", 443): (server.host, server.port)}) as proxy,
    ):
        async with face.client(proxy=proxy.url, verify=authority.client_context()) as client:
            assert (await client.get("https://inner.test/")).text == "ok"


async def test_refusals(face: Face) -> None:
    """407, another status, nonsense, silence: ProxyError, with the request; the pool is whole."""
    cases = {
        b"HTTP/1.1 407 Who\r\nContent-Length: 0\r\n\r\n": "proxy_auth",
        b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n": "proxy_connect",
        b"nonsense\r\n\r\n": "proxy_connect",
    }
    for answer, kind in cases.items():
        with HTTPProxy(answer=answer) as proxy:
            async with face.client(proxy=proxy.url) as client:
                with pytest.raises(crawler.ProxyError) as caught:
                    await client.get("https://inner.test/")
        assert caught.value.kind == kind
        assert caught.value.request.url == "https://inner.test/"


async def test_a_stalling_proxy(face: Face) -> None:
    """Both a ConnectTimeout and a ProxyError; the total limit by its own name."""
    with HTTPProxy(is_stalling=True) as proxy:
        async with face.client(proxy=proxy.url) as client:
            with pytest.raises(crawler.ConnectTimeout) as caught:
                await client.get("https://inner.test/", timeout=crawler.Timeout(5.0, connect=0.05))
            with pytest.raises(crawler.TotalTimeout):
                await client.get("https://inner.test/", timeout=crawler.Timeout(5.0, total=0.05))

    assert isinstance(caught.value, crawler.ProxyError)


async def test_a_dead_proxy(face: Face) -> None:
    """ConnectError, as for any server that is not there."""
    with Listener(serve) as gone:
        port = gone.port
    async with face.client(proxy=f"http://127.0.0.1:{port}") as client:
        with pytest.raises(crawler.ConnectError):
            await client.get("http://inner.test/")

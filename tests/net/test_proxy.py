"""Asking proxies for connections: scripted bytes cut everywhere, and real proxies on loopback."""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawler.errors import ConnectTimeout, LocalProtocolError, ProxyError, ReadTimeout, TotalTimeout
from crawler.net.blocking import Done, run_blocking
from crawler.net.proxy import open_tunnel, socks5_connect
from tests.peers.listener import Listener
from tests.peers.proxies import HTTPProxy, Seen, SOCKSProxy
from tests.peers.streams import RESET, STALL, ScriptedStream, SocketStream

OK = b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n"
AUTH = (b"user", b"secret")

Pieces = Iterable[bytes | ConnectionResetError | None]


def tunnel(pieces: Pieces, host: str = "target.test", headers: Iterable[tuple[bytes, bytes]] = ()) -> ScriptedStream:
    """Ask for a tunnel over a script; gives the stream afterwards."""
    stream = ScriptedStream(pieces)
    run_blocking(open_tunnel(stream, host, 443, list(headers), None))
    return stream


def refused_tunnel(pieces: Pieces) -> ProxyError:
    """Ask for a tunnel in vain."""
    with pytest.raises(ProxyError) as caught:
        tunnel(pieces)
    return caught.value


def cuts(data: bytes) -> Iterable[list[bytes]]:
    """All ways to get these bytes in two pieces, and the one in single bytes."""
    yield [bytes([byte]) for byte in data]
    for position in range(1, len(data)):
        yield [data[:position], data[position:]]


def test_a_tunnel_is_asked_for_by_connect() -> None:
    """The request names host and port in target and Host."""
    stream = tunnel([OK])

    assert stream.written == b"CONNECT target.test:443 HTTP/1.1\r\nHost: target.test:443\r\nAccept: */*\r\n\r\n"


def test_an_ipv6_target_stands_in_brackets() -> None:
    """The target is an authority in the sense of a URL."""
    assert tunnel([OK], "::1").written.startswith(b"CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n")


def test_proxy_headers_are_sent_and_replace_ours() -> None:
    """The caller's fields for the proxy go along, each name once."""
    stream = tunnel([OK], headers=[(b"Proxy-Authorization", b"Basic eA=="), (b"accept", b"a/b")])

    assert b"Proxy-Authorization: Basic eA==\r\n" in stream.written
    assert b"accept: a/b\r\n" in stream.written
    assert b"*/*" not in stream.written


def test_a_header_that_cannot_be_sent_is_our_fault() -> None:
    """A line feed in a proxy header never reaches the wire."""
    with pytest.raises(LocalProtocolError):
        tunnel([OK], headers=[(b"X", b"a\r\nEvil: yes")])


@pytest.mark.parametrize("answer", [OK, b"HTTP/1.1 204 \r\n\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n"])
def test_an_agreement_is_understood_however_it_is_cut(answer: bytes) -> None:
    """Any 2xx opens the tunnel; the head has no body, whatever it says (RFC 9110 §9.3.6)."""
    for pieces in cuts(answer):
        assert tunnel(pieces).unread == b""


def test_an_interim_answer_is_passed_over() -> None:
    """1xx answers come before the real one."""
    for pieces in cuts(b"HTTP/1.1 100 Continue\r\n\r\n" + OK):
        tunnel(pieces)


def test_wrong_credentials_for_the_proxy() -> None:
    """407 is told apart, as no retry can help."""
    error = refused_tunnel([b"HTTP/1.1 407 Who are you\r\nContent-Length: 2\r\n\r\nno"])

    assert error.kind == "proxy_auth"
    assert "407 Who are you" in str(error)


@pytest.mark.parametrize("status", [b"403 Forbidden", b"502 Bad Gateway", b"302 Found", b"500"])
def test_a_refusal_is_told_with_status_and_reason(status: bytes) -> None:
    """Any other status refuses, and the message says what the proxy said."""
    error = refused_tunnel([b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status])

    assert error.kind == "proxy_connect"
    assert status.decode() in str(error)
    assert "target.test:443" in str(error)


def test_bytes_behind_the_agreement_are_refused() -> None:
    """Nobody but the proxy can have sent bytes before the client spoke to the target."""
    assert "5 bytes" in str(refused_tunnel([OK + b"extra"]))


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [OK[:20]],
        [b"SSH-2.0-OpenSSH\r\n\r\n"],
        [b"\x05\x00" * 100],
        [b"X" * 1_000_000],
        [b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000],
        [RESET],
        [OK[:20], RESET],
    ],
    ids=["nothing", "cut", "another protocol", "SOCKS", "no line end", "no end of head", "reset", "reset in the head"],
)
def test_nonsense_and_hanging_up_are_the_proxys_fault(pieces: list[bytes | ConnectionResetError | None]) -> None:
    """Whatever a broken proxy does, the error is a ProxyError."""
    assert refused_tunnel(pieces).kind == "proxy_connect"


@pytest.mark.parametrize("pieces", [[STALL], [OK[:30], STALL]])
def test_a_stalling_proxy_is_a_connect_timeout_and_a_proxy_error(pieces: list[bytes | None]) -> None:
    """Silence counts as both, so a handler of either sees it."""
    with pytest.raises(ConnectTimeout) as caught:
        tunnel(pieces)

    assert isinstance(caught.value, ProxyError)
    assert isinstance(caught.value.__cause__, ReadTimeout)
    assert caught.value.kind == "timeout_connect"


def test_the_total_timeout_stays_what_it_is() -> None:
    """A deadline over the whole exchange is not turned into the proxy's fault."""

    class Late(ScriptedStream):
        def read(self, max_bytes: int, deadline: float | None) -> Done[bytes]:
            raise TotalTimeout("over")

    for script in (open_tunnel(Late([]), "h", 1, [], None), socks5_connect(Late([]), "h", 1, None, None)):
        with pytest.raises(TotalTimeout):
            run_blocking(script)


# --- SOCKS5 ---

GRANTED = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x1f\x90"


def socks(
    pieces: Pieces, host: str = "target.test", auth: tuple[bytes, bytes] | None = None, port: int = 443
) -> ScriptedStream:
    """Ask a SOCKS proxy over a script; gives the stream afterwards."""
    stream = ScriptedStream(pieces)
    run_blocking(socks5_connect(stream, host, port, auth, None))
    return stream


def refused_socks(pieces: Pieces, auth: tuple[bytes, bytes] | None = None, host: str = "target.test") -> ProxyError:
    """Ask a SOCKS proxy in vain."""
    with pytest.raises(ProxyError) as caught:
        socks(pieces, host, auth)
    return caught.value


@pytest.mark.parametrize(
    ("host", "encoded"),
    [
        ("target.test", b"\x03\x0btarget.test"),
        ("192.0.2.1", b"\x01\xc0\x00\x02\x01"),
        ("::1", b"\x04" + bytes(15) + b"\x01"),
        ("127.1", b"\x03\x05127.1"),
        ("x" * 255, b"\x03\xff" + b"x" * 255),
    ],
)
def test_the_proxy_gets_names_and_addresses_as_they_are(host: str, encoded: bytes) -> None:
    """Names are left to the proxy to resolve; only strict addresses are sent as such."""
    assert socks([b"\x05\x00" + GRANTED], host).written == b"\x05\x01\x00" + b"\x05\x01\x00" + encoded + b"\x01\xbb"


def test_user_and_password_are_sent_when_wanted() -> None:
    """RFC 1929: version 1, both with their lengths."""
    stream = socks([b"\x05\x02", b"\x01\x00", GRANTED], "192.0.2.1", AUTH)

    assert stream.written.startswith(b"\x05\x02\x00\x02" + b"\x01\x04user\x06secret" + b"\x05\x01\x00\x01")


def test_user_and_password_are_kept_back_when_not_wanted() -> None:
    """A proxy that chooses no authentication does not get the password."""
    assert b"secret" not in socks([b"\x05\x00", GRANTED], auth=AUTH).written


@pytest.mark.parametrize(
    "reply",
    [GRANTED, b"\x05\x00\x00\x04" + bytes(18), b"\x05\x00\x00\x03\x05bound\x00\x50", b"\x05\x00\x00\x03\x00\x00\x50"],
    ids=["IPv4", "IPv6", "name", "empty name"],
)
def test_not_one_byte_more_than_the_reply_is_read(reply: bytes) -> None:
    """However the proxy's bytes are cut, the target's first byte stays in the stream."""
    for pieces in cuts(b"\x05\x02\x01\x00" + reply + b"HTTP/1.1"):
        assert socks(pieces, auth=AUTH).unread == b"HTTP/1.1"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (1, "general failure"),
        (2, "not allowed"),
        (3, "network unreachable"),
        (4, "host unreachable"),
        (5, "refused"),
        (6, "time to live"),
        (7, "command"),
        (8, "address type"),
        (9, "unknown"),
        (255, "unknown"),
    ],
)
def test_reply_codes_have_words(code: int, words: str) -> None:
    """Each reply of RFC 1928 §6 is told in words and by number, also where the proxy sends no address behind it."""
    error = refused_socks([b"\x05\x00", bytes([5, code, 0, 1])])

    assert error.kind == "proxy_connect"
    assert words in str(error)
    assert f"reply {code}" in str(error)
    assert "target.test:443" in str(error)


@pytest.mark.parametrize(
    ("pieces", "auth"),
    [
        ([b"\x05\xff"], None),
        ([b"\x05\xff"], AUTH),
        ([b"\x05\x02", b"\x01\x01"], AUTH),
        ([b"\x05\x02", b"\x05\x01"], AUTH),
        ([b"\x05\x02"], (b"u" * 256, b"p")),
        ([b"\x05\x02"], (b"u", b"p" * 256)),
    ],
    ids=["none given", "method refused", "refused", "refused, odd version", "user too long", "password too long"],
)
def test_credentials_that_do_not_do(pieces: list[bytes], auth: tuple[bytes, bytes] | None) -> None:
    """All that is wrong with user and password is of kind `proxy_auth`, and no message shows them."""
    error = refused_socks(pieces, auth)

    assert error.kind == "proxy_auth"
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"\x05"],
        [b"\x05\x00"],
        [b"\x05\x00", GRANTED[:3]],
        [b"\x05\x00", GRANTED[:-1]],
        [b"HTTP/1.1 400 Bad Request\r\n\r\n"],
        [b"\x04\x00"],
        [b"\x05\x01"],
        [b"\x05\x02"],
        [b"\x05\x00", b"\x04\x00\x00\x01" + bytes(6)],
        [b"\x05\x00", b"\x05\x00\x00\x02" + bytes(6)],
        [RESET],
        [b"\x05\x00", RESET],
    ],
    ids=[
        "nothing",
        "half a choice",
        "no reply",
        "cut reply",
        "one byte short",
        "HTTP",
        "SOCKS4",
        "GSSAPI chosen",
        "password chosen, not offered",
        "odd version in the reply",
        "odd address type",
        "reset",
        "reset before the reply",
    ],
)
def test_a_broken_socks_proxy(pieces: list[bytes | ConnectionResetError | None]) -> None:
    """Whatever a broken proxy does, the error is a ProxyError."""
    assert refused_socks(pieces).kind == "proxy_connect"


@pytest.mark.parametrize("pieces", [[STALL], [b"\x05", STALL], [b"\x05\x00", STALL], [b"\x05\x00", GRANTED[:6], STALL]])
def test_a_socks_proxy_that_stalls_anywhere(pieces: list[bytes | None]) -> None:
    """Each wait of the handshake has the deadline."""
    with pytest.raises(ConnectTimeout) as caught:
        socks(pieces)

    assert isinstance(caught.value, ProxyError)


def test_a_name_too_long_for_socks() -> None:
    """A name of more than 255 bytes is refused before anything is sent."""
    assert "256 bytes" in str(refused_socks([], host="x" * 256))


@given(st.lists(st.binary(min_size=1, max_size=12), max_size=8), st.sampled_from([None, AUTH]))
def test_no_bytes_of_a_proxy_raise_anything_else(pieces: list[bytes], auth: tuple[bytes, bytes] | None) -> None:
    """Whatever comes, a script ends with its connection or a ProxyError."""
    beginnings = (b"", b"\x05\x00", b"\x05\x02\x01\x00", b"\x05\x00\x05\x00\x00")
    with suppress(ProxyError):
        tunnel([b"HTTP/1.1 200", *pieces])
    for beginning in beginnings:
        with suppress(ProxyError):
            socks([piece for piece in (beginning, *pieces) if piece], auth=auth)


# --- real proxies ---


def echo(connection: socket.socket) -> None:
    """Send back what comes."""
    while data := connection.recv(4096):
        connection.sendall(data)


def talk(proxy: Listener, script: Callable[[SocketStream], Coroutine[Any, Any, None]]) -> bytes:
    """Connect to a proxy, run a script, and say hello to whoever is behind it."""
    with socket.create_connection((proxy.host, proxy.port), timeout=10) as connection:
        run_blocking(script(SocketStream(connection)))
        connection.sendall(b"hello")
        return connection.recv(100)


def test_a_real_http_proxy() -> None:
    """A tunnel through a real proxy, to a name that only the proxy knows."""
    with Listener(echo) as target, HTTPProxy(hosts={("inner.test", 7): (target.host, target.port)}) as proxy:
        assert talk(proxy, lambda stream: open_tunnel(stream, "inner.test", 7, [], None)) == b"hello"

    assert [(seen.method, seen.target) for seen in proxy.seen] == [("CONNECT", "inner.test:7")]


@pytest.mark.parametrize("auth", [None, ("user", "secret")])
def test_a_real_socks_proxy(auth: tuple[str, str] | None) -> None:
    """The same through SOCKS5, with and without a password."""
    raw_auth = None if auth is None else (auth[0].encode(), auth[1].encode())
    with (
        Listener(echo) as target,
        SOCKSProxy(auth=auth, hosts={("inner.test", 7): (target.host, target.port)}) as proxy,
    ):
        assert talk(proxy, lambda stream: socks5_connect(stream, "inner.test", 7, raw_auth, None)) == b"hello"

    assert proxy.seen == [Seen("CONNECT", "inner.test:7")]


@pytest.mark.parametrize(
    ("auth", "kind"), [((b"user", b"wrong"), "proxy_auth"), (None, "proxy_auth"), (AUTH, "proxy_connect")]
)
def test_a_real_socks_proxy_refuses_and_fails(auth: tuple[bytes, bytes] | None, kind: str) -> None:
    """Wrong passwords and dead targets come back as told by a real proxy."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with SOCKSProxy(auth=("user", "secret")) as proxy, pytest.raises(ProxyError) as caught:
        talk(proxy, lambda stream: socks5_connect(stream, "127.0.0.1", port, auth, None))

    assert caught.value.kind == kind

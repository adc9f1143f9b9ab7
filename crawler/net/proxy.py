"""Asking a proxy for a connection to somewhere else: HTTP CONNECT and SOCKS5.

    open_tunnel      we: CONNECT host:port          proxy: 200, then the bytes belong to the target
    socks5_connect   we: greeting, [password], CONNECT      proxy: method, [verdict], reply

Both are scripts over a `Stream` that await nothing else, so the same lines run under asyncio, under trio and in the
blocking client. When they return, the stream is at the first byte of the target: not one byte more was read. When
they raise, the caller aborts the stream.

Errors are of one tree: the proxy's refusal, its nonsense and its hanging up are `ProxyError`; its silence is
`ProxyTimeout`, which is a `ConnectTimeout` as every limit on the way to a connection, and a `ProxyError` too.
"""

from __future__ import annotations

import socket
from collections.abc import Coroutine, Sequence
from typing import Any, Final, NoReturn

from crawler.errors import (
    ConnectTimeout,
    NetworkError,
    ProxyError,
    RemoteProtocolError,
    TimeoutException,
    TotalTimeout,
)
from crawler.net.stream import Stream
from crawler.wire import encode_request_head, http1_reader

_READ_BYTES: Final = 65_536


class ProxyTimeout(ConnectTimeout, ProxyError):
    """The proxy stalled: both a `ConnectTimeout` and a `ProxyError`, so that a handler of either sees it."""


async def open_tunnel(
    stream: Stream,
    target_host: str,
    target_port: int,
    proxy_headers: Sequence[tuple[bytes, bytes]],
    deadline: float | None,
) -> None:
    """Make the stream to an HTTP proxy a stream to the target, by the CONNECT method.

    Args:
        stream: Connected to the proxy, within TLS if that is an https proxy.
        target_host: Name or address, without brackets; the proxy resolves it.
        proxy_headers: For the proxy alone, such as `Proxy-Authorization`; they replace `Host` and `Accept` if named so.
        deadline: Monotonic seconds, over the whole exchange; None for no limit.

    Raises:
        ProxyError: The proxy wants other credentials (407, kind `proxy_auth`), refuses with another status, sends
            what is not HTTP, sends bytes ahead of the target, or hangs up (kind `proxy_connect`).
        ProxyTimeout: The deadline passed.

    Source: RFC 9110 §9.3.6.
    """
    host = f"[{target_host}]" if ":" in target_host else target_host
    target = f"{host}:{target_port}".encode("ascii")
    await _in_proxy_terms(_open_tunnel(stream, target, proxy_headers, deadline))


async def _open_tunnel(
    stream: Stream, target: bytes, proxy_headers: Sequence[tuple[bytes, bytes]], deadline: float | None
) -> None:
    named = {name.lower() for name, _ in proxy_headers}
    defaults = [(name, value) for name, value in ((b"Host", target), (b"Accept", b"*/*")) if name.lower() not in named]
    reader = http1_reader()
    reader.expect("CONNECT")
    await stream.write(encode_request_head("CONNECT", target, [*defaults, *proxy_headers]), deadline)
    while not reader.status:
        data = await stream.read(_READ_BYTES, deadline)
        if data:
            reader.feed(data)
        else:
            reader.feed_eof()  # raises, saying what was missing
    _check_tunnel_answer(reader.status, reader.reason, target.decode("ascii"))
    if reader.leftover:
        # The target speaks only after the client's first bytes, so these were put there by someone on the way.
        _refuse(f"The proxy sent {len(reader.leftover)} bytes behind its answer to CONNECT, ahead of the target's.")


def _check_tunnel_answer(status: int, reason: bytes, target: str) -> None:
    """Raise unless the proxy has agreed."""
    if 200 <= status < 300:
        return
    said = f"{status} {reason.decode('latin-1')}".strip()
    if status == 407:
        raise ProxyError(
            f"The proxy wants authentication for CONNECT {target}: {said}. Give it as "
            "`proxy='http://user:password@host:port'`, or check it.",
            kind="proxy_auth",
        )
    _refuse(f"The proxy refused CONNECT {target}: {said}.")


_VERSION: Final = 5
_NO_AUTHENTICATION: Final = 0x00
_USER_PASSWORD: Final = 0x02
_NONE_ACCEPTABLE: Final = 0xFF

# RFC 1928 §6.
_REPLIES: Final = {
    1: "general failure of the proxy",
    2: "connection not allowed by the proxy's rules",
    3: "network unreachable",
    4: "host unreachable, or its name does not resolve",
    5: "connection refused by the target",
    6: "time to live expired on the way",
    7: "command not supported",
    8: "address type not supported",
}

_IPV4: Final = 1
_NAME: Final = 3
_IPV6: Final = 4


async def socks5_connect(
    stream: Stream,
    host: str,
    port: int,
    auth: tuple[bytes, bytes] | None,
    deadline: float | None,
) -> None:
    """Make the stream to a SOCKS5 proxy a stream to the target; the proxy resolves the name.

    Args:
        stream: Connected to the proxy.
        host: ASCII name or IP address of the target, without brackets.
        auth: User and password, each of at most 255 bytes; offered beside "no authentication".
        deadline: Monotonic seconds, over the whole exchange; None for no limit.

    Raises:
        ProxyError: The credentials are missing, refused or too long (kind `proxy_auth`); the proxy cannot or may not
            connect, does not speak SOCKS5, or hangs up (kind `proxy_connect`).
        ProxyTimeout: The deadline passed.

    Source: RFC 1928, RFC 1929.
    """
    await _in_proxy_terms(_socks5_connect(stream, host, port, auth, deadline))


async def _socks5_connect(
    stream: Stream, host: str, port: int, auth: tuple[bytes, bytes] | None, deadline: float | None
) -> None:
    target = _socks_address(host) + port.to_bytes(2, "big")
    methods = bytes([_NO_AUTHENTICATION]) if auth is None else bytes([_NO_AUTHENTICATION, _USER_PASSWORD])
    await stream.write(bytes([_VERSION, len(methods)]) + methods, deadline)
    version, method = await _read_exactly(stream, 2, deadline)
    _check_version(version)
    if method == _USER_PASSWORD and auth is not None:
        await _authenticate(stream, auth, deadline)
    elif method == _NONE_ACCEPTABLE:
        _refuse_credentials("none were given" if auth is None else "it takes no user and password")
    elif method != _NO_AUTHENTICATION:
        _refuse(f"The SOCKS proxy chose authentication method {method}, which was not offered.")

    await stream.write(bytes([_VERSION, 1, 0]) + target, deadline)  # 1: the CONNECT command
    version, reply, _, address_type = await _read_exactly(stream, 4, deadline)
    _check_version(version)
    if reply != 0:  # nothing more is read: after a failure the proxy closes, and some send no address at all
        reason = _REPLIES.get(reply, "an unknown reply code")
        _refuse(f"The SOCKS proxy could not connect to {host}:{port}: {reason} (reply {reply}).")
    await _skip_bound_address(stream, address_type, deadline)


def _socks_address(host: str) -> bytes:
    """Encode the target: an address as such, anything else as a name of up to 255 bytes."""
    for family, address_type in ((socket.AF_INET, _IPV4), (socket.AF_INET6, _IPV6)):
        try:
            return bytes([address_type]) + socket.inet_pton(family, host)
        except (OSError, ValueError):  # ValueError: a NUL in the text
            continue
    name = host.encode("ascii")
    if len(name) > 255:
        _refuse(f"The host name is {len(name)} bytes long; SOCKS5 takes at most 255.")
    return bytes([_NAME, len(name)]) + name


async def _authenticate(stream: Stream, auth: tuple[bytes, bytes], deadline: float | None) -> None:
    """Send user and password, and read the verdict (RFC 1929 §2)."""
    user, password = auth
    if len(user) > 255 or len(password) > 255:
        raise ProxyError("User and password for a SOCKS proxy have at most 255 bytes each.", kind="proxy_auth")
    message = bytes([1, len(user)]) + user + bytes([len(password)]) + password
    await stream.write(message, deadline)
    # The first byte should be the version of this exchange, 1, but proxies are known to say 5: only the verdict counts.
    _, verdict = await _read_exactly(stream, 2, deadline)
    if verdict != 0:
        _refuse_credentials("it refused these")


async def _skip_bound_address(stream: Stream, address_type: int, deadline: float | None) -> None:
    """Read over the proxy's own address and port, to the byte: what follows is the target's."""
    if address_type == _IPV4:
        length = 4
    elif address_type == _IPV6:
        length = 16
    elif address_type == _NAME:
        (length,) = await _read_exactly(stream, 1, deadline)
    else:
        _refuse(f"The SOCKS proxy answered with address type {address_type}, which does not exist.")
    await _read_exactly(stream, length + 2, deadline)


async def _read_exactly(stream: Stream, size: int, deadline: float | None) -> bytes:
    """Read `size` bytes and never more."""
    data = b""
    while len(data) < size:
        piece = await stream.read(size - len(data), deadline)
        if not piece:
            _refuse(f"The SOCKS proxy hung up in the handshake: {len(data)} of {size} bytes of its message came.")
        data += piece
    return data


def _check_version(version: int) -> None:
    if version != _VERSION:
        _refuse(f"The peer is no SOCKS5 proxy: its message begins with {version}, not 5. Is it an http:// proxy?")


def _refuse(message: str) -> NoReturn:
    raise ProxyError(message, kind="proxy_connect")


def _refuse_credentials(why: str) -> NoReturn:
    raise ProxyError(
        f"The SOCKS proxy wants credentials and {why}; give them as `proxy='socks5://user:password@host:port'`.",
        kind="proxy_auth",
    )


async def _in_proxy_terms(script: Coroutine[Any, Any, None]) -> None:
    """Run a script, and say of each failure that it is the proxy's."""
    try:
        await script
    except TotalTimeout:
        raise
    except TimeoutException as exc:
        raise ProxyTimeout("The proxy did not answer in time.", kind="timeout_connect") from exc
    except RemoteProtocolError as exc:
        raise ProxyError(f"The proxy's answer to CONNECT is not HTTP: {exc}", kind="proxy_connect") from exc
    except NetworkError as exc:
        raise ProxyError(f"The connection to the proxy broke: {exc}", kind="proxy_connect") from exc

"""Options of new sockets, the same in all worlds."""

from __future__ import annotations

import math
import socket

from crawler.net.route import Route


def prepare_socket(sock: socket.socket, route: Route) -> None:
    """Set what `route` asks for, before the socket connects.

    TCP_NODELAY is always set: a request leaves in one write, so there is nothing for Nagle's algorithm to gather.

    Raises:
        OSError: An option is not known here, or the local address is not one of this machine.
    """
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for option in route.socket_options or ():
        sock.setsockopt(*option)
    if route.local_address is not None:
        sock.bind((route.local_address, 0))


def new_socket(family: int, route: Route) -> socket.socket:
    """Make a TCP socket as `route` asks for, which does not block.

    Raises:
        OSError: As `prepare_socket`, or there is no descriptor left.
    """
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        prepare_socket(sock, route)
    except BaseException:
        sock.close()
        raise
    return sock


def is_readable(sock: socket.socket, wait_s: float | None = 0.0) -> bool:
    """Whether bytes, or the peer's end, are waiting on a socket; on one that is idle this means: do not use it.

    Args:
        sock: Plain, or under TLS: then it is the encrypted bytes that are looked for.
        wait_s: How long to wait for them; None for no limit.
    """
    import select

    if sock.fileno() < 0:
        return True
    if hasattr(select, "poll"):  # select() cannot look at descriptors from 1024 on
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(None if wait_s is None else math.ceil(wait_s * 1000)))
    return bool(select.select([sock], [], [], wait_s)[0])

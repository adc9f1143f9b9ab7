"""Time limits of a blocking socket, with as few system calls as can be.

A Python timeout makes three calls of each `recv` (ioctl, poll, recv). On a plain socket the kernel can keep the limit
itself, by SO_RCVTIMEO and SO_SNDTIMEO, which leaves one; and since most waits of a connection have the same limit, that
is set once. Within TLS Python's own timeout has to do: its SSL layer would go on reading after the kernel's.
"""

from __future__ import annotations

import socket
import ssl
import struct
import sys
from time import monotonic

_MIN_S = 1e-6  # 0 would mean: no limit to the kernel, do not block to Python
_TOLERANCE = 0.01  # a limit that differs by less from the one that is set is taken for it

_HAS_KERNEL_LIMITS = sys.platform != "win32" and hasattr(socket, "SO_RCVTIMEO")


class SocketTimeouts:
    """Sets the time limits of one blocking socket; a late operation raises `TimeoutError` or `BlockingIOError`."""

    __slots__ = ("_read_s", "_sock", "_write_s", "uses_kernel")

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.uses_kernel: bool = _HAS_KERNEL_LIMITS and not isinstance(sock, ssl.SSLSocket)
        """Whether the socket itself blocks without limit, and the kernel ends what is late."""
        if self.uses_kernel:
            sock.settimeout(None)
        self._read_s: float | None = None
        self._write_s: float | None = None

    def before_read(self, deadline: float | None) -> None:
        """Have the next read end by `deadline` (monotonic seconds; None: no limit)."""
        seconds = _seconds_until(deadline)
        if not self.uses_kernel:
            self._set_python(seconds)
        elif _differ(seconds, self._read_s):
            self._read_s = seconds
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(seconds))

    def before_write(self, deadline: float | None) -> None:
        """Have each wait of the next write end by `deadline`."""
        seconds = _seconds_until(deadline)
        if not self.uses_kernel:
            self._set_python(seconds)
        elif _differ(seconds, self._write_s):
            self._write_s = seconds
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(seconds))

    def _set_python(self, seconds: float | None) -> None:
        if _differ(seconds, self._sock.gettimeout()):
            self._sock.settimeout(seconds)


def _seconds_until(deadline: float | None) -> float | None:
    return None if deadline is None else max(_MIN_S, deadline - monotonic())


def _differ(seconds: float | None, current: float | None) -> bool:
    if seconds is None or current is None:
        return seconds is not current
    return abs(seconds - current) > _TOLERANCE * seconds


def _timeval(seconds: float | None) -> bytes:
    """A C `struct timeval`; all zero is no limit."""
    if seconds is None:
        return struct.pack("@ll", 0, 0)
    return struct.pack("@ll", int(seconds), max(1, int(seconds % 1 * 1e6)))

"""The loggers of the client, and when they are heard.

    crawler         one line per exchange, at INFO
    crawler.wire    the steps of connecting, sending and receiving, at DEBUG; named as in the `trace` extension

Programs that were written for HTTPX quieten its loggers by their names, `httpx` and `httpcore`. They need not learn
ours: where one of those was given a level, ours keep to it unless they were given one of their own.
"""

from __future__ import annotations

import logging
from typing import Any, Final

EXCHANGES: Final = logging.getLogger("crawler")
WIRE: Final = logging.getLogger("crawler.wire")

_HTTPX: Final = logging.getLogger("httpx")
_HTTPCORE: Final = logging.getLogger("httpcore")


def logs_exchanges() -> bool:
    """Whether the line per exchange is wanted."""
    return EXCHANGES.isEnabledFor(logging.INFO) and (bool(EXCHANGES.level) or _HTTPX.level <= logging.INFO)


def logs_wire() -> bool:
    """Whether the steps are wanted."""
    if not WIRE.isEnabledFor(logging.DEBUG):  # nearly always: 0.1 µs
        return False
    return bool(WIRE.level or EXCHANGES.level) or max(_HTTPX.level, _HTTPCORE.level) <= logging.DEBUG


_TOLD: Final = ("host", "port", "path", "server_hostname", "attempt", "delay")
"""What may be logged of a step as it is; headers and bodies may not."""


def log_step(name: str, state: str, info: dict[str, Any]) -> None:
    """Log that a step has begun, is done or has failed.

    Args:
        name, state: For example "connection.connect_tcp" and "started".
        info: What a trace hears of it.
    """
    words = [f"{key}={info[key]!r}" for key in _TOLD if key in info]
    if "request" in info:
        words.append(repr(info["request"]))
    if "exception" in info:
        words.append(repr(info["exception"]))
    value = info.get("return_value")
    if isinstance(value, tuple):  # version, status, reason, headers
        words.append(f"status={value[1]}")
    WIRE.debug("%s", " ".join([f"{name}.{state}", *words]))

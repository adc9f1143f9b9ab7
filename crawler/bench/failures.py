"""One word for every failure, whichever library raised it: the kinds of `crawler.fanout.kinds`."""

from __future__ import annotations

import socket
import ssl
from typing import Final

# Errors of the system, and what they mean to a client. In order: subclasses stand before their parents.
_BY_TYPE: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (socket.gaierror, "dns_not_found"),
    (ssl.SSLCertVerificationError, "tls_untrusted"),
    (ssl.SSLError, "tls_protocol"),
    (ConnectionRefusedError, "connect_refused"),
    (ConnectionError, "connection_lost"),
    (TimeoutError, "timeout_total"),
)

# Words in the class names of libraries that keep the cause to themselves.
_BY_NAME: Final = (
    ("ConnectTimeout", "timeout_connect"),
    ("ConnectionTimeout", "timeout_connect"),
    ("ReadTimeout", "timeout_read"),
    ("Timeout", "timeout_total"),
    ("DNS", "dns_not_found"),
    ("SSL", "tls_protocol"),
    ("Certificate", "tls_untrusted"),
    ("Connect", "connect_refused"),
    ("Disconnected", "connection_lost"),
    ("ReadError", "connection_lost"),
    ("Protocol", "protocol_error"),
    ("Decod", "decode_failed"),
    ("RequestError", "connection_lost"),
)


def kind_of(error: BaseException) -> str:
    """Give the kind of an exception of any client; `internal` for what nobody foresaw.

    Our own say it themselves. Others are judged by the error of the system that they were raised from, then by their
    class names. Imports nothing of ours: that would fall into the measuring of somebody else's client.
    """
    chain = _causes(error)
    for link in chain:
        kind = getattr(link, "kind", None)
        if isinstance(kind, str) and type(link).__module__.startswith("crawler"):
            return kind
    for wanted, kind in _BY_TYPE:
        if any(isinstance(link, wanted) for link in chain):
            return kind
    for link in chain:
        for cls in type(link).__mro__:
            for word, kind in _BY_NAME:
                if word in cls.__name__:
                    return kind
    return "internal"


def _causes(error: BaseException) -> list[BaseException]:
    """The exception and what it was raised from; at most ten, as a chain may be a circle."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and len(chain) < 10:
        chain.append(link)
        link = link.__cause__ or link.__context__
    return chain

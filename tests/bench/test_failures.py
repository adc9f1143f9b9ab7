"""Failures of every library in our words."""

from __future__ import annotations

import socket
import ssl

import pytest

import crawler
from crawler.bench.failures import kind_of
from crawler.fanout.kinds import KINDS


def caused(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


class ReadTimeout(Exception):
    """As several libraries have it."""


class ServerDisconnectedError(Exception):
    """As aiohttp has it."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionRefusedError(), "connect_refused"),
        (ConnectionResetError(), "connection_lost"),
        (TimeoutError(), "timeout_total"),
        (socket.gaierror(), "dns_not_found"),
        (ssl.SSLCertVerificationError(), "tls_untrusted"),
        (ssl.SSLError(), "tls_protocol"),
        (caused(RuntimeError("wrapped"), ConnectionRefusedError()), "connect_refused"),
        (ReadTimeout(), "timeout_read"),
        (ServerDisconnectedError(), "connection_lost"),
        (KeyError("bug"), "internal"),
        (crawler.ReadTimeout("slow"), "timeout_read"),
    ],
)
def test_every_failure_has_a_kind(error: Exception, kind: str) -> None:
    """By what it says itself, the system's error below it, or its name."""
    assert kind_of(error) == kind
    assert kind in KINDS


def test_a_circle_of_causes_ends() -> None:
    """An exception may be its own cause's cause."""
    first, second = RuntimeError(), RuntimeError()
    first.__context__, second.__context__ = second, first
    assert kind_of(first) == "internal"

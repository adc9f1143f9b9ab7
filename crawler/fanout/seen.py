"""An attempt of another process, as far as observers look at it."""

from __future__ import annotations

from typing import Any, cast

from crawler.fanout.result import Result


class _Target:
    __slots__ = ("fp",)

    def __init__(self, fp: bytes) -> None:
        self.fp = fp


class _Request:
    __slots__ = ("method",)

    def __init__(self, method: str) -> None:
        self.method = method


class SeenAttempt:
    """What a `Result` says of an attempt that ended elsewhere.

    Attributes:
        target, request, url, attempts, status, error_kind, error_message, begun, ended, total, response: As those of
            `Result`; of the target there is its fingerprint, of the request its method, and of the response whether
            there was one.
    """

    __slots__ = (
        "attempts",
        "begun",
        "ended",
        "error_kind",
        "error_message",
        "request",
        "response",
        "status",
        "target",
        "total",
        "url",
    )

    def __init__(self, values: tuple[Any, ...]) -> None:
        fp, method, self.url, self.attempts, self.status, self.error_kind, self.error_message, *times = values
        self.begun, self.ended, self.total = times
        self.target = _Target(fp)
        self.request = None if method is None else _Request(method)
        self.response = None if self.status is None else True


def attempt_values(result: Result, host: str) -> tuple[object, ...]:
    """Give an attempt that ended as plain values."""
    request = result.request
    return (
        host,
        result.target.fp,
        None if request is None else request.method,
        result.url,
        result.attempts,
        result.status,
        result.error_kind,
        None if result.error_kind is None else result.error_message,
        result.begun,
        result.ended,
        result.total,
    )


def seen_attempt(values: tuple[Any, ...]) -> tuple[Result, str]:
    """Undo `attempt_values`: what observers are told of it."""
    return cast("Result", SeenAttempt(values[1:])), values[0]

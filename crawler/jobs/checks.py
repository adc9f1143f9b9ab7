"""From `checks` to what judges responses: the engine's own checks for head and size, and functions for the text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import orjson

from crawler.fanout.checks import CheckFailed, ResponseCheck
from crawler.jobs.checks_schema import Check
from crawler.jobs.expressions import compile_jmespath
from crawler.models import Response
from crawler.spider.charsets import decode, detect
from crawler.spider.patterns import compile_regex, url_pattern

SECONDS = 1.0
"""Time for one expression on one page."""


def response_checks(checks: Sequence[Check]) -> tuple[ResponseCheck, ...]:
    """What the engine judges responses by.

    Raises:
        BadExpression: One does not compile.
    """
    return tuple(
        ResponseCheck(
            name=f"checks[{index}]",
            matches=url_pattern(check.match) if check.match is not None else None,
            status=frozenset(check.status),
            content_type=tuple(pattern.lower() for pattern in check.content_type),
            min_size=check.min_size,
            max_size=check.max_size,
            text=_TextCheck(check, index).check if check.looks_at_text else None,
            kind=check.kind,
            is_transient=check.retry,
        )
        for index, check in enumerate(checks)
    )


class _TextCheck:
    """The conditions of one entry that look at the body."""

    def __init__(self, check: Check, index: int) -> None:
        self._check = check
        self._place = f"checks[{index}]"
        self._regex = compile_regex(check.regex) if check.regex is not None else None
        self._search: Callable[[Any], Any] | None = None
        if check.jmespath is not None:
            self._search = compile_jmespath(check.jmespath)

    def check(self, response: Response, body: bytes) -> None:
        """Check one body, decoded.

        Raises:
            CheckFailed: A condition does not hold.
        """
        if self._search is not None:
            self._check_json(self._search, body)
        if self._check.contains or self._check.not_contains or self._regex is not None:
            self._check_text(decode(body, detect(body, response.headers.get("content-type"))))

    def _check_text(self, text: str) -> None:
        for wanted in self._check.contains:
            if wanted not in text:
                raise self._failure("contains", f"the body does not contain {_short(wanted)}")
        for unwanted in self._check.not_contains:
            if unwanted in text:
                raise self._failure("not_contains", f"the body contains {_short(unwanted)}")
        if self._regex is not None:
            try:
                found = self._regex.search(text, timeout=SECONDS)
            except TimeoutError:
                raise self._failure("regex", f"the expression took longer than {SECONDS:g} s on this body") from None
            if found is None:
                raise self._failure("regex", f"{_short(self._regex.pattern)} is not found in the body")

    def _check_json(self, search: Callable[[Any], Any], body: bytes) -> None:
        expression = _short(self._check.jmespath or "")
        try:
            value = search(orjson.loads(body))
        except orjson.JSONDecodeError as error:
            raise self._failure("jmespath", f"the body is no JSON: {error}") from error
        except ValueError as error:  # a function got a value of a type it does not take
            raise self._failure("jmespath", f"{expression} cannot be said of this body: {error}") from error
        if value is None or value is False or value in ("", [], {}):
            raise self._failure("jmespath", f"{expression} is not true of the body")

    def _failure(self, condition: str, message: str) -> CheckFailed:
        check = self._check
        name = f"{self._place}.{condition}"
        return CheckFailed(message, kind=check.kind or "check_failed", check=name, is_transient=check.retry)


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:79] + "…")

r"""Patterns for URLs, and regular expressions that cannot run away.

    https://h/p/**     glob: `**` is anything, `*` anything but a slash (after a `?`, anything), all else is literal
    /p/*               a glob that begins with a slash is for path and query alone
    re:^https://h/c/   a regular expression, found anywhere in the URL

A glob's `?` is the one of a URL, no wildcard. Matching a regular expression takes a number of seconds at most: some
that look harmless take years on the wrong page.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from crawler.spider.errors import BadExpression, SelectorTimeout

if TYPE_CHECKING:
    import regex  # at run time only where there is a pattern: 7 ms of each start

URL_SECONDS: Final = 0.1
"""Time for one pattern on one URL."""

MAX_EXPRESSION: Final = 10_000
"""Characters of an expression."""

_PATH = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#]*(?=[/?#]|$)", re.IGNORECASE)


def compile_regex(text: str) -> regex.Pattern[str]:
    """Compile a regular expression as Python writes them.

    Raises:
        BadExpression: It is none.
    """
    import regex

    if len(text) > MAX_EXPRESSION:
        raise BadExpression(f"the expression is longer than {MAX_EXPRESSION} characters")
    try:
        return regex.compile(text)
    except (regex.error, RecursionError, OverflowError) as error:
        raise BadExpression(f"{text!r} is no regular expression: {error}") from error


def glob_to_regex(glob: str) -> str:
    """Say the same as a glob by a regular expression for the whole text."""
    parts: list[str] = []
    is_query = False
    at = 0
    while at < len(glob):
        if glob.startswith("**", at):
            parts.append(".*")
            at += 2
            continue
        character = glob[at]
        if character == "*":
            parts.append(".*" if is_query else "[^/]*")
        else:
            is_query = is_query or character == "?"
            parts.append(re.escape(character))
        at += 1
    return "".join(parts)


def url_pattern(text: str) -> Callable[[str], bool]:
    """Compile a pattern for URLs; see the module's text.

    Returns:
        Says whether a normalised URL matches; raises `SelectorTimeout` if that cannot be found out in time.

    Raises:
        BadExpression: It does not compile.
    """
    if text.startswith("re:"):
        search = compile_regex(text[3:]).search
    else:
        if not text.startswith(("/", "*")) and "://" not in text:
            raise BadExpression(f"{text!r} matches no URL: begin with http, with / for the path, or with **")
        import regex

        search = regex.compile(glob_to_regex(text), regex.DOTALL).fullmatch
    is_path = text.startswith("/")

    def matches(url: str) -> bool:
        try:
            return search(url[_end_of_origin(url) :] if is_path else url, timeout=URL_SECONDS) is not None
        except TimeoutError as error:
            raise SelectorTimeout(f"the pattern {text!r} took longer than {URL_SECONDS} s on one URL") from error

    return matches


def _end_of_origin(url: str) -> int:
    found = _PATH.match(url)
    return found.end() if found is not None else 0

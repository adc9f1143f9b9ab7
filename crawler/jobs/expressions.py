"""JMESPath as jobs use it: compiled at start, its errors as ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crawler.spider.errors import BadExpression


def compile_jmespath(text: str) -> Callable[[Any], Any]:
    """Give the search that an expression stands for; it raises `ValueError` where a function gets a wrong type.

    Raises:
        BadExpression: It does not compile.
    """
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        search: Callable[[Any], Any] = jmespath.compile(text).search
    except JMESPathError as error:
        first = str(error).splitlines()[0]
        raise BadExpression(f"{text!r} is no JMESPath: {first}") from error
    return search

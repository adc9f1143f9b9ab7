"""What comes in with a request, checked: JSON bodies, names, numbers."""

from __future__ import annotations

import json
import math
import re
from typing import Any, Final

import orjson
from starlette.requests import Request

from crawler.jobs.schema import NAME_PATTERN
from crawler.service.problems import Problem

_RUN_ID: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
_NAME: Final = re.compile(NAME_PATTERN)
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")


async def read_json(request: Request) -> Any:
    """The body as JSON, strictly: one value, no duplicate keys, no NaN, nothing beyond 64 bits.

    Raises:
        Problem: It is none.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(415, "the body must be JSON, and said to be: `Content-Type: application/json`")
    body = await request.body()
    try:
        orjson.loads(body)  # refuses broken UTF-8, lone surrogates, NaN, and what is nested too deep
        return json.loads(body, object_pairs_hook=_unique, parse_int=_whole, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is no JSON that is taken here: {str(error)[:200]}") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object has a key twice")
    return found


def _whole(text: str) -> int:
    number = int(text) if len(text) <= 20 else 2**64
    if not -(2**63) <= number < 2**64:
        raise ValueError("a whole number beyond 64 bits")
    return number


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number beyond what a float holds")
    return number


def run_id(request: Request) -> str:
    """The id in the path; what is no id is no run, whatever file it may name.

    Raises:
        Problem: It is no id.
    """
    text = str(request.path_params["run_id"])
    if _RUN_ID.fullmatch(text) is None:
        raise Problem(404, "a run is named by its id of 26 letters and digits")
    return text


def job_name(text: str) -> str:
    """A job's name.

    Raises:
        Problem: It is none.
    """
    if _NAME.fullmatch(text) is None:
        raise Problem(404, "a job's name is made of a-z 0-9 . _ - and begins with a letter or digit")
    return text


def number(request: Request, name: str, default: int, most: int) -> int:
    """A whole number of the query.

    Raises:
        Problem: It is none, or too large.
    """
    text = request.query_params.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) > most:
        raise Problem(400, f"{name} is a whole number of at most {most}")
    return int(text)


def idempotency_key(request: Request) -> str | None:
    """The header `Idempotency-Key`.

    Raises:
        Problem: It is too long, or holds what it may not.
    """
    key = request.headers.get("idempotency-key")
    if key is not None and _KEY.fullmatch(key) is None:
        raise Problem(400, "an Idempotency-Key is 1 to 200 printable ASCII characters")
    return key

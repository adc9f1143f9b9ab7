"""Every error of the API as a problem document (RFC 9457): what, where, and what may be done."""

from __future__ import annotations

import logging
import secrets
from typing import Any, Final

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from crawler.jobs import JobError
from crawler.service.errors import NoSuchJob, NoSuchRun, NotPossible, ServiceError, TooMany
from crawler.service.inline import InlineRefused

_TITLES: Final = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    405: "Method not allowed",
    406: "Not acceptable",
    408: "Request timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length required",
    413: "Content too large",
    415: "Unsupported media type",
    416: "Range not satisfiable",
    422: "Unprocessable content",
    429: "Too many requests",
    500: "Internal error",
    503: "Service unavailable",
}

_log: Final = logging.getLogger("crawler.service.api")


class Problem(Exception):
    """An answer that is an error.

    Args:
        status: HTTP status.
        detail: One sentence for people.
        headers: Further header fields.
        members: Further members of the document.
    """

    def __init__(self, status: int, detail: str, headers: dict[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers or {}
        self.members = members


def document(status: int, detail: str, **members: Any) -> dict[str, Any]:
    """The problem document."""
    return {"type": "about:blank", "title": _TITLES.get(status, "Error"), "status": status, "detail": detail, **members}


def answer(problem: Problem) -> Response:
    """The response that a problem is."""
    body = orjson.dumps(document(problem.status, problem.detail, **problem.members), default=str)
    return Response(body, problem.status, problem.headers, media_type="application/problem+json")


async def on_problem(request: Request, error: Exception) -> Response:
    """Answer with a problem document; what nobody expected gets an id, and its traceback goes to the log only."""
    return answer(problem_of(error))


def problem_of(error: Exception) -> Problem:
    """What an exception is to a caller."""
    match error:
        case Problem():
            return error
        case HTTPException():
            return Problem(error.status_code, str(error.detail), dict(error.headers or {}))
        case NoSuchRun() | NoSuchJob():
            return Problem(404, str(error))
        case NotPossible():
            return Problem(409, str(error))
        case TooMany():
            return Problem(429, str(error), {"Retry-After": "5"})
        case InlineRefused():
            return Problem(422, "the job asks for what a job of the API may not have", errors=error.findings)
        case JobError():
            # Not the mark's source: it is a path of ours.
            findings = [
                {"detail": finding.message, "line": finding.mark.line, "column": finding.mark.column}
                for finding in error.findings[:100]
            ]
            return Problem(422, "the job has errors", errors=findings)
        case ServiceError():
            return Problem(400, str(error))
    name = secrets.token_hex(8)
    _log.error("internal error %s", name, exc_info=error)
    return Problem(500, f"an internal error; the service's log has it under {name}", id=name)

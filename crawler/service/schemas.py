"""The schemas of `/openapi.json`: what the API takes and gives."""

from __future__ import annotations

from typing import Any, Final

from crawler.service.states import State

_INSTANT: Final = {"type": ["string", "null"], "format": "date-time"}
_TEXT: Final = {"type": "string"}
_NUMBER: Final = {"type": "number"}
_WHOLE: Final = {"type": "integer"}
_MAYBE_WHOLE: Final = {"type": ["integer", "null"]}
_OBJECT: Final = {"type": "object"}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _list_of(name: str, key: str, **more: Any) -> dict[str, Any]:
    return _object(**{key: {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}}, **more)


SCHEMAS: Final[dict[str, Any]] = {
    "Object": _OBJECT,
    "Problem": {
        **_object(type=_TEXT, title=_TEXT, status=_WHOLE, detail=_TEXT, errors={"type": "array", "items": {}}),
        "description": "A problem document (RFC 9457).",
        "required": ["type", "title", "status", "detail"],
    },
    "NewRun": {
        "description": "Which job to run: one of the folder by name, or one that comes with the request.",
        "oneOf": [
            {**_object(job=_TEXT), "required": ["job"], "additionalProperties": False},
            {**_object(inline=_OBJECT), "required": ["inline"], "additionalProperties": False},
        ],
    },
    "Run": _object(
        id=_TEXT,
        job=_TEXT,
        origin={"enum": ["schedule", "api", "inline"]},
        state={"enum": [str(state) for state in State]},
        wanted={"type": ["string", "null"]},
        reason=_TEXT,
        message=_TEXT,
        exit_code=_MAYBE_WHOLE,
        slot=_INSTANT,
        created=_INSTANT,
        started=_INSTANT,
        ended=_INSTANT,
        seconds=_NUMBER,
        resumes=_WHOLE,
        losses=_WHOLE,
        size=_WHOLE,
        progress=_OBJECT,
        links=_OBJECT,
    ),
    "Runs": _list_of("Run", "runs", before={"type": ["string", "null"]}),
    "Job": _object(
        name=_TEXT,
        file=_TEXT,
        error={"type": ["string", "null"]},
        kind={"type": ["string", "null"]},
        description=_TEXT,
        tags={"type": "array", "items": _TEXT},
        schedule={"type": ["object", "null"]},
        next={"type": "array", "items": _INSTANT},
        last_run={"type": ["object", "null"]},
    ),
    "Jobs": _list_of("Job", "jobs", problem=_TEXT),
    "Results": _object(records={"type": "array", "items": _OBJECT}, cursor=_WHOLE, is_end={"type": "boolean"}),
}

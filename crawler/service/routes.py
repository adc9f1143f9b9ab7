"""The API as a table: each row is a path, what it does in words, and the function that does it.

Starlette's routes and `/openapi.json` are both made from this table, so neither can say what the other does not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crawler.service.problems import answer, problem_of

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of the query or a header."""

    name: str
    description: str
    kind: str = "string"
    place: str = "query"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A row of the table.

    Attributes:
        method, path, handler: As served.
        summary: One line.
        answers: Status of success and what comes with it, as the name of a schema or a media type.
        parameters: Besides those of the path.
        body: Name of the schema of the request's body.
        problems: Statuses of errors that are this endpoint's own.
        is_open: Needs no token.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answers: tuple[int, str] = (200, "Object")
    parameters: tuple[Parameter, ...] = ()
    body: str | None = None
    problems: tuple[int, ...] = ()
    is_open: bool = False

    def route(self) -> Route:
        """The row as a route."""

        async def handle(request: Request) -> Response:
            request.scope["crawler.route"] = self.path
            try:
                return await self.handler(request)
            except Exception as error:
                return answer(problem_of(error))

        return Route(self.path, handle, methods=[self.method], name=f"{self.method} {self.path}")


def routes_of(endpoints: tuple[Endpoint, ...]) -> list[Route]:
    """Routes; several methods of one path are several routes, and a wrong method is told with those there are."""
    return [endpoint.route() for endpoint in endpoints]


def openapi(endpoints: tuple[Endpoint, ...], schemas: dict[str, Any], version: str) -> dict[str, Any]:
    """The description of the API (OpenAPI 3.1)."""
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {"title": "crawler", "version": version, "description": "Jobs, runs and their records."},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}, {}],
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    status, kind = endpoint.answers
    inside = [part[1:-1] for part in endpoint.path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in inside] + [
        {"name": one.name, "in": one.place, "description": one.description, "schema": {"type": one.kind}}
        for one in endpoint.parameters
    ]
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "operationId": f"{endpoint.method.lower()}{endpoint.path}".replace("/", "_").replace("{", "").replace("}", ""),
        "parameters": parameters,
        "responses": {str(status): {"description": "It worked.", "content": _content(kind)}},
    }
    own = endpoint.problems if endpoint.is_open else (*endpoint.problems, 401, 403)
    for code in sorted({*own, 500}):
        problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
        operation["responses"][str(code)] = {"description": "A problem.", "content": problem}
    if endpoint.body is not None:
        schema = {"$ref": f"#/components/schemas/{endpoint.body}"}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    if endpoint.is_open:
        operation["security"] = []
    return operation


def _content(kind: str) -> dict[str, Any]:
    if "/" in kind:
        return {kind: {"schema": {"type": "string"}}}
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{kind}"}}}

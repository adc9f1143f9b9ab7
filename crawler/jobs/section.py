"""What all mappings of the job file have in common.

Models are built when one is first needed, and descriptions are read from the source only for the JSON Schema: with
`use_attribute_docstrings` pydantic would parse the source of every model whenever this room is imported, and build a
validator for each besides that of the whole file. Both together took 0.13 of the 0.75 s of a run's start.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Final

from pydantic import BaseModel, ConfigDict

SECTION: Final = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True, defer_build=True)
"""Unknown keys are refused; the docstring of a field is its description."""


def describe(model: type[BaseModel]) -> None:
    """Give the fields of a model, and of those within it, the docstrings below them as descriptions."""
    _describe(model, set())


def _describe(model: type[BaseModel], described: set[type[BaseModel]]) -> None:
    if model in described:
        return
    described.add(model)
    for field in model.model_fields.values():
        for part in _models_in(field.annotation):
            _describe(part, described)  # first: what is built of a model goes into those that hold it
    said: dict[str, str] = {}
    for parent in reversed(model.__mro__):
        if issubclass(parent, BaseModel) and parent is not BaseModel:
            said.update(_docstrings(parent))
    for name, field in model.model_fields.items():
        if field.description is None:
            field.description = said.get(name)
    model.model_rebuild(force=True)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models_in(part)


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """The texts that stand directly below the fields of a class."""
    import ast
    import inspect
    import textwrap

    body = ast.parse(textwrap.dedent(inspect.getsource(model))).body[0]
    assert isinstance(body, ast.ClassDef)
    said: dict[str, str] = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(text, ast.Expr):
            continue
        if isinstance(field.target, ast.Name) and isinstance(text.value, ast.Constant):
            said[field.target.id] = inspect.cleandoc(str(text.value.value))
    return said

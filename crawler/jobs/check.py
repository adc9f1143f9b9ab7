"""A filled-in tree against the schema: the model, or findings with the place of each.

pydantic says what is wrong where in the *data*; here that becomes a sentence at a line and column of the *file*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from crawler.jobs.fields import nearest, show
from crawler.jobs.findings import Finding
from crawler.jobs.kind_defaults import with_kind_defaults
from crawler.jobs.nodes import Map, dotted, locate, plain
from crawler.jobs.pending import PENDING
from crawler.jobs.schema import JobFile


def check_schema(tree: Map) -> tuple[JobFile | None, list[Finding]]:
    """Check every key and value of `tree`.

    Returns:
        The model, or None and why not: all findings, not the first.
    """
    data = plain(Map(tree.mark, {key: entry for key, entry in tree.entries.items() if not key.startswith("x-")}))
    try:
        return with_kind_defaults(JobFile.model_validate(data)), []
    except ValidationError as exc:
        return None, [_finding(tree, error) for error in exc.errors(include_url=False, include_context=True)]


def known_keys() -> dict[str, frozenset[str]]:
    """The working keys of each section; sections are paths without indexes, like `retry.backoff` or `output[]`."""
    levels: dict[str, frozenset[str]] = {}
    _collect(JobFile, "", levels)
    return levels


def _collect(
    model: type[BaseModel], section: str, levels: dict[str, frozenset[str]], around: tuple[type[BaseModel], ...] = ()
) -> None:
    names = {info.alias or name: info.annotation for name, info in model.model_fields.items()}
    levels[section] = frozenset(names)
    for name, annotation in names.items():
        for inner, suffix in _models_in(annotation, ""):
            if inner not in (model, *around):  # `fields` of a field are fields
                _collect(inner, f"{section}.{name}{suffix}".lstrip("."), levels, (model, *around))


def _models_in(annotation: Any, suffix: str) -> list[tuple[type[BaseModel], str]]:
    """The models an annotation leads to, with `[]` for each list on the way."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [(annotation, suffix)]
    inner = suffix + "[]" if getattr(annotation, "__origin__", None) is list else suffix
    return [found for part in getattr(annotation, "__args__", ()) for found in _models_in(part, inner)]


def _finding(tree: Map, error: Mapping[str, Any]) -> Finding:
    path: Sequence[str | int] = error["loc"]
    kind: str = error["type"]
    if kind == "extra_forbidden":
        return Finding(locate(tree, path, key=True), _unknown(path))
    return Finding(locate(tree, path), f"{dotted(path)}: {_sentence(kind, error)}")


def _sentence(kind: str, error: Mapping[str, Any]) -> str:
    value = error["input"]
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind in ("model_type", "dict_type"):
        return f"expected a mapping (`key: value`), not {show(value)}"
    if kind == "list_type":
        return f"expected a list, not {show(value)}"
    if kind == "missing":
        return "is missing"
    if kind == "too_short":
        least = error["ctx"]["min_length"]
        return f"expected at least {least}"
    if kind == "too_long":
        return f"at most {error['ctx']['max_length']} are allowed"
    return str(error["msg"])


def _section(path: Sequence[str | int]) -> str:
    """The section a key stands in: `("output", 0, "pth")` is in `output[]`."""
    text = ""
    for part in path[:-1]:
        text += "[]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _unknown(path: Sequence[str | int]) -> str:
    """Why a key is refused: not working yet, at home elsewhere, or misspelt."""
    section, name = _section(path), str(path[-1])
    shown = dotted(path)
    pending = PENDING.get(section, frozenset())
    if name in pending:
        return f"{shown}: this key is known, but this version does not do it yet; take it out"
    levels = known_keys()
    homes = sorted(home for home, names in levels.items() if name in names and home != section)
    if homes:
        places = " or ".join(f"'{home}.{name}'" if home else f"'{name}' at the top of the file" for home in homes[:3])
        return f"{shown}: unknown key here; did you mean {places}?"
    near = nearest(name, levels.get(section, frozenset()) | pending)
    if near is not None:
        return f"{shown}: unknown key; did you mean '{near}'?"
    known = ", ".join(sorted(levels.get(section, frozenset())))
    return f"{shown}: unknown key" + (f"; known here: {known}" if known and len(known) < 200 else "")

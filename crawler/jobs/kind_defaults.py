"""Defaults that depend on the kind of a job; those of `fetch` stand in the schema itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

if TYPE_CHECKING:
    from crawler.jobs.schema import JobFile

Defaults = Mapping[str, object]

BY_KIND: Final[Mapping[str, Defaults]] = {
    "crawl": {
        "concurrency": 32,
        "per_host": {"concurrency": 2, "rate": 1.0},
        "autothrottle": {"enabled": True},
        "retry": {"attempts": 3},
        "robots": {"obey": True},
    },
    "download": {
        "concurrency": 16,
        "per_host": {"concurrency": 4},
        "timeout": {"total": None},
        "retry": {"attempts": 6},
        "body": {"keep": "file", "max_size": None},
        "stop": {"disk_free": 1024**3},
    },
}
"""Kind -> defaults by key, sections within sections."""


def with_kind_defaults(model: JobFile) -> JobFile:
    """Give the model with what its kind has other defaults for; what the job says stays, and so does what counts as
    said (`model_fields_set`)."""
    laid: JobFile = _laid_under(model, BY_KIND.get(model.kind, {}))
    return laid


def default_of(kind: object, key: str, otherwise: Any) -> Any:
    """Give the default of a key at the top of the file for a kind."""
    return BY_KIND.get(str(kind), {}).get(key, otherwise)


def _laid_under(model: Any, defaults: Defaults) -> Any:
    update: dict[str, object] = {}
    for name, default in defaults.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            assert isinstance(default, Mapping)
            update[name] = _laid_under(value, default)
        elif name not in model.model_fields_set:
            update[name] = default
    copy = model.model_copy(update=update)
    object.__setattr__(copy, "__pydantic_fields_set__", set(model.model_fields_set))
    return copy

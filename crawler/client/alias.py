"""`alias_httpx()`: lets libraries that import `httpx` get this package instead."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType


class NoSubmodules:
    """Refuses `import httpx._client` and the like, which would load a room of this package a second time."""

    @staticmethod
    def find_spec(fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """See `importlib.abc.MetaPathFinder`."""
        if fullname.startswith("httpx."):
            raise ModuleNotFoundError(
                f"No module named {fullname!r}: httpx is an alias of crawler here, which has its public names only.",
                name=fullname,
            )


def alias_httpx() -> None:
    """Make `import httpx` mean `crawler` in the whole process; for applications, never for libraries.

    So that dependencies which import `httpx` share the classes and the engine of this package. Call it before anything
    imports `httpx`; further calls do nothing.

    Raises:
        RuntimeError: The real `httpx` was imported already.
    """
    ours = sys.modules["crawler"]
    present = sys.modules.get("httpx")
    if present is ours:
        return
    if present is not None:
        raise RuntimeError("httpx was imported already; call alias_httpx() before any `import httpx`.")
    sys.modules["httpx"] = ours
    sys.meta_path.insert(0, NoSubmodules)

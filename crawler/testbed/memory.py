"""A dict that forgets its oldest entries: the counters of endpoints with state per key."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

Value = TypeVar("Value")

MAX_KEYS: Final = 10_000
"""Keys remembered per endpoint. Above that the key that was new longest ago starts afresh."""


class BoundedDict(dict[str, Value], Generic[Value]):
    """A dict of at most `max_keys` entries; setting a new one above that drops the oldest.

    Bounded because keys come from the outside, and a run over a million URLs with a key each must not grow the server.
    """

    def __init__(self, max_keys: int = MAX_KEYS) -> None:
        super().__init__()
        self._max_keys = max_keys

    def __setitem__(self, key: str, value: Value) -> None:
        if key not in self and len(self) >= self._max_keys:
            del self[next(iter(self))]
        super().__setitem__(key, value)

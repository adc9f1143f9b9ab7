"""`QueryParams`: the parameters of a query, `a=1&a=2&b=3`, as an immutable mapping that keeps repeats.

Escaping is that of HTML forms (space as "+"), as browsers and HTTPX send it.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crawler.models.types import PrimitiveData, QueryParamTypes


def primitive_to_str(value: PrimitiveData) -> str:
    """A value as text: True and False as in JSON, None as nothing."""
    if value is True:
        return "true"
    if value is False:
        return "false"
    if value is None:
        return ""
    return str(value)


class QueryParams(Mapping[str, str]):
    """Parameters of a query: an immutable mapping of text to text in which a key may stand several times.

        QueryParams("a=1&a=2&b=3")
        QueryParams({"a": [1, 2], "b": True})
        QueryParams([("a", 1), ("a", 2)])
        QueryParams(a=1, b=None)

    Looking up a key gives its first value; `get_list` and `multi_items` give all. Two are equal if they have the same
    pairs in any order.
    """

    __slots__ = ("_dict",)

    def __init__(self, *args: QueryParamTypes | None, **kwargs: Any) -> None:
        """Take text, a mapping, pairs, or keyword arguments.

        Raises:
            TypeError: Both positional and keyword arguments, or more than one positional.
        """
        if len(args) > 1 or (args and kwargs):
            raise TypeError("QueryParams takes one positional argument or keyword arguments")
        value = args[0] if args else kwargs
        self._dict: dict[str, list[str]]
        if value is None or isinstance(value, str | bytes):
            self._dict = _parse(value.decode("ascii") if isinstance(value, bytes) else value or "")
        elif isinstance(value, QueryParams):
            self._dict = value._dict  # the lists are never changed in place
        else:
            self._dict = {
                str(key): [primitive_to_str(item) for item in items] for key, items in _grouped(value).items() if items
            }

    def keys(self) -> KeysView[str]:
        """The keys, each once, in the order of their first appearance."""
        return self._dict.keys()

    def values(self) -> ValuesView[str]:
        """The first value of each key."""
        return {key: items[0] for key, items in self._dict.items()}.values()

    def items(self) -> ItemsView[str, str]:
        """Each key with its first value."""
        return {key: items[0] for key, items in self._dict.items()}.items()

    def multi_items(self) -> list[tuple[str, str]]:
        """All pairs; the values of one key stand together."""
        return [(key, item) for key, items in self._dict.items() for item in items]

    def get(self, key: Any, default: Any = None) -> Any:
        """The first value of `key`, else `default`."""
        items = self._dict.get(str(key))
        return items[0] if items else default

    def get_list(self, key: str) -> list[str]:
        """All values of `key`."""
        return list(self._dict.get(str(key), ()))

    def set(self, key: str, value: Any = None) -> QueryParams:
        """A copy in which `key` has just this value."""
        return self._with({**self._dict, str(key): [primitive_to_str(value)]})

    def add(self, key: str, value: Any = None) -> QueryParams:
        """A copy with one more value of `key`."""
        return self._with({**self._dict, str(key): [*self.get_list(key), primitive_to_str(value)]})

    def remove(self, key: str) -> QueryParams:
        """A copy without `key`."""
        return self._with({name: items for name, items in self._dict.items() if name != str(key)})

    def merge(self, params: QueryParamTypes | None = None) -> QueryParams:
        """A copy in which the keys of `params` replace those of the same names."""
        return self._with({**self._dict, **QueryParams(params)._dict})

    def update(self, params: QueryParamTypes | None = None) -> None:
        """Not possible: use `merge`."""
        raise RuntimeError("QueryParams are immutable. Use `q = q.merge(...)` to create an updated copy.")

    @classmethod
    def _with(cls, values: dict[str, list[str]]) -> QueryParams:
        params = QueryParams.__new__(QueryParams)
        params._dict = values
        return params

    def __getitem__(self, key: Any) -> str:
        return self._dict[key][0]

    def __setitem__(self, key: str, value: str) -> None:
        raise RuntimeError("QueryParams are immutable. Use `q = q.set(key, value)` to create an updated copy.")

    def __contains__(self, key: Any) -> bool:
        return key in self._dict

    def __iter__(self) -> Iterator[str]:
        return iter(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def __bool__(self) -> bool:
        return bool(self._dict)

    def __hash__(self) -> int:
        return hash(frozenset(self.multi_items()))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QueryParams):
            return NotImplemented
        return sorted(self.multi_items()) == sorted(other.multi_items())

    def __str__(self) -> str:
        from urllib.parse import urlencode

        return urlencode(self.multi_items())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


def _parse(query: str) -> dict[str, list[str]]:
    if not query:
        return {}
    from urllib.parse import parse_qs  # 3 ms at first use

    return parse_qs(query, keep_blank_values=True)


def _grouped(value: Any) -> dict[Any, list[Any]]:
    """Pairs or a mapping, as each key with the list of its values."""
    grouped: dict[Any, list[Any]] = {}
    if not hasattr(value, "items"):
        for key, item in value:
            grouped.setdefault(key, []).append(item)
        return grouped
    for key, item in value.items():
        grouped[key] = list(item) if isinstance(item, list | tuple) else [item]
    return grouped

"""What a crawl has seen, counted while it goes: pages by depth and folder, and the links that are broken.

Memory is bounded: folders beyond `MAX_FOLDERS` are counted with their host, broken links beyond `MAX_BROKEN` are only
counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, Protocol, runtime_checkable

MAX_FOLDERS: Final = 2000
MAX_BROKEN: Final = 500
SHOWN_FOLDERS: Final = 60
"""Lines of the tree of the site."""

SIZES: Final = ((1024, "1 KiB"), (10_240, "10 KiB"), (102_400, "100 KiB"), (1_048_576, "1 MiB"), (10_485_760, "10 MiB"))
"""Upper ends of the classes of sizes, and how they are called."""

_BROKEN: Final = frozenset(
    {"http_4xx", "http_5xx", "dns_not_found", "connect_refused", "redirect_loop", "redirect_limit"}
)


@runtime_checkable
class Telling(Protocol):
    """A processor or gate that adds to the summary of a crawl."""

    def told(self) -> Mapping[str, object]:
        """Give what it counted, by name."""


class CrawlTally:
    """Counts the records of a crawl.

    Attributes:
        is_crawl: There was one that has a depth.
    """

    def __init__(self) -> None:
        self.is_crawl = False
        self._depths: dict[int, Counter[str]] = {}
        self._bytes: Counter[int] = Counter()
        self._sizes: Counter[str] = Counter()
        self._folders: Counter[tuple[str, ...]] = Counter()
        self._broken: list[tuple[str, int | None, str, str | None]] = []
        self._broken_n = 0

    def note(self, record: Mapping[str, object]) -> None:
        """Count a record."""
        depth = record["depth"]
        if not isinstance(depth, int):
            return
        self.is_crawl = True
        outcome, size = str(record["outcome"]), record["bytes"]
        self._depths.setdefault(depth, Counter())[outcome] += 1
        if outcome == "ok" and isinstance(size, int):
            self._bytes[depth] += size
            self._sizes[next((name for end, name in SIZES if size <= end), "more")] += 1
            self._note_folder(str(record["url"]))
        elif outcome == "failed":
            self._note_broken(record)

    def _note_folder(self, url: str) -> None:
        scheme, _, rest = url.partition("://")
        host, *folders = rest.partition("?")[0].split("/")[:-1] or [rest]
        path = (f"{scheme}://{host}", *folders[:2])
        if path not in self._folders and len(self._folders) >= MAX_FOLDERS:
            path = path[:1]
        self._folders[path] += 1

    def _note_broken(self, record: Mapping[str, object]) -> None:
        error = record["error"]
        kind = str(error.get("kind")) if isinstance(error, Mapping) else ""
        if kind not in _BROKEN:
            return
        self._broken_n += 1
        if len(self._broken) < MAX_BROKEN:
            status, parent = record["status"], record["parent"]
            self._broken.append(
                (
                    str(record["url"]),
                    status if isinstance(status, int) else None,
                    kind,
                    parent if isinstance(parent, str) else None,
                )
            )

    def summary(self, url_of: Callable[[str], str | None]) -> dict[str, object]:
        """Give what was counted.

        Args:
            url_of: Gives the URL of a record by its `id`.
        """
        depths = [
            {"depth": depth, **counts, "bytes": self._bytes[depth]} for depth, counts in sorted(self._depths.items())
        ]
        broken = [
            {"url": url, "status": status, "kind": kind, "parent": None if parent is None else url_of(parent)}
            for url, status, kind, parent in self._broken
        ]
        return {
            "depths": depths,
            "sizes": {name: self._sizes[name] for _, name in (*SIZES, (0, "more")) if self._sizes[name]},
            "broken": {"n": self._broken_n, "links": broken},
            "tree": [{"path": list(path), "n": n} for path, n in self._tree()],
        }

    def _tree(self) -> list[tuple[tuple[str, ...], int]]:
        """The largest folders, each after the one it lies in, with all that is below it."""
        whole: Counter[tuple[str, ...]] = Counter()
        for path, n in self._folders.items():
            for length in range(1, len(path) + 1):
                whole[path[:length]] += n
        chosen = [path for path, _ in whole.most_common(SHOWN_FOLDERS)]
        return sorted((path, whole[path]) for path in chosen)

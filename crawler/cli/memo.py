"""What a run was started with, kept beside its state, so that `crawler retry NAME` finds the job again."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crawler.cli.exits import CommandError
from crawler.cli.text import one_line

MEMO_FILE: Final = "command.json"


@dataclass(frozen=True, slots=True)
class Memo:
    """How a run was started.

    Attributes:
        sources: Job files (absolute), URLs or `-`.
        keys: Keys that `--set` gave a value; the values may be secrets and are not kept.
        out: The folder of `--out`, absolute.
    """

    sources: tuple[str, ...]
    keys: tuple[str, ...] = ()
    out: str | None = None


def make_memo(sources: Sequence[str], overrides: Sequence[str], out: Path | None) -> Memo:
    """Note how a run is started."""
    return Memo(
        tuple(os.path.abspath(source) if Path(source).is_file() else source for source in sources),
        tuple(override.partition("=")[0] for override in overrides),
        None if out is None else str(out.absolute()),
    )


def write_memo(state_dir: Path | None, memo: Memo) -> None:
    """Keep it; that it cannot be written, the run itself finds out and says."""
    if state_dir is None:
        return
    text = json.dumps({"sources": memo.sources, "keys": memo.keys, "out": memo.out}, ensure_ascii=False)
    with contextlib.suppress(OSError):
        state_dir.mkdir(parents=True, exist_ok=True)
        (state_dir / MEMO_FILE).write_text(text + "\n", encoding="utf-8", errors="surrogateescape")


def read_memo(run: str) -> Memo:
    """Find how a run was started, by the name of its job or the folder of its output.

    Raises:
        CommandError: There is no such run, or its memo cannot be read.
    """
    for folder in (Path(run), Path("out") / run):
        path = folder / "state" / MEMO_FILE
        if not path.is_file():
            continue
        try:
            found = json.loads(path.read_text(encoding="utf-8", errors="surrogateescape"))
            return Memo(tuple(map(str, found["sources"])), tuple(map(str, found["keys"])), found["out"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CommandError(f"{path}: cannot be read: {error}; give the job file instead") from error
    name = one_line(run)
    raise CommandError(f"there is no run in {name} or out/{name}; give its job file, its name or its folder")

"""What is wrong with a job file, and where: `Mark` (a place), `Finding` (place and sentence), `JobError` (all of them).

Every check of this room collects findings instead of stopping at the first one, so that a file is mended in one go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a source.

    Attributes:
        source: File name as the user gave it, or `--set a.b=c`.
        line: 1-based; 0 where the source has no lines (a command line option, a file that cannot be read).
        column: 1-based, in characters; 0 likewise.
    """

    source: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.source}:{self.line}:{self.column}" if self.line else self.source


MAX_SHOWN_FINDINGS: Final = 100
"""A file with more is broken as a whole; the rest is only counted."""
_MAX_MESSAGE_CHARS: Final = 500


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong (or, as a warning, doubtful) and where it stands.

    Attributes:
        mark: Where.
        message: A sentence; what it quotes of the file may be long, `str()` is not.
    """

    mark: Mark
    message: str

    def __str__(self) -> str:
        text = self.message if len(self.message) <= _MAX_MESSAGE_CHARS else self.message[: _MAX_MESSAGE_CHARS - 1] + "…"
        return f"{self.mark}: {text}"


class JobError(Exception):
    """A job that cannot be run; the command line prints `str(error)` and exits with 2.

    Attributes:
        findings: Everything that is wrong, in the order of the file; never empty.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(sorted(set(findings)))
        lines = [str(finding) for finding in self.findings[:MAX_SHOWN_FINDINGS]]
        more = len(self.findings) - len(lines)
        super().__init__("\n".join([*lines, f"and {more} more findings"] if more else lines))

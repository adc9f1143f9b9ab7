"""Why a benchmark could not be brought to its end."""

from __future__ import annotations


class BenchError(Exception):
    """The benchmark ends; the message is for people.

    Args:
        message: What happened, and what to do.
        exit_code: Of the command line: 2 for what the operator can mend, 7 for a worker that was lost.
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code

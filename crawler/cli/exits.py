"""Exit codes, and how a command says why it could not do its work.

Whatever is the user's to mend ends as one message on stderr and a code of this table, never as a traceback. A traceback
is for bugs of ours; it goes to a file that the message names, so that the terminal stays readable and nothing is lost.
"""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from enum import IntEnum


class Exit(IntEnum):
    """What the command's exit code says."""

    OK = 0
    FAILURES = 1  # finished, but some URLs failed
    CONFIG = 2  # invalid job, missing secret, bad argument
    INCOMPLETE = 3  # a `stop.*` limit ended the run; the same command resumes
    DISK = 4  # disk full or output not writable; resumable
    THRESHOLD = 5  # a benchmark broke a threshold, or a comparison found a regression
    LOCKED = 6  # another run holds the state
    INTERNAL = 7  # a bug; the state is valid
    INTERRUPTED = 130  # SIGINT; resumable
    CLOSED_PIPE = 141  # the reader of records on standard output went away: as SIGPIPE ends other programs; resumable
    TERMINATED = 143  # SIGTERM; resumable


class CommandError(Exception):
    """The command cannot go on; the text is for the user: what was expected, what came, what to do next."""

    def __init__(self, message: str, code: int = Exit.CONFIG) -> None:
        super().__init__(message)
        self.code = code


def complain(message: str) -> None:
    """Write one message to stderr; a closed stderr is no error."""
    try:
        sys.stderr.write(f"crawler: {message}\n")
        sys.stderr.flush()
    except OSError:
        pass


def report_bug(error: BaseException) -> None:
    """Write the traceback of a bug to a file of its own and say on stderr where it lies."""
    summary = f"{type(error).__name__}: {error}".splitlines()[0]
    try:
        handle, path = tempfile.mkstemp(prefix="crawler-report-", suffix=".txt")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
    except OSError:
        complain(f"internal error: {summary}\nThis is a bug in crawler, not in your job; please report it.")
        return
    complain(
        f"internal error: {summary}\n"
        f"This is a bug in crawler, not in your job. The details are in {path};\n"
        "please report it with that file. The state of the run is valid: the same command goes on from it."
    )


def silence_stdout() -> None:
    """Send what is still to be written to stdout nowhere, after its reader went away (`crawler … | head`).

    Without this the interpreter's last flush would complain about the broken pipe.
    """
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)

"""What `crawler run` is told to run: a job file, URLs, lists of URLs, or `-` for a list on standard input."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from crawler.cli.exits import CommandError
from crawler.cli.text import one_line

if TYPE_CHECKING:
    from crawler.jobs import Job

_JOB_SUFFIXES = (".yaml", ".yml")
_LIST_SUFFIXES = (".txt", ".csv", ".tsv", ".jsonl", ".json", ".parquet", ".gz", ".zst", ".xz", ".bz2")


def read_source(arguments: Sequence[str], overrides: Sequence[str] = (), *, anonymous: bool = False) -> Job:
    """Read and check the job the arguments name.

    Raises:
        CommandError: The arguments are neither job files nor lists nor URLs, or a mixture of them, or the job has
            errors; the text holds all findings.
    """
    from crawler.jobs import JobError, job_from_lists, job_from_urls, load_job

    files = [argument for argument in arguments if is_job_file(argument)]
    if files and len(files) != len(arguments):
        raise CommandError("give either job files or URLs, not both: put the URLs under `urls:` of the job file")
    try:
        if files:
            return load_job(files, overrides, anonymous=anonymous)
        lists = [argument for argument in arguments if is_list(argument)]
        if lists and len(lists) != len(arguments):
            raise CommandError("give either lists or URLs, not both: put the URLs into a list")
        if lists:
            return job_from_lists(lists, overrides, anonymous=anonymous)
        for argument in arguments:
            _check_url(argument)
        return job_from_urls(arguments, overrides, anonymous=anonymous)
    except JobError as error:
        raise CommandError(describe(error)) from error


def is_job_file(argument: str) -> bool:
    """Tell whether an argument names a job file rather than a URL."""
    return "://" not in argument and argument.lower().endswith(_JOB_SUFFIXES)


def is_list(argument: str) -> bool:
    """Tell whether an argument names a file of URLs."""
    if "://" in argument:
        return False
    path = Path(argument)
    return path.is_file() or (argument.lower().endswith(_LIST_SUFFIXES) and not path.is_dir())


def _check_url(argument: str) -> None:
    """Refuse what is no URL here, where it can still be said what the user may have meant."""
    if "://" in argument or argument == "-":
        return
    shown = one_line(argument)
    if not argument.strip():
        raise CommandError("an empty argument is no URL; quote a variable only if it is set")
    if Path(argument).is_dir():
        raise CommandError(
            f"'{shown}' is a folder; give a job file (.yaml), a list (.txt, .csv …), URLs, or - for standard input"
        )
    raise CommandError(f"'{shown}' has no scheme; type it as https://{shown.lstrip('/')}")


def describe(error: Exception) -> str:
    """Give the findings of a `JobError`, one a line; the first stands behind the program's name."""
    return "\n".join(one_line(line, 1000) for line in str(error).splitlines())

"""A job, ready to run: what a YAML file, `--set` options and the environment come to.

files ──document──▶ nodes ──merge──▶ one tree ──interpolate──▶ values ──schema──▶ Job ──▶ fanout.Plan, fanout.Item
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from crawler.jobs.findings import Finding, JobError, Mark

if TYPE_CHECKING:
    from crawler.fanout import Item, Plan


class Job:
    """A checked job. Made by `load_job` and `job_from_urls` only.

    Attributes:
        name: Name of the job; part of the default output paths.
        testbed: The run wants the embedded testbed; give its address as `testbed_url` to `plan` and `items`.
        secrets: Values that must never be shown, longest first; see `mask`.
        warnings: Findings that do not stop the run (a secret file that everyone may read).
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.testbed = False

    def plan(self, *, out: str | os.PathLike[str] | None = None) -> Plan:
        """Say how the engine is to run: limits, retries, outputs.

        Args:
            out: Folder that replaces `out/<name>` for records, files and state (`--out`).
        """
        raise JobError([Finding(Mark(self.name), "no plan yet")])

    def items(self, *, testbed_url: str | None = None) -> Iterator[Item]:
        """Stream the job's requests in input order; never holds the whole list in memory.

        Args:
            testbed_url: Address of the running testbed, without a slash at the end; needed if `testbed` is true.

        Raises:
            JobError: An input file is missing, has no such column, or has a bad row under `on_bad_row: fail`.
        """
        raise JobError([Finding(Mark(self.name), "no items yet")])

    def merged(self) -> dict[str, object]:
        """The job as one mapping with defaults left out and secrets masked, for `crawler config`."""
        return {"name": self.name}

    def mask(self, text: str) -> str:
        """`text` with every secret of the job replaced by `***`."""
        return text


def json_schema() -> dict[str, object]:
    """The JSON Schema of the job file, for editors (`crawler schema`)."""
    return {"type": "object"}


def load_job(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Job:
    """Read, merge, fill in and check a job file.

    Args:
        paths: The YAML file; several are merged left to right (maps deep, lists replaced).
        overrides: `a.b=c` as given to `--set`; the value is read as YAML.
        environment: Stands in for `os.environ`.

    Raises:
        JobError: With every finding of the file.
    """
    raise JobError([Finding(Mark(str(paths)), "no loader yet")])


def job_from_urls(
    urls: Sequence[str],
    overrides: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Job:
    """The job of `crawler run URL...`: everything but the URLs is a default, or comes from `--set`.

    The name is made from the URLs, so the same command resumes its own run and no other. A single `-` reads the list from
    standard input.

    Raises:
        JobError: A URL without scheme, a bad override.
    """
    return Job("urls")

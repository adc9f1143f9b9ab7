"""What `crawler serve` was told: one value, made at the edge, handed to everybody."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

SECRET_VARIABLES: Final = ("CRAWLER_TOKEN", "CRAWLER_READ_TOKEN", "CRAWLER_SMTP_URL")
"""The service's own secrets: no process of a run gets them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How the service runs. Durations are seconds, sizes bytes.

    Attributes:
        jobs: Folder of job files.
        state: Folder of everything the service keeps.
        host, port: Where the API listens.
        token, read_token: What a request must bring; `None` asks for none.
        hosts: Names of this server besides its address, for the check of `Host`.
        allow: Addresses and networks that every run may reach besides the public ones.
        anonymous: Scheduled jobs and crawls need no `contact`.
        max_runs: Processes at once.
        max_queued: Runs that may wait; more are refused.
        grace: What requests in flight get when a run is stopped.
        drain: What a run gets in all when the service is stopped.
        lease: A process that gives no sign of life for so long is taken for lost.
        poll: How often the job folder is looked at.
        max_body: Largest request body.
        smtp_url: Server for e-mail: `smtp[s]://user:password@host:port/?from=address`.
    """

    jobs: Path
    state: Path
    host: str = "127.0.0.1"
    port: int = 8007
    token: str | None = field(default=None, repr=False)
    read_token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    anonymous: bool = False
    max_runs: int = 8
    max_queued: int = 1000
    grace: float = 6.0
    drain: float = 8.0
    lease: float = 30.0
    poll: float = 2.0
    max_body: int = 1024 * 1024
    smtp_url: str | None = field(default=None, repr=False)

    @property
    def database(self) -> Path:
        """The one SQLite file."""
        return self.state / "service.sqlite3"

    def folder(self, job: str, run: str) -> Path:
        """Where everything of a run lies. Both names are checked before they come here: no slash, no dots alone."""
        return self.state / "runs" / job / run


def worker_environment(*, inline: bool) -> dict[str, str]:
    """The environment of a run's process: without the service's secrets; for a job of a stranger nearly none."""
    if not inline:
        return {name: value for name, value in os.environ.items() if name not in SECRET_VARIABLES}
    kept = ("PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT", "VIRTUAL_ENV", "PYTHONPATH", "SSL_CERT_FILE", "SSL_CERT_DIR")
    return {name: os.environ[name] for name in kept if name in os.environ}

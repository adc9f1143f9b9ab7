"""What the service refuses, and why; the API turns each into a problem document."""

from __future__ import annotations

from pathlib import Path


class ServiceError(Exception):
    """Something the caller asked for cannot be done; the message is for people."""


class NoSuchRun(ServiceError):
    """There is no run of that id."""


class NoSuchJob(ServiceError):
    """There is no job of that name."""


class NotPossible(ServiceError):
    """The run or job is in a state in which that cannot be done."""


class TooMany(ServiceError):
    """A bound of the service is reached; later it may work."""


class StoreDamaged(ServiceError):
    """The service's database cannot be trusted; nothing was changed.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} cannot be used: {reason}; restore a copy, or move it away to begin anew (the runs' folders stay)"
        )
        self.path = path

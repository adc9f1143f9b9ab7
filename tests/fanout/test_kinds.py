"""The closed list of error kinds."""

from __future__ import annotations

import errno
import inspect

import pytest

from crawler import errors
from crawler.fanout.files import DiskError
from crawler.fanout.kinds import KINDS, classify, classify_status
from crawler.fanout.paths import FileExists, PathError


def test_every_exception_of_the_library_names_a_kind_of_the_list() -> None:
    """What the client raises can be grouped without exception."""
    for _, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.HTTPError | errors.InvalidURL):
            assert kind.kind in KINDS, kind
    assert {PathError.kind, FileExists.kind} <= set(KINDS)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.ConnectError("no such host", kind="dns_not_found"), "dns_not_found"),
        (errors.ConnectError("no", kind="made_up"), "internal"),
        (errors.InvalidURL("bad"), "invalid_url"),
        (OSError(errno.ENOSPC, "full"), "disk_full"),
        (OSError(errno.EDQUOT, "quota"), "disk_full"),
        (OSError(errno.EMFILE, "many"), "too_many_files"),
        (OSError(errno.EIO, "broken"), "io_error"),
        (DiskError("full", kind="disk_full"), "disk_full"),
        (MemoryError(), "memory_limit"),
        (ValueError("a bug"), "internal"),
    ],
)
def test_exceptions(error: Exception, kind: str) -> None:
    """The exception's own word counts first, then the number of the system's error."""
    assert classify(error) == kind


@pytest.mark.parametrize(
    ("status", "asks", "kind"),
    [
        (200, False, None),
        (206, True, None),
        (304, False, None),
        (302, False, None),
        (404, False, "http_4xx"),
        (403, True, "rate_limited"),
        (403, False, "http_4xx"),
        (429, False, "rate_limited"),
        (503, True, "rate_limited"),
        (503, False, "http_5xx"),
        (500, True, "http_5xx"),
        (599, False, "http_5xx"),
    ],
)
def test_statuses(status: int, asks: bool, kind: str | None) -> None:
    """A 503 or 403 is rate limiting only if it says when to come back."""
    assert classify_status(status, asks) == kind

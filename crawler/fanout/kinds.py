"""The closed list of error kinds: what went wrong, in one stable word.

Kinds group errors in summaries, choose what is retried and label metrics; messages are for people. The table is the
whole truth: kind → family and whether another try can help in general (`RetryPolicy.kinds` and `.status` decide in
particular).
"""

from __future__ import annotations

import errno
from typing import Final, NamedTuple


class Kind(NamedTuple):
    """What is known about one error kind.

    Attributes:
        name: The word itself.
        family: Whose department it is.
        retryable: Another try can help, in general.
    """

    name: str
    family: str
    retryable: bool


_TABLE: Final = (
    ("input", False, "invalid_url unsupported_scheme bad_row path_invalid"),
    ("policy", False, "robots_denied robots_unavailable out_of_scope blocked_address host_suspended trap"),
    ("dns", False, "dns_not_found"),
    ("dns", True, "dns_temporary dns_timeout"),
    ("connect", True, "connect_refused connect_unreachable connect_reset timeout_connect"),
    ("tls", False, "tls_untrusted tls_expired tls_hostname tls_protocol"),
    ("tls", True, "timeout_tls"),
    ("proxy", True, "proxy_connect"),
    ("proxy", False, "proxy_auth"),
    ("protocol", True, "protocol_error h2_goaway h2_reset h2_flow"),
    ("protocol", False, "header_too_large"),
    ("transfer", True, "timeout_ttfb timeout_read timeout_total too_slow connection_lost body_incomplete"),
    ("http", True, "rate_limited http_5xx"),
    ("http", False, "http_4xx"),
    ("redirect", False, "redirect_loop redirect_limit redirect_blocked"),
    ("body", False, "too_large content_type decode_failed decompression_bomb check_failed challenge_page"),
    ("integrity", True, "checksum_mismatch size_mismatch range_mismatch changed_during_resume"),
    ("local", True, "disk_full io_error file_exists memory_limit too_many_files"),
    ("extract", False, "extract_failed bad_payload selector_timeout"),
    ("flow", True, "cancelled deadline worker_lost internal"),
)

KINDS: Final[dict[str, Kind]] = {
    name: Kind(name, family, retryable) for family, retryable, names in _TABLE for name in names.split()
}

DISK_KINDS: Final = frozenset({"disk_full", "io_error", "too_many_files", "memory_limit"})
"""Kinds that are this machine's trouble, not the URL's: the URL is kept and the run stops, resumable."""

_BY_ERRNO: Final = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EMFILE: "too_many_files",
    errno.ENFILE: "too_many_files",
    errno.EEXIST: "file_exists",
    errno.EISDIR: "file_exists",
    errno.ENAMETOOLONG: "path_invalid",
}


def classify(error: BaseException) -> str:
    """Say which kind an exception is; `internal` for what nobody foresaw.

    An exception's own `kind` counts first (`crawler.errors`); an `OSError` that got here is of the disk, since the
    client translates those of the network.
    """
    kind = getattr(error, "kind", None)
    if isinstance(kind, str) and kind in KINDS:
        return kind
    if isinstance(error, OSError):
        return _BY_ERRNO.get(error.errno or 0, "io_error")
    return "memory_limit" if isinstance(error, MemoryError) else "internal"


def classify_status(status: int, has_retry_after: bool) -> str | None:
    """Say which kind a final response's status is; `None` for a success (below 400).

    A 429 is rate limiting by definition (RFC 6585 §4); a 503 (RFC 9110 §15.6.4) or 403 only if it says when to come
    back.
    """
    if status < 400:
        return None
    if status == 429 or (has_retry_after and status in (403, 503)):
        return "rate_limited"
    return "http_5xx" if status >= 500 else "http_4xx"


def retryable(kind: str) -> bool:
    """Tell whether another try can help against this kind, in general."""
    return KINDS[kind].retryable


def family(kind: str) -> str:
    """Give the family of a kind."""
    return KINDS[kind].family

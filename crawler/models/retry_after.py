"""The `Retry-After` field: seconds, or a date, as the seconds to wait from now."""

from __future__ import annotations


def parse_retry_after(value: str, now_epoch: float) -> float | None:
    """How long a server asks us to wait.

    Args:
        value: The field's value: a number of seconds, or an HTTP date in any of its three forms.
        now_epoch: The present in seconds since 1970 (`time.time()`).

    Returns:
        Seconds, 0.0 for a date that has passed; None if the value is neither. Without an upper limit: the caller caps.

    Source: RFC 9110 §10.2.3 (the field), §5.6.7 (dates).
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= 300 else float("inf")  # int digits beyond are no float any more
    at = _parse_date(text)
    return None if at is None else max(0.0, at - now_epoch)


def _parse_date(text: str) -> float | None:
    from email.utils import mktime_tz, parsedate_tz  # heavy, and such a value is rare

    if len(text) > 64 or ":" not in text:  # parsedate_tz also reads "1" and "Mon" as dates of a kind
        return None
    try:
        date = parsedate_tz(text)
        return None if date is None else float(mktime_tz(date))
    except (ValueError, OverflowError, TypeError, IndexError):
        return None

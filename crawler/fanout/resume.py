"""Whether an interrupted download can go on, from where, and whether what comes is what was asked for. Decides only.

Beside `NAME.part` lies `NAME.part.json`, the `PartNote`: of which request and which version of the file it is, and how
far it surely got. A part is gone on with only under a validator (RFC 9110 §13.1.5: a strong entity tag, or a date that
is strong by §8.8.2.2), so that bytes of two versions never come together.

    note, length on disk ── plan_resume ──▶ offset, headers ──▶ server ── judge ──▶ GoOn | Restart | Complete | error
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final

import orjson

from crawler.errors import RequestError

SCHEMA: Final = "crawler.part/1"
MAX_NOTE_BYTES: Final = 64 * 1024

_CONTENT_RANGE = re.compile(r"bytes\s+(?:(\d{1,18})-(\d{1,18})|\*)/(\d{1,18}|\*)", re.IGNORECASE | re.ASCII)
_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')
_DATE_IS_STRONG_AFTER_S: Final = 60.0


class RangeMismatch(RequestError):
    """The server sent another range than was asked for; its bytes were not used."""

    kind = "range_mismatch"


class ChangedDuringResume(RequestError):
    """The file changed on the server while it was being downloaded; it begins anew."""

    kind = "changed_during_resume"


@dataclass(frozen=True, slots=True)
class Span:
    """One segment of a file: bytes `start` to `end` (exclusive), of which those before `at` are there."""

    start: int
    end: int
    at: int


@dataclass(frozen=True, slots=True)
class PartNote:
    """What is known of a part.

    Attributes:
        request: Fingerprint of the request it belongs to.
        etag, last_modified: Of the version it is of, as received.
        validator: The one of the two that may stand in `If-Range`; `None` if there is none, and no going on.
        total: Length of the whole file, if it is known.
        boot: Names the time since this machine was started: what was written since then is there, also after a kill.
        done: Bytes there, for a part whose length on the disk does not say it (room was reserved).
        synced: Bytes that are on the disk whatever happens.
        sha256: Digest of these.
        spans: Segments, if it is fetched in several at once.
    """

    request: str
    etag: str | None = None
    last_modified: str | None = None
    validator: str | None = None
    total: int | None = None
    boot: str = ""
    done: int | None = None
    synced: int = 0
    sha256: str | None = None
    spans: tuple[Span, ...] = field(default=())

    def encode(self) -> bytes:
        """Write it as JSON."""
        return orjson.dumps({"schema": SCHEMA, **asdict(self)}, option=orjson.OPT_INDENT_2)

    def is_of(self, headers: Mapping[str, str]) -> bool:
        """Whether a response shows the same version, as far as it says anything."""
        for name, known in (("etag", self.etag), ("last-modified", self.last_modified)):
            shown = headers.get(name)
            if known is not None and shown is not None and shown != known:
                return False
        return True


def decode_note(data: bytes) -> PartNote | None:
    """Read a note; `None` if it is broken, or from another version of this program."""
    try:
        value = orjson.loads(data)
        if value.pop("schema") != SCHEMA:
            return None
        note = PartNote(**{**value, "spans": tuple(Span(**span) for span in value["spans"])})
    except (orjson.JSONDecodeError, AttributeError, TypeError, KeyError):
        return None
    numbers = [note.synced, note.done or 0, note.total or 0, *(n for s in note.spans for n in (s.start, s.at, s.end))]
    is_sound = all(isinstance(number, int) and number >= 0 for number in numbers)
    return note if is_sound and all(span.start <= span.at <= span.end for span in note.spans) else None


def note_of(headers: Mapping[str, str], request: str, total: int | None, boot: str) -> PartNote:
    """Make the note of a download that begins with this response."""
    etag, date = headers.get("etag"), headers.get("last-modified")
    validator = etag if is_strong(etag) else date if _is_strong_date(date, headers.get("date")) else None
    return PartNote(request, etag, date, validator, total, boot)


def is_strong(etag: str | None) -> bool:
    """Whether an entity tag is a strong one (RFC 9110 §8.8.3)."""
    return etag is not None and _STRONG_TAG.fullmatch(etag) is not None


def _is_strong_date(modified: str | None, sent: str | None) -> bool:
    """Whether the file cannot have changed twice within that second: the answer is a minute younger (§8.8.2.2)."""
    if modified is None or sent is None:
        return False
    try:
        age = parsedate_to_datetime(sent) - parsedate_to_datetime(modified)
        return age.total_seconds() >= _DATE_IS_STRONG_AFTER_S
    except (TypeError, ValueError):
        return False


def plan_resume(note: PartNote | None, request: str, length: int, boot: str) -> int | None:
    """Give the number of bytes of a part that can be built on, `None` if it has to begin anew.

    Args:
        note: What lies beside it.
        request: The fingerprint of the request at hand.
        length: Bytes of the part on the disk.
        boot: Names the time since this machine was started.
    """
    if note is None or note.request != request or note.validator is None or note.spans:
        return None
    have = (length if note.done is None else note.done) if note.boot == boot else note.synced
    if have > length or note.synced > length or (note.total is not None and have > note.total):
        return None  # it was cut, or something wrote to it
    if note.total is not None:
        # At least the last byte is asked for: the answer then shows that the file is still the same.
        have = min(have, note.total - 1)
    return have if have > 0 else None


def range_headers(note: PartNote, start: int, end: int | None = None) -> tuple[tuple[str, str], ...]:
    """Give the headers that ask for bytes from `start` (to `end`, exclusive) of this very version."""
    assert note.validator is not None
    last = "" if end is None else str(end - 1)
    return (("Range", f"bytes={start}-{last}"), ("If-Range", note.validator))


class Answer(Enum):
    """What to do with the answer to a request for a range."""

    GO_ON = "append its bytes"
    RESTART = "it is the whole file: begin anew with it"
    COMPLETE = "there is no more: the part is the whole file"


def judge(note: PartNote, start: int, status: int, headers: Mapping[str, str], end: int | None = None) -> Answer:
    """Say what the answer to `range_headers(note, start, end)` is good for; for statuses below 400, and 416.

    Raises:
        RangeMismatch: It is another range, or several, or does not say which.
        ChangedDuringResume: It is of another version.
    """
    if status == 416:
        total = parse_content_range(headers.get("content-range", ""))[2]
        if total is not None and total == start and note.total in (None, total):
            return Answer.COMPLETE
        raise ChangedDuringResume(f"the server has no byte {start} any more (416, {total} bytes in all)")
    if status != 206:
        return Answer.RESTART
    if not note.is_of(headers):
        raise ChangedDuringResume("the part that came is of another version (ETag or Last-Modified differ)")
    text = headers.get("content-range", "")
    first, last, total = parse_content_range(text)
    if first != start or last is None or (end is not None and last != end - 1):
        raise RangeMismatch(
            f"asked for bytes {start}-{'' if end is None else end - 1}, got Content-Range {text[:80]!r}"
        )
    if total is not None and note.total is not None and total != note.total:
        raise ChangedDuringResume(f"the file had {note.total} bytes and has {total} now")
    if end is None and total is not None and last != total - 1:
        raise RangeMismatch(f"asked for all from byte {start}, got Content-Range {text[:80]!r}")
    return Answer.GO_ON


def parse_content_range(text: str) -> tuple[int | None, int | None, int | None]:
    """Read `bytes FIRST-LAST/TOTAL`; `None` for what it does not say or says in vain (RFC 9110 §14.4)."""
    match = _CONTENT_RANGE.fullmatch(text.strip())
    if match is None:
        return None, None, None
    total = None if match[3] == "*" else int(match[3])
    if match[1] is None:
        return None, None, total
    first, last = int(match[1]), int(match[2])
    if last < first or (total is not None and last >= total):
        return None, None, None
    return first, last, total


def advance(note: PartNote, **changes: object) -> PartNote:
    """The note with some values replaced."""
    return replace(note, **changes)  # type: ignore[arg-type]  # names and types are those of the fields

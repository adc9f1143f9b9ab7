"""A result as the record every URL yields: schema `crawler.result/1` (job-example §6).

All keys are always there, in one order, `None` where nothing is known: CSV and Parquet then have fixed columns. URLs
lose their secrets on the way (user names, passwords, and the values of query fields such as `token`); nothing else is
changed.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus

from crawler.fanout.ids import fingerprint, fingerprint_text
from crawler.fanout.kinds import family, retryable
from crawler.fanout.plan import Item

if TYPE_CHECKING:
    from crawler.fanout.result import Result
    from crawler.models import Response
    from crawler.net import TLSInfo

Record = dict[str, object]


class WrittenRecord(Record):
    """A record that was written as a line of JSON already: an empty one, but for that.

    Attributes:
        line: With its line break.
    """

    __slots__ = ("line",)

    def __init__(self, line: bytes) -> None:
        super().__init__()
        self.line = line


SCHEMA: Final = "crawler.result/1"
SECRET_FIELDS: Final = ("token", "key", "sig", "signature", "password")
"""Query fields whose values are never written, also as the last part of a name (`access_token`, `X-Amz-Signature`)."""

_FIELDS: Final = {
    name: name.decode().replace("-", "_").lower()
    for name in (
        b"content-type",
        b"Content-Type",
        b"content-length",
        b"Content-Length",
        b"content-encoding",
        b"etag",
        b"last-modified",
    )
}
_USERINFO = re.compile(r"(?<=://)[^/?#\s@]*@")
_SECRET_QUERY = re.compile(rf"(?i)(?<=[?&;])((?:[\w.~%-]*[_-])?(?:{'|'.join(SECRET_FIELDS)})=)[^&;#\s\"'<>]+")


def mask(text: str) -> str:
    """Replace the secrets of all URLs in a text by `***`."""
    if "@" in text:
        text = _USERINFO.sub("***@", text)
    if "=" in text and _SECRET_QUERY.search(text) is not None:  # most have none, and `sub` costs as much again
        text = _SECRET_QUERY.sub(r"\1***", text)
    return text


def micros(seconds: float) -> float:
    """Round to whole microseconds: 0.1 µs, where `round` takes 0.3 for each of nine durations of a record."""
    return int(seconds * 1e6 + 0.5) / 1e6


def masker(secrets: Collection[str]) -> Callable[[str], str]:
    """Give a `mask` that also replaces these secrets, as they are and as they look in a URL."""
    if not secrets:
        return mask
    forms = {form for secret in secrets for form in (secret, quote(secret, safe=""), quote_plus(secret)) if form}
    ordered = sorted(forms, key=len, reverse=True)  # longest first: one may be a part of another

    def mask_all(text: str) -> str:
        for secret in ordered:
            if secret in text:
                text = text.replace(secret, "***")
        return mask(text)

    return mask_all


_MAX_KNOWN_CONNECTIONS: Final = 10_000


def headers_of(response: Response, mask: Callable[[str], str]) -> Record:
    """Give the headers of a response: lower-case names, each with the list of its values."""
    headers: dict[str, list[str]] = {}
    for name, value in response.raw_headers:
        headers.setdefault(name.decode("latin-1").lower(), []).append(mask(value.decode("latin-1")))
    return dict(headers)


def describe_tls(info: TLSInfo) -> Record:
    """Describe a TLS connection: version, cipher, ALPN, whether and until when it is trusted."""
    not_after = info.not_after
    return {
        "version": info.version,
        "cipher": info.cipher,
        "alpn": info.alpn,
        "verified": info.is_verified,
        "not_after": not_after and not_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


class Recorder:
    """Turns results of one run into records.

    Args:
        run_id, job, worker: Stand in every record.
        epoch: What to add to a monotonic time to get seconds since 1970.
        secrets: Texts that stand in no URL and no message.
        wants_headers: Put the headers of responses into records.

    Attributes:
        mask: Takes the secrets out of a text.
    """

    def __init__(
        self,
        run_id: str,
        job: str,
        worker: str,
        epoch: float,
        secrets: Collection[str] = (),
        *,
        wants_headers: bool = False,
    ) -> None:
        self.schema = SCHEMA
        self.wants_headers = wants_headers
        self._tls: dict[int, Record | None] = {}
        self.mask = masker(secrets)
        self.run_id = run_id
        self.job = job
        self.worker = worker
        self._epoch = epoch
        self._second = -1
        self._second_text = ""

    def record(self, result: Result, item: Item, fp: bytes | None = None) -> Record:
        """Make the record of a final result; `fp` is the item's fingerprint, if it is known already."""
        response = result.response
        url = self.mask(result.url)
        is_redirected = response is not None and response.request is not result.request
        final_url = self.mask(result.final_url) if is_redirected else url
        record: Record = {
            "schema": SCHEMA,
            "run_id": self.run_id,
            "job": self.job,
            "id": fingerprint_text(fp or fingerprint(item)),
            "key": result.key,
            "url": url,
            "method": item.method,
            "final_url": final_url,
            "outcome": result.outcome,
            "status": result.status,
            "reason": None,
            "error": _error(result, self.mask),
            "http_version": None,
            "tls": None,
            "remote_ip": None,
            "remote_port": None,
            "conn_id": None,
            "conn_reused": None,
            "started_at": self.instant(result.started),
            "fetched_at": None if response is None else self.instant(result.ended),
            "timing": _timing(result),
            "elapsed": micros(result.elapsed),
            "attempts": result.attempts,
            "attempt_errors": result.attempt_errors,
            "redirects": [],
            "bytes": result.bytes,
            "bytes_wire": result.bytes_wire,
            "resumed_from": result.resumed_from,
            "content_type": None,
            "charset": None,
            "charset_source": None,
            "content_encoding": None,
            "content_length": None,
            "etag": None,
            "last_modified": None,
            "headers": None,
            "path": result.path,
            "sha256": result.sha256,
            "checksum_ok": result.checksum_ok,
            "body": None,
            "body_base64": None,
            "warc": None,
            "depth": item.depth,
            "parent": item.parent,
            "discovered_by": item.discovered_by,
            "robots": None,
            "items": None,
            "extract_errors": [],
            "page": item.page,
            "earlier": None,
            "diff": None,
            "host_wait": micros(result.host_wait),
            "worker": self.worker,
            "meta": item.meta or {},
        }
        if response is not None:
            self.describe_exchange(record, result, response)
            _describe_fields(record, response, self.mask)
            if self.wants_headers:
                record["headers"] = headers_of(response, self.mask)
        if result.body is not None:
            _put_body(record, result.body)
        return record

    def describe_exchange(self, record: Record, result: Result, response: Response) -> None:
        """Put in what a response says by its first line, and what is known of its connection."""
        version = response.http_version
        record["http_version"] = version.removeprefix("HTTP/")
        if version.startswith("HTTP/1"):
            record["reason"] = response.reason_phrase
        _describe_connection(record, result)
        if response.request.url.scheme == "https":
            record["tls"] = self._tls_of(response)

    def _tls_of(self, response: Response) -> Record | None:
        """Describe the TLS of a response's connection, once for each."""
        timing = response.extensions.get("crawler.timing")
        info = response.extensions.get("crawler.tls")
        if timing is None or info is None:
            return None
        number = timing.conn_id
        if number not in self._tls:
            if len(self._tls) >= _MAX_KNOWN_CONNECTIONS:
                self._tls.clear()
            self._tls[number] = describe_tls(info)
        return self._tls[number]

    def instant(self, monotonic: float) -> str | None:
        """Give an instant as RFC 3339 in UTC with milliseconds; the text of a second is kept, as thousands share it."""
        if not monotonic:
            return None
        now = monotonic + self._epoch
        second = int(now)
        if second != self._second:
            self._second = second
            self._second_text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._second_text}.{int((now - second) * 1000):03d}Z"


def _error(result: Result, mask: Callable[[str], str]) -> Record | None:
    kind = result.error_kind
    if kind is None:
        return None
    return {
        "kind": kind,
        "family": family(kind),
        "message": mask(result.error_message or kind),
        "retryable": retryable(kind),
        "retry_after_s": result.retry_after,
        "check": getattr(result.error, "check", None),
    }


def _timing(result: Result) -> Record:
    """Phases of the last attempt in seconds; without a response only how long it queued and took is known."""
    timing = result.timing
    phases: Record = {"queue": micros(result.queue)}
    if timing is None:
        phases.update(dns=None, connect=None, tls=None, send=None, ttfb=None, receive=None)
    else:
        phases["dns"] = micros(timing.dns)
        phases["connect"] = micros(timing.connect)
        phases["tls"] = micros(timing.tls)
        phases["send"] = micros(timing.send)
        phases["ttfb"] = micros(timing.ttfb)
        phases["receive"] = micros(timing.receive)
    phases["total"] = micros(result.total)
    return phases


def _describe_fields(record: Record, response: Response, mask: Callable[[str], str]) -> None:
    # One walk over the fields as they came: a look-up by name for each of the five costs 2.5 µs more.
    for name, value in response.raw_headers:
        if (key := _FIELDS.get(name) or _FIELDS.get(name.lower())) is not None:
            record[key] = value.decode("latin-1")
    if (content_type := record["content_type"]) is not None:
        media_type, _, parameters = str(content_type).partition(";")
        record["content_type"] = media_type.strip().lower() or None
        if parameters and (charset := response.charset_encoding):
            record["charset"] = charset
            record["charset_source"] = "header"
    length = str(record["content_length"])
    record["content_length"] = int(length) if length.isascii() and length.isdigit() else None
    if record["final_url"] is not record["url"]:
        record["redirects"] = [_redirect(hop, mask) for hop in response.history]


def _redirect(hop: Response, mask: Callable[[str], str]) -> Record:
    timing = hop.extensions.get("crawler.timing")
    return {
        "status": hop.status_code,
        "url": mask(str(hop.url)),
        "location": mask(hop.headers.get("location") or ""),
        "ttfb": None if timing is None else micros(timing.ttfb),
    }


def _describe_connection(record: Record, result: Result) -> None:
    timing = result.timing
    if timing is not None:
        record["remote_ip"] = timing.remote_ip
        record["remote_port"] = timing.remote_port
        record["conn_id"] = timing.conn_id
        record["conn_reused"] = timing.conn_reused


def _put_body(record: Record, body: bytes) -> None:
    """Text goes in as text, by the charset of the header or UTF-8; what does not decode goes in as Base64."""
    try:
        record["body"] = body.decode(str(record["charset"] or "utf-8"))
    except (UnicodeDecodeError, LookupError):
        record["body_base64"] = base64.b64encode(body).decode("ascii")

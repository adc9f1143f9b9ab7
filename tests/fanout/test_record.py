"""The record every URL yields."""

from __future__ import annotations

from datetime import datetime

import orjson
import pytest

from crawler.errors import ConnectError, ReadTimeout
from crawler.fanout import Item
from crawler.fanout.record import Record, Recorder, mask
from crawler.fanout.result import Result
from crawler.fanout.sinks import encode_line
from crawler.models import Request, Response
from crawler.net.timing import TIMING, ConnectTiming, Timing

# Job-example §6, in its order; `body` stands for itself and `body_base64`.
FIELDS = [
    "schema",
    "run_id",
    "job",
    "id",
    "key",
    "url",
    "method",
    "final_url",
    "outcome",
    "status",
    "reason",
    "error",
    "http_version",
    "tls",
    "remote_ip",
    "remote_port",
    "conn_id",
    "conn_reused",
    "started_at",
    "fetched_at",
    "timing",
    "elapsed",
    "attempts",
    "attempt_errors",
    "redirects",
    "bytes",
    "bytes_wire",
    "resumed_from",
    "content_type",
    "charset",
    "charset_source",
    "content_encoding",
    "content_length",
    "etag",
    "last_modified",
    "headers",
    "path",
    "sha256",
    "checksum_ok",
    "body",
    "body_base64",
    "warc",
    "depth",
    "parent",
    "discovered_by",
    "robots",
    "items",
    "extract_errors",
    "page",
    "earlier",
    "diff",
    "host_wait",
    "worker",
    "meta",
]

RECORDER = Recorder("01RUN", "job", "main", epoch=1_700_000_000.0)


def answered(url: str = "http://h.example/a", status: int = 200, headers: dict[str, str] | None = None) -> Result:
    """A result with a response."""
    result = Result(url, 0, "7", 1.0)
    result.begin(1.5)
    result.request = Request("GET", url)
    timing = Timing(ConnectTiming(), 0.001, 0.2, 0.05, 41, ("203.0.113.9", 443))
    extensions = {"http_version": b"HTTP/1.1", "reason_phrase": b"Fine", TIMING: timing}
    result.response = Response(status, headers=headers, content=b"", request=result.request, extensions=extensions)
    result.judge_status(status, has_retry_after=False)
    result.ended = 2.25
    return result


def failed(error: Exception, url: str = "http://h.example/a") -> Result:
    """A result without one."""
    result = Result(url, 0, None, 0.0)
    result.begin(0.5)
    result.fail(error)
    result.ended = 1.0
    return result


def record_of(result: Result, item: Item | None = None) -> Record:
    """The record as a reader of the file has it."""
    item = item or Item(result.url)
    loaded: Record = orjson.loads(encode_line(RECORDER.record(result, item)))
    return loaded


@pytest.mark.parametrize("result", [answered(), answered(status=503), failed(ConnectError("no")), failed(KeyError())])
def test_all_keys_are_always_there(result: Result) -> None:
    """Whatever the outcome, the keys and their order are the same."""
    assert list(record_of(result)) == FIELDS


def test_a_good_one() -> None:
    """What is known of a response stands in its record."""
    record = record_of(
        answered(
            headers={
                "Content-Type": "Text/HTML; charset=UTF-8",
                "content-length": "12",
                "ETAG": '"x"',
                "Last-Modified": "Mon, 02 Jan 2006 15:04:05 GMT",
                "Content-Encoding": "gzip",
            }
        ),
        Item("http://h.example/a", meta={"row": 3}),
    )

    assert (record["outcome"], record["status"], record["reason"], record["error"]) == ("ok", 200, "Fine", None)
    assert (record["content_type"], record["charset"], record["charset_source"]) == ("text/html", "utf-8", "header")
    assert (record["content_length"], record["etag"], record["content_encoding"]) == (12, '"x"', "gzip")
    assert (record["http_version"], record["remote_ip"], record["remote_port"]) == ("1.1", "203.0.113.9", 443)
    assert (record["conn_id"], record["conn_reused"]) == (41, False)
    assert (record["key"], record["meta"], record["job"], record["run_id"]) == ("7", {"row": 3}, "job", "01RUN")
    assert record["started_at"] == "2023-11-14T22:13:21.500Z"
    assert record["fetched_at"] == "2023-11-14T22:13:22.250Z"
    assert (record["final_url"], record["redirects"]) == (record["url"], [])
    assert record["timing"] == {
        "queue": 0.5,
        "dns": 0.0,
        "connect": 0.0,
        "tls": 0.0,
        "send": 0.001,
        "ttfb": 0.2,
        "receive": 0.05,
        "total": 0.75,
    }


def test_a_bad_one() -> None:
    """A failure says kind, family, message and whether another try can help."""
    record = record_of(failed(ReadTimeout("nothing for 5 s")))

    assert (record["outcome"], record["status"], record["attempts"]) == ("failed", None, 1)
    assert record["error"] == {
        "kind": "timeout_read",
        "family": "transfer",
        "message": "nothing for 5 s",
        "retryable": True,
        "retry_after_s": None,
        "check": None,
    }
    assert record["attempt_errors"] == ["timeout_read"]


def test_redirects_are_told_hop_by_hop() -> None:
    """Each hop with its status, URL and where it led."""
    result = answered()
    assert result.response is not None
    hop = Response(302, headers={"location": "/b?token=1"}, request=result.response.request)
    result.response.history = [hop]
    result.response.request = Request("GET", "http://h.example/b?token=1")

    record = record_of(result)

    assert record["final_url"] == "http://h.example/b?token=***"
    assert record["redirects"] == [
        {"status": 302, "url": "http://h.example/a", "location": "/b?token=***", "ttfb": None}
    ]


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("http://u:p@h.example/", "http://***@h.example/"),
        ("https://u@h.example/?a=1", "https://***@h.example/?a=1"),
        ("http://h.example/?token=a&b=2&KEY=c#f", "http://h.example/?token=***&b=2&KEY=***#f"),
        (
            "http://h.example/?access_token=a&X-Amz-Signature=b",
            "http://h.example/?access_token=***&X-Amz-Signature=***",
        ),
        ("http://h.example/?monkey=1&tokens=2", "http://h.example/?monkey=1&tokens=2"),
        ("http://h.example/a@b?x=y@z", "http://h.example/a@b?x=y@z"),
        (
            "cannot reach 'http://u:p@h/?sig=1' or http://v:q@i/",
            "cannot reach 'http://***@h/?sig=***' or http://***@i/",
        ),
        ("no url", "no url"),
    ],
)
def test_secrets_are_masked(text: str, masked: str) -> None:
    """User information and the values of secret query fields; nothing else changes."""
    assert mask(text) == masked


def test_no_field_shows_a_secret() -> None:
    """Neither URLs nor messages of a record hold what the masks hide."""
    url = "http://user:hunter2@h.example/?password=hunter2"

    line = encode_line(RECORDER.record(failed(ConnectError(f"cannot reach {url}"), url), Item(url)))

    assert b"hunter2" not in line


@pytest.mark.parametrize(
    ("body", "content_type", "text", "coded"),
    [
        (b"plain \xc3\xbc", None, "plain ü", None),
        (b"\xfc", "text/plain; charset=latin-1", "ü", None),
        (b"\xff\x00", None, None, "/wA="),
        (b"x", "text/plain; charset=no-such", None, "eA=="),
        (b"", None, "", None),
    ],
)
def test_inline_bodies(body: bytes, content_type: str | None, text: str | None, coded: str | None) -> None:
    """Text goes in as text, anything else as Base64."""
    result = answered(headers={"content-type": content_type} if content_type else None)
    result.body = body

    record = record_of(result)

    assert (record["body"], record["body_base64"]) == (text, coded)


def test_nothing_makes_a_record_impossible() -> None:
    """Lone surrogates, huge numbers and odd values are written somehow: a record is never lost."""
    item = Item("http://h.example/\udcff", meta={"big": 2**80, "odd": {1, 2}, "bad": "\ud800"})

    line = encode_line(RECORDER.record(failed(ConnectError("x"), item.url), item))

    assert line.count(b"\n") == 1
    assert orjson.loads(line)["outcome"] == "failed"


def test_times_are_rfc_3339() -> None:
    """Also across seconds, in any order."""
    for moment in (1.0, 1.999, 2.0, 1.0005, 86400.25):
        result = answered()
        result.started = moment

        text = str(record_of(result)["started_at"])

        assert abs(datetime.fromisoformat(text).timestamp() - 1_700_000_000.0 - moment) < 0.001

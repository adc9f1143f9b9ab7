"""One log line per attempt, and never too many."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from crawler.errors import ConnectError
from crawler.fanout.attempt_log import LOGGER, AttemptLog
from crawler.fanout.result import Result
from crawler.models import Request, Response


def _result(error: Exception | None = None) -> Result:
    result = Result("https://user:pw@example.com/?token=abc", 0, None, 0.0)
    result.begin(0.0)
    if error is None:
        result.response = Response(200, request=Request("GET", "https://user:pw@example.com/?token=abc"))
    else:
        result.fail(error)
    return result


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    facts: dict[str, Any] = getattr(record, "facts")  # noqa: B009  # LogRecord has no such attribute for the checker
    return facts


def test_failures_are_warnings_and_the_rest_is_for_debugging(caplog: pytest.LogCaptureFixture) -> None:
    """Each line has its facts; secrets of URLs are in none."""
    log = AttemptLog("RUN", "job", lambda result: "b2:0", clock=lambda: 0.0)
    with caplog.at_level(logging.DEBUG, LOGGER.name):
        log.attempt(_result(ConnectError("no route to https://user:pw@example.com")), "example.com")
        log.attempt(_result(), "example.com")

    failed, fine = caplog.records
    assert (failed.levelname, fine.levelname) == ("WARNING", "DEBUG")
    assert _facts(failed)["error"] == "connect_refused"
    assert _facts(fine)["status"] == 200
    assert _facts(failed) | {"run_id": "RUN", "url_id": "b2:0", "attempt": 1, "host": "example.com"} == _facts(failed)
    for record in caplog.records:
        assert "pw" not in record.getMessage() + str(_facts(record))
        assert "abc" not in record.getMessage() + str(_facts(record))


def test_a_flood_is_cut_and_said(caplog: pytest.LogCaptureFixture) -> None:
    """Of a thousand failures in a second ten are told, and later how many were not."""
    now = [5.0]
    log = AttemptLog("RUN", "job", lambda result: "b2:0", per_second=10, clock=lambda: now[0])
    with caplog.at_level(logging.INFO, LOGGER.name):
        for _ in range(1000):
            log.attempt(_result(ConnectError("down")), "example.com")
        assert len(caplog.records) == 10
        now[0] = 6.0
        log.attempt(_result(ConnectError("down")), "example.com")

    assert caplog.records[10].getMessage() == "990 more attempts were not logged"
    assert _facts(caplog.records[10])["left_out"] == 990
    assert len(caplog.records) == 12


def test_levels_cost_nothing_and_count_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Lines below the level are neither written nor counted against the limit."""
    log = AttemptLog("RUN", "job", lambda result: pytest.fail("looked at"), per_second=1, clock=lambda: 0.0)
    with caplog.at_level(logging.WARNING, LOGGER.name):
        log.attempt(_result(), "example.com")
    assert caplog.records == []

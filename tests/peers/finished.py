"""Finished requests for tests of outputs."""

from __future__ import annotations

from collections.abc import Mapping

from crawler.fanout.frontier import Finished


def finished(*records: Mapping[str, object]) -> list[Finished]:
    """Wrap records as finished requests, all of them `ok`."""
    return [Finished(number, "ok", dict(record)) for number, record in enumerate(records)]

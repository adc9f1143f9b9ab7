"""What may look at the pages of a run: processors, which find more work in them, and gates, which let requests go.

    lease ─▶ Gate.admit ─▶ turn of its host ─▶ fetch ─▶ Processor.process ─▶ record, rows and found items, one commit
               │ UNKNOWN: `prepare` takes a turn of that host first

The engine knows neither links nor robots.txt nor selectors: whoever does gives it a processor and a gate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, Protocol

from crawler.fanout.ids import fingerprint_text

if TYPE_CHECKING:
    from crawler.fanout.fetch import HTTPClient
    from crawler.fanout.plan import Item
    from crawler.fanout.result import Result
    from crawler.models import Response


@dataclass(slots=True)
class Page:
    """One response with its body, as a processor sees it; not frozen, for speed.

    Attributes:
        item: What was asked for.
        id: The `id` of its record; the `parent` of what is found in it.
        url: The URL it came from, after redirects.
        response: The response, closed; use `body` for what it said.
        body: The whole body, decoded.
        result: Tries, timing and whatever else is known of the request.
    """

    item: Item
    id: str
    url: str
    response: Response
    body: bytes
    result: Result


@dataclass(slots=True)
class Findings:
    """What a processor made of a page; not frozen, for speed.

    Attributes:
        found: More requests. They are added together with the page's record, in one transaction; those that are known
            already are dropped and counted.
        rows: Rows for outputs of `records: items`.
        fields: Fields of the page's record to set: `items`, `extract_errors`, `page` …
        error: Turns the page into a failure; its `kind` (`crawler.fanout.kinds`) decides whether it is tried again, as
            with any error. What was found is kept, if it is final.
    """

    found: Sequence[Item] = ()
    rows: Sequence[dict[str, object]] = ()
    fields: Mapping[str, object] = field(default_factory=dict)
    error: Exception | None = None


class Processor(Protocol):
    """Looks at pages."""

    async def process(self, page: Page) -> Findings:
        """Look at one page: a response below 400 whose body has at most `BodyPolicy.hold` bytes.

        Called for each such response before its record is made, in the slot of the request, and many at a time. What it
        raises makes the request fail with the exception's `kind`, or with `internal`.
        """


async def process(processor: Processor, result: Result) -> None:
    """Have the page of a result of a run looked at, and write into the result what came of it."""
    response, body, lease = result.response, result.page, result.target
    assert response is not None
    assert body is not None
    page = Page(lease.item, fingerprint_text(lease.fp), str(response.url), response, body, result)
    try:
        findings = result.findings = await processor.process(page)
    except Exception as error:
        result.fail(error)
    else:
        if findings.error is not None:
            result.fail(findings.error)
    result.page = None


class Unknown(Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"


UNKNOWN: Final[Literal[Unknown.UNKNOWN]] = Unknown.UNKNOWN
"""Said by a gate that has to fetch something of that host first."""


class Gate(Protocol):
    """Says which requests may go out; asked for each of them, and for each hop of a redirect. Never waits."""

    def admit(self, item: Item) -> Exception | Unknown | None:
        """Say whether a request may go out.

        Returns:
            `None` if it may; an exception if it may not, whose `kind` stands in the record (`robots_denied`); `UNKNOWN`
            if that is not known before `prepare` has run.
        """

    async def prepare(self, item: Item, client: HTTPClient) -> None:
        """Find out what `admit` has to know of the host of an item.

        Runs as a request of that host: in its turn, never twice at a time. `admit` must not answer `UNKNOWN` after it.
        """

    def interval(self, host: str) -> float | None:
        """Give the least seconds between starts of a host; `None` if it is all the same.

        Args:
            host: Its key, see `crawler.fanout.hosts.host_key`.
        """

    def fields(self, item: Item) -> Mapping[str, object]:
        """Give fields of the record of an item that are the gate's to say (`robots`)."""

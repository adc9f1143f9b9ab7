"""From page to page of an answer: a processor that looks at a page and names the next, or all others.

    link      next page = a URL in a header or in the body
    page      next number; all of them at once where the answer says how many there are
    offset    likewise, in steps of `page_size`
    cursor    what the answer says, put into the next request

A page is an item like any other: it stands in the state as soon as the page before it has its record, so an interrupted
run goes on in the middle. What the next page's request is made of, the row of the input, travels in `Item.memo`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import orjson

from crawler.errors import InvalidURL
from crawler.fanout.pages import Findings, Page
from crawler.fanout.plan import Item
from crawler.jobs.expressions import compile_jmespath
from crawler.jobs.paginate_schema import PaginateSection
from crawler.jobs.paginate_values import number_of, turned_name
from crawler.jobs.requests import RowError
from crawler.models import URL
from crawler.spider.document import Document
from crawler.spider.errors import BadPayload
from crawler.spider.links import Source, compile_source
from crawler.spider.selectors import Budget, Place

logger = logging.getLogger("crawler.jobs")

SECONDS: Final = 1.0
_REMEMBERED: Final = 8  # cursors of earlier pages: a row of pages that runs in a circle does so in a small one

Turn = Callable[[Item, Mapping[str, object]], Item]
"""Makes the request of another page: of an earlier page's, and of what the names of templates are there."""


class Paginator:
    """Names the further pages of each answer.

    Args:
        section: The keys of `paginate`.
        turn: Makes the request of another page.

    Raises:
        BadExpression: An expression does not compile.
    """

    def __init__(self, section: PaginateSection, turn: Turn) -> None:
        self._section = section
        self._turn = turn
        self._cursor = _compiled(section.cursor)
        self._total = _compiled(section.total)
        self._stop_when = _compiled(section.stop_when)
        self._link: Source | None = None
        self._link_in_json: Callable[[Any], Any] | None = None
        if section.type == "link":
            if section.next.startswith("jmespath:"):
                self._link_in_json = compile_jmespath(section.next.removeprefix("jmespath:"))
            else:
                self._link = compile_source(section.next)

    async def process(self, page: Page) -> Findings:
        """Find the pages that follow."""
        number = page.item.page or 1
        fields = {"page": number}
        try:
            found = list(self._following(page, number))
        except (BadPayload, InvalidURL, RowError) as error:
            return Findings(fields=fields, error=error)
        return Findings(found=found, fields=fields)

    def _following(self, page: Page, number: int) -> Iterator[Item]:
        section = self._section
        if self._stop_when is not None and _is_true(self._stop_when(_json(page.body))):
            return
        match section.type:
            case "link":
                yield from self._by_link(page, number)
            case "cursor":
                yield from self._by_cursor(page, number)
            case "page" | "offset":
                yield from self._by_number(page, number)

    def _may_have(self, page: Page, number: int) -> bool:
        """Whether there may be a page of that number; one that is left out is worth a warning."""
        if number <= self._section.max_pages:
            return True
        logger.warning(
            "%s: stopped at paginate.max_pages, %d; there is more", page.item.key or page.url, self._section.max_pages
        )
        return False

    # -- by link ------------------------------------------------------------------------------------------------------

    def _by_link(self, page: Page, number: int) -> Iterator[Item]:
        href = self._href(page)
        if not href or not self._may_have(page, number + 1):
            return
        url = str(URL(page.url).join(href))
        if url == page.url or url == page.item.url:
            logger.warning("%s: the page names itself as the next one", url)
            return
        yield _turned(replace(page.item, url=url), page, number + 1)

    def _href(self, page: Page) -> str | None:
        if self._link_in_json is not None:
            value = self._link_in_json(_json(page.body))
            return value if isinstance(value, str) else None
        assert self._link is not None
        headers = page.response.headers
        document = Document(page.url, page.body, headers.get("content-type"), headers.multi_items())
        link = next(iter(self._link.links(Place(document, "page", None, Budget(SECONDS)))), None)
        return None if link is None else link.href

    # -- by cursor ----------------------------------------------------------------------------------------------------

    def _by_cursor(self, page: Page, number: int) -> Iterator[Item]:
        assert self._cursor is not None
        cursor = self._cursor(_json(page.body))
        if cursor is None or cursor is False or cursor == "":
            return
        if not isinstance(cursor, str | int | float):
            raise BadPayload(f"the cursor is no text and no number: {str(cursor)[:80]}")
        seen = _seen(page.item)
        digest = hashlib.blake2b(str(cursor).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        if digest in seen:
            logger.warning("%s: the cursor came back, so this is the end", page.item.key or page.url)
            return
        if self._may_have(page, number + 1):
            values = {turned_name(self._section): cursor}
            item = self._made(page, values, number + 1)
            assert item.memo is not None
            item.memo["seen"] = [*seen, digest][-_REMEMBERED:]
            yield item

    # -- by number ----------------------------------------------------------------------------------------------------

    def _by_number(self, page: Page, number: int) -> Iterator[Item]:
        if self._total is None:
            if not self._is_last(page.body) and self._may_have(page, number + 1):
                yield self._numbered(page, number + 1)
            return
        if self._section.parallel and number > 1:
            return  # the first page has named them all
        pages = self._pages(_json(page.body))
        if not self._section.parallel:
            if number < pages and self._may_have(page, number + 1):
                yield self._numbered(page, number + 1)
            return
        if pages > self._section.max_pages:
            self._may_have(page, pages)
        for other in range(2, min(pages, self._section.max_pages) + 1):
            yield self._numbered(page, other)

    def _pages(self, data: object) -> int:
        assert self._total is not None
        total = self._total(data)
        if isinstance(total, str) and total.isascii() and total.isdigit():
            total = int(total)
        if isinstance(total, bool) or not isinstance(total, int) or total < 0:
            raise BadPayload(f"paginate.total is no whole number: {str(total)[:80]}")
        size = self._section.page_size
        return total if size is None else -(-total // size)

    def _is_last(self, body: bytes) -> bool:
        """Whether an answer is the last one: an empty list, or fewer rows than a page has."""
        if self._stop_when is not None and self._section.page_size is None:
            return False  # the job has its own way to tell
        rows = _rows(_json(body))
        if rows is None:
            raise BadPayload("the answer holds no list, so it cannot be told whether more follows; say `stop_when`")
        return rows == 0 or (self._section.page_size is not None and rows < self._section.page_size)

    def _numbered(self, page: Page, number: int) -> Item:
        name = turned_name(self._section)
        return self._made(page, {name: number_of(self._section, number)}, number)

    def _made(self, page: Page, values: Mapping[str, object], number: int) -> Item:
        return _turned(self._turn(page.item, {"page": number, **values}), page, number)


def _turned(item: Item, page: Page, number: int) -> Item:
    """The item as a further page of the same row."""
    item.page = number
    item.parent = page.id
    item.discovered_by = "page"
    item.key = page.item.key
    item.meta = page.item.meta
    item.priority = page.item.priority
    item.checksums, item.size = (), None
    return item


def _compiled(expression: str | None) -> Callable[[Any], Any] | None:
    if expression is None:
        return None
    search = compile_jmespath(expression)

    def checked(data: Any) -> Any:
        try:
            return search(data)
        except ValueError as error:
            raise BadPayload(f"{expression!r} cannot be said of this answer: {error}") from error

    return checked


def _json(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadPayload(f"the answer is no JSON: {error}") from error


def _is_true(value: object) -> bool:
    """As JMESPath has it: false, null and whatever is empty are not."""
    return not (value is None or value is False or value in ("", [], {}))


def _rows(data: object) -> int | None:
    """How many rows an answer has: of the list it is, or of the longest list it has; None if it has none."""
    if isinstance(data, list):
        return len(data)
    if isinstance(data, dict):
        return max((len(value) for value in data.values() if isinstance(value, list)), default=None)
    return None


def _seen(item: Item) -> list[str]:
    seen = (item.memo or {}).get("seen")
    return [str(digest) for digest in seen] if isinstance(seen, list) else []

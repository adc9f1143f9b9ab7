"""Items of pages that are fetched for themselves: a processor that follows nothing."""

from __future__ import annotations

from crawler.fanout.pages import Findings, Page
from crawler.spider.crawl import document_of, fields_of
from crawler.spider.extraction import Extractor
from crawler.spider.reading import PageReader


class ExtractPages:
    """Makes items of every page.

    Args:
        extractor: The rules.
    """

    def __init__(self, extractor: Extractor) -> None:
        self._reader = PageReader(None, extractor)

    async def process(self, page: Page) -> Findings:
        """Look at one page; see `crawler.fanout.pages.Processor`."""
        if page.response.status_code >= 300:
            return Findings()
        reading = await self._reader.read(document_of(page))
        return Findings(rows=reading.extraction.rows, fields=fields_of(reading), error=reading.extraction.failure)

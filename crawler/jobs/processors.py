"""The processors of a job, one after the other."""

from __future__ import annotations

from collections.abc import Sequence

from crawler.fanout.crawl_tally import Telling
from crawler.fanout.pages import Findings, Page, Processor


class Chain:
    """Several processors as one; the first error ends the row, and what was found is kept.

    Args:
        processors: In their order.
    """

    def __init__(self, processors: Sequence[Processor]) -> None:
        self._processors = tuple(processors)

    async def process(self, page: Page) -> Findings:
        """Have each of them look at the page."""
        all_found = Findings(found=[], rows=[], fields={})
        for processor in self._processors:
            one = await processor.process(page)
            all_found.found = [*all_found.found, *one.found]
            all_found.rows = [*all_found.rows, *one.rows]
            all_found.fields = {**all_found.fields, **one.fields}
            if one.error is not None:
                all_found.error = one.error
                break
        return all_found

    def told(self) -> dict[str, object]:
        """What each of them adds to the summary."""
        told: dict[str, object] = {}
        for processor in self._processors:
            if isinstance(processor, Telling):
                told.update(processor.told())
        return told


def chain(processors: Sequence[Processor]) -> Processor | None:
    """One processor for all of them; None if there are none."""
    if not processors:
        return None
    return processors[0] if len(processors) == 1 else Chain(processors)

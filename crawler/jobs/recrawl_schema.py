"""The keys of `recrawl`, as a pydantic model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel

from crawler.jobs.fields import Bool, LimitOrNull, choice
from crawler.jobs.section import SECTION


class RecrawlSection(BaseModel):
    """A job that is run again fetches again what it has: all of it, or what is due."""

    model_config = SECTION

    if_changed: Bool = False
    """Ask whether a page changed since its last good record; if not, its outcome is `unchanged`."""
    max_age: LimitOrNull = None
    """Fetch again what was seen longer ago than this, like 12h; null is everything in each run."""
    diff: Annotated[Literal["none", "text", "json"], choice("none", "text", "json")] = "none"
    """What changed goes into the record: as lines of text, or as values of JSON."""

    @property
    def is_wanted(self) -> bool:
        """Whether anything is fetched again."""
        return self.if_changed or self.max_age is not None

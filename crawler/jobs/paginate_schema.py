"""The keys of `paginate`, as a pydantic model, and which of them belong to which type."""

from __future__ import annotations

from typing import Annotated, Final, Literal, NamedTuple

from pydantic import BaseModel

from crawler.jobs.fields import Bool, Text, choice, text, whole
from crawler.jobs.section import SECTION

PaginateType = Literal["link", "page", "offset", "cursor"]


class PaginateKeys(NamedTuple):
    """The keys of one type besides `type` and `max_pages`."""

    needed: tuple[str, ...] = ()
    possible: tuple[str, ...] = ()


KEYS_BY_TYPE: Final[dict[PaginateType, PaginateKeys]] = {
    "link": PaginateKeys((), ("next", "stop_when")),
    "page": PaginateKeys((), ("into", "start", "step", "page_size", "total", "stop_when", "parallel")),
    "offset": PaginateKeys(("page_size",), ("into", "start", "total", "stop_when", "parallel")),
    "cursor": PaginateKeys(("cursor",), ("into", "stop_when")),
}


class PaginateSection(BaseModel):
    """How one answer leads to the next; each page is a request with a record of its own."""

    model_config = SECTION

    type: Annotated[PaginateType, choice(*KEYS_BY_TYPE)]
    """What leads to the next page: a link, the next page number, the next offset, a cursor in the answer."""
    next: Text = "header:Link[rel=next]"
    """Of `link`: where it stands: header:Link[rel=next], a CSS selector with its attribute, xpath:, re:, jmespath:."""
    cursor: Text | None = None
    """Of `cursor`: JMESPath of the next cursor in the answer; null or empty text is the end."""
    into: Annotated[
        str | None, text(100, r"[A-Za-z_][A-Za-z0-9_.-]*", "a template name is made of letters, digits, _ . and -")
    ] = None
    """Template name that it fills, else the query parameter; default `page`, `offset` or `cursor`."""
    start: Annotated[int | None, whole(0)] = None
    """First number; default 1 of `page`, 0 of `offset`."""
    step: Annotated[int, whole(1)] = 1
    """From one page number to the next."""
    page_size: Annotated[int | None, whole(1)] = None
    """Rows of a full page; a page with fewer is the last one."""
    total: Text | None = None
    """JMESPath of the number of rows (with `page_size`) or of pages: all pages are asked for at once."""
    max_pages: Annotated[int, whole(1, 1_000_000)] = 1000
    """Pages of one row of the input, at most."""
    stop_when: Text | None = None
    """JMESPath; where it is true of an answer there is no further page."""
    parallel: Bool = True
    """false asks for one page after the other, though `total` is known."""

"""What the names of templates are on each page of an answer."""

from __future__ import annotations

from typing import Final

from crawler.jobs.paginate_schema import PaginateSection

_DEFAULT_INTO: Final = {"page": "page", "offset": "offset", "cursor": "cursor", "link": ""}


def turned_name(section: PaginateSection) -> str:
    """The template name that is another on each page; empty for links."""
    return section.into or _DEFAULT_INTO[section.type]


def first_values(section: PaginateSection) -> dict[str, object]:
    """What the names of templates are on the first page."""
    values: dict[str, object] = {"page": 1}
    if section.type == "cursor":
        values[turned_name(section)] = None
    elif section.type != "link":
        values[turned_name(section)] = number_of(section, 1)
    return values


def number_of(section: PaginateSection, page: int) -> int:
    """What stands for a page, counted from 1, in its request."""
    if section.type == "offset":
        return (section.start or 0) + (page - 1) * (section.page_size or 1)
    return (1 if section.start is None else section.start) + (page - 1) * section.step

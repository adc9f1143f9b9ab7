"""The keys of `extract`, as pydantic models."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel

from crawler.jobs.fields import Anything, Bool, Text, choice, text
from crawler.jobs.section import SECTION
from crawler.spider.casts import TYPES, TypeName
from crawler.spider.rules import PARSERS, Parser

Expression = Annotated[str, text(10_000)]


class ExtractField(BaseModel):
    """One field of an item; exactly one key says where its value comes from."""

    model_config = SECTION

    css: Expression | None = None
    """CSS selector, with ::text, ::html or @attribute at its end."""
    xpath: Expression | None = None
    """XPath 1.0; needs the extra `xpath`."""
    jmespath: Expression | None = None
    """JMESPath in a JSON page."""
    jsonpath: Expression | None = None
    """JSONPath in a JSON page; needs the extra `jsonpath`."""
    regex: Expression | None = None
    """Regular expression; its first group, or all of it."""
    json_ld: Expression | None = None
    """Type.name.name in the page's JSON-LD."""
    meta: Expression | None = None
    """Name of a <meta>."""
    const: Anything = None
    """This value."""
    template: Expression | None = None
    """Text with {fields} before this one, and {url}."""
    type: Annotated[TypeName, choice(*TYPES)] = "str"
    """What the value is made to be."""
    all: Bool = False
    """A list of all that is found."""
    default: Anything = None
    """For what is missing."""
    required: Bool = False
    """Missing or unfit fails the page with `extract_failed`."""
    strip: Bool = True
    """Take white space off both ends."""
    fields: dict[str, ExtractField] = {}
    """What to find within each element or value."""


class ExtractRule(BaseModel):
    """What to take from the pages that match."""

    model_config = SECTION

    match: Text | None = None
    """Pages it is for: a glob, or re: and a regular expression; default all."""
    parser: Annotated[Parser, choice(*PARSERS)] = "auto"
    """What the pages are; default by their type."""
    each: Expression | None = None
    """Finds the items of a page: CSS, or JMESPath where the fields are of JSON; or kind:expression."""
    fields: dict[str, ExtractField] = {}
    """Fields of each item."""
    also: Bool = False
    """Try later rules as well."""
    python: Annotated[
        str | None, text(500, r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*", "a function is written module:function")
    ] = None
    """A function in the place of `fields`; it gets the document and gives mappings."""


ExtractField.model_rebuild()

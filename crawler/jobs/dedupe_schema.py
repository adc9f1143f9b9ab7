"""The keys of `dedupe`, as a pydantic model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel

from crawler.jobs.fields import Bool, OneOrMany, Text, choice
from crawler.jobs.section import SECTION


class Dedupe(BaseModel):
    """When two requests count as the same one, which is sent once."""

    model_config = SECTION

    by: Annotated[Literal["url", "url_body", "none"], choice("url", "url_body", "none")] = "url_body"
    """Method and URL; these and the body; or never: each row of the input is a request of its own."""
    headers: Annotated[list[Text], OneOrMany()] = []
    """Names of headers whose values count as well."""
    body_hash: Bool = True
    """false leaves the body out."""

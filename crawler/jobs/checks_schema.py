"""The keys of one entry of `checks`, as a pydantic model."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel

from crawler.jobs.fields import Bool, OneOrMany, Reader, Size, Text, choice, loosen, show
from crawler.jobs.section import SECTION

CheckKind = Literal["check_failed", "challenge_page", "bad_payload", "content_type"]


def _parse_status(value: object) -> int:
    status = loosen(value)
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 399:
        hint = "; a status of 400 and more is a failure anyway" if isinstance(status, int) and status >= 400 else ""
        raise ValueError(f"expected a status between 100 and 399, not {show(status)}{hint}")
    return status


Status = Annotated[int, Reader(_parse_status, {"type": "integer", "minimum": 100, "maximum": 399})]
Texts = Annotated[list[Text], OneOrMany()]


class Check(BaseModel):
    """What a response has to be like to count as a success; all conditions of an entry must hold."""

    model_config = SECTION

    status: Annotated[list[Status], OneOrMany()] = []
    """Statuses that will do; one of 400 and more is a failure anyway."""
    content_type: Texts = []
    """Media types that will do, like `application/json` or `image/*`."""
    min_size: Size | None = None
    """Bytes at least."""
    max_size: Size | None = None
    """Bytes at most."""
    contains: Texts = []
    """Texts that stand in the body, each of them."""
    not_contains: Texts = []
    """Texts none of which stands in the body."""
    regex: Text | None = None
    """Is found in the body."""
    jmespath: Text | None = None
    """Is true of the JSON in the body."""
    kind: Annotated[CheckKind | None, choice("check_failed", "challenge_page", "bad_payload", "content_type")] = None
    """Error kind of a failure; default `content_type` for a wrong media type, else `check_failed`."""
    match: Text | None = None
    """Checks only URLs that match: a glob, or re: and a regular expression."""
    retry: Bool = False
    """true lets the request be sent again after a failure."""

    @property
    def looks_at_text(self) -> bool:
        """Whether it needs the body."""
        return bool(self.contains or self.not_contains or self.regex is not None or self.jmespath is not None)

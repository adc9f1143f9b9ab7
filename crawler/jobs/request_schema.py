"""The keys of `request`, as a pydantic model."""

from __future__ import annotations

import re
from typing import Annotated, Final

from pydantic import BaseModel, Field

from crawler.errors import InvalidURL
from crawler.jobs.fields import (
    Anything,
    Bool,
    OneOrMany,
    PathText,
    Reader,
    Schema,
    TemplateText,
    loosen,
    show,
    text,
)
from crawler.jobs.section import SECTION
from crawler.models import Proxy

_COOKIES: Final[Schema] = {
    "anyOf": [{"type": "boolean"}, {"type": "object", "additionalProperties": {"type": "string"}}]
}
_COOKIE_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_COOKIE_VALUE: Final = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")


def _parse_cookies(value: object) -> bool | dict[str, str]:
    got = loosen(value)
    if isinstance(got, bool):
        return got
    if not isinstance(got, dict):
        raise ValueError(f"expected true, false or a mapping of names to values, not {show(got)}")
    cookies = {}
    for name, text_ in got.items():
        if not isinstance(name, str) or _COOKIE_NAME.fullmatch(name) is None:
            raise ValueError(f"{show(name)} is no cookie name")
        if not isinstance(text_, str) or _COOKIE_VALUE.fullmatch(text_) is None:
            raise ValueError(f"the value of {name} does not fit into a cookie (RFC 6265 §4.1.1)")
        cookies[name] = str(text_)
    return cookies


def _parse_proxy(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected the URL of a proxy, not {show(value)}")
    try:
        if not Proxy(value).url.host:
            raise ValueError("no host")
    except (ValueError, InvalidURL):
        raise ValueError("expected http://, https:// or socks5:// and the host of a proxy") from None
    return str(value)


Method = Annotated[str, text(32, r"[A-Z][A-Z0-9_-]*", "a method is a word in capitals, like GET or POST")]
ProxyText = Annotated[str, Reader(_parse_proxy, {"type": "string", "format": "uri"})]


class Request(BaseModel):
    """How a row becomes a request; texts are templates: `{column}`."""

    model_config = SECTION

    method: Method | None = None
    """HTTP method; default GET."""
    url: TemplateText | None = None
    """Absolute http(s) URL after filling; default `{url}`."""
    params: dict[str, Annotated[list[TemplateText], OneOrMany()]] = {}
    """Query parameters, percent-encoded and appended."""
    headers: dict[str, TemplateText] = {}
    """Request headers."""
    json_: Annotated[Anything, Field(alias="json")] = None
    """JSON body; a text that is one `{column:int}` keeps the type."""
    form: dict[str, Annotated[list[TemplateText], OneOrMany()]] = {}
    """Form body, as browsers send it."""
    body: TemplateText | None = None
    """Text body."""
    body_file: PathText | None = None
    """File whose content is the body of every request, relative to the job file; at most 1 MiB."""
    cookies: Annotated[bool | dict[str, str], Reader(_parse_cookies, _COOKIES)] = False
    """true keeps the cookies that servers set and sends them back; a mapping also sends these from the beginning."""
    proxy: Annotated[list[ProxyText], OneOrMany()] = []
    """URL of a proxy; of several, each host's requests take one after the other. Default: the environment's."""
    user_agent: Annotated[str | None, text(500, r"[\x20-\x7e]+", "printable ASCII")] = None
    """Default `crawler/VERSION (+contact)`."""
    idempotent: Bool | None = None
    """true lets a POST or PATCH be retried; default by the method."""

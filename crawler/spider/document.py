"""A page in the forms that rules look at: text, HTML tree, XML tree, JSON; each made when first asked for.

HTML is parsed by lexbor, which builds the tree that browsers build, however broken the markup is. XPath needs lxml
(extra `xpath`), whose HTML tree may differ from the browsers' on broken pages.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from crawler.spider.charsets import Charset, decode, detect
from crawler.spider.errors import BadPayload

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selectolax.lexbor import LexborHTMLParser

Form = Literal["html", "xml", "json", "text"]

XPATH_EXTRA: Final = "XPath needs lxml: pip install 'crawler[xpath]'"

MAX_DEPTH: Final = 2000
"""Elements within each other. Browsers stop at 512; the time to parse grows with the square of it."""

_HTML_TYPES: Final = frozenset({"text/html", "application/xhtml+xml"})
_SNIFF: Final = 512


def media_type(content_type: str | None) -> str:
    """The media type alone, lower-case."""
    return (content_type or "").partition(";")[0].strip().lower()


def form_of(content_type: str | None, body: bytes) -> Form:
    """Say what a body is: by its media type, and by its first bytes where that says nothing."""
    kind = media_type(content_type)
    if kind in _HTML_TYPES:
        return "html"
    if kind.endswith(("/json", "+json", "/x-ndjson")):
        return "json"
    if kind.endswith(("/xml", "+xml")):
        return "xml"
    if kind and kind not in ("application/octet-stream", "text/plain", "unknown/unknown"):
        return "text"
    head = body[:_SNIFF].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if kind != "text/plain" and head.startswith((b"{", b"[")):
        return "json"
    if head.startswith(b"<?xml") and b"<html" not in head:
        return "xml"
    return "html" if head.startswith(b"<") and kind != "text/plain" else "text"


class Document:
    """One page.

    Args:
        url: Where it came from, after redirects.
        body: Its bytes, without content coding.
        content_type: The header's value.
        headers: All header fields as text, names in any case.
        form: What it is; found out if not given.

    Attributes:
        url, body, content_type, headers: As given.
        form: What the page is.
    """

    def __init__(
        self,
        url: str,
        body: bytes,
        content_type: str | None = None,
        headers: Sequence[tuple[str, str]] = (),
        form: Form | None = None,
    ) -> None:
        self.url = url
        self.body = body
        self.content_type = content_type
        self.headers = headers
        self.form: Form = form or form_of(content_type, body)

    @cached_property
    def charset(self) -> Charset:
        """The character set and what told of it."""
        if self.form == "json" and "charset" not in (self.content_type or ""):
            return Charset("utf-8", "guess")  # RFC 8259 §8.1
        return detect(self.body, self.content_type)

    @cached_property
    def text(self) -> str:
        """The page as text."""
        return decode(self.body, self.charset)

    @cached_property
    def html(self) -> LexborHTMLParser:
        """The tree that browsers would build.

        Raises:
            BadPayload: Its elements lie too deep within each other.
        """
        from selectolax.lexbor import LexborHTMLParser

        text = self.text
        if len(text) > 4 * MAX_DEPTH and _is_too_deep(text):
            raise BadPayload(f"elements within each other more than {MAX_DEPTH} times")
        return LexborHTMLParser(text)

    @cached_property
    def lxml(self) -> Any:  # an lxml element, which is foreign data
        """The tree that XPath looks at.

        Raises:
            BadPayload: lxml cannot make one of it.
        """
        return parse_lxml(self.text, is_xml=self.form == "xml")

    @cached_property
    def json(self) -> object:
        """The page as JSON.

        Raises:
            BadPayload: It is none.
        """
        return parse_json(self.text)

    @cached_property
    def base(self) -> str:
        """What its relative links are relative to: `<base href>`, or its own URL."""
        if self.form != "html":
            return self.url
        node = self.html.css_first("base[href]")
        href = ((node.attributes.get("href") if node is not None else None) or "").strip()
        if not href:
            return self.url
        from crawler.spider.normalize import absolute

        return absolute(href, self.url) or self.url

    def header(self, name: str) -> list[str]:
        """All values of a header field."""
        wanted = name.lower()
        return [value for field, value in self.headers if field.lower() == wanted]


# Elements whose start makes the parser look through all that are open (WHATWG HTML §13.2.6.4.7).
_BLOCKS = re.compile(
    r"<(/?)(?:address|article|aside|blockquote|center|details|dialog|dir|div|dl|fieldset|figcaption|figure|footer|form"
    r"|header|hgroup|main|menu|nav|ol|search|section|summary|ul|table|button|object|marquee|applet|template)\b",
    re.IGNORECASE,
)


_PIECE: Final = 128 * 1024


def _is_too_deep(text: str) -> bool:
    """Whether blocks lie deeper within each other than `MAX_DEPTH`, as far as can be seen without parsing."""
    slashes: list[str] = []
    for start in range(0, len(text), _PIECE):  # in pieces, so that other threads get their turn
        slashes += _BLOCKS.findall(text, start, start + _PIECE)
    if len(slashes) <= MAX_DEPTH:
        return False
    depth = 0
    for slash in slashes:
        if not slash:
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif depth:
            depth -= 1
    return False


def parse_json(text: str) -> object:
    """Read JSON.

    Raises:
        BadPayload: It is none.
    """
    import orjson

    try:
        return orjson.loads(text.removeprefix("\ufeff"))
    except orjson.JSONDecodeError as error:
        raise BadPayload(f"not JSON: {error}") from error


_DECLARATION = re.compile(r"\A\s*<\?xml\b.*?\?>", re.DOTALL)


def parse_lxml(text: str, *, is_xml: bool) -> Any:
    """Parse by lxml, which reads no other file and expands no entity.

    Raises:
        BadPayload: Nothing of it can be parsed.
    """
    from lxml import etree
    from lxml import html as lxml_html

    # The declaration's encoding is that of the bytes that were decoded already.
    data = _DECLARATION.sub("", text, count=1).encode("utf-8", "surrogatepass")
    parser: Any = (
        etree.XMLParser(encoding="utf-8", resolve_entities=False, no_network=True, recover=True, load_dtd=False)
        if is_xml
        else lxml_html.HTMLParser(encoding="utf-8", no_network=True)
    )
    try:
        root = etree.fromstring(data, parser) if is_xml else lxml_html.document_fromstring(data, parser)
    except (etree.LxmlError, ValueError) as error:
        raise BadPayload(f"cannot be parsed: {error}") from error
    if root is None:
        raise BadPayload("cannot be parsed: there is no element in it")
    return root

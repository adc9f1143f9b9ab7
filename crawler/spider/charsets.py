"""Which character set a body is written in.

In the order of the HTML standard: a byte order mark, the `Content-Type` header, a `<meta>` (or XML declaration) among
the first bytes, and else a guess: UTF-8 if it is that, windows-1252 if not. Labels are read as browsers read them:
what says ISO-8859-1 or ASCII is windows-1252 in truth, GB2312 is GB18030.

Source: WHATWG HTML §13.2.3 (determining the encoding), WHATWG Encoding §4.2 (labels).
"""

from __future__ import annotations

import codecs
import re
from typing import Final, Literal, NamedTuple

CharsetSource = Literal["bom", "header", "meta", "guess"]

PRESCAN: Final = 1024
"""Bytes in which a page must say its character set."""

_BOMS: Final = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_SUPERSETS: Final = {
    "ascii": "cp1252",
    "iso8859-1": "cp1252",
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
}
_NOT_OF_PAGES: Final = frozenset(
    (
        *("base64", "hex", "bz2", "zlib", "uu", "quopri", "rot-13", "idna", "punycode", "utf-7"),
        *("unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"),
    )
)
_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_META = re.compile(rb"<meta\b[^>]*?\bcharset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_XML = re.compile(rb"\A\s*<\?xml\b[^>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9_.:-]+)[\"']")
_PARAMETER = re.compile(r";\s*charset\s*=\s*[\"']?\s*([^\s\"';]+)", re.IGNORECASE)


class Charset(NamedTuple):
    """A character set.

    Attributes:
        name: As Python's codecs have it.
        source: What told of it.
    """

    name: str
    source: CharsetSource


def lookup(label: str) -> str | None:
    """The codec that browsers use for a label; `None` if there is none for text."""
    try:
        name = codecs.lookup(label.strip().lower()).name
    except (LookupError, ValueError):
        return None
    return None if name.replace("_", "-") in _NOT_OF_PAGES else _SUPERSETS.get(name, name)


def detect(body: bytes, content_type: str | None = None) -> Charset:
    """Find out the character set of a body; never fails."""
    for mark, name in _BOMS:
        if body.startswith(mark):
            return Charset(name, "bom")
    if content_type and (found := _PARAMETER.search(content_type)) and (name_ := lookup(found[1])):
        return Charset(name_, "header")
    head = body[:PRESCAN]
    if b"<" in head:
        said = _XML.search(head) or _META.search(_COMMENT.sub(b"", head))
        if said is not None and (name_ := lookup(said[1].decode("ascii"))):
            # A page that could be read this far is in no encoding of two bytes (WHATWG HTML §13.2.3.2).
            return Charset("utf-8" if name_.startswith("utf-16") or name_.startswith("utf-32") else name_, "meta")
    return Charset("utf-8" if _is_utf8(body) else "cp1252", "guess")


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        # Cut off within a character: only if there are whole ones before it.
        return error.reason == "unexpected end of data" and not body[: error.start].isascii()
    return True


def decode(body: bytes, charset: Charset) -> str:
    """Turn a body into text; what does not decode becomes U+FFFD."""
    for mark, name in _BOMS:
        if name == charset.name and body.startswith(mark):
            body = body[len(mark) :]
            break
    return body.decode(charset.name, "replace")

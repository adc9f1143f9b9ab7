"""Readers for the two structured header values a response shows: the charset of a Content-Type, and Link."""

from __future__ import annotations

import codecs
import re
from encodings import normalize_encoding
from encodings.aliases import aliases
from functools import lru_cache
from typing import Final

_PARAMETER: Final = re.compile(r'(?:^|;)\s*([^\s=;]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
# Linear on any input: a target holds no "<", so that a row of them is not searched to the end from each of them.
_LINK: Final = re.compile(r'<([^<>]*)>((?:"(?:[^"\\]|\\.)*"|[^",]|,(?!\s*<))*)')
_LINK_PARAMETER: Final = re.compile(r""";\s*([^\s=;"']+)\s*=\s*("(?:[^"\\]|\\.)*"|'[^']*'|[^;]*)""")

# Codecs that are no encodings of text on the web but Python's own, or that cannot replace what does not decode.
_NOT_FOR_TEXT: Final = frozenset(
    ("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem")
)
# Codecs that the table of aliases does not name.
_UNALIASED: Final = frozenset(
    (
        "cp1006",
        "cp720",
        "cp737",
        "cp856",
        "cp874",
        "cp875",
        "koi8_t",
        "koi8_u",
        "mac_croatian",
        "mac_romanian",
        "utf_8_sig",
    )
)
_KNOWN: Final = frozenset((*aliases, *aliases.values(), *_UNALIASED)) - _NOT_FOR_TEXT


def charset_of(content_type: str) -> str | None:
    """Read the charset out of a Content-Type, in lower case; None if it names none.

    Source: RFC 9110 §8.3.1, §5.6.6 (parameters).
    """
    for match in _PARAMETER.finditer(content_type):
        if match[1].lower() == "charset":
            return _unquote(match[2].strip()).lower() or None
    return None


@lru_cache(maxsize=256)
def is_text_encoding(name: str) -> bool:
    """Whether Python can decode text by a charset name that came from outside.

    Only the names of the standard library are looked up: `codecs.lookup` imports a module by the name it is given and
    remembers for ever each one it does not know, which a server could use to fill the memory.
    """
    normal = normalize_encoding(name.strip()).lower()
    if normal not in _KNOWN and normal.replace(".", "_") not in _KNOWN:
        return False
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):  # the latter for a NUL in the name
        return False
    # The private flag is the only way to tell `rot13` and `zlib` apart from encodings; `bytes.decode` asks it too.
    return bool(getattr(info, "_is_text_encoding", True)) and info.name.replace("-", "_") not in _NOT_FOR_TEXT


def parse_links(value: str) -> list[dict[str, str]]:
    """Read a Link header: for each link its parameters, and its target as `url`. What is malformed is skipped.

    Source: RFC 8288 §3.
    """
    links = []
    for target, parameters in _LINK.findall(value):
        link = {"url": target.strip()}
        for name, quoted in _LINK_PARAMETER.findall(parameters):
            link.setdefault(name.lower(), _unquote(quoted.strip()))
        links.append(link)
    return links


def _unquote(value: str) -> str:
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value

"""The file name that a server suggests (RFC 6266): a stranger's word, good for one name at most."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

_PARAMETER = re.compile(r';\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)', re.DOTALL)
_EXTENDED = re.compile(r"([A-Za-z0-9-]+)'[^']*'(.*)", re.DOTALL)
_CHARSETS: Final = frozenset({"utf-8", "iso-8859-1"})  # the two of RFC 8187 §3.2.1; others are ignored
_MOST: Final = 4096
"""Characters of a header that are looked at."""


def suggested_name(header: str) -> str | None:
    """Give the name in a `Content-Disposition`, without any folder; `None` if there is none.

    `filename*` counts before `filename` (RFC 6266 §4.3). What is given is a wish, to be made safe like any other
    (`crawler.fanout.paths.safe_parts`); its percent signs are escaped, so that they stay what they are there.
    """
    parameters: dict[str, str] = {}
    for match in _PARAMETER.finditer(header[:_MOST]):
        parameters.setdefault(match[1].lower(), match[2].strip())
    for text in (_extended(parameters.get("filename*", "")), _plain(parameters.get("filename", ""))):
        name = text.replace("\\", "/").rpartition("/")[2]
        if name.strip(". "):
            return name.replace("%", "%25")
    return None


def _extended(value: str) -> str:
    match = _EXTENDED.fullmatch(value)
    if match is None or match[1].lower() not in _CHARSETS:
        return ""
    try:
        return unquote(match[2], match[1], "strict")
    except UnicodeDecodeError:
        return ""


def _plain(value: str) -> str:
    if value.startswith('"'):
        return re.sub(r"\\(.)", r"\1", value[1:-1], flags=re.DOTALL) if value.endswith('"') else ""
    return value

"""Links as URLs that can be compared: made absolute as browsers do, and brought to one form.

Always: scheme and host lower-case, IDNA, default port dropped, dot segments resolved, an empty path is `/`, escapes in
upper case, and characters unescaped that need no escape (RFC 3986 §6.2.2). As asked: the query sorted, parameters
dropped, the path in lower case. Applying it twice gives the same as once.

Source: WHATWG URL §4.4 (white space, tabs and line breaks, backslashes).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

from crawler.errors import InvalidURL
from crawler.models import URL

# Text that is in its one form already, as far as its target goes: no escape, no dot segment, nothing to encode.
PLAIN_TARGET: Final = re.compile(r"/[!$&-.0-;=@-Z_a-z~/]*(?:\?[!$&(-;=?-Z_a-z~]*)?").fullmatch
_PLAIN_URL: Final = re.compile(r"(https?://[a-z0-9][a-z0-9.-]*(?::[0-9]+)?)(/[^\s]*)?", re.ASCII).fullmatch
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_WHITE: Final = "".join(map(chr, range(0x21)))  # C0 controls and space
_BREAKS = str.maketrans("", "", "\t\n\r")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:").match


def absolute(href: str, base: str) -> str | None:
    """Resolve a link of a page as browsers do.

    Args:
        href: As it stands in the page.
        base: Absolute http(s) URL of the page, or its `<base>`.

    Returns:
        An absolute http(s) URL with its fragment; `None` for other schemes (`mailto:`, `javascript:`) and what is no
        URL.
    """
    text = href.strip(_WHITE).translate(_BREAKS)
    scheme = _SCHEME(text)
    if scheme is not None and scheme[0].lower() not in ("http:", "https:"):
        return None
    if "\\" in text:
        end = min((at for at in (text.find("?"), text.find("#")) if at >= 0), default=len(text))
        text = text[:end].replace("\\", "/") + text[end:]
    if (
        scheme is not None
        and text[scheme.end() : scheme.end() + 2] != "//"
        and scheme[0].lower() != base.partition("/")[0]
    ):
        text = scheme[0] + "//" + text[scheme.end() :].lstrip("/")
    try:
        parent = _parsed(base)
        url = parent.join(unescape(text)) if text else parent
        if url.scheme not in ("http", "https"):
            return None
        url.origin  # noqa: B018 - raises for a host that cannot be asked for
        return str(url)
    except (InvalidURL, ValueError):
        return None


@lru_cache(maxsize=64)
def _parsed(base: str) -> URL:
    return URL(base)


def unescape(text: str) -> str:
    """Write escapes in upper case, and take those away that nothing needs."""
    return text if "%" not in text else _ESCAPE.sub(_unescaped, text)


def _unescaped(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else found[0].upper()


@dataclass(frozen=True, slots=True)
class Normalizer:
    """Brings URLs to one form.

    Attributes:
        sort_query: Order the parameters of the query by name, then value.
        drop_params: Globs of parameter names to drop, such as `utm_*`.
        drop_fragment: Drop what follows `#`.
        lowercase_path: Write the path in lower case, for servers that do not tell cases apart.
    """

    sort_query: bool = False
    drop_params: tuple[str, ...] = ()
    drop_fragment: bool = True
    lowercase_path: bool = False

    def normalize(self, url: str) -> str | None:
        """Bring an absolute http(s) URL to its one form; `None` for what is no URL that can be asked for."""
        if self.drop_fragment:
            url = url.partition("#")[0]
        if self.is_normal(url):
            return url
        try:
            parsed = URL(unescape(url))
            origin = parsed.origin
            target = parsed.raw_path.decode("ascii")
        except (InvalidURL, ValueError):
            return None
        if origin.scheme not in ("http", "https"):
            return None
        path, mark, query = target.partition("?")
        if self.lowercase_path:
            path = _lower_path(path)
        if mark:
            query = self._query(query)
        user = parsed.userinfo.decode("ascii") + "@" if parsed.userinfo else ""
        fragment = "" if self.drop_fragment or not parsed.fragment else "#" + str(parsed).partition("#")[2]
        text = f"{origin.scheme}://{user}{origin.netloc.decode('ascii')}{path or '/'}"
        return text + (f"?{query}" if query else "") + fragment

    def is_normal(self, url: str) -> bool:
        """Whether a URL is in its one form for sure; quick, and not sure of all that are."""
        found = _PLAIN_URL(url)
        if found is None or found[2] is None or ":80/" in url or ":443/" in url or "/." in url:
            return False
        target = found[2]
        if "?" in target and (
            self.sort_query or self.drop_params or target[-1] in "?&" or "&&" in target or "?&" in target
        ):
            return False
        if self.lowercase_path and not target.islower():
            return False
        return PLAIN_TARGET(target) is not None

    def _query(self, query: str) -> str:
        parts = [part for part in query.split("&") if part]
        if self.drop_params:
            parts = [part for part in parts if not self._is_dropped(part)]
        if self.sort_query:
            parts.sort(key=lambda part: part.partition("=")[::2])
        return "&".join(parts)

    def _is_dropped(self, part: str) -> bool:
        name = unquote_plus(part.partition("=")[0])
        return any(fnmatchcase(name, glob) for glob in self.drop_params)


def _lower_path(path: str) -> str:
    """Lower case, but for the escapes, which are written in upper case."""
    return re.sub(r"%[0-9a-f]{2}", lambda found: found[0].upper(), path.lower())
